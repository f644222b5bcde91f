// SPDX-License-Identifier: Apache-2.0

package roomproto

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// mostItems bounds the items of one list or map: rooms are as large, and no message of
// ours is.
const mostItems = 1 << 16

// field is a field of a message.
type field struct {
	number protowire.Number
	index  int
}

// layouts remembers the fields of each message type, in the order of their numbers.
var layouts sync.Map //nolint:gochecknoglobals // of reflect.Type to []field: what follows from the types alone

// layout reads the tags of a message type. A tag that is no number is a fault of this
// package, which its test finds.
func layout(t reflect.Type) []field {
	if known, ok := layouts.Load(t); ok {
		return known.([]field)
	}
	var list []field
	for i := range t.NumField() {
		n, err := strconv.Atoi(t.Field(i).Tag.Get("pb"))
		if err != nil {
			panic(fmt.Sprintf("roomproto: %v.%s: %v", t, t.Field(i).Name, err))
		}
		list = append(list, field{protowire.Number(n), i})
	}
	slices.SortFunc(list, func(a, b field) int { return int(a.number - b.number) })
	layouts.Store(t, list)
	return list
}

// Marshal appends a message, a pointer to one of this package's structs, to b.
func Marshal(b []byte, message any) []byte {
	return appendMessage(b, reflect.ValueOf(message).Elem())
}

func appendMessage(b []byte, v reflect.Value) []byte {
	for _, f := range layout(v.Type()) {
		b = appendField(b, f.number, v.Field(f.index))
	}
	return b
}

func appendField(b []byte, n protowire.Number, v reflect.Value) []byte {
	switch v.Kind() { //nolint:exhaustive // messages have fields of these kinds
	case reflect.Pointer:
		if v.IsNil() {
			return b
		}
		b = protowire.AppendTag(b, n, protowire.BytesType)
		return protowire.AppendBytes(b, appendMessage(nil, v.Elem()))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			if v.Len() == 0 {
				return b
			}
			return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v.Bytes())
		}
		return appendList(b, n, v)
	case reflect.Map:
		return appendMap(b, n, v)
	case reflect.String:
		if v.Len() == 0 {
			return b
		}
		return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v.String())
	default:
		u := number(v)
		if u == 0 {
			return b
		}
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), u)
	}
}

// number is the varint of a scalar; negative ones are sign-extended, as int32 and int64
// have it.
func number(v reflect.Value) uint64 {
	switch {
	case v.Kind() == reflect.Bool:
		return protowire.EncodeBool(v.Bool())
	case v.CanInt():
		return uint64(v.Int())
	}
	return v.Uint()
}

// appendList writes strings and messages one by one, and numbers packed, as proto3 has it.
func appendList(b []byte, n protowire.Number, v reflect.Value) []byte {
	if v.Len() == 0 {
		return b
	}
	switch v.Type().Elem().Kind() { //nolint:exhaustive // messages have lists of these kinds
	case reflect.String:
		for i := range v.Len() {
			b = protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), v.Index(i).String())
		}
	case reflect.Pointer:
		for i := range v.Len() {
			b = appendField(b, n, v.Index(i))
		}
	default:
		var packed []byte
		for i := range v.Len() {
			packed = protowire.AppendVarint(packed, number(v.Index(i)))
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), packed)
	}
	return b
}

// appendMap writes a map of strings, by its keys' order so that equal messages are equal
// bytes.
func appendMap(b []byte, n protowire.Number, v reflect.Value) []byte {
	m := v.Interface().(map[string]string)
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		var entry []byte
		entry = protowire.AppendString(protowire.AppendTag(entry, 1, protowire.BytesType), k)
		entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), m[k])
		b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), entry)
	}
	return b
}

var (
	errUTF8  = errors.New("a text that is no UTF-8")
	errItems = fmt.Errorf("more than %d items", mostItems)
)

// Unmarshal reads a message into a pointer to one of this package's structs. Bytes and
// texts are copies.
func Unmarshal(data []byte, message any) error {
	v := reflect.ValueOf(message).Elem()
	if err := readMessage(data, v); err != nil {
		return fmt.Errorf("roomproto: %s of %d bytes: %w", v.Type().Name(), len(data), err)
	}
	return nil
}

func readMessage(data []byte, v reflect.Value) error {
	fields := layout(v.Type())
	for len(data) > 0 {
		n, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		value := protowire.ConsumeFieldValue(n, kind, data)
		if value < 0 {
			return protowire.ParseError(value)
		}
		i, known := slices.BinarySearchFunc(fields, n, func(f field, n protowire.Number) int { return int(f.number - n) })
		if known {
			if err := readField(data[:value], kind, v.Field(fields[i].index)); err != nil {
				return fmt.Errorf("%s: %w", v.Type().Field(fields[i].index).Name, err)
			}
		}
		data = data[value:]
	}
	return nil
}

// readField reads the value of a field. One of another wire type than ours is skipped, as
// an unknown one.
func readField(data []byte, kind protowire.Type, v reflect.Value) error {
	switch kind { //nolint:exhaustive // those of our fields; others are passed over
	case protowire.VarintType:
		u, _ := protowire.ConsumeVarint(data)
		if v.Kind() == reflect.Slice && scalar(v.Type().Elem().Kind()) {
			return readNumbers(protowire.AppendVarint(nil, u), v)
		}
		setNumber(v, u)
	case protowire.BytesType:
		content, _ := protowire.ConsumeBytes(data)
		return readBytes(content, v)
	}
	return nil
}

func scalar(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.Int32 || k == reflect.Int64 || k == reflect.Uint32 || k == reflect.Uint64
}

func setNumber(v reflect.Value, u uint64) {
	switch {
	case v.Kind() == reflect.Bool:
		v.SetBool(protowire.DecodeBool(u))
	case v.CanInt():
		v.SetInt(int64(u)) // what is too long for an int32 is cut, as everywhere
	case v.CanUint():
		v.SetUint(u)
	}
}

func readBytes(content []byte, v reflect.Value) error {
	switch v.Kind() { //nolint:exhaustive // messages have fields of these kinds
	case reflect.String:
		if !utf8.Valid(content) {
			return errUTF8
		}
		v.SetString(string(content))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return readMessage(content, v.Elem())
	case reflect.Map:
		return readEntry(content, v)
	case reflect.Slice:
		return readItem(content, v)
	}
	return nil
}

func readItem(content []byte, v reflect.Value) error {
	if v.Len() >= mostItems {
		return errItems
	}
	switch v.Type().Elem().Kind() { //nolint:exhaustive // messages have lists of these kinds
	case reflect.Uint8:
		v.SetBytes(append([]byte{}, content...))
	case reflect.String, reflect.Pointer:
		item := reflect.New(v.Type().Elem()).Elem()
		if err := readBytes(content, item); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	default:
		return readNumbers(content, v)
	}
	return nil
}

// readNumbers reads packed numbers.
func readNumbers(content []byte, v reflect.Value) error {
	for len(content) > 0 {
		u, size := protowire.ConsumeVarint(content)
		if size < 0 {
			return protowire.ParseError(size)
		}
		if v.Len() >= mostItems {
			return errItems
		}
		content = content[size:]
		item := reflect.New(v.Type().Elem()).Elem()
		setNumber(item, u)
		v.Set(reflect.Append(v, item))
	}
	return nil
}

// entry is an item of a map.
type entry struct {
	Key   string `pb:"1"`
	Value string `pb:"2"`
}

func readEntry(content []byte, v reflect.Value) error {
	var e entry
	if err := readMessage(content, reflect.ValueOf(&e).Elem()); err != nil {
		return err
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	if v.Len() >= mostItems {
		return errItems
	}
	v.SetMapIndex(reflect.ValueOf(e.Key), reflect.ValueOf(e.Value))
	return nil
}

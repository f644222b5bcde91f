// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Type is what a field takes.
type Type string

// The types.
const (
	Text   Type = "text"
	Number Type = "number"
	Switch Type = "switch"
	List   Type = "list"
	Ref    Type = "reference" // to a secret
	Table  Type = "table"     // a list of sections, each with the fields of Columns
)

// Field describes one setting.
type Field struct {
	Path     string
	Doc      string
	Type     Type
	Enum     []string // of a Text; empty = any
	Min, Max int64    // of a Number
	Columns  []Field  // of a Table; their paths begin in its items
	index    []int    // in the struct
}

// Variable is the environment variable of the field.
func (f *Field) Variable(prefix string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(f.Path, ".", "__"))
}

// Fields lists the settings of a configuration, in the order of the struct. A struct that
// is tagged wrongly is a mistake in the program, and panics.
func Fields(config any) []Field {
	t := reflect.TypeOf(config)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return fieldsOf(t, "", nil)
}

func fieldsOf(t reflect.Type, path string, index []int) (list []Field) {
	for i := range t.NumField() {
		m := t.Field(i)
		name := m.Tag.Get("set")
		if name == "" {
			continue
		}
		f := Field{Path: strings.TrimPrefix(path+"."+name, "."), Doc: m.Tag.Get("doc"), index: append(slices.Clone(index), i)}
		if m.Type.Kind() == reflect.Struct {
			list = append(list, fieldsOf(m.Type, f.Path, f.index)...)
			continue
		}
		f.complete(m)
		list = append(list, f)
	}
	return list
}

// complete reads type and bounds.
func (f *Field) complete(m reflect.StructField) {
	bound := func(tag string) int64 {
		n, err := strconv.ParseInt(m.Tag.Get(tag), 10, 64)
		if err != nil {
			panic(fmt.Sprintf("settings: field %s: tag %s: %q is no number", f.Path, tag, m.Tag.Get(tag)))
		}
		return n
	}
	switch {
	case m.Type == reflect.TypeFor[Reference]():
		f.Type = Ref
	case m.Type.Kind() == reflect.String:
		f.Type = Text
		if enum := m.Tag.Get("enum"); enum != "" {
			f.Enum = strings.Split(enum, ",")
		}
	case m.Type.Kind() == reflect.Int64:
		f.Type, f.Min, f.Max = Number, bound("min"), bound("max")
	case m.Type.Kind() == reflect.Bool:
		f.Type = Switch
	case m.Type == reflect.TypeFor[[]string]():
		f.Type = List
	case m.Type.Kind() == reflect.Slice && m.Type.Elem().Kind() == reflect.Struct:
		f.Type, f.Columns = Table, fieldsOf(m.Type.Elem(), "", nil)
	default:
		panic(fmt.Sprintf("settings: field %s: type %s is not one of those that can be set", f.Path, m.Type))
	}
}

// Admits says which values the field takes, for people.
func (f *Field) Admits() string {
	switch f.Type {
	case Number:
		return fmt.Sprintf("%d to %d", f.Min, f.Max)
	case Switch:
		return "true or false"
	case Ref:
		return "env://NAME or file://PATH"
	case List:
		return "a list"
	case Table:
		return "a list of sections"
	case Text:
		if len(f.Enum) > 0 {
			return strings.Join(f.Enum, ", ")
		}
	}
	return "text"
}

// text writes the value that a configuration holds in the field.
func (f *Field) text(config reflect.Value) string {
	v := config.FieldByIndex(f.index)
	switch f.Type {
	case Number:
		return strconv.FormatInt(v.Int(), 10)
	case Switch:
		return strconv.FormatBool(v.Bool())
	case List:
		return strings.Join(v.Interface().([]string), ",")
	case Table:
		return f.rows(v)
	case Text, Ref:
	}
	return v.String()
}

// put reads a value; the remedy says what is wrong with it, empty = nothing.
func (f *Field) put(config reflect.Value, given []string) (remedy string) {
	v := config.FieldByIndex(f.index)
	if f.Type == List {
		v.Set(reflect.ValueOf(slices.Clone(given)))
		return ""
	}
	if len(given) != 1 {
		return "give one value: " + f.Admits()
	}
	text := given[0]
	switch f.Type {
	case Number:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < f.Min || n > f.Max {
			return "use a whole number, " + f.Admits()
		}
		v.SetInt(n)
	case Switch:
		if text != "true" && text != "false" {
			return "use true or false"
		}
		v.SetBool(text == "true")
	case Ref:
		if !Reference(text).Valid() {
			return "use a reference, " + f.Admits() + "; a secret is not written into a configuration"
		}
		v.SetString(text)
	case Table:
		return "give " + f.Admits()
	case Text, List:
		if len(f.Enum) > 0 && !slices.Contains(f.Enum, text) {
			return "use one of " + f.Admits()
		}
		v.SetString(text)
	}
	return ""
}

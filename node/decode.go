// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Validator is implemented by a config whose values have to be checked beyond their types. Its
// error says what is wrong with each of them: field, value and remedy.
type Validator interface{ Validate() error }

// Decode reads a node's config over the values that stand without it. T is a struct whose
// fields carry json tags. A name that is no field's, and a value that does not fit, are
// refused, all of them at once, each with its field, value and remedy; what T says of itself
// as a Validator comes last. No config, or null for a field, leaves what stands.
func Decode[T any](config json.RawMessage, defaults T) (T, error) {
	c := defaults
	d := decoder{}
	d.value(reflect.ValueOf(&c).Elem(), config, "config")
	if len(d.faults) > 0 {
		return defaults, errors.Join(d.faults...)
	}
	if v, ok := any(&c).(Validator); ok {
		if err := v.Validate(); err != nil {
			return defaults, err
		}
	}
	return c, nil
}

type decoder struct{ faults []error }

func (d *decoder) fault(path string, raw json.RawMessage, remedy string) {
	const most = 80
	shown := []rune(string(raw))
	if len(shown) > most {
		shown = append(shown[:most-1], '…')
	}
	d.faults = append(d.faults, fmt.Errorf("%s: %s: %s", path, string(shown), remedy))
}

// value reads one value into v, which holds the default.
func (d *decoder) value(v reflect.Value, raw json.RawMessage, path string) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	if !json.Valid(raw) {
		d.fault(path, raw, "is no JSON")
		return
	}
	own := v.CanAddr() && v.Addr().Type().Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case own:
	case v.Kind() == reflect.Struct:
		d.object(v, raw, path)
		return
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		d.list(v, raw, path)
		return
	}
	fresh := reflect.New(v.Type())
	if err := json.Unmarshal(raw, fresh.Interface()); err != nil {
		remedy := "give " + wanted(v.Type())
		if own {
			remedy = err.Error()
		}
		d.fault(path, raw, remedy)
		return
	}
	v.Set(fresh.Elem())
}

func (d *decoder) object(v reflect.Value, raw json.RawMessage, path string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		d.fault(path, raw, "give an object")
		return
	}
	fields := fieldsOf(v.Type())
	for _, name := range slices.Sorted(maps.Keys(members)) {
		i, ok := fields[name]
		if !ok {
			d.fault(path+"."+name, members[name], fmt.Sprintf("there is no such field: use %s", names(fields)))
			continue
		}
		d.value(v.Field(i), members[name], path+"."+name)
	}
}

// list reads a list of objects; each begins with the zero value.
func (d *decoder) list(v reflect.Value, raw json.RawMessage, path string) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		d.fault(path, raw, "give a list of objects")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(list.Index(i), item, fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

// fieldsOf gives the place of each field that a config can name.
func fieldsOf(t reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if t.Field(i).IsExported() && name != "" && name != "-" {
			fields[name] = i
		}
	}
	return fields
}

func names(fields map[string]int) string {
	if len(fields) == 0 {
		return "none, it takes none"
	}
	return strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

// wanted says what a type takes, for people.
func wanted(t reflect.Type) string {
	k := t.Kind()
	switch {
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.String:
		return "a text"
	case k >= reflect.Int && k <= reflect.Int64:
		return "a whole number"
	case k >= reflect.Uint && k <= reflect.Uint64:
		return "a whole number, 0 or more"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	case k == reflect.Slice || k == reflect.Array:
		return "a list; of each item " + wanted(t.Elem())
	case k == reflect.Map:
		return "an object; of each member " + wanted(t.Elem())
	case k == reflect.Pointer:
		return wanted(t.Elem())
	}
	return "an object"
}

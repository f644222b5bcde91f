// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/parley-voice/parley/api/schema"
)

// Field is one field of the pipeline spec, as the published schema describes it.
type Field struct {
	Name string
	// Doc says what the field is, Type whether it is an object, array, string or integer.
	Doc, Type string
	// Enum is the closed set of a string, or of the elements of an array.
	Enum []string
	// Min and Max bound an integer.
	Min, Max int64
	// Fields are the members of an object with fixed names, in the order of the schema.
	Fields []*Field
	// Each describes every member of an object whose names are ids; nil = fixed names.
	Each *Field
	// Open says of an object that it holds whatever its reader knows, such as a node's config.
	Open bool
}

// Child gives the member of that name, nil when there is none.
func (f *Field) Child(name string) *Field {
	if f == nil {
		return nil
	}
	for _, c := range f.Fields {
		if c.Name == name {
			return c
		}
	}
	return f.Each
}

// At gives the field at a path, nil when there is none.
func (f *Field) At(path string) *Field {
	names, err := splitPath(path)
	if err != nil {
		return nil
	}
	for _, n := range names {
		if f = f.Child(n); f != nil && f.Open {
			return f
		}
	}
	return f
}

// describe reads the published schema of the pipeline spec.
func describe() (*Field, error) {
	raw, err := schema.Published(schema.PipelineSpec)
	if err != nil {
		return nil, err
	}
	return describeSchema("", raw)
}

// schemaObject are the keywords of JSON Schema that the fields are read from.
type schemaObject struct {
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Enum        []string          `json:"enum"`
	Minimum     int64             `json:"minimum"`
	Maximum     int64             `json:"maximum"`
	Properties  json.RawMessage   `json:"properties"`
	Additional  json.RawMessage   `json:"additionalProperties"`
	Items       json.RawMessage   `json:"items"`
	AnyOf       []json.RawMessage `json:"anyOf"`
}

func describeSchema(name string, raw []byte) (*Field, error) {
	var s schemaObject
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("pipeline: read the schema at %q: %w", name, err)
	}
	if len(s.AnyOf) > 0 { // other spellings of the first
		f, err := describeSchema(name, s.AnyOf[0])
		if err == nil {
			f.Doc = s.Description
		}
		return f, err
	}
	f := &Field{Name: name, Doc: s.Description, Type: s.Type, Enum: s.Enum, Min: s.Minimum, Max: s.Maximum}
	f.Open = s.Type == "object" && len(s.Additional) == 0
	if len(s.Items) > 0 {
		items, err := describeSchema(name, s.Items)
		if err != nil {
			return nil, err
		}
		f.Enum = items.Enum
	}
	if len(s.Properties) > 0 {
		if err := f.describeMembers(s.Properties); err != nil {
			return nil, err
		}
	}
	if s := string(s.Additional); strings.HasPrefix(s, "{") {
		each, err := describeSchema("", []byte(s))
		if err != nil {
			return nil, err
		}
		f.Each = each
	}
	return f, nil
}

// describeMembers reads the properties of an object in their order.
func (f *Field) describeMembers(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil { // {
		return fmt.Errorf("pipeline: read the schema below %q: %w", f.Name, err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("pipeline: read the schema below %q: %w", f.Name, err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("pipeline: read the schema at %v: %w", name, err)
		}
		text, _ := name.(string)
		child, err := describeSchema(text, value)
		if err != nil {
			return err
		}
		f.Fields = append(f.Fields, child)
	}
	return nil
}

// walk visits the leaves of what is set below f, in the order of the schema, ids sorted.
func (f *Field) walk(s settings, path string, visit func(path string, f *Field, v setting)) {
	below := func(name string) string {
		if path == "" {
			return segment(name)
		}
		return path + "." + segment(name)
	}
	if f.Type != "object" {
		if v, ok := s[path]; ok {
			visit(path, f, v)
		}
		return
	}
	if f.Open {
		for _, p := range s.sorted() {
			if p == path || strings.HasPrefix(p, path+".") {
				visit(p, f, s[p])
			}
		}
		return
	}
	for _, c := range f.Fields {
		c.walk(s, below(c.Name), visit)
	}
	if f.Each == nil {
		return
	}
	for _, id := range s.children(path) {
		f.Each.walk(s, below(id), visit)
	}
}

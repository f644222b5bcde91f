// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// schemaDoc is what the reference tells of a JSON Schema.
type schemaDoc struct {
	ID          string       `json:"$id"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Type        any          `json:"type"` // a text, or a list of them
	Enum        []string     `json:"enum"`
	Minimum     *json.Number `json:"minimum"`
	Maximum     *json.Number `json:"maximum"`
	Pattern     string       `json:"pattern"`
	Const       any          `json:"const"`
	Required    []string     `json:"required"`
	Properties  members      `json:"properties"`
	// Additional describes members whose names are ids; nil where there are none.
	Additional additional   `json:"additionalProperties"`
	Items      *schemaDoc   `json:"items"`
	AnyOf      []*schemaDoc `json:"anyOf"`
	AllOf      []struct {
		Comment string `json:"$comment"`
	} `json:"allOf"`
}

// members are the properties of an object in their order.
type members []member

type member struct {
	name string
	doc  *schemaDoc
}

// UnmarshalJSON keeps the order.
func (m *members) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil { // {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string) // the names of JSON are strings
		doc := &schemaDoc{}
		if err := d.Decode(doc); err != nil {
			return err
		}
		*m = append(*m, member{text, doc})
	}
	return nil
}

type additional struct{ doc *schemaDoc }

// UnmarshalJSON takes false for no others.
func (a *additional) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte("{")) {
		return nil
	}
	a.doc = &schemaDoc{}
	return json.Unmarshal(raw, a.doc)
}

func readSchema(raw []byte) (*schemaDoc, error) {
	s := &schemaDoc{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, err
	}
	return s, nil
}

// table tells of every field, and of the rules between them.
func (s *schemaDoc) table(b *strings.Builder) {
	b.WriteString("| Field | Value | Meaning |\n|---|---|---|\n")
	var rules []string
	s.rows(b, "", &rules)
	if len(rules) > 0 {
		b.WriteString("\n### Rules\n\n")
		for _, r := range rules {
			b.WriteString("- " + r + "\n")
		}
	}
}

func (s *schemaDoc) rows(b *strings.Builder, path string, rules *[]string) {
	for _, r := range s.AllOf {
		if r.Comment != "" && !slices.Contains(*rules, r.Comment) {
			*rules = append(*rules, r.Comment)
		}
	}
	for _, m := range s.Properties {
		m.doc.row(b, strings.TrimPrefix(path+"."+m.name, "."), slices.Contains(s.Required, m.name), rules)
	}
	if s.Additional.doc != nil {
		s.Additional.doc.row(b, strings.TrimPrefix(path+".*", "."), false, rules)
	}
}

func (s *schemaDoc) row(b *strings.Builder, path string, required bool, rules *[]string) {
	meaning := s.Description
	if required {
		meaning = "**required**; " + meaning
	}
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, cell(s.admits()), cell(strings.TrimSuffix(meaning, "; ")))
	s.rows(b, path, rules)
	if s.Items != nil {
		s.Items.rows(b, path+"[]", rules)
	}
	for _, o := range s.AnyOf {
		o.rows(b, path, rules)
		if o.Items != nil {
			for _, each := range append(o.Items.AnyOf, o.Items) {
				each.rows(b, path+"[]", rules)
			}
		}
	}
}

// admits says which values a field takes.
func (s *schemaDoc) admits() string {
	if len(s.AnyOf) > 0 {
		var list []string
		for _, o := range s.AnyOf {
			list = append(list, o.admits())
		}
		return strings.Join(list, ", or ")
	}
	name, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok {
		var names []string
		for _, n := range list {
			names = append(names, fmt.Sprint(n))
		}
		name = strings.Join(names, " or ")
	}
	switch {
	case len(s.Enum) > 0:
		return codes(s.Enum)
	case s.Const != nil:
		return fmt.Sprintf("`%v`", s.Const)
	case s.Items != nil:
		return "list of " + s.Items.admits()
	case name == "integer" && s.Minimum != nil && s.Maximum != nil:
		return s.Minimum.String() + " to " + s.Maximum.String()
	case name == "string":
		return "text"
	case name == "":
		return "any value"
	}
	return name
}

// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// member is one keyword of a schema; keywords keep the order in which they are
// written, so that generating twice gives the same bytes.
type member struct {
	name  string
	value any
}

type object []member

func (o *object) set(name string, value any) { *o = append(*o, member{name, value}) }

// MarshalJSON writes the members in order.
func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := plainJSON(m.name)
		if err != nil {
			return nil, err
		}
		value, err := plainJSON(m.value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// plainJSON is json.Marshal without HTML escaping: schemas are read by people.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("shape: encode schema: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Schema writes s as an indented JSON Schema document (draft 2020-12) that ends with
// a newline. id becomes $id, title its title.
func Schema(s *Shape, id, title string) ([]byte, error) {
	doc := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", id},
		{"title", title},
	}
	raw, err := plainJSON(append(doc, s.schema()...))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("shape: indent schema: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (s *Shape) schema() object {
	o := object{}
	if s.Doc != "" {
		o.set("description", s.Doc)
	}
	if s.Ref != "" {
		o.set("$ref", s.Ref)
		return o
	}
	if len(s.Or) > 0 {
		own := *s
		own.Or, own.Doc = nil, ""
		list := []object{own.schema()}
		for _, other := range s.Or {
			list = append(list, other.schema())
		}
		o.set("anyOf", list)
		return o
	}
	s.typeKeywords(&o)
	switch s.Type {
	case String:
		s.stringKeywords(&o)
	case Integer:
		o.set("minimum", s.Min)
		o.set("maximum", s.max())
	case Number:
		if s.UnitInterval {
			o.set("minimum", 0)
			o.set("maximum", 1)
		}
	case Boolean:
		if s.MustBeTrue {
			o.set("const", true)
		}
	case Array:
		s.arrayKeywords(&o)
	case Object:
		s.objectKeywords(&o)
	case Any:
	}
	return o
}

func (s *Shape) typeKeywords(o *object) {
	if s.Type == Any {
		return
	}
	if s.Nullable {
		o.set("type", []string{s.Type.String(), "null"})
		return
	}
	o.set("type", s.Type.String())
}

func (s *Shape) stringKeywords(o *object) {
	if len(s.Enum) > 0 {
		o.set("enum", s.Enum)
		return
	}
	if !s.AllowEmpty {
		o.set("minLength", 1)
	}
	if s.Pattern != NoPattern {
		o.set("pattern", s.Pattern.Regexp())
	}
}

func (s *Shape) arrayKeywords(o *object) {
	if s.Items != nil {
		o.set("items", s.Items.schema())
	}
	if s.MinItems > 0 {
		o.set("minItems", s.MinItems)
	}
	if s.MaxItems > 0 {
		o.set("maxItems", s.MaxItems)
	}
	if s.Unique {
		o.set("uniqueItems", true)
	}
}

func (s *Shape) objectKeywords(o *object) {
	var required []string
	props := object{}
	for i := range s.Fields {
		f := &s.Fields[i]
		props.set(f.Name, f.Shape.schema())
		if f.Required {
			required = append(required, f.Name)
		}
	}
	if len(props) > 0 {
		o.set("properties", props)
	}
	if len(required) > 0 {
		o.set("required", required)
	}
	if s.Names != NoPattern {
		o.set("propertyNames", object{{"pattern", s.Names.Regexp()}})
	}
	switch {
	case s.Values != nil:
		o.set("additionalProperties", s.Values.schema())
	case !s.Open:
		o.set("additionalProperties", false)
	}
	if s.MinMembers > 0 {
		o.set("minProperties", s.MinMembers)
	}
	if len(s.Rules) == 0 {
		return
	}
	rules := make([]object, len(s.Rules))
	for i := range s.Rules {
		rules[i] = s.Rules[i].schema()
	}
	o.set("allOf", rules)
}

// schema writes a rule as if/then; a rule without conditions as its demands alone.
func (r *Rule) schema() object {
	o := object{{"$comment", r.Doc}}
	demands := object{}
	var more []object
	for i := range r.Then {
		d := r.Then[i].schema()
		if clash(demands, d) {
			more = append(more, d)
			continue
		}
		demands = append(demands, d...)
	}
	if len(more) > 0 {
		demands.set("allOf", more)
	}
	if len(r.When) == 0 {
		return append(o, demands...)
	}
	var conds []object
	for i := range r.When {
		conds = append(conds, r.When[i].schema())
	}
	if len(conds) == 1 {
		o.set("if", conds[0])
	} else {
		o.set("if", object{{"allOf", conds}})
	}
	o.set("then", demands)
	return o
}

// clash reports whether two sets of keywords share one.
func clash(a, b object) bool {
	for _, m := range a {
		for _, n := range b {
			if m.name == n.name {
				return true
			}
		}
	}
	return false
}

func (k *Cond) schema() object {
	present := func(inner object) object {
		return object{{"properties", object{{k.field, inner}}}, {"required", []string{k.field}}}
	}
	switch k.op {
	case opIn:
		return present(object{{"enum", k.values}})
	case opHas:
		return object{{"required", []string{k.field}}}
	case opLacks:
		return object{{"not", object{{"required", []string{k.field}}}}}
	case opTrue:
		return present(object{{"const", true}})
	case opMatches:
		return present(object{{"type", "string"}, {"pattern", k.pattern.Regexp()}})
	case opDiffers:
		return object{{"not", present(object{{"type", "string"}, {"pattern", k.pattern.Regexp()}})}}
	case opInside:
		return present(append(object{{"type", "object"}}, k.inner.schema()...))
	}
	return object{}
}

func (d *Demand) schema() object {
	switch d.op {
	case opRequire:
		return object{{"required", d.fields}}
	case opForbid:
		return object{{"not", object{{"anyOf", present(d.fields)}}}}
	case opExactlyOne:
		return object{{"oneOf", present(d.fields)}}
	case opAtLeastOne:
		return object{{"anyOf", present(d.fields)}}
	case opRestrict:
		return object{{"properties", object{{d.fields[0], d.shape.schema()}}}}
	case opClosed:
		return object{{"propertyNames", object{{"enum", d.fields}}}}
	case opSomeName:
		none := object{{"propertyNames", object{{"not", object{{"pattern", d.pattern.Regexp()}}}}}}
		return object{{"properties", object{{d.fields[0], object{{"not", none}}}}}}
	}
	return object{}
}

// present says of each field that it is there.
func present(fields []string) []object {
	each := make([]object, len(fields))
	for i, name := range fields {
		each[i] = object{{"required", []string{name}}}
	}
	return each
}

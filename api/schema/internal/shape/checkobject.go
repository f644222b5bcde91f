// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
)

func child(pointer, name string) string { return pointer + "/" + jsondoc.Escape(name) }

func (c *checker) object(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	if s.Type != Object {
		return
	}
	from := len(c.faults)
	for i := range s.Fields {
		f := &s.Fields[i]
		switch member := v.Get(f.Name); {
		case member != nil:
			c.value(f.Shape, member, child(pointer, f.Name), private)
		case f.Required:
			c.missing(v, child(pointer, f.Name), CodeRequired, f.Shape, "")
		}
	}
	c.others(s, v, pointer, private)
	if n := len(v.Members); n < s.MinMembers {
		c.add(pointer, CodeMinMembers, v.Offset, "has %d members; the least is %d", n, s.MinMembers)
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		if !r.applies(v) {
			continue
		}
		for j := range r.Then {
			c.demand(scene{s, r, &r.Then[j], v, pointer, private, from})
		}
	}
}

// others checks the members that no field describes.
func (c *checker) others(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	for _, m := range v.Members {
		at := child(pointer, m.Name)
		if !s.Names.Match(m.Name) {
			c.add(at, CodePattern, m.Offset, "is not a name of the right form; want %s", s.Names.Doc())
		}
		switch {
		case m.Repeat || s.field(m.Name) != nil:
		case s.Values != nil:
			c.value(s.Values, m.Value, at, private)
		case !s.Open:
			c.add(at, CodeUnknownField, m.Offset, "is not a field here; remove it%s", s.hint(m.Name))
		}
	}
}

// Repeats reports every name that occurs twice in one object, anywhere in v.
func Repeats(v *jsondoc.Value, pointer string) []Fault {
	c := checker{}
	c.repeats(v, pointer)
	return c.faults
}

func (c *checker) repeats(v *jsondoc.Value, pointer string) {
	for i, e := range v.Elems {
		c.repeats(e, pointer+"/"+jsondoc.Index(i))
	}
	for _, m := range v.Members {
		at := child(pointer, m.Name)
		if m.Repeat {
			c.add(at, CodeDuplicateKey, m.Offset, "occurs twice in one object; keep one of the two")
		}
		c.repeats(m.Value, at)
	}
}

func (s *Shape) field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

// hint guesses the field that a misspelt name meant.
func (s *Shape) hint(name string) string {
	names := make([]string, len(s.Fields))
	for i := range s.Fields {
		names[i] = s.Fields[i].Name
	}
	if near := Nearest(name, names); near != "" {
		return " or write it as " + near
	}
	return ""
}

func (c *checker) missing(v *jsondoc.Value, at, code string, s *Shape, why string) {
	remedy := "add it"
	if s != nil && s.Doc != "" {
		remedy += ": " + s.Doc
	}
	if s != nil {
		remedy += " (" + s.Type.String()
		if s.Nullable {
			remedy += " or null"
		}
		if len(s.Enum) > 0 {
			remedy += ", " + choices(s.Enum)
		}
		remedy += ")"
	}
	if why != "" {
		why = " (" + why + ")"
	}
	c.add(at, code, v.Offset, "is missing%s; %s", why, remedy)
}

func (r *Rule) applies(v *jsondoc.Value) bool {
	for i := range r.When {
		if !r.When[i].holds(v) {
			return false
		}
	}
	return true
}

func (k *Cond) holds(v *jsondoc.Value) bool {
	member := v.Get(k.field)
	isText := member != nil && member.Kind == jsondoc.String
	switch k.op {
	case opIn:
		return isText && slices.Contains(k.values, member.Text)
	case opHas:
		return member != nil
	case opLacks:
		return member == nil
	case opTrue:
		return member != nil && member.Kind == jsondoc.Bool && member.True
	case opMatches:
		return isText && k.pattern.Match(member.Text)
	case opDiffers:
		return !isText || !k.pattern.Match(member.Text)
	case opInside:
		return member != nil && member.Kind == jsondoc.Object && k.inner.holds(member)
	}
	return false
}

func (d *Demand) codeOr(usual string) string {
	if d.code != "" {
		return d.code
	}
	return usual
}

// scene is a demand in its place: the object that it is made of, and the first fault
// that this object has.
type scene struct {
	shape   *Shape
	rule    *Rule
	demand  *Demand
	value   *jsondoc.Value
	pointer string
	private bool
	from    int
}

func (c *checker) demand(n scene) {
	d, v, doc := n.demand, n.value, n.rule.Doc
	switch d.op {
	case opRequire:
		for _, name := range d.fields {
			at := child(n.pointer, name)
			if v.Get(name) == nil && !c.faulty(n.from, at) {
				c.missing(v, at, d.codeOr(CodeRequired), n.shape.field(name).shape(), doc)
			}
		}
	case opForbid:
		for _, name := range d.fields {
			if m := v.Get(name); m != nil {
				c.add(child(n.pointer, name), d.codeOr(CodeForbidden), m.Offset, "may not stand here (%s); remove it", doc)
			}
		}
	case opRestrict:
		c.restrict(n)
	case opExactlyOne, opAtLeastOne:
		c.group(n)
	case opClosed:
		for _, m := range v.Members {
			if !m.Repeat && !slices.Contains(d.fields, m.Name) {
				c.add(child(n.pointer, m.Name), d.codeOr(CodeUnknownField), m.Offset,
					"is not a field here (%s); remove it%s", doc, n.shape.hint(m.Name))
			}
		}
	case opSomeName:
		m := v.Get(d.fields[0])
		if m == nil || m.Kind != jsondoc.Object {
			return // Require and the field's own type say so
		}
		if !slices.ContainsFunc(m.Members, func(e jsondoc.Member) bool { return d.pattern.Match(e.Name) }) {
			c.add(child(n.pointer, d.fields[0]), d.codeOr(CodeRequired), m.Offset,
				"has no member %s (%s); add it", d.pattern.Doc(), doc)
		}
	}
}

func (f *Field) shape() *Shape {
	if f == nil {
		return nil
	}
	return f.Shape
}

// restrict checks a field against a second shape. A field that already failed its own
// shape is not reported again.
func (c *checker) restrict(n scene) {
	d, name := n.demand, n.demand.fields[0]
	member := n.value.Get(name)
	if member == nil {
		return
	}
	private := n.private
	if f := n.shape.field(name); f != nil {
		if len(Check(f.Shape, member, "")) > 0 {
			return
		}
		private = private || f.Shape.Private
	}
	sub := checker{}
	sub.value(d.shape, member, child(n.pointer, name), private)
	for _, fault := range sub.faults {
		if d.code != "" {
			fault.Code = d.code
		}
		if c.reported(n.from, fault) {
			continue
		}
		fault.Message += " (" + n.rule.Doc + ")"
		c.faults = append(c.faults, fault)
	}
}

// reported tells whether a restriction would only repeat an earlier fault: the same
// code at the same place, or a value that is outside its closed set altogether.
func (c *checker) reported(from int, fault Fault) bool {
	return slices.ContainsFunc(c.faults[from:], func(f Fault) bool {
		return f.Pointer == fault.Pointer && (f.Code == fault.Code || f.Code == CodeEnum)
	})
}

// faulty tells whether a missing member has been reported already.
func (c *checker) faulty(from int, pointer string) bool {
	return slices.ContainsFunc(c.faults[from:], func(f Fault) bool { return f.Pointer == pointer })
}

func (c *checker) group(n scene) {
	d, doc := n.demand, n.rule.Doc
	var present []string
	for _, name := range d.fields {
		if n.value.Get(name) != nil {
			present = append(present, name)
		}
	}
	list, at := strings.Join(d.fields, ", "), n.value.Offset
	switch {
	case d.op == opAtLeastOne && len(present) == 0:
		c.add(n.pointer, d.codeOr(CodeAnyOf), at, "has none of %s (%s); add at least one", list, doc)
	case d.op == opExactlyOne && len(present) == 0:
		c.add(n.pointer, d.codeOr(CodeOneOf), at, "has none of %s (%s); add exactly one", list, doc)
	case d.op == opExactlyOne && len(present) > 1:
		c.add(n.pointer, d.codeOr(CodeOneOf), at, "has %s at once (%s); keep exactly one", strings.Join(present, " and "), doc)
	}
}

// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
)

// Check holds v against s and returns every fault, in a fixed order. pointer is
// where v stands in its document.
func Check(s *Shape, v *jsondoc.Value, pointer string) []Fault {
	c := checker{}
	c.value(s, v, pointer, false)
	return c.faults
}

type checker struct{ faults []Fault }

func (c *checker) add(pointer, code string, offset int, format string, args ...any) {
	c.faults = append(c.faults, Fault{
		Pointer: pointer, Code: code, Offset: offset,
		Message: Name(pointer) + " " + fmt.Sprintf(format, args...),
	})
}

// Name is the last token of a pointer as people write it.
func Name(pointer string) string {
	i := strings.LastIndexByte(pointer, '/')
	if i < 0 {
		return "the document"
	}
	name := strings.ReplaceAll(strings.ReplaceAll(pointer[i+1:], "~1", "/"), "~0", "~")
	if name != "" && all(name, isDigit) {
		return "element " + name
	}
	return Excerpt(name)
}

// Excerpt cuts long text for messages.
func Excerpt(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// show renders a value for a message; private values only by type.
func show(v *jsondoc.Value, private bool) string {
	switch {
	case v.Kind == jsondoc.Object, v.Kind == jsondoc.Array, v.Kind == jsondoc.Null:
		return v.Kind.String()
	case private:
		return "a " + v.Kind.String() + " (not shown)"
	case v.Kind == jsondoc.String:
		return jsondoc.Quote(Excerpt(v.Text))
	case v.Kind == jsondoc.Number:
		return Excerpt(v.Text)
	case v.True:
		return "true"
	}
	return "false"
}

func (t Type) admits(v *jsondoc.Value) bool {
	switch t {
	case Any:
		return true
	case Object:
		return v.Kind == jsondoc.Object
	case Array:
		return v.Kind == jsondoc.Array
	case String:
		return v.Kind == jsondoc.String
	case Number:
		return v.Kind == jsondoc.Number
	case Boolean:
		return v.Kind == jsondoc.Bool
	case Integer:
		_, class := v.Int()
		return class != jsondoc.NotInteger
	}
	return false
}

func (t Type) String() string {
	switch t {
	case Any:
		return "any value"
	case Object:
		return "object"
	case Array:
		return "array"
	case String:
		return "string"
	case Integer:
		return "integer"
	case Number:
		return "number"
	case Boolean:
		return "boolean"
	}
	return "unknown"
}

func (s *Shape) wanted() string {
	text := s.Type.String()
	for _, o := range s.Or {
		text += " or " + o.Type.String()
	}
	if s.Nullable {
		text += " or null"
	}
	if s.Doc != "" {
		text += ": " + s.Doc
	}
	return text
}

func (c *checker) value(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	private = private || s.Private
	if s.Nullable && v.Kind == jsondoc.Null {
		return
	}
	if !s.Type.admits(v) {
		if i := slices.IndexFunc(s.Or, func(o *Shape) bool { return o.Type.admits(v) }); i >= 0 {
			c.value(s.Or[i], v, pointer, private)
			return
		}
		c.add(pointer, CodeType, v.Offset, "is %s; want %s", show(v, private), s.wanted())
		return
	}
	switch v.Kind {
	case jsondoc.Object:
		c.object(s, v, pointer, private)
	case jsondoc.Array:
		c.array(s, v, pointer, private)
	case jsondoc.String:
		c.str(s, v, pointer, private)
	case jsondoc.Number:
		c.number(s, v, pointer, private)
	case jsondoc.Bool:
		if s.MustBeTrue && !v.True {
			c.add(pointer, CodeConst, v.Offset, "is false; it must be true")
		}
	case jsondoc.Null:
	}
}

func (c *checker) str(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	switch {
	case s.Type != String:
	case v.Text == "" && !s.AllowEmpty:
		c.add(pointer, CodeEmpty, v.Offset, "is an empty string; give it a value or leave the field out if it is optional")
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, v.Text):
		c.add(pointer, CodeEnum, v.Offset, "is %s; %suse %s%s", show(v, private), guess(v.Text, s.Enum, private), choices(s.Enum), because(s.Why))
	case s.Pattern != NoPattern && !s.Pattern.Match(v.Text):
		c.add(pointer, CodePattern, v.Offset, "is %s; want %s", show(v, private), s.Pattern.Doc())
	}
}

// guess asks whether a value meant another one of its closed set.
func guess(text string, among []string, private bool) string {
	near := Nearest(text, among)
	if near == "" || private || len(among) == 1 {
		return ""
	}
	return "did you mean " + near + "? Otherwise "
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

func choices(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "one of " + strings.Join(list, ", ")
}

func (c *checker) number(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	if s.UnitInterval {
		if less, more := outsideUnit(v.Text); less {
			c.add(pointer, CodeMinimum, v.Offset, "is %s; the least is 0", show(v, private))
		} else if more {
			c.add(pointer, CodeMaximum, v.Offset, "is %s; the most is 1", show(v, private))
		}
	}
	if s.Type != Integer {
		return
	}
	n, class := v.Int()
	switch least, most := s.Min, s.max(); {
	case class == jsondoc.TooSmall || class == jsondoc.InRange && n < least:
		c.add(pointer, CodeMinimum, v.Offset, "is %s; the least is %d", show(v, private), least)
	case class == jsondoc.TooLarge || n > most:
		c.add(pointer, CodeMaximum, v.Offset, "is %s; the most is %d", show(v, private), most)
	}
}

func (s *Shape) max() int64 {
	if s.Max == 0 {
		return MaxInteger
	}
	return s.Max
}

// outsideUnit tells on which side of 0..1 a number literal lies, exactly.
func outsideUnit(lit string) (less, more bool) {
	digits, exp, neg := jsondoc.Decimal(lit)
	if digits == "" {
		return false, false
	}
	if neg {
		return true, false
	}
	places := len(digits) + exp // the value is 0.digits x 10^places
	return false, places > 1 || places == 1 && (digits[0] > '1' || len(digits) > 1)
}

func (c *checker) array(s *Shape, v *jsondoc.Value, pointer string, private bool) {
	if s.Type != Array {
		return
	}
	if n := len(v.Elems); n < s.MinItems {
		c.add(pointer, CodeMinItems, v.Offset, "has %d elements; the least is %d", n, s.MinItems)
	} else if s.MaxItems > 0 && n > s.MaxItems {
		c.add(pointer, CodeMaxItems, v.Offset, "has %d elements; the most is %d", n, s.MaxItems)
	}
	first := map[string]int{}
	for i, e := range v.Elems {
		at := pointer + "/" + jsondoc.Index(i)
		if s.Items != nil {
			c.value(s.Items, e, at, private)
		}
		if !s.Unique {
			continue
		}
		key := string(jsondoc.Canonical(e))
		if j, ok := first[key]; ok {
			c.add(at, CodeUniqueItems, e.Offset, "repeats element %d (%s); elements must differ", j, show(e, private))
			continue
		}
		first[key] = i
	}
}

// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"strconv"
	"strings"
)

// Kind is the JSON type of a value.
type Kind uint8

// The six JSON types.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String names the type as people write it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Bool:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "unknown"
}

// Value is one node of the tree.
type Value struct {
	Kind Kind
	// Offset is the byte at which the value starts, End the byte after it.
	Offset, End int
	// Text is the decoded string, or the literal of a number.
	Text string
	// True is the value of a boolean.
	True bool
	// Elems are the elements of an array.
	Elems []*Value
	// Members are the members of an object, as written, repeats included.
	Members []Member
}

// Member is one name of an object with its value.
type Member struct {
	Name string
	// Offset is the byte at which the name starts.
	Offset int
	// Repeat marks a name that stood earlier in the same object.
	Repeat bool
	Value  *Value
}

// Get returns the first member called name, or nil. Only objects have members.
func (v *Value) Get(name string) *Value {
	if v == nil {
		return nil
	}
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i].Value
		}
	}
	return nil
}

// Str returns the text of a string; "" for nil and for any other type.
func (v *Value) Str() string {
	if v == nil || v.Kind != String {
		return ""
	}
	return v.Text
}

// Escape writes one reference token of a JSON pointer (RFC 6901 section 3).
func Escape(token string) string {
	if !strings.ContainsAny(token, "~/") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
}

// Index writes an array index as a reference token.
func Index(i int) string { return strconv.Itoa(i) }

// Position is a place in the source, for people.
type Position struct {
	// Offset counts bytes from 0; Line and Column count from 1, columns in code points.
	Offset, Line, Column int
}

// Locate turns a byte offset of data into a position.
func Locate(data []byte, offset int) Position {
	l := NewLocator(data)
	return l.Locate(offset)
}

// Locator turns many byte offsets of one document into positions. Offsets that rise
// cost one walk over the document together; one that steps back starts a new walk.
type Locator struct {
	data []byte
	last Position
}

// NewLocator returns a locator at the start of data.
func NewLocator(data []byte) Locator {
	return Locator{data: data, last: Position{Line: 1, Column: 1}}
}

// Locate returns the position of a byte offset; beyond the end it is the end.
func (l *Locator) Locate(offset int) Position {
	offset = min(offset, len(l.data))
	p := l.last
	if offset < p.Offset {
		p = Position{Line: 1, Column: 1}
	}
	for _, c := range l.data[p.Offset:offset] {
		switch {
		case c == '\n':
			p.Line++
			p.Column = 1
		case c&0xC0 != 0x80: // not a continuation byte
			p.Column++
		}
	}
	p.Offset = offset
	l.last = p
	return p
}

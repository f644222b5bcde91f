// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Limits bound what [Parse] accepts.
type Limits struct {
	// MaxBytes bounds the document, MaxDepth its nesting, MaxValues the number of
	// values and member names in it.
	MaxBytes, MaxDepth, MaxValues int
}

// ErrorClass is the class of a parse error.
type ErrorClass uint8

// The classes of parse errors.
const (
	// Syntax is text that is not JSON.
	Syntax ErrorClass = iota
	// Empty is a document without a value.
	Empty
	// Trailing is something after the document.
	Trailing
	// TooLarge* is a document beyond its limits.
	TooManyBytes
	TooDeep
	TooManyValues
)

// Error is the reason why a document cannot be read, with its place.
type Error struct {
	Class ErrorClass
	// Pointer leads to the innermost value that was being read.
	Pointer  string
	Position Position
	Message  string
}

// Error names the place and what is wrong there.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d (byte %d): %s", e.Position.Line, e.Position.Column, e.Position.Offset, e.Message)
}

// wide says that the document looks like UTF-16 or UTF-32: it begins with a byte-order
// mark, or half of its first character is a zero byte.
func wide(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\xFF\xFE")) || bytes.HasPrefix(data, []byte("\xFE\xFF")) ||
		len(data) > 1 && (data[0] == 0) != (data[1] == 0)
}

// Parse reads one document. The error is an *Error or nil.
func Parse(data []byte, limits Limits) (*Value, *Error) {
	p := parser{data: data, limits: limits}
	if len(data) > limits.MaxBytes {
		return nil, p.fail(TooManyBytes, 0, "the document is larger than %d bytes", limits.MaxBytes)
	}
	if bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) {
		return nil, p.fail(Syntax, 0, "the document starts with a byte-order mark; save it as UTF-8 without one")
	}
	if wide(data) {
		return nil, p.fail(Syntax, 0, "the document is UTF-16 or UTF-32; save it as UTF-8")
	}
	p.space()
	if p.at == len(data) {
		return nil, p.fail(Empty, p.at, "the document is empty; want one JSON value")
	}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(data) {
		p.path = nil
		return nil, p.fail(Trailing, p.at, "more text follows the document (%s); want exactly one JSON value", p.show())
	}
	return v, nil
}

type parser struct {
	data   []byte
	at     int
	values int
	path   []string
	limits Limits
}

func (p *parser) fail(class ErrorClass, at int, format string, args ...any) *Error {
	pointer := ""
	for _, token := range p.path {
		pointer += "/" + Escape(token)
	}
	return &Error{Class: class, Pointer: pointer, Position: Locate(p.data, at), Message: fmt.Sprintf(format, args...)}
}

// show quotes what stands at the cursor, for messages.
func (p *parser) show() string {
	if p.at >= len(p.data) {
		return "the end of the document"
	}
	r, size := utf8.DecodeRune(p.data[p.at:])
	if r == utf8.RuneError && size <= 1 {
		return fmt.Sprintf("byte 0x%02x", p.data[p.at])
	}
	return fmt.Sprintf("%q", r)
}

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

// count charges one value or name against the limit.
func (p *parser) count() *Error {
	if p.values++; p.values > p.limits.MaxValues {
		return p.fail(TooManyValues, p.at, "the document has more than %d values", p.limits.MaxValues)
	}
	return nil
}

func (p *parser) value(depth int) (*Value, *Error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	if depth >= p.limits.MaxDepth {
		return nil, p.fail(TooDeep, p.at, "the document is nested deeper than %d levels", p.limits.MaxDepth)
	}
	v := &Value{Offset: p.at}
	var err *Error
	switch c := p.peek(); {
	case c == '{':
		v.Kind = Object
		err = p.object(v, depth)
	case c == '[':
		v.Kind = Array
		err = p.array(v, depth)
	case c == '"':
		v.Kind = String
		v.Text, err = p.str()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		err = p.number(v)
	case p.word("true"):
		v.Kind, v.True = Bool, true
	case p.word("false"):
		v.Kind = Bool
	case p.word("null"):
		v.Kind = Null
	default:
		err = p.fail(Syntax, p.at, "want a JSON value, found %s", p.show())
	}
	if err != nil {
		return nil, err
	}
	v.End = p.at
	return v, nil
}

func (p *parser) word(w string) bool {
	if !bytes.HasPrefix(p.data[p.at:], []byte(w)) {
		return false
	}
	p.at += len(w)
	return true
}

func (p *parser) object(v *Value, depth int) *Error {
	seen := map[string]struct{}{}
	p.at++ // {
	p.space()
	if p.peek() == '}' {
		p.at++
		return nil
	}
	for {
		if p.peek() != '"' {
			return p.fail(Syntax, p.at, `want a member name in double quotes, found %s`, p.show())
		}
		m := Member{Offset: p.at}
		name, err := p.str()
		if err != nil {
			return err
		}
		if err := p.count(); err != nil {
			return err
		}
		m.Name = name
		_, m.Repeat = seen[name]
		seen[name] = struct{}{}
		p.path = append(p.path, name)
		p.space()
		if p.peek() != ':' {
			return p.fail(Syntax, p.at, "want ':' after the member name, found %s", p.show())
		}
		p.at++
		p.space()
		if m.Value, err = p.value(depth + 1); err != nil {
			return err
		}
		p.path = p.path[:len(p.path)-1]
		v.Members = append(v.Members, m)
		more, err := p.next('}')
		if err != nil || !more {
			return err
		}
	}
}

func (p *parser) array(v *Value, depth int) *Error {
	p.at++ // [
	p.space()
	if p.peek() == ']' {
		p.at++
		return nil
	}
	for {
		p.path = append(p.path, Index(len(v.Elems)))
		elem, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		p.path = p.path[:len(p.path)-1]
		v.Elems = append(v.Elems, elem)
		more, err := p.next(']')
		if err != nil || !more {
			return err
		}
	}
}

// next passes a comma (more follows) or the closing bracket (no more).
func (p *parser) next(closing byte) (bool, *Error) {
	p.space()
	switch {
	case p.at >= len(p.data):
	case p.data[p.at] == closing:
		p.at++
		return false, nil
	case p.data[p.at] == ',':
		p.at++
		p.space()
		if p.peek() == closing {
			return false, p.fail(Syntax, p.at, "a comma stands before the closing %q", rune(closing))
		}
		return true, nil
	}
	return false, p.fail(Syntax, p.at, "want ',' or %q, found %s", rune(closing), p.show())
}

// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"strconv"
	"unicode/utf8"
)

// number reads -? int frac? exp? (RFC 8259 section 6).
func (p *parser) number(v *Value) *Error {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	switch {
	case p.peek() == '0':
		p.at++
		if c := p.peek(); c >= '0' && c <= '9' {
			return p.fail(Syntax, start, "a number starts with a superfluous 0")
		}
	case !p.digits():
		return p.fail(Syntax, p.at, "want a digit after '-', found %s", p.show())
	}
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			return p.fail(Syntax, p.at, "want a digit after the decimal point, found %s", p.show())
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return p.fail(Syntax, p.at, "want a digit in the exponent, found %s", p.show())
		}
	}
	v.Text = string(p.data[start:p.at])
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at > start
}

// str reads a string that starts at the cursor and returns it decoded.
func (p *parser) str() (string, *Error) {
	opened := p.at
	p.at++ // "
	var out []byte
	start := p.at
	for p.at < len(p.data) {
		switch c := p.data[p.at]; {
		case c == '"':
			out = append(out, p.data[start:p.at]...)
			p.at++
			return string(out), nil
		case c == '\\':
			out = append(out, p.data[start:p.at]...)
			var err *Error
			if out, err = p.escape(out); err != nil {
				return "", err
			}
			start = p.at
		case c < ' ':
			return "", p.fail(Syntax, p.at, "a control character (0x%02x) stands in a string; write it as \\u%04x", c, c)
		case c < utf8.RuneSelf:
			p.at++
		default:
			r, size := utf8.DecodeRune(p.data[p.at:])
			if r == utf8.RuneError && size == 1 {
				return "", p.fail(Syntax, p.at, "byte 0x%02x is not UTF-8", c)
			}
			p.at += size
		}
	}
	return "", p.fail(Syntax, p.at, "a string that starts at byte %d is not closed", opened)
}

// escape reads an escape sequence at the cursor and appends what it stands for.
func (p *parser) escape(out []byte) ([]byte, *Error) {
	start := p.at
	p.at++ // backslash
	c := p.peek()
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		p.at++
		r, err := p.unicode(start)
		if err != nil {
			return nil, err
		}
		return utf8.AppendRune(out, r), nil
	default:
		return nil, p.fail(Syntax, start, "unknown escape: a backslash before %s", p.show())
	}
	p.at++
	return append(out, c), nil
}

// unicode reads the digits of \uXXXX, and of the second half of a surrogate pair.
func (p *parser) unicode(start int) (rune, *Error) {
	high, ok := p.hex4()
	if !ok {
		return 0, p.fail(Syntax, start, "want four hexadecimal digits after \\u")
	}
	if high < 0xD800 || high > 0xDFFF {
		return high, nil
	}
	if high < 0xDC00 && p.word(`\u`) {
		if low, ok := p.hex4(); ok && low >= 0xDC00 && low <= 0xDFFF {
			return (high-0xD800)<<10 + (low - 0xDC00) + 0x10000, nil
		}
	}
	return 0, p.fail(Syntax, start, "\\u%04x is half of a surrogate pair without the other half", high)
}

func (p *parser) hex4() (rune, bool) {
	if p.at+4 > len(p.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.data[p.at:p.at+4]), 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 4
	return rune(n), true
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parley-voice/parley/api/eventabi"
)

// A coder walks the fields of an input or an effect, one method call a field, and does
// one of four things with them: writes them as bytes, reads them from bytes, prints
// them as key=value, or reads key=value. One description of each record thus serves
// the recording, the digest, the scenario scripts and the divergence report, and the
// four cannot drift apart.
//
// Bytes: integers are zigzag varints, strings are a varint length and the bytes,
// booleans one byte. Text: fields with their zero value are left out.
type coder struct {
	mode  coderMode
	buf   []byte // encode: appended to; decode: what is left
	text  strings.Builder
	pairs map[string]string
	err   error
	epoch eventabi.Epoch // a place for what a record holds by pointer
}

type coderMode uint8

const (
	modeEncode coderMode = iota
	modeDecode
	modePrint
	modeParse
)

// ErrRecord is wrapped by every failure to read a record from bytes or from text.
var ErrRecord = errors.New("session: malformed record")

func (c *coder) fail(field, why string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: field %s: %s", ErrRecord, field, why)
	}
}

// putInt and putString write a value as bytes. Every decision passes through them, on its
// way to the digest and to the recording, and most values take one byte for their length.
func (c *coder) putInt(v int64) {
	if u := uint64(v)<<1 ^ uint64(v>>63); u < 0x80 {
		c.buf = append(c.buf, byte(u))
	} else {
		c.buf = binary.AppendUvarint(c.buf, u)
	}
}

func (c *coder) putString(s string) {
	switch n := len(s); {
	case n == 0: // as most fields of a signal are
		c.buf = append(c.buf, 0)
	case n < 0x80:
		c.buf = append(append(c.buf, byte(n)), s...)
	default:
		c.buf = append(binary.AppendUvarint(c.buf, uint64(n)), s...)
	}
}

func (c *coder) raw(field string, v int64) int64 {
	switch c.mode {
	case modeEncode:
		c.putInt(v)
	case modeDecode:
		n, size := binary.Varint(c.buf)
		if size <= 0 {
			c.fail(field, "integer cut short")
			c.buf = nil
			return 0
		}
		c.buf = c.buf[size:]
		return n
	case modePrint:
		if v != 0 {
			c.pair(field, strconv.FormatInt(v, 10))
		}
	case modeParse:
		s, ok := c.take(field)
		if !ok {
			return v
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			c.fail(field, fmt.Sprintf("%q is not a whole number", s))
		}
		return n
	}
	return v
}

func (c *coder) pair(field, value string) {
	if c.text.Len() > 0 {
		c.text.WriteByte(' ')
	}
	c.text.WriteString(field)
	c.text.WriteByte('=')
	c.text.WriteString(value)
}

func (c *coder) take(field string) (string, bool) {
	s, ok := c.pairs[field]
	delete(c.pairs, field)
	return s, ok
}

type integer interface {
	~int | ~int32 | ~int64 | ~uint8 | ~uint32
}

// num walks an integer field. A decoded value that does not fit its type is an error.
func num[T integer](c *coder, field string, v *T) {
	if c.mode == modeEncode {
		c.putInt(int64(*v))
		return
	}
	got := c.raw(field, int64(*v))
	if c.mode == modePrint {
		return
	}
	if t := T(got); int64(t) != got {
		c.fail(field, fmt.Sprintf("%d is out of range", got))
		return
	}
	*v = T(got)
}

// word walks a 64-bit word (a digest, a bit set).
func word(c *coder, field string, v *uint64) {
	switch c.mode {
	case modeEncode:
		c.buf = binary.LittleEndian.AppendUint64(c.buf, *v)
	case modeDecode:
		if len(c.buf) < 8 {
			c.fail(field, "word cut short")
			c.buf = nil
			return
		}
		*v = binary.LittleEndian.Uint64(c.buf)
		c.buf = c.buf[8:]
	case modePrint:
		if *v != 0 {
			c.pair(field, strconv.FormatUint(*v, 16))
		}
	case modeParse:
		if s, ok := c.take(field); ok {
			n, err := strconv.ParseUint(s, 16, 64)
			if err != nil {
				c.fail(field, fmt.Sprintf("%q is not hexadecimal", s))
			}
			*v = n
		}
	}
}

// str walks a string field.
func str[T ~string](c *coder, field string, v *T) {
	switch c.mode {
	case modeEncode:
		c.putString(string(*v))
	case modeDecode:
		n, size := binary.Uvarint(c.buf)
		if size <= 0 || n > uint64(len(c.buf)-size) {
			c.fail(field, "string cut short")
			c.buf = nil
			return
		}
		c.buf = c.buf[size:]
		*v = T(c.buf[:n])
		c.buf = c.buf[n:]
	case modePrint:
		if *v != "" {
			c.pair(field, quoteWord(string(*v)))
		}
	case modeParse:
		if s, ok := c.take(field); ok {
			*v = T(s)
		}
	}
}

// blob walks a field of bytes, in the form of a string.
func blob[T ~[]byte](c *coder, field string, v *T) {
	if c.mode == modeEncode {
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
		c.buf = append(c.buf, *v...)
		return
	}
	s := string(*v)
	if str(c, field, &s); s != string(*v) {
		*v = T(s)
	}
}

// boolean walks a boolean field.
func boolean(c *coder, field string, v *bool) {
	switch c.mode {
	case modeEncode:
		b := byte(0)
		if *v {
			b = 1
		}
		c.buf = append(c.buf, b)
	case modeDecode:
		if len(c.buf) == 0 || c.buf[0] > 1 {
			c.fail(field, "boolean cut short or malformed")
			c.buf = nil
			return
		}
		*v = c.buf[0] == 1
		c.buf = c.buf[1:]
	case modePrint:
		if *v {
			c.pair(field, "true")
		}
	case modeParse:
		if s, ok := c.take(field); ok {
			if s != "true" && s != "false" {
				c.fail(field, fmt.Sprintf("%q is neither true nor false", s))
			}
			*v = s == "true"
		}
	}
}

// nums walks a list of integers: a length and the integers, or in text the integers with
// commas between them.
func nums(c *coder, field string, v *[]int64) {
	switch c.mode {
	case modeEncode, modePrint:
		if c.mode == modePrint {
			if len(*v) > 0 {
				c.pair(field, joinNums(*v))
			}
			return
		}
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
		for _, n := range *v {
			c.buf = binary.AppendVarint(c.buf, n)
		}
	case modeDecode:
		n, size := binary.Uvarint(c.buf)
		if size <= 0 || n > uint64(len(c.buf)-size) { // an integer takes a byte at least
			c.fail(field, "list cut short")
			c.buf = nil
			return
		}
		c.buf = c.buf[size:]
		*v = nil
		for range n {
			*v = append(*v, c.raw(field, 0))
		}
	case modeParse:
		s, ok := c.take(field)
		if !ok {
			return
		}
		*v = nil
		for _, part := range strings.Split(s, ",") {
			n, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				c.fail(field, fmt.Sprintf("%q is not a whole number", part))
			}
			*v = append(*v, n)
		}
	}
}

func joinNums(list []int64) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(parts, ",")
}

// quoteWord quotes a value that would not survive being split at blanks, or being read.
func quoteWord(s string) string {
	plain := utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// splitPairs reads `key=value key="quoted value"` into a map.
func splitPairs(s string) (map[string]string, error) {
	pairs := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \t\"") {
			return nil, fmt.Errorf("%w: %q is not key=value", ErrRecord, s)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("%w: field %s: unclosed quote", ErrRecord, key)
			}
			value, _ = strconv.Unquote(quoted)
			s = rest[len(quoted):]
		} else {
			value, s, _ = strings.Cut(rest, " ")
		}
		if _, twice := pairs[key]; twice {
			return nil, fmt.Errorf("%w: field %s is given twice", ErrRecord, key)
		}
		pairs[key] = value
	}
	return pairs, nil
}

// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Canonical writes v as UTF-8 JSON with keys sorted by code point, no whitespace and
// numbers in shortest form (turn-plan section 3). Members of the outermost object
// whose name is listed in without are left out. Of repeated keys the first stands.
func Canonical(v *Value, without ...string) []byte { return appendValue(nil, v, without) }

func appendValue(dst []byte, v *Value, without []string) []byte {
	switch v.Kind {
	case Null:
		return append(dst, "null"...)
	case Bool:
		if v.True {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case Number:
		return appendNumber(dst, v.Text)
	case String:
		return appendString(dst, v.Text)
	case Array:
		dst = append(dst, '[')
		for i, e := range v.Elems {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e, nil)
		}
		return append(dst, ']')
	case Object:
		return appendObject(dst, v, without)
	}
	return dst
}

func appendObject(dst []byte, v *Value, without []string) []byte {
	members := slices.DeleteFunc(slices.Clone(v.Members), func(m Member) bool {
		return m.Repeat || slices.Contains(without, m.Name)
	})
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m.Name)
		dst = append(dst, ':')
		dst = appendValue(dst, m.Value, nil)
	}
	return append(dst, '}')
}

// Quote returns s as a JSON string in its shortest form: two-character escapes where
// JSON has them, \u00xx for other control characters, everything else as it is.
func Quote(s string) string { return string(appendString(nil, s)) }

func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			dst = append(dst, '\\', byte(r))
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if r < ' ' {
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
				continue
			}
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

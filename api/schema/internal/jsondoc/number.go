// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"math"
	"strconv"
	"strings"
)

// IntClass says what a number is when an integer is wanted.
type IntClass uint8

// The classes of [Value.Int].
const (
	// NotInteger has a fractional part, or is not a number at all.
	NotInteger IntClass = iota
	// InRange fits in an int64.
	InRange
	// TooSmall and TooLarge are integers beyond an int64.
	TooSmall
	TooLarge
)

// Int reads a number exactly. 1.0 and 1e3 are integers, as in JSON Schema.
func (v *Value) Int() (int64, IntClass) {
	if v == nil || v.Kind != Number {
		return 0, NotInteger
	}
	digits, exp, neg := Decimal(v.Text)
	if digits == "" {
		return 0, InRange // zero in any spelling
	}
	if exp < 0 {
		return 0, NotInteger // Decimal strips trailing zeros, so a digit is left behind the point
	}
	beyond := TooLarge
	if neg {
		beyond = TooSmall
	}
	if len(digits)+exp > 19 {
		return 0, beyond
	}
	text := digits + strings.Repeat("0", exp)
	if neg {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, beyond
	}
	return n, InRange
}

// Decimal splits a JSON number into significant digits without leading or trailing
// zeros, a power of ten and a sign: the value is digits x 10^exp. Zero has no digits.
// Exponents beyond 1e9 are clipped, which keeps their class.
func Decimal(lit string) (digits string, exp int, neg bool) {
	neg = strings.HasPrefix(lit, "-")
	lit = strings.TrimPrefix(lit, "-")
	mantissa, power := lit, ""
	if i := strings.IndexAny(lit, "eE"); i >= 0 {
		mantissa, power = lit[:i], lit[i+1:]
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+frac, "0")
	exp = -len(frac)
	if power != "" {
		p, err := strconv.Atoi(power)
		const limit = 1_000_000_000
		if err != nil || p > limit || p < -limit {
			p = limit
			if strings.HasPrefix(power, "-") {
				p = -limit
			}
		}
		exp += p
	}
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	return trimmed, exp, neg
}

// appendNumber writes a number in its shortest form: integers below 10^21 as plain
// digits, other numbers as ECMAScript writes them (RFC 8785 section 3.2.2.3). A
// number that no float64 can hold keeps its literal.
func appendNumber(dst []byte, lit string) []byte {
	digits, exp, neg := Decimal(lit)
	if digits == "" {
		return append(dst, '0')
	}
	if exp >= 0 && len(digits)+exp <= 21 {
		if neg {
			dst = append(dst, '-')
		}
		dst = append(dst, digits...)
		return append(dst, strings.Repeat("0", exp)...)
	}
	f, err := strconv.ParseFloat(lit, 64)
	if err != nil || f == 0 {
		return append(dst, lit...)
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	text := strconv.FormatFloat(f, 'e', -1, 64)
	text = strings.Replace(strings.Replace(text, "e-0", "e-", 1), "e+0", "e+", 1)
	return append(dst, text...)
}

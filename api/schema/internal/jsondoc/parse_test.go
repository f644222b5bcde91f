// SPDX-License-Identifier: Apache-2.0

package jsondoc

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

var testLimits = Limits{MaxBytes: 1 << 20, MaxDepth: 64, MaxValues: 1 << 16}

func TestErrorsHaveAPlace(t *testing.T) {
	for _, c := range []struct {
		text         string
		class        ErrorClass
		pointer      string
		line, column int
	}{
		{"", Empty, "", 1, 1},
		{" \n ", Empty, "", 2, 2},
		{"{", Syntax, "", 1, 2},
		{"{\n \"a\": tru}", Syntax, "/a", 2, 7},
		{`{"é": [1, x]}`, Syntax, "/é/1", 1, 11},
		{`[1,]`, Syntax, "", 1, 4},
		{`{"a":1,}`, Syntax, "", 1, 8},
		{`{"a" 1}`, Syntax, "/a", 1, 6},
		{`{a:1}`, Syntax, "", 1, 2},
		{`[1 2]`, Syntax, "", 1, 4},
		{`01`, Syntax, "", 1, 1},
		{`-`, Syntax, "", 1, 2},
		{`1.`, Syntax, "", 1, 3},
		{`1e`, Syntax, "", 1, 3},
		{`.5`, Syntax, "", 1, 1},
		{`"abc`, Syntax, "", 1, 5},
		{`"\x"`, Syntax, "", 1, 2},
		{`"\u12"`, Syntax, "", 1, 2},
		{`"\ud800\u0041"`, Syntax, "", 1, 2},
		{`"\udc00"`, Syntax, "", 1, 2},
		{"\"\xff\"", Syntax, "", 1, 2},
		{"\"\t\"", Syntax, "", 1, 2},
		{"\xEF\xBB\xBF{}", Syntax, "", 1, 1},
		{"{} {}", Trailing, "", 1, 4},
		{"null,", Trailing, "", 1, 5},
		{strings.Repeat("[", 65), TooDeep, strings.Repeat("/0", 64), 1, 65},
	} {
		_, err := Parse([]byte(c.text), testLimits)
		if err == nil {
			t.Errorf("%q is accepted", c.text)
			continue
		}
		if err.Class != c.class || err.Pointer != c.pointer || err.Position.Line != c.line || err.Position.Column != c.column {
			t.Errorf("%q: class %d at %q, line %d, column %d; want class %d at %q, line %d, column %d (%v)", c.text, err.Class, err.Pointer,
				err.Position.Line, err.Position.Column, c.class, c.pointer, c.line, c.column, err)
		}
	}
}

func TestOtherEncodingsAreNamed(t *testing.T) {
	for _, text := range []string{"\xFF\xFE{\x00}\x00", "\xFE\xFF\x00{\x00}", "{\x00}\x00", "\x00{\x00}"} {
		if _, err := Parse([]byte(text), testLimits); err == nil || !strings.Contains(err.Message, "save it as UTF-8") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestIntegersAreExact(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  int64
		class IntClass
	}{
		{"0", 0, InRange},
		{"-0", 0, InRange},
		{"0.000", 0, InRange},
		{"0e999999999999", 0, InRange},
		{"17", 17, InRange},
		{"17.0", 17, InRange},
		{"1.7e1", 17, InRange},
		{"170e-1", 17, InRange},
		{"-3", -3, InRange},
		{"9223372036854775807", 9223372036854775807, InRange},
		{"-9223372036854775808", -9223372036854775808, InRange},
		{"9223372036854775808", 0, TooLarge},
		{"-9223372036854775809", 0, TooSmall},
		{"1e400", 0, TooLarge},
		{"-1e99999999999", 0, TooSmall},
		{"0.5", 0, NotInteger},
		{"17.25", 0, NotInteger},
		{"1e-400", 0, NotInteger},
		{"1.5e0", 0, NotInteger},
	} {
		v, err := Parse([]byte(c.text), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got, class := v.Int(); got != c.want || class != c.class {
			t.Errorf("Int(%s) = %d, class %d; want %d, class %d", c.text, got, class, c.want, c.class)
		}
	}
}

// Turn-plan section 3: integers in shortest form; other numbers as RFC 8785 has them.
func TestCanonicalNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"1.0": "1", "1e3": "1000", "-0": "0", "0.0": "0", "1.50": "1.5", "1e20": "100000000000000000000", "1e21": "1e+21",
		"12345678901234567890": "12345678901234567890", "1e-6": "0.000001", "1e-7": "1e-7", "1.5e-10": "1.5e-10", "1e400": "1e400", "1e-400": "1e-400",
		"333333333.33333329": "333333333.3333333", "-4.50": "-4.5",
	} {
		v, err := Parse([]byte(in), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(Canonical(v)); got != want {
			t.Errorf("canonical %s is %s, want %s", in, got, want)
		}
	}
}

func TestCanonicalObjects(t *testing.T) {
	v, err := Parse([]byte(" { \"b\" : [ 1 , { } ] , \"é\":null, \"a\":true , \"a\":false, \"A\":\"\\u0041\\n\\u0001\\/\" } "), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(Canonical(v, "b")), `{"A":"A\n\u0001/","a":true,"é":null}`; got != want {
		t.Errorf("canonical form is %s, want %s", got, want)
	}
	if !v.Members[3].Repeat || v.Members[2].Repeat {
		t.Error("the repeated key is not marked")
	}
	if got := Escape("a/b~c"); got != "a~1b~0c" {
		t.Errorf("Escape gives %s", got)
	}
}

// Against encoding/json: the same documents are accepted, apart from what this reader
// is stricter about, and they hold the same content.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5,-3e7,"x\n\u00e9\ud83d\ude00",true,false,null,{}]}`, `[]`, `""`, `0`, ` 1 `, `{"a":1,"a":2}`, `"\ud800"`, `[1,]`,
		"\"\xff\"", `1e5`, `-0.0e-0`, `"\/"`, `{"":{"":""}}`, `nul`, `[[[[`, "{}x", "\uFEFF{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, perr := Parse(data, testLimits)
		if perr != nil {
			if perr.Position.Line < 1 || perr.Position.Offset > len(data) || perr.Message == "" {
				t.Fatalf("error without a place: %+v", perr)
			}
			stricter := !utf8.Valid(data) || perr.Class == TooDeep || strings.Contains(perr.Message, "surrogate")
			if json.Valid(data) && !stricter {
				t.Fatalf("refused, but encoding/json accepts it: %v", perr)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted, but encoding/json refuses it")
		}
		once := Canonical(v)
		again, perr := Parse(once, testLimits)
		if perr != nil || !bytes.Equal(Canonical(again), once) {
			t.Fatalf("the canonical form %s is not stable: %v", once, perr)
		}
		if v.Kind == String {
			var want string
			if err := json.Unmarshal(data, &want); err != nil || want != v.Text {
				t.Fatalf("decoded %q, encoding/json says %q, %v", v.Text, want, err)
			}
		}
		if v.Kind == Number && len(v.Text) < 20 {
			checkNumber(t, v)
		}
	})
}

func checkNumber(t *testing.T, v *Value) {
	t.Helper()
	if i := strings.IndexAny(v.Text, "eE"); i >= 0 && len(v.Text)-i > 4 {
		return // math/big would spell the power out
	}
	exact, ok := new(big.Rat).SetString(v.Text)
	if !ok {
		t.Fatalf("%s is no number to math/big", v.Text)
	}
	n, class := v.Int()
	want := NotInteger
	switch {
	case !exact.IsInt():
	case exact.Num().IsInt64():
		want = InRange
	case exact.Sign() < 0:
		want = TooSmall
	default:
		want = TooLarge
	}
	if class != want || class == InRange && exact.Num().Int64() != n {
		t.Fatalf("Int(%s) = %d, class %d; math/big says %s", v.Text, n, class, exact)
	}
}

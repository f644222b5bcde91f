// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSpeakable(t *testing.T) {
	for in, want := range map[string]string{
		"Plain text, 42%.":       "Plain text, 42%.",
		"“It’s – fine”…":         `"It's ,  fine"...`,
		"naïve café, Åse, Łódź":  "naive cafe, Ase, Lodz",
		"ß æ Œ þ ĳ ſ":            "ss ae OE th ij s",
		"5 × 3 ÷ 2 €7 £8 20°":    "5  times  3  divided by  2  euros 7  pounds 8 20 degrees ",
		"tab\tnew\nline\x07bell": "tab new line bell",
		"日本 and 🙂":               "   and  ",
		"wait!!!!!!!!":           "wait!!!",
		"a--b":                   "a--b",
		strings.Repeat("y", 250): strings.Repeat("y", 120) + " " + strings.Repeat("y", 120) + " " + strings.Repeat("y", 10),
	} {
		if got := speakable(in).text; got != want {
			t.Errorf("speakable(%.30q)\ngot  %q\nwant %q", in, got, want)
		}
	}
}

func TestUnaccentedCoversItsRange(t *testing.T) {
	for r := rune(0xc0); r <= 0x17f; r++ {
		if got := unaccented(r); got == "" {
			t.Errorf("%c (%U) has no letters", r, r)
		}
	}
}

func TestOriginalFindsThePieceOfTheText(t *testing.T) {
	s := speakable("“Naïve” — ok")
	for _, test := range []struct {
		offset, length int
		want           string
		ok             bool
	}{
		{0, 7, "“Naïve”", true},
		{strings.Index(s.text, "ok"), 2, "ok", true},
		{0, 0, "", false},
		{-1, 3, "", false},
		{len(s.text) - 1, 2, "", false},
	} {
		if got, ok := s.original(test.offset, test.length); got != test.want || ok != test.ok {
			t.Errorf("original(%d, %d) = %q, %v; want %q, %v", test.offset, test.length, got, ok, test.want, test.ok)
		}
	}
}

func FuzzSpeakable(f *testing.F) {
	f.Add("Hello, “world” — 5€!!!!")
	f.Add("日本語\x00\xff" + strings.Repeat("z", 300))
	f.Fuzz(func(t *testing.T, text string) {
		s := speakable(text)
		if len(s.origin) != len(s.text)+1 {
			t.Fatalf("%d origins for %d bytes", len(s.origin), len(s.text))
		}
		for _, token := range strings.Fields(s.text) {
			if len(token) > maxTokenBytes {
				t.Errorf("a token of %d bytes", len(token))
			}
		}
		for i, c := range []byte(s.text) {
			if c < ' ' || c >= 0x7f {
				t.Errorf("byte %d is %#x", i, c)
			}
			if word, ok := s.original(i, 1); !ok || (utf8.ValidString(text) && !utf8.ValidString(word)) {
				t.Errorf("byte %d stands for %q, %v", i, word, ok)
			}
		}
	})
}

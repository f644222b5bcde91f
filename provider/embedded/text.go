// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What flite is given: its tokeniser extends its buffers only once, so a longer run
// could write past them.
const (
	maxTokenBytes       = 120 // of one token
	maxPunctuationBytes = 3   // of the same mark in a row
)

// spoken is text as flite can take it: ASCII, in tokens of bounded length.
type spoken struct {
	text string
	// origin[i] is where, in the text that came in, the character of text[i] starts;
	// one element more holds its length.
	origin []int
	source string
}

// speakable turns text into what flite speaks. Marks of typography become plain ones,
// letters lose their accents, and what has no sound in English is left out.
func speakable(text string) spoken {
	s := spoken{source: text}
	var b strings.Builder
	token := 0 // bytes since the last space
	var last rune
	run := 0 // of the same mark
	for at, r := range text {
		plain := plainly(r)
		if plain == "" {
			plain = " "
		}
		if r == last && unicode.IsPunct(r) {
			if run++; run >= maxPunctuationBytes {
				continue
			}
		} else {
			last, run = r, 0
		}
		if plain[0] == ' ' {
			token = 0
		} else if token += len(plain); token > maxTokenBytes {
			plain, token = " "+plain, len(plain)
		}
		b.WriteString(plain)
		for range plain {
			s.origin = append(s.origin, at)
		}
	}
	s.text = b.String()
	s.origin = append(s.origin, len(text))
	return s
}

// original gives the piece of the incoming text that text[offset:offset+length] stands
// for; ok is false when there is no such piece.
func (s spoken) original(offset, length int) (word string, ok bool) {
	if offset < 0 || length <= 0 || offset+length > len(s.text) {
		return "", false
	}
	last := s.origin[offset+length-1]
	_, size := utf8.DecodeRuneInString(s.source[last:])
	return s.source[s.origin[offset] : last+size], true
}

// plainly gives the ASCII for a character, empty for none.
func plainly(r rune) string {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return " "
	case r < ' ' || r == 0x7f:
		return ""
	case r < 0x7f:
		return string(r)
	case r >= 0xc0 && r <= 0x17f:
		return unaccented(r)
	}
	switch r {
	case '‘', '’', '‚', '‛', 'ʼ', '′':
		return "'"
	case '“', '”', '„', '‟', '«', '»', '″':
		return `"`
	case '‐', '‑', '−':
		return "-"
	case '–', '—', '―':
		return ", "
	case '…':
		return "..."
	case '€':
		return " euros "
	case '£':
		return " pounds "
	case '°':
		return " degrees "
	case '×':
		return " times "
	}
	return ""
}

// unaccented gives the base letters for U+00C0 to U+017F, Latin-1 Supplement and Latin
// Extended-A, in which the languages of Europe are written.
func unaccented(r rune) string {
	switch r {
	case 'Æ':
		return "AE"
	case 'æ':
		return "ae"
	case 'Œ':
		return "OE"
	case 'œ':
		return "oe"
	case 'ß':
		return "ss"
	case 'Þ':
		return "Th"
	case 'þ':
		return "th"
	case 'Ĳ':
		return "IJ"
	case 'ĳ':
		return "ij"
	case '×':
		return " times "
	case '÷':
		return " divided by "
	}
	const base = "AAAAAA?CEEEEIIII" + "DNOOOOO?OUUUUY??" + "aaaaaa?ceeeeiiii" + "dnooooo?ouuuuy?y" +
		"AaAaAaCcCcCcCcDd" + "DdEeEeEeEeEeGgGg" + "GgGgHhHhIiIiIiIi" + "Ii??JjKkkLlLlLlL" +
		"lLlNnNnNnnNnOoOo" + "Oo??RrRrRrSsSsSs" + "SsTtTtTtUuUuUuUu" + "UuUuWwYyYZzZzZzs"
	if c := base[r-0xc0]; c != '?' {
		return string(c)
	}
	return ""
}

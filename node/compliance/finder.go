// SPDX-License-Identifier: Apache-2.0

package compliance

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a piece of a text, in bytes.
type span struct{ from, to int }

// finder gives what a rule finds in a text, in order and without overlaps, at most so many.
type finder func(text string, most int) []span

// finder of a rule that Validate has passed.
func (r *Rule) finder() finder {
	switch {
	case len(r.Words) > 0:
		return words(r.Words)
	case r.Find == Card:
		return numbers(cardPattern, isCard)
	case r.Find == Phone:
		return numbers(phonePattern, isPhone)
	case r.Find == Email:
		return pattern(emailPattern)
	}
	return pattern(r.Pattern)
}

const (
	cardPattern  = `[0-9](?:[ \-]?[0-9]){12,18}`
	phonePattern = `(?:\+|\(|00)?[0-9](?:[ ()./\-]{0,2}[0-9]){6,14}`
	emailPattern = `[\pL\pN._%+\-]{1,64}@[\pL\pN\-]{1,63}(?:\.[\pL\pN\-]{1,63}){1,8}`
)

func pattern(source string) finder {
	re := regexp.MustCompile(source)
	return func(text string, most int) []span { return spans(re, text, most) }
}

func spans(re *regexp.Regexp, text string, most int) (list []span) {
	for _, m := range re.FindAllStringIndex(text, most) {
		if m[1] > m[0] {
			list = append(list, span{m[0], m[1]})
		}
	}
	return list
}

// numbers finds what a pattern takes for a number, stands alone, and is one.
func numbers(source string, is func(digits string) bool) finder {
	re := regexp.MustCompile(source)
	return func(text string, most int) (list []span) {
		for _, s := range spans(re, text, most) {
			if alone(text, s) && is(digits(text[s.from:s.to])) {
				list = append(list, s)
			}
		}
		return list
	}
}

// alone says that a number is not a piece of a longer word or number.
func alone(text string, s span) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:s.from])
	after, _ := utf8.DecodeRuneInString(text[s.to:])
	part := func(r rune) bool { return unicode.IsDigit(r) || unicode.IsLetter(r) }
	return !part(before) && !part(after)
}

func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}

// isCard says whether the digits have the checksum of cards (Luhn), and are not all the same.
func isCard(d string) bool {
	if len(d) < 13 || len(d) > 19 || strings.Count(d, d[:1]) == len(d) {
		return false
	}
	sum := 0
	for i := range len(d) {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

func isPhone(d string) bool { return len(d) >= 7 && len(d) <= 15 }

// words finds whole words.
func words(list []string) finder {
	wanted := make(map[string]bool, len(list))
	for _, w := range list {
		wanted[fold(w)] = true
	}
	return func(text string, most int) (found []span) {
		for _, s := range wordsOf(text) {
			if len(found) < most && wanted[fold(text[s.from:s.to])] {
				found = append(found, s)
			}
		}
		return found
	}
}

// wordsOf gives the words of a text: letters, digits, marks, and apostrophes and hyphens
// between them.
func wordsOf(text string) (list []span) {
	from := -1
	end := 0 // behind the last letter
	for i, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if from < 0 {
				from = i
			}
			end = i + utf8.RuneLen(r)
			if r == utf8.RuneError {
				end = i + 1
			}
		case from >= 0 && end == i && joins(r):
		case from >= 0:
			list = append(list, span{from, end})
			from = -1
		}
	}
	if from >= 0 {
		list = append(list, span{from, end})
	}
	return list
}

func joins(r rune) bool { return r == '\'' || r == '’' }

// fold makes words equal that differ in case and apostrophe alone.
func fold(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "’", "'")
}

// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is how good a place to cut is; greater is better.
type kind int

const (
	kindNone kind = iota - 1
	kindWord
	kindClause
	kindSentence
)

// cut is a place where text may be cut.
type cut struct {
	end       int // byte offset
	kind      kind
	chars     int  // characters before it, outer space not counted
	speakable bool // something before it can be spoken
}

// unknown is what follows a place at the end of text that goes on.
const unknown rune = -1

// boundaries yields the places in text where it may be cut, in order. ended says that
// nothing follows text.
func boundaries(text string, ended bool) iter.Seq[cut] {
	return func(yield func(cut) bool) {
		s := scanner{text: text}
		for i := 0; i < len(text); {
			r, n := utf8.DecodeRuneInString(text[i:])
			if i > 0 && s.edge(r) {
				if k := classify(text[:s.solid], s.newlines, s.spaced, r); k != kindNone {
					if !yield(cut{i, k, s.chars, s.speak}) {
						return
					}
				}
			}
			s.take(i, r, n)
			i += n
		}
		if next, ok := s.atEnd(ended); ok {
			if k := classify(text[:s.solid], s.newlines, s.spaced, next); k != kindNone {
				yield(cut{len(text), k, s.chars, s.speak})
			}
		}
	}
}

// endOfText is what follows a place at the end of a text that has ended.
const endOfText rune = -2

// scanner keeps what boundaries knows of the text before a place.
type scanner struct {
	text     string
	solid    int // end of the last character that is not white space
	chars    int // characters up to there, from the first solid one
	gap      int // characters of white space since
	newlines int // of them
	spaced   bool
	speak    bool
	wide     bool // the last solid characters are punctuation of a script without spaces, and closers
}

// edge reports whether a place before r is worth a look: the end of white space, or the
// end of punctuation that needs none.
func (s *scanner) edge(r rune) bool {
	if s.solid == 0 || unicode.IsSpace(r) || joins(r) {
		return false
	}
	return s.spaced || (s.wide && !closes(r) && !ends(r) && !wideClause(r))
}

// atEnd reports whether the end of the text is worth a look, and what follows it.
func (s *scanner) atEnd(ended bool) (next rune, ok bool) {
	if ended {
		return endOfText, s.solid > 0
	}
	return unknown, s.spaced || (s.wide && s.solid == len(s.text))
}

func (s *scanner) take(i int, r rune, n int) {
	if unicode.IsSpace(r) {
		if s.solid > 0 {
			s.gap++
			s.spaced = true
			if r == '\n' {
				s.newlines++
			}
		}
		return
	}
	s.chars += s.gap + 1
	s.gap, s.newlines, s.spaced = 0, 0, false
	s.solid = i + n
	s.speak = s.speak || unicode.IsLetter(r) || unicode.IsNumber(r)
	s.wide = wideEnd(r) || wideClause(r) || (s.wide && closes(r))
}

// classify says what kind of boundary lies between left, which ends with a solid
// character, and next. spaced says that white space lies between them, newlines how many
// lines it ends: an empty line ends a paragraph whatever stands before it.
func classify(left string, newlines int, spaced bool, next rune) kind {
	if next == endOfText || newlines >= 2 {
		return kindSentence
	}
	core := strings.TrimRightFunc(left, closes)
	last, _ := utf8.DecodeLastRuneInString(core)
	if !spaced {
		return unspaced(core, last, next)
	}
	k := punctuated(core, last, next)
	if k == kindWord && digits(last) && (digits(next) || next == unknown) {
		k = kindNone // "1 000 000", "555 1234"
	}
	if newlines == 1 {
		k = max(k, kindClause)
	}
	return k
}

// unspaced is a boundary right after punctuation of a script that puts no space there.
// At the end of what has come, more punctuation may follow: only age cuts there.
func unspaced(core string, last, next rune) kind {
	before, _ := utf8.DecodeLastRuneInString(core[:len(core)-utf8.RuneLen(last)])
	switch {
	case digits(before) && (digits(next) || next == unknown):
		return kindNone // "3．14", "12：30"
	case next == unknown:
		return kindWord
	case wideEnd(last):
		return kindSentence
	}
	return kindClause
}

// punctuated is a boundary at white space, by the punctuation that last, the end of core,
// is.
func punctuated(core string, last, next rune) kind {
	switch {
	case wideEnd(last):
		return kindSentence
	case last == '…', strings.HasSuffix(core, ".."):
		return ellipsis(next)
	case last == '.':
		return period(core[:len(core)-1], next)
	case ends(last) && !unicode.IsLower(next):
		return kindSentence
	case clauses(last, core):
		return kindClause
	}
	return kindWord
}

func digits(r rune) bool { return unicode.IsNumber(r) }

// ellipsis ends a sentence only where a new one visibly begins.
func ellipsis(next rune) kind {
	if unicode.IsUpper(next) {
		return kindSentence
	}
	return kindClause
}

// period says what a full stop after left, which does not hold it, and before next is.
func period(left string, next rune) kind {
	token := left[strings.LastIndexFunc(left, unicode.IsSpace)+1:]
	token = strings.TrimLeftFunc(token, opens)
	word := strings.ToLower(token)
	switch {
	case title(word):
		return kindNone
	case unicode.IsLower(next):
		return kindWord
	case numbered(word):
		if next == unknown || unicode.IsNumber(next) {
			return kindNone
		}
	case initials(token):
		return kindNone // "J. Smith", "the U.S. Army"
	case contraction(word) || strings.Contains(word, "."):
		if next == unknown || unicode.IsNumber(next) {
			return kindWord
		}
	case number(word) && lineStart(left, token):
		return kindNone // "1. First"
	}
	return kindSentence
}

// initials reports capital letters with full stops between them; "I" by itself is a word.
func initials(token string) bool {
	if token == "I" {
		return false
	}
	for i, r := range token {
		if i%2 == 0 && (r < 'A' || r > 'Z') || i%2 == 1 && r != '.' {
			return false
		}
	}
	return len(token)%2 == 1
}

func number(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsNumber(r) })
}

func lineStart(left, token string) bool {
	before := strings.TrimRight(left[:len(left)-len(token)], " \t")
	return before == "" || strings.HasSuffix(before, "\n")
}

// clauses reports whether last, the end of core, ends a clause before white space. A dash
// does when it stands by itself.
func clauses(last rune, core string) bool {
	switch last {
	case ',', ';', ':', '—', '،', '؛':
		return true
	case '-', '–':
		before := strings.TrimRight(core, "-–")
		r, n := utf8.DecodeLastRuneInString(before)
		return n > 0 && unicode.IsSpace(r)
	}
	return wideClause(last)
}

// ends reports the punctuation that ends a sentence, before white space where the script
// has it.
func ends(r rune) bool {
	switch r {
	case '.', '!', '?', '…', '‼', '⁇', '⁈', '⁉', '؟', '۔', '।', '॥', '።':
		return true
	}
	return wideEnd(r)
}

// wideEnd reports the ends of sentences in scripts that do not put a space after them.
func wideEnd(r rune) bool {
	switch r {
	case '。', '！', '？', '｡', '．':
		return true
	}
	return false
}

// wideClause reports the ends of clauses in such scripts.
func wideClause(r rune) bool {
	switch r {
	case '、', '，', '；', '：', '､':
		return true
	}
	return false
}

// closes reports what may stand between the end of a sentence and the space after it.
func closes(r rune) bool {
	switch r {
	case '"', '\'', '”', '’', '»', '›', '*', '_', '`', '」', '』', '】', '）', '》', '〉':
		return true
	}
	return unicode.In(r, unicode.Pe, unicode.Pf)
}

func opens(r rune) bool {
	switch r {
	case '"', '\'', '*', '_', '`':
		return true
	}
	return unicode.In(r, unicode.Ps, unicode.Pi)
}

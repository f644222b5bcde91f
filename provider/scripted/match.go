// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cue is a word or a run of words that speaks for a rule, and how strongly.
type cue struct {
	words  string
	weight int
}

// words gives text as lower-case words of letters and digits; an apostrophe inside a
// word is dropped, so that "what's" and "whats" are one.
func words(text string) []string {
	var list []string
	var b strings.Builder
	end := func() {
		if b.Len() > 0 {
			list = append(list, b.String())
			b.Reset()
		}
	}
	for _, r := range text {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			b.WriteRune(unicode.ToLower(r))
		case r == '\'', r == '’':
		default:
			end()
		}
	}
	end()
	return list
}

// score adds the weights of the cues found in heard. A cue that is found only by a word
// that sounds misheard counts one less.
func (l *rule) score(heard []string) int {
	sum := 0
	for i, run := range l.runs {
		if at, misheard := find(run, heard); at >= 0 {
			sum += l.cues[i].weight - misheard
		}
	}
	return sum
}

// find looks for run in heard and gives its place, -1 for none. misheard is 1 when it
// was only found with a misheard word.
func find(run, heard []string) (at, misheard int) {
	almost := -1
	for i := 0; i+len(run) <= len(heard); i++ {
		exact, near := true, true
		for j, w := range run {
			if heard[i+j] == w {
				continue
			}
			exact = false
			if !sounds(w, heard[i+j]) {
				near = false
				break
			}
		}
		if exact {
			return i, 0
		}
		if near && almost < 0 {
			almost = i
		}
	}
	return almost, 1
}

// sounds reports whether heard may be a misheard want: one letter wrong, missing, added
// or swapped in words of five and more, two in words of eight and more. Shorter words
// have too many neighbours that mean something else.
func sounds(want, heard string) bool {
	n := utf8.RuneCountInString(want)
	switch {
	case n >= 8:
		return distance(want, heard, 2) <= 2
	case n >= 5:
		return distance(want, heard, 1) <= 1
	}
	return want == heard
}

// wordRunesMax is the longest word that is compared; no cue comes near it.
const wordRunesMax = 31

// distance is the optimal string alignment distance (Levenshtein with swaps of
// neighbours); a result above limit only says that it is above.
func distance(a, b string, limit int) int {
	n := utf8.RuneCountInString(b)
	if d := utf8.RuneCountInString(a) - n; d > limit || -d > limit || n > wordRunesMax {
		return limit + 1
	}
	s, t := []rune(a), []rune(b)
	var before, last, row [wordRunesMax + 1]int
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}

// needed is the score that makes a command of an utterance of n words. One word may be
// a command by itself; in long speech a cue word is more likely to be there by chance.
func needed(n int) int {
	switch {
	case n <= 2:
		return 2
	case n <= 8:
		return 3
	case n <= 14:
		return 4
	}
	return 5
}

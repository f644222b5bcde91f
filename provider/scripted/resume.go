// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"strings"

	"github.com/parley-voice/parley/provider"
)

const (
	resumeLead    = "Going on. "
	alignWordsMax = 8 // words at the end of what was heard that are looked for
	alignWordsMin = 2
)

// goOn continues the last reply that was interrupted from what the caller heard of it.
// The conversation holds only the heard text; the whole reply is made again from the
// conversation before it, which is possible because replies are functions of the prompt.
func (r *Responder) goOn(t turn) string {
	for i := len(t.before) - 1; i >= 0; i-- {
		m := t.before[i]
		if m.Role != provider.RoleAssistant {
			continue
		}
		asked := read(t.before[:i])
		line := r.matched(asked)
		switch {
		case !m.Interrupted && line != nil && line.skill == skillContinue:
			return "That was the end of it. Ask me for a story if you would like one."
		case !m.Interrupted || (line != nil && line.skill == skillStop):
			continue
		}
		rest, ok := remainder(r.reply(t.before[:i]).text, m.Text)
		if !ok {
			rest, ok = remainder(storyText(), m.Text)
		}
		switch {
		case !ok:
			return "I lost the place where you stopped me, so here is a story from its start. " + storyText()
		case rest == "":
			return "You heard all of it. There is nothing left to say."
		}
		return resumeLead + rest
	}
	return "There is nothing to go on with yet. Ask me for a story."
}

// remainder gives what of full follows heard. heard is a beginning of full, perhaps cut
// inside its last word, or a piece of it; ok is false when it is neither.
func remainder(full, heard string) (rest string, ok bool) {
	whole, part := spans(full), words(heard)
	if len(part) == 0 {
		return full, true
	}
	n := aligned(whole, part)
	if n < 0 && len(part) > 1 { // perhaps the last word was cut
		if k := aligned(whole, part[:len(part)-1]); k >= 0 && k < len(whole) && strings.HasPrefix(whole[k].word, part[len(part)-1]) {
			n = k
		}
	}
	switch {
	case n < 0:
		return "", false
	case n == len(whole):
		return "", true
	}
	return full[whole[n].start:], true
}

// aligned gives how many words of whole have been heard, -1 when part does not fit.
func aligned(whole []span, part []string) int {
	if len(part) <= len(whole) && equal(whole[:len(part)], part) {
		return len(part)
	}
	end := part[max(0, len(part)-alignWordsMax):]
	for len(end) >= alignWordsMin {
		for at := 0; at+len(end) <= len(whole); at++ {
			if equal(whole[at:at+len(end)], end) {
				return at + len(end)
			}
		}
		end = end[1:]
	}
	return -1
}

// span is a word of a text and where it starts there.
type span struct {
	word  string
	start int
}

func spans(text string) []span {
	var list []span
	at := 0
	for _, field := range strings.SplitAfter(text, " ") {
		for _, w := range words(field) {
			list = append(list, span{w, at})
		}
		at += len(field)
	}
	return list
}

func equal(whole []span, part []string) bool {
	for i, w := range part {
		if whole[i].word != w {
			return false
		}
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"strings"

	"github.com/parley-voice/parley/provider"
)

const (
	countDefault = 10
	countMax     = 50
	countGroup   = 5 // numbers to a sentence, so that speech can start early
)

func (r *Responder) identity(turn) string {
	return disclosure + " I work from a short table of rules: I can tell the time, repeat, count, and tell a story."
}

func (r *Responder) help(turn) string {
	return "You can ask me for the time, ask me to repeat something, to count to a number, or to tell you a story. " +
		"Interrupt me any time, and say go on if you want the rest."
}

func (r *Responder) greeting(turn) string {
	return "Hello. You can ask me for the time, a count or a story."
}

func (r *Responder) thanks(turn) string { return "You are welcome." }

func (r *Responder) goodbye(turn) string { return "Goodbye. It was good to hear you." }

func (r *Responder) timeOfDay(turn) string { return "It is " + clock(r.config.Now()) + "." }

func (r *Responder) story(turn) string { return storyText() }

// stop acknowledges. By the time it is heard the playback has been cut long ago.
func (r *Responder) stop(t turn) string {
	if note := interruptionNote(t.before); note != "" {
		return note + "Say go on when you want the rest."
	}
	return "All right. I am quiet."
}

// count counts to the number that was named, up or down, to ten when there is none.
func (r *Responder) count(t turn) string {
	from, to, preface := 1, countDefault, ""
	if n := largestNumber(t.joined); n > countMax {
		to, preface = countMax, "I count to "+number(countMax)+" at most. "
	} else if n > 1 {
		to = n
	}
	for _, w := range t.joined {
		if w == "down" || w == "backwards" || w == "backward" || w == "countdown" {
			from, to = to, 1
			break
		}
	}
	return preface + countText(from, to)
}

func countText(from, to int) string {
	step := 1
	if to < from {
		step = -1
	}
	var b strings.Builder
	for i, n := 0, from; ; i, n = i+1, n+step {
		w := number(n)
		if i%countGroup == 0 {
			w = strings.ToUpper(w[:1]) + w[1:]
		}
		b.WriteString(w)
		switch {
		case n == to:
			b.WriteString(".")
			return b.String()
		case i%countGroup == countGroup-1:
			b.WriteString(". ")
		default:
			b.WriteString(", ")
		}
	}
}

// repeat says the words after "repeat" or "after me", or else the utterance before this
// one, or else this one.
func (r *Responder) repeat(t turn) string {
	if s := afterCommand(t.said); s != "" {
		return sentence(quote(s, echoWordsMax))
	}
	if at, _ := find([]string{"i", "say"}, t.heard); at >= 0 {
		for i := len(t.before) - 1; i >= 0; i-- {
			if m := t.before[i]; m.Role == provider.RoleUser && len(words(m.Text)) > 0 {
				return "Before that I heard: " + sentence(quote(m.Text, echoWordsMax))
			}
		}
	}
	return "I heard: " + sentence(quote(t.said, echoWordsMax))
}

// afterCommand gives what follows the words of a command to repeat.
func afterCommand(said string) string {
	fields := strings.Fields(said)
	flat := make([]string, len(fields))
	for i, f := range fields {
		flat[i] = strings.Join(words(f), "")
	}
	for _, command := range [][]string{{"after", "me"}, {"repeat"}} {
		if at, misheard := find(command, flat); at >= 0 && misheard == 0 {
			return strings.Join(fields[at+len(command):], " ")
		}
	}
	return ""
}

// recall says the last reply again, as far as it was heard.
func (r *Responder) recall(t turn) string {
	for i := len(t.before) - 1; i >= 0; i-- {
		if m := t.before[i]; m.Role == provider.RoleAssistant && len(words(m.Text)) > 0 {
			return "I said: " + sentence(oneLine(m.Text))
		}
	}
	return "I have not said anything yet."
}

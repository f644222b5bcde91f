// SPDX-License-Identifier: Apache-2.0

package scripted

import (
	"strings"

	"github.com/parley-voice/parley/provider"
)

// The limits on what is looked at and said back.
const (
	heardWordsMax = 64 // words of an utterance that are matched
	quoteWordsMax = 12 // words of an utterance quoted in a plain answer
	echoWordsMax  = 40 // words repeated on request
)

// disclosure is said until the caller has heard its mark.
const (
	disclosure     = "I am a scripted responder, not a language model."
	disclosureMark = "scripted responder"
)

// turn is what a reply is made from.
type turn struct {
	said   string   // the caller's last words, on one line
	heard  []string // the same as words for matching
	joined []string // with the utterances before it that had no answer
	before []provider.Message
	spoken bool // the caller spoke at all
}

// answer is a reply and the rule that gave it; skill is empty when none did.
type answer struct {
	skill string
	text  string
}

// read takes the caller's last words from a conversation. Messages of the application
// (system) are not part of it.
func read(messages []provider.Message) turn {
	var t turn
	end := len(messages)
	var pieces []string
	for end > 0 && messages[end-1].Role != provider.RoleAssistant {
		end--
		if messages[end].Role == provider.RoleUser {
			pieces = append([]string{messages[end].Text}, pieces...)
		}
	}
	t.before = messages[:end]
	if len(pieces) == 0 {
		return t
	}
	t.spoken = true
	t.said = oneLine(pieces[len(pieces)-1])
	t.heard = limit(words(t.said), heardWordsMax)
	t.joined = limit(words(strings.Join(pieces, " ")), heardWordsMax)
	return t
}

// reply answers the conversation.
func (r *Responder) reply(messages []provider.Message) answer {
	t := read(messages)
	a := r.body(t)
	if a.skill != skillIdentity && !disclosed(t.before) {
		a.text = disclosure + " " + a.text
	}
	return a
}

func (r *Responder) body(t turn) answer {
	switch {
	case !t.spoken && len(t.before) == 0:
		return answer{skillGreeting, r.greeting(t)}
	case !t.spoken:
		return answer{"", "I am listening."}
	case len(t.heard) == 0:
		return answer{"", "Sorry, I heard nothing that I could make out. Please say it again."}
	}
	if line := r.matched(t); line != nil {
		return answer{line.skill, line.reply(r, t)}
	}
	return answer{"", r.unmatched(t)}
}

// matched names the rule for the turn. An utterance that the endpointer cut in two is
// also tried as a whole.
func (r *Responder) matched(t turn) *rule {
	if line := r.match(t.heard); line != nil {
		return line
	}
	if len(t.joined) > len(t.heard) {
		return r.match(t.joined)
	}
	return nil
}

// unmatched follows the plan, then falls back to saying what was understood.
func (r *Responder) unmatched(t turn) string {
	note := interruptionNote(t.before)
	if i := r.unmatchedBefore(t.before); i < len(r.config.Plan) {
		skill := r.config.Plan[i]
		return note + "I did not find a command in that, " + lead(skill) + " " + r.named(skill).reply(r, t)
	}
	return note + "I heard: " + sentence(quote(t.said, quoteWordsMax)) +
		" I have no answer to that. Ask me for the time, a count or a story."
}

// unmatchedBefore counts the answered turns in which no rule matched. A turn of whose
// answer nothing was heard does not count: its step of the plan is offered again.
func (r *Responder) unmatchedBefore(messages []provider.Message) int {
	n := 0
	for i, m := range messages {
		if m.Role != provider.RoleAssistant {
			continue
		}
		if t := read(messages[:i]); len(t.heard) > 0 && r.matched(t) == nil {
			n++
		}
	}
	return n
}

// lead is how a planned skill is announced.
func lead(skill string) string {
	switch skill {
	case skillRepeat, skillRecall:
		return "so I will say back what I heard."
	case skillCount:
		return "so I will count for you."
	case skillStory:
		return "so here is a story while you listen. Interrupt me any time."
	case skillTime:
		return "so here is the time."
	case skillContinue:
		return "so I will go on."
	}
	return "so I will just say this."
}

// interruptionNote says after which words the caller cut the last reply off.
func interruptionNote(before []provider.Message) string {
	if len(before) == 0 {
		return ""
	}
	last := before[len(before)-1]
	if !last.Interrupted || len(words(last.Text)) == 0 {
		return ""
	}
	return "You stopped me after the words: " + tail(last.Text, 3) + ". "
}

// disclosed reports whether the caller has heard what this is.
func disclosed(before []provider.Message) bool {
	for _, m := range before {
		if m.Role == provider.RoleAssistant && strings.Contains(strings.ToLower(m.Text), disclosureMark) {
			return true
		}
	}
	return false
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func limit(list []string, n int) []string { return list[:min(len(list), n)] }

// quote gives at most n words of s.
func quote(s string, n int) string {
	fields := strings.Fields(s)
	if len(fields) <= n {
		return strings.Join(fields, " ")
	}
	return strings.Join(fields[:n], " ") + ", and so on"
}

// tail gives the last n words of s without the punctuation at its end.
func tail(s string, n int) string {
	fields := strings.Fields(s)
	fields = fields[max(0, len(fields)-n):]
	return strings.TrimRight(strings.Join(fields, " "), ".,;:!?-")
}

// sentence ends s with a full stop unless it has an end.
func sentence(s string) string {
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

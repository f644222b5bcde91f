// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// floorSpan is a stretch in which the floor did not change hands; stretches nobody holds are left out.
type floorSpan struct {
	FromMs float64 `json:"from_ms"`
	ToMs   float64 `json:"to_ms"`
	// Who is "caller", "agent", "both", or "held": the agent waits to learn whether the caller means to interrupt.
	Who string `json:"who"`
}

// floorOf follows who could be heard: the caller between voice_on and voice_off, the agent between the first and the
// last frame of a turn, less its holds.
func floorOf(d *Data) []floorSpan {
	type edge struct {
		at     float64
		lane   int // 0 caller, 1 agent, 2 hold
		change int
	}
	var edges []edge
	span := func(lane int, from, to float64) {
		if to > from {
			edges = append(edges, edge{from, lane, +1}, edge{to, lane, -1})
		}
	}
	for _, voice := range voiced(d) {
		span(0, voice.FromMs, voice.ToMs)
	}
	for _, turn := range d.Turns {
		if turn.PlaybackStartedMs == nil {
			continue
		}
		end := d.Session.DurationMs
		if turn.PlaybackEndMs != nil {
			end = *turn.PlaybackEndMs
		}
		span(1, *turn.PlaybackStartedMs, end)
		for _, hold := range turn.Hold {
			span(2, hold.FromMs, hold.ToMs)
		}
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })

	var spans []floorSpan
	var depth [3]int
	for i, e := range edges {
		depth[e.lane] += e.change
		if i+1 == len(edges) || edges[i+1].at == e.at {
			continue
		}
		who := holder(depth[0] > 0, depth[1] > 0, depth[2] > 0)
		if who == "" {
			continue
		}
		if last := len(spans) - 1; last >= 0 && spans[last].Who == who && spans[last].ToMs == e.at {
			spans[last].ToMs = edges[i+1].at
			continue
		}
		spans = append(spans, floorSpan{FromMs: e.at, ToMs: edges[i+1].at, Who: who})
	}
	return spans
}

func holder(caller, agent, held bool) string {
	switch {
	case held:
		return "held"
	case caller && agent:
		return "both"
	case caller:
		return "caller"
	case agent:
		return "agent"
	}
	return ""
}

// voiced pairs voice_on with voice_off; voice that never stopped lasts to the end.
func voiced(d *Data) []floorSpan {
	var spans []floorSpan
	open := false
	for _, mark := range d.Speech {
		switch mark.Kind {
		case VoiceOn:
			if !open {
				spans = append(spans, floorSpan{FromMs: mark.AtMs, ToMs: d.Session.DurationMs, Who: "caller"})
				open = true
			}
		case VoiceOff:
			if open {
				spans[len(spans)-1].ToMs = mark.AtMs
				open = false
			}
		case EndOfUtterance:
		}
	}
	return spans
}

// splitHeard cuts a reply into what was heard and what was not. Case, spacing and punctuation may differ between the
// two, as a synthesiser's words differ from the text it was given; when the letters differ, ok is false and the two
// texts must be shown apart.
func splitHeard(reply, heard string) (first, rest string, ok bool) {
	at := 0
	for _, want := range heard {
		if !spoken(want) {
			continue
		}
		for {
			got, size := utf8.DecodeRuneInString(reply[at:])
			if size == 0 {
				return "", "", false
			}
			at += size
			if !spoken(got) {
				continue
			}
			if unicode.ToLower(got) != unicode.ToLower(want) {
				return "", "", false
			}
			break
		}
	}
	// Punctuation belongs to the word before it, but only if a word was heard.
	if at > 0 {
		tail := strings.IndexFunc(reply[at:], func(r rune) bool { return spoken(r) || unicode.IsSpace(r) })
		if tail < 0 {
			tail = len(reply) - at
		}
		at += tail
	}
	return strings.TrimSpace(reply[:at]), strings.TrimSpace(reply[at:]), true
}

func spoken(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }

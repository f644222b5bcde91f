// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// words that must stay whole, whatever surrounds them and however they arrive.
func solid() []string {
	return []string{"3.14", "1,000,000", "https://example.com/a?b=c.d", "www.x.org", "a.b@c.de", "12:30", "v1.2.3", "don't"}
}

// reply draws a text that looks like what models write, with the odd run of anything.
func reply(t *rapid.T) string {
	plain := []string{
		"the", "light", "Mr.", "e.g.", "U.S.", "etc.", "No.", "I", "sea.", "sea,", "what?", "so!", "well...", "—", "-", "(yes)", "\"no.\"",
		"你好。", "天气很好，", "「是！」", "👩‍👩‍👧", "cafe\u0301", "\n", "\n\n", "1.", "7", "नमस्ते।",
	}
	atom := rapid.OneOf(rapid.SampledFrom(plain), rapid.SampledFrom(solid()), rapid.String())
	return strings.Join(rapid.SliceOfN(atom, 0, 40).Draw(t, "atoms"), " ")
}

func config(t *rapid.T) Config {
	c := Config{
		MinPartialChars:      rapid.IntRange(1, 40).Draw(t, "min"),
		TriggerOnPunctuation: rapid.Bool().Draw(t, "punctuation"),
		MaxPartialAge:        time.Duration(rapid.IntRange(1, 300).Draw(t, "age")) * ms,
		MaxPendingSegments:   rapid.IntRange(0, 4).Draw(t, "pending"),
	}
	c.MaxSentenceAge = c.MaxPartialAge * time.Duration(rapid.IntRange(1, 4).Draw(t, "sentence"))
	c.MaxSegmentChars = c.MinPartialChars + rapid.IntRange(20, 200).Draw(t, "longest")
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// stream feeds text in pieces cut at any byte, with ticks and acknowledgements between,
// and checks the deadlines on the way.
func stream(t *rapid.T, s *Segmenter, text string) []Segment {
	var all []Segment
	var now time.Duration
	out := 0
	add := func(list []Segment) {
		all = append(all, list...)
		out += len(list)
		if most := s.config.MaxPendingSegments; most > 0 && out > most {
			t.Fatalf("%d segments out, at most %d", out, most)
		}
	}
	for text != "" {
		now += time.Duration(rapid.IntRange(0, 200).Draw(t, "pause")) * ms
		switch rapid.IntRange(0, 4).Draw(t, "action") {
		case 0:
			if at, ok := s.NextDeadline(); ok && at > now {
				add(s.Tick(at - 1))
				list := s.Tick(at)
				if len(list) == 0 {
					t.Fatalf("nothing left at the deadline %v", at)
				}
				now = at
				add(list)
			}
		case 1:
			if out > 0 {
				out--
				add(s.Done(now))
			}
		default:
			n := rapid.IntRange(1, min(len(text), 30)).Draw(t, "bytes")
			add(s.Push(text[:n], now))
			text = text[n:]
		}
		if at, ok := s.NextDeadline(); ok && at <= now {
			if list := s.Tick(now); len(list) == 0 {
				t.Fatalf("a deadline of %v at %v with nothing to leave: the shell would spin", at, now)
			} else {
				add(list)
			}
		}
	}
	return append(all, s.Flush()...)
}

func TestNothingIsLostOrReordered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := reply(t)
		c := config(t)
		var b strings.Builder
		for i, g := range stream(t, New(c), text) {
			if g.Index != i || g.Start != b.Len() || g.End != g.Start+len(g.Text) || g.Text == "" {
				t.Fatalf("segment %d: %+v after %d bytes", i, g, b.Len())
			}
			b.WriteString(g.Text)
		}
		if b.String() != text {
			t.Fatalf("\n got %q\nwant %q", b.String(), text)
		}
	})
}

func TestCutsAreClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := reply(t)
		c := config(t)
		list := stream(t, New(c), text)
		for i, g := range list[:max(0, len(list)-1)] {
			next := text[g.End:]
			if g.Trigger == TriggerLength && utf8.RuneCountInString(g.Text) > c.MaxSegmentChars {
				continue // a run without any boundary
			}
			if !g.Speakable() {
				t.Fatalf("segment %d has nothing to speak: %q", i, g.Text)
			}
			if utf8.ValidString(text) && (!utf8.ValidString(g.Text) || !utf8.RuneStart(next[0])) {
				t.Fatalf("segment %d ends inside a character: %q", i, g.Text)
			}
			last, _ := utf8.DecodeLastRuneInString(g.Text)
			if r, _ := utf8.DecodeRuneInString(next); unicode.Is(unicode.M, r) && !unicode.IsSpace(last) {
				t.Fatalf("segment %d ends before a mark: %q then %q", i, g.Text, next)
			}
			if !unicode.IsSpace(last) && !wideEnd(last) && !wideClause(last) && !closes(last) {
				t.Fatalf("segment %d ends inside a word: %q then %q", i, g.Text, next)
			}
		}
	})
}

// Marked words survive every way of cutting the stream, at any age.
func TestNumbersAndAddressesStayWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for range rapid.IntRange(1, 30).Draw(t, "words") {
			parts = append(parts, rapid.SampledFrom(append(solid(), "sea", "sea.", "sea,", "Mr.", "and")).Draw(t, "word"))
		}
		text := strings.Join(parts, " ")
		c := config(t)
		c.MaxSegmentChars += 100
		var got []string
		for _, g := range stream(t, New(c), text) {
			got = append(got, strings.Fields(g.Text)...)
		}
		if strings.Join(got, " ") != text {
			t.Fatalf("\n got %q\nwant %q", got, text)
		}
	})
}

func FuzzSegmenter(f *testing.F) {
	f.Add("I am a scripted responder, not a model. Mr. Smith paid 3.14 at https://a.b/c.", uint8(7), uint16(250))
	f.Add("你好。「是！」今天，12：30。", uint8(1), uint16(0))
	f.Add("\xe4\xbd \xff\u0301 ... \n\n1. x", uint8(2), uint16(999))
	f.Fuzz(func(t *testing.T, text string, piece uint8, pause uint16) {
		c := Default()
		c.MaxSegmentChars = 60
		s := New(c)
		n := int(piece) + 1
		var b strings.Builder
		var now time.Duration
		add := func(list []Segment) {
			for _, g := range list {
				b.WriteString(g.Text)
				s.Done(now)
			}
		}
		for rest := text; rest != ""; {
			k := min(n, len(rest))
			list := s.Push(rest[:k], now)
			for len(list) > 0 { // Done may let more leave
				for _, g := range list {
					b.WriteString(g.Text)
				}
				var more []Segment
				for range list {
					more = append(more, s.Done(now)...)
				}
				list = more
			}
			rest = rest[k:]
			now += time.Duration(pause) * ms
		}
		add(s.Flush())
		if b.String() != text {
			t.Fatalf("\n got %q\nwant %q", b.String(), text)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Trigger is why a segment left.
type Trigger string

// The triggers.
const (
	TriggerSentence Trigger = "sentence" // the end of a sentence
	TriggerClause   Trigger = "clause"   // the end of a clause in the first segment
	TriggerChars    Trigger = "chars"    // MinPartialChars, without the punctuation trigger
	TriggerAge      Trigger = "age"      // MaxPartialAge or MaxSentenceAge
	TriggerLength   Trigger = "length"   // MaxSegmentChars
	TriggerFlush    Trigger = "flush"    // the end of the reply
)

// Segment is a piece of the reply. Start and End are byte offsets in the reply.
type Segment struct {
	Index      int // from 0
	Text       string
	Start, End int
	Trigger    Trigger
}

// Speakable reports whether the segment has a letter or a number in it. One that has
// none (white space or signs at the end of a reply) is not worth a synthesiser's call.
func (g Segment) Speakable() bool { return speakable(g.Text) }

// Segmenter cuts one reply.
type Segmenter struct {
	config  Config
	pending string        // has come and not left
	start   int           // offset of pending in the reply
	marks   []mark        // when the bytes of pending came, rising
	cutAt   time.Duration // of the last cut by age: what stayed starts a new wait there
	next    int           // index of the next segment
	out     int           // segments of which Done was not told
	held    bool          // a segment could not leave for want of room
	ended   bool
}

// mark says that the bytes from offset on came at the given time.
type mark struct {
	offset int
	at     time.Duration
}

// New cuts one reply by a configuration that Validate finds good.
func New(c Config) *Segmenter { return &Segmenter{config: c} }

// Push adds text that came at the given time and returns what can leave. A delta may end
// inside a character.
func (s *Segmenter) Push(delta string, at time.Duration) []Segment {
	if delta != "" {
		if n := len(s.marks); n == 0 || at > s.marks[n-1].at {
			s.marks = append(s.marks, mark{s.start + len(s.pending), at})
		}
		s.pending += delta
	}
	return s.leave(at)
}

// Tick returns what can leave because time has passed.
func (s *Segmenter) Tick(at time.Duration) []Segment { return s.leave(at) }

// Done says that a segment that left has been taken by the next stage, and returns what
// can leave in its place. Without it MaxPendingSegments segments leave, and then no more
// before Flush.
func (s *Segmenter) Done(at time.Duration) []Segment {
	s.out = max(0, s.out-1)
	return s.leave(at)
}

// Flush ends the reply and returns all that is left, whatever MaxPendingSegments says.
func (s *Segmenter) Flush() []Segment {
	s.ended = true
	list := s.leave(0)
	if s.pending != "" {
		list = append(list, s.take(len(s.pending), TriggerFlush))
	}
	s.ended = false
	return list
}

// Held reports whether text waits for want of room: the sign for flow control.
func (s *Segmenter) Held() bool { return s.held }

// Pending is the number of bytes that have come and not left.
func (s *Segmenter) Pending() int { return len(s.pending) }

// NextDeadline is when Tick will have something to return if no text comes before; ok is
// false when time alone will change nothing.
func (s *Segmenter) NextDeadline() (at time.Duration, ok bool) {
	if s.pending == "" || s.full() {
		return 0, false
	}
	for _, age := range [...]time.Duration{s.config.MaxPartialAge, s.config.MaxSentenceAge} {
		at = s.oldest() + age
		if end, _ := s.pick(at); end > 0 {
			return at, true
		}
	}
	return 0, false
}

// leave takes segments while there are any and there is room for them.
func (s *Segmenter) leave(at time.Duration) []Segment {
	if s.held && s.full() && !s.ended {
		return nil
	}
	var list []Segment
	for s.pending != "" {
		end, why := s.pick(at)
		if end == 0 {
			break
		}
		if s.full() && !s.ended {
			s.held = true
			return list
		}
		s.held = false
		if why == TriggerAge {
			s.cutAt = at
		}
		list = append(list, s.take(end, why))
	}
	s.held = false
	return list
}

func (s *Segmenter) full() bool {
	return s.config.MaxPendingSegments > 0 && s.out >= s.config.MaxPendingSegments
}

func (s *Segmenter) take(end int, why Trigger) Segment {
	g := Segment{Index: s.next, Text: s.pending[:end], Start: s.start, End: s.start + end, Trigger: why}
	s.pending, s.start = s.pending[end:], g.End
	s.next++
	s.out++
	drop := 0
	for drop+1 < len(s.marks) && s.marks[drop+1].offset <= s.start {
		drop++
	}
	s.marks = s.marks[drop:]
	if s.pending == "" {
		s.marks = nil
	}
	return g
}

// oldest is when the wait of the first byte of pending began.
func (s *Segmenter) oldest() time.Duration { return max(s.marks[0].at, s.cutAt) }

// pick finds where the next segment ends, 0 for nowhere yet.
func (s *Segmenter) pick(at time.Duration) (end int, why Trigger) {
	longest := s.config.MaxSegmentChars
	var last [3]cut // the last boundary of each kind within longest
	var beyond cut  // the first one beyond it
	for b := range boundaries(s.pending, s.ended) {
		if !b.speakable {
			continue
		}
		if b.chars > longest {
			beyond = b
			break
		}
		last[b.kind] = b
		if t := s.immediate(b); t != "" && !s.held {
			return b.end, t
		}
	}
	if s.held { // what was held leaves joined
		if end, why = s.joined(last); end > 0 {
			return end, why
		}
	}
	if beyond.end > 0 || utf8.RuneCountInString(s.pending) > longest {
		if end = s.shorter(last, beyond); end > 0 {
			return end, TriggerLength
		}
	}
	if !s.ended {
		return s.aged(last, at-s.oldest()), TriggerAge
	}
	return 0, ""
}

// joined gives the longest text that could have left while there was no room.
func (s *Segmenter) joined(last [3]cut) (int, Trigger) {
	if !s.config.TriggerOnPunctuation {
		end := max(last[kindWord].end, last[kindClause].end, last[kindSentence].end)
		return end, TriggerChars
	}
	return last[kindSentence].end, TriggerSentence
}

// overlong times MaxSegmentChars is how long a run without any boundary may get.
const overlong = 4

// immediate names the trigger by which a segment leaves at b whatever its age.
func (s *Segmenter) immediate(b cut) Trigger {
	enough := b.chars >= s.config.MinPartialChars
	first := s.next == 0
	switch {
	case !s.config.TriggerOnPunctuation:
		if enough {
			return TriggerChars
		}
	case b.kind == kindSentence && (first || enough):
		return TriggerSentence
	case b.kind == kindClause && first && enough:
		return TriggerClause
	}
	return ""
}

// aged gives where text of the given age is cut, 0 for nowhere.
func (s *Segmenter) aged(last [3]cut, age time.Duration) int {
	anyWord := s.next == 0 || !s.config.TriggerOnPunctuation || age >= s.config.MaxSentenceAge
	sentence, clause, word := last[kindSentence], last[kindClause], last[kindWord]
	switch {
	case age < s.config.MaxPartialAge:
		return 0
	case sentence.end > 0:
		return sentence.end
	case clause.end > 0 && (anyWord || clause.chars >= s.config.MinPartialChars):
		return clause.end
	case anyWord:
		return word.end
	}
	return 0
}

// shorter cuts text that is too long for one segment: at its best boundary, at the first
// one beyond when that is not too far, in a run without any at a character. It gives 0
// while one may still come.
func (s *Segmenter) shorter(last [3]cut, beyond cut) int {
	for k := len(last) - 1; k >= 0; k-- {
		if last[k].end > 0 {
			return last[k].end
		}
	}
	most := overlong * s.config.MaxSegmentChars
	switch {
	case beyond.end > 0 && beyond.chars <= most:
		return beyond.end
	case utf8.RuneCountInString(s.pending) > most:
		return between(s.pending, most)
	}
	return 0
}

// between gives the byte offset of the n-th character, or of the last before it that is
// no mark or joiner.
func between(text string, n int) int {
	best, at, chars := 0, 0, 0
	for i, r := range text {
		at = i
		if !joins(r) {
			best = i
		}
		if chars == n {
			break
		}
		chars++
	}
	if best == 0 {
		return at
	}
	return best
}

// joins reports whether r belongs to the character before it.
func joins(r rune) bool {
	return unicode.Is(unicode.M, r) || r == zeroWidthJoiner || r == utf8.RuneError
}

const zeroWidthJoiner = '\u200d'

func speakable(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })
}

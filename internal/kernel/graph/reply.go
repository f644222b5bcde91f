// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/parley-voice/parley/internal/kernel/timebase"

// MaxSegments bounds the segments of one reply.
const MaxSegments = 512

// Spoken is one segment of a reply and what became of it.
type Spoken struct {
	Text      int64 // handle
	Runes     int64
	Protected bool
	Done      bool             // the synthesiser has ended
	Samples   timebase.Samples // audio accepted so far
	Lost      bool             // audio of it found no room on its way
}

// Reply is the assistant's answer in one turn, as it grows. The zero value is empty.
type Reply struct {
	segments []Spoken
	next     int  // first segment that was not handed to the synthesiser
	busy     bool // segments[next-1] is being synthesised
	ended    bool // the model has ended: no more segments
	muted    bool // nothing more is synthesised: what has no sound is text
}

// Add takes the next segment; false when the reply has too many or has ended.
func (r *Reply) Add(s Spoken) bool {
	if r.ended || len(r.segments) >= MaxSegments {
		return false
	}
	r.segments = append(r.segments, s)
	return true
}

// End says that the model has ended.
func (r *Reply) End() { r.ended = true }

// Ended says that no more segments come.
func (r *Reply) Ended() bool { return r.ended }

// Truncate gives up every segment that was not handed to the synthesiser yet, the rest
// of the one that is being synthesised, and whatever the model might still produce. What
// was delivered as text stays.
func (r *Reply) Truncate() {
	if !r.muted {
		r.segments = r.segments[:r.next]
	}
	r.busy = false
	r.ended = true
}

// Mute gives up the sound of everything that is not wholly synthesised: from now on the
// reply is text.
func (r *Reply) Mute() { r.busy, r.muted = false, true }

// Muted says that the reply goes on as text.
func (r *Reply) Muted() bool { return r.muted }

// Voiced counts the segments, from the first on, that have all of their sound. One that
// gave none has it where there is sound behind it.
func (r *Reply) Voiced() int {
	n := 0
	for i := range r.segments {
		if !r.segments[i].Done {
			break
		}
		if r.segments[i].Samples > 0 {
			n = i + 1
		}
	}
	return n
}

// Unheard says that nothing of a segment's sound is on its way, because there was no room
// for any of it. A segment that gave no sound is none of these, nor one that is not done.
func (r *Reply) Unheard(i int) bool {
	s := &r.segments[i]
	return s.Done && s.Lost && s.Samples == 0
}

// Next gives the index of the segment to be synthesised now, if there is one.
func (r *Reply) Next() (int, bool) {
	if r.busy || r.muted || r.next >= len(r.segments) {
		return 0, false
	}
	return r.next, true
}

// Begin marks the next segment as being synthesised.
func (r *Reply) Begin() {
	r.busy = true
	r.next++
}

// Current gives the segment being synthesised, nil when there is none.
func (r *Reply) Current() *Spoken {
	if !r.busy {
		return nil
	}
	return &r.segments[r.next-1]
}

// Finish marks the segment in synthesis as done.
func (r *Reply) Finish() {
	if cur := r.Current(); cur != nil {
		cur.Done = true
	}
	r.busy = false
}

// At gives a segment.
func (r *Reply) At(i int) *Spoken { return &r.segments[i] }

// Len gives the number of segments.
func (r *Reply) Len() int { return len(r.segments) }

// Complete says that nothing more will be spoken.
func (r *Reply) Complete() bool {
	return r.ended && !r.busy && (r.muted || r.next == len(r.segments))
}

// Runes gives the length of everything generated so far, in characters.
func (r *Reply) Runes() int64 {
	var n int64
	for i := range r.segments {
		n += r.segments[i].Runes
	}
	return n
}

// Heard gives how much of the text a playout position covers, in characters from its
// beginning, and a bound on the error of that cut (nodes-providers-transports section
// 4a). Without word timestamps a segment's text is taken as spread evenly over its
// audio; the cut can then be wrong by no more than the smaller of what was played and
// what was left of the segment. For a segment whose audio is not complete the rest is
// unknown and the bound is what was played of it. Where nothing was played nothing was
// heard. Text that gave no sound counts with what was heard behind it, not by itself.
func (r *Reply) Heard(played timebase.Samples) (runes int64, errorMS int64) {
	if played <= 0 {
		return 0, 0
	}
	var silent int64
	for i := range r.segments {
		s := &r.segments[i]
		switch {
		case s.Done && s.Samples == 0:
			silent += s.Runes
		case s.Done && played >= s.Samples:
			runes += silent + s.Runes
			silent = 0
			played -= s.Samples
		case played <= 0 || s.Samples == 0:
			return runes, 0
		default:
			part, bound := s.heard(played)
			if part > 0 {
				runes += silent + part
			}
			return runes, bound.MS()
		}
	}
	return runes, 0
}

// heard is the cut within one segment.
func (s *Spoken) heard(played timebase.Samples) (runes int64, bound timebase.Samples) {
	total := s.Samples
	bound = min(played, total-played)
	if !s.Done {
		total = max(total, typical(s.Runes))
		bound = played
	}
	return s.Runes * int64(min(played, total)) / int64(total), bound
}

// typicalRuneMS is the length of a spoken character: about 15 characters a second,
// the usual pace of English speech (some 150 words a minute, 6 characters a word).
const typicalRuneMS = 65

func typical(runes int64) timebase.Samples {
	return timebase.SamplesIn(timebase.MS(runes * typicalRuneMS))
}

// ProtectedUntil gives the position up to which the audio accepted so far may not be
// interrupted: the end of the last protected segment that reaches behind played.
func (r *Reply) ProtectedUntil(played timebase.Samples) timebase.Samples {
	var end, until timebase.Samples
	for i := range r.segments {
		s := &r.segments[i]
		end += s.Samples
		if s.Protected && s.Samples > 0 && end > played {
			until = end
		}
	}
	return until
}

// Ahead calls visit for every segment of which something is still to be heard, in
// order. growing says that unfinished segments still get audio.
func (r *Reply) Ahead(played timebase.Samples, growing bool, visit func(s *Spoken)) {
	var end timebase.Samples
	for i := range r.segments {
		s := &r.segments[i]
		end += s.Samples
		if s.Samples > 0 && end > played || growing && !s.Done && !r.muted {
			visit(s)
		}
	}
}

// Owed says that a protected segment is not wholly synthesised yet, and will be.
func (r *Reply) Owed() bool {
	if r.muted {
		return false
	}
	for i := range r.segments {
		if r.segments[i].Protected && !r.segments[i].Done {
			return true
		}
	}
	return false
}

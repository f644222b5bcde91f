// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func segments(t *testing.T, r *Reply, list ...Spoken) {
	t.Helper()
	for _, s := range list {
		if !r.Add(s) {
			t.Fatalf("segment %+v is not taken", s)
		}
	}
}

// speak takes the next segment through synthesis.
func speak(t *testing.T, r *Reply, samples timebase.Samples) {
	t.Helper()
	if _, ok := r.Next(); !ok {
		t.Fatal("there is no next segment")
	}
	r.Begin()
	r.Current().Samples += samples
	r.Finish()
}

// The package's invariants: in the order of their index, each at most once, one at a
// time; complete exactly when the model has ended and every segment is done.
func TestReplyOrder(t *testing.T) {
	var r Reply
	if _, ok := r.Next(); ok || r.Complete() || r.Current() != nil {
		t.Error("an empty reply has something to say, or is complete")
	}
	segments(t, &r, Spoken{Text: 1, Runes: 10}, Spoken{Text: 2, Runes: 10})
	for want := range 2 {
		i, ok := r.Next()
		if !ok || i != want {
			t.Fatalf("next is %d, %v; want %d", i, ok, want)
		}
		r.Begin()
		if _, ok := r.Next(); ok || r.Current() != r.At(want) || r.Complete() {
			t.Errorf("while %d is synthesised another may begin, or the reply is complete", want)
		}
		r.Finish()
		if !r.At(want).Done || r.Current() != nil {
			t.Errorf("%d is not done", want)
		}
	}
	if r.Complete() {
		t.Error("complete before the model has ended")
	}
	segments(t, &r, Spoken{Text: 3, Runes: 10})
	r.End()
	if r.Complete() || r.Add(Spoken{Text: 4}) {
		t.Error("complete with a segment to go, or more after the end")
	}
	speak(t, &r, 100)
	if !r.Complete() || r.Len() != 3 || r.Runes() != 30 {
		t.Errorf("complete %v, %d segments, %d characters", r.Complete(), r.Len(), r.Runes())
	}
	r.Finish() // of nothing
	if !r.Complete() {
		t.Error("finishing nothing undoes something")
	}
}

func TestReplyEndsEmpty(t *testing.T) {
	var r Reply
	r.End()
	if !r.Complete() {
		t.Error("a model that says nothing leaves the reply open")
	}
}

func TestReplyBound(t *testing.T) {
	var r Reply
	for range MaxSegments {
		segments(t, &r, Spoken{})
	}
	if r.Add(Spoken{}) {
		t.Errorf("more than %d segments", MaxSegments)
	}
}

// Truncate keeps what was handed to the synthesiser, as far as it came.
func TestReplyTruncate(t *testing.T) {
	var r Reply
	segments(t, &r, Spoken{Runes: 10}, Spoken{Runes: 20}, Spoken{Runes: 40, Protected: true})
	speak(t, &r, 1600)
	r.Next()
	r.Begin()
	r.Current().Samples += 800
	r.Truncate()
	if !r.Complete() || r.Len() != 2 || r.Runes() != 30 || r.At(1).Done || r.Add(Spoken{}) {
		t.Errorf("complete %v, %d segments, done %v", r.Complete(), r.Len(), r.At(1).Done)
	}
	if r.Owed() {
		t.Error("what was given up is owed")
	}
}

// Nodes-providers-transports section 4a: heard text is cut at the playout position, by
// proportion, with a bound on the error.
func TestHeard(t *testing.T) {
	second := timebase.Samples(timebase.SampleRate)
	var r Reply
	segments(t, &r, Spoken{Runes: 20}, Spoken{Runes: 10}, Spoken{Runes: 5}, Spoken{Runes: 40})
	speak(t, &r, 2*second)
	speak(t, &r, second)
	speak(t, &r, 0) // gave no sound
	r.Next()
	r.Begin()
	r.Current().Samples = second // 40 characters take about 2.6 s: 1 s is not all
	for _, row := range []struct {
		played       timebase.Samples
		runes, error int64
	}{
		{-5, 0, 0},
		{0, 0, 0},
		{second / 100, 0, 10},     // a tenth of a character
		{second / 2, 5, 500},      // a quarter of the first
		{3 * second / 2, 15, 500}, // nearer to its end than to its beginning
		{2 * second, 20, 0},       // on the edge
		{5 * second / 2, 25, 500},
		{3 * second, 30, 0},            // the silent text has not been passed
		{3*second + second/2, 42, 500}, // 30, the silent 5 and 500/2600 of 40
		{4 * second, 50, 1000},         // all audio so far; the rest of the text is not heard
	} {
		runes, errorMS := r.Heard(row.played)
		if runes != row.runes || errorMS != row.error {
			t.Errorf("played %d: %d characters, error %d ms; want %d and %d", row.played, runes, errorMS, row.runes, row.error)
		}
	}
	r.Finish() // the second was all of it
	if runes, errorMS := r.Heard(4 * second); runes != 75 || errorMS != 0 {
		t.Errorf("with everything played %d of 75, error %d", runes, errorMS)
	}
}

// Whatever the segments, what was heard never shrinks while playback goes on, is never
// more than was generated, nothing at nothing and everything at the end of a whole reply.
func TestHeardIsMonotone(t *testing.T) {
	random := timebase.NewRandom(7)
	for range 3000 {
		var r Reply
		var accepted timebase.Samples
		n := int(random.Between(1, 6))
		whole := random.Chance(1, 2)
		silentEnd := false
		for i := range n {
			segments(t, &r, Spoken{Runes: random.Below(80), Protected: random.Chance(1, 4)})
			if !whole && i > 0 && random.Chance(1, 4) {
				break
			}
			samples := timebase.Samples(random.Below(60_000))
			if random.Chance(1, 5) {
				samples = 0
			}
			accepted += samples
			r.Next()
			r.Begin()
			r.Current().Samples = samples
			if !whole && random.Chance(1, 4) {
				break
			}
			r.Finish()
			silentEnd = samples == 0
		}
		last, bound := int64(0), r.Runes()
		for played := timebase.Samples(0); played <= accepted; played += 1 + timebase.Samples(random.Below(4000)) {
			runes, errorMS := r.Heard(played)
			if runes < last || runes > bound || errorMS < 0 || errorMS > played.MS() || played == 0 && runes != 0 {
				t.Fatalf("%+v\nplayed %d: heard %d of %d after %d, error %d ms", r.segments, played, runes, bound, last, errorMS)
			}
			last = runes
		}
		if runes, errorMS := r.Heard(accepted); whole && accepted > 0 && !silentEnd && (runes != bound || errorMS != 0) {
			t.Fatalf("%+v\nall played: heard %d of %d, error %d ms", r.segments, runes, bound, errorMS)
		}
	}
}

// Lifecycle section 7.1: protected output reaches to the end of the last protected sound
// ahead; text without sound protects nothing.
func TestProtected(t *testing.T) {
	var r Reply
	segments(t, &r, Spoken{Runes: 1}, Spoken{Runes: 1, Protected: true}, Spoken{Runes: 1}, Spoken{Runes: 1, Protected: true}, Spoken{Runes: 1, Protected: true})
	for _, samples := range []timebase.Samples{100, 200, 300} {
		speak(t, &r, samples)
	}
	if !r.Owed() {
		t.Error("a protected segment that is to come is not owed")
	}
	speak(t, &r, 400)
	speak(t, &r, 0)
	if r.Owed() {
		t.Error("with every segment synthesised something is owed")
	}
	for played, want := range map[timebase.Samples]timebase.Samples{0: 1000, 299: 1000, 300: 1000, 999: 1000, 1000: 0} {
		if got := r.ProtectedUntil(played); got != want {
			t.Errorf("played %d: protected until %d, want %d", played, got, want)
		}
	}
	for played, want := range map[timebase.Samples]string{0: "upup", 100: "pup", 299: "pup", 300: "up", 600: "p", 1000: ""} {
		got := ""
		r.Ahead(played, false, func(s *Spoken) { got += map[bool]string{true: "p", false: "u"}[s.Protected] })
		if got != want {
			t.Errorf("played %d: ahead %q, want %q", played, got, want)
		}
	}
}

// What is still being made is ahead of the listener only while more of it can come.
func TestAheadOfUnfinished(t *testing.T) {
	var r Reply
	segments(t, &r, Spoken{Runes: 1}, Spoken{Runes: 1, Protected: true})
	r.Next()
	r.Begin()
	r.Current().Samples = 100
	count := func(growing bool) (n int) {
		r.Ahead(100, growing, func(*Spoken) { n++ })
		return n
	}
	if count(true) != 2 || count(false) != 0 {
		t.Errorf("ahead: %d while growing, %d when over", count(true), count(false))
	}
}

// A reply that goes on as text: nothing more is synthesised, it is complete when the model
// has ended, and what was heard is what had sound.
func TestReplyMuted(t *testing.T) {
	var r Reply
	segments(t, &r, Spoken{Text: 1, Runes: 10}, Spoken{Text: 2, Runes: 10, Protected: true}, Spoken{Text: 3, Runes: 10})
	speak(t, &r, 16000)
	r.Begin()
	r.Current().Samples += 3200 // of a segment that takes longer than that
	r.Mute()
	if !r.Muted() || r.Current() != nil || r.Voiced() != 1 {
		t.Errorf("muted %v, in synthesis %v, %d segments have their sound; want 1", r.Muted(), r.Current(), r.Voiced())
	}
	if i, ok := r.Next(); ok {
		t.Errorf("segment %d is to be synthesised", i)
	}
	if r.Owed() || r.Complete() || r.Ended() {
		t.Error("a protected segment is still owed, or the reply is complete before the model has ended")
	}
	if !r.Add(Spoken{Text: 4, Runes: 10}) || r.Runes() != 40 {
		t.Error("what the model still writes is not taken")
	}
	silent := Reply{segments: []Spoken{{Done: true}, {Done: true, Samples: 5}, {Done: true}}}
	if silent.Voiced() != 2 {
		t.Errorf("%d segments have their sound; want 2: nothing was heard of the last", silent.Voiced())
	}
	if runes, _ := r.Heard(19200); runes < 10 || runes >= 20 {
		t.Errorf("heard %d characters of 10 and a part of 10", runes)
	}
	ahead := 0
	r.Ahead(19200, true, func(*Spoken) { ahead++ })
	if ahead != 0 {
		t.Errorf("%d segments are still to be heard", ahead)
	}
	r.Truncate()
	if r.Len() != 4 || !r.Complete() || !r.Ended() || r.Add(Spoken{Text: 5}) {
		t.Errorf("cut off, %d segments are left of the 4 that were delivered", r.Len())
	}
}

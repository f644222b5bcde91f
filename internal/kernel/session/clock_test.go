// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

const bootWallMS = 1790000000000

// wallOf gives the wall time that the last signal of a step carries.
func wallOf(t *testing.T, list []Effect) int64 {
	t.Helper()
	for i := len(list) - 1; i >= 0; i-- {
		if e, ok := list[i].(*Emit); ok {
			return e.Envelope.WallClockTimestampMS
		}
	}
	t.Fatal("no signal was emitted")
	return 0
}

// Flow section 6, Project: the wall time of envelopes comes from the anchor, and from the
// one that it was rebased to.
func TestEnvelopesCarryTheProjectedWallTime(t *testing.T) {
	r := newRig(t, "boot")
	speak := func(ms int64) int64 {
		r.at = timebase.Instant(timebase.MS(ms))
		sample := 16 * ms
		return wallOf(t, r.step(fmt.Sprintf("audio_gap sample=%d samples=320", sample))) - bootWallMS
	}
	read := func(ms, skew int64) {
		r.at = timebase.Instant(timebase.MS(ms))
		r.step(fmt.Sprintf("clock_reading wall_ms=%d", bootWallMS+ms+skew))
	}
	if got := speak(1000); got != 1000 {
		t.Errorf("at 1000 ms the wall clock shows %d", got)
	}
	read(2000, 50) // within the bound: nothing moves
	if got := speak(3000); got != 3000 {
		t.Errorf("a skew within the bound moved the wall time to %d", got)
	}
	read(4000, 300)
	if got := speak(5000); got != 5300 {
		t.Errorf("after a rebase by 300 ms the wall clock shows %d at 5000", got)
	}
	read(6000, 300+501)
	if got := speak(7000); got != 7300 {
		t.Errorf("a reading that was refused moved the wall time to %d", got)
	}
	c := r.m.Counters()
	if c.Clock.Rebases != 1 || c.Clock.OutOfBounds != 1 || c.Refused != 1 || c.Clock.WallSkewMS != 300 {
		t.Errorf("counted %+v", c)
	}
	if p, ok := r.m.Projection(r.at); !ok || p.WallMS != bootWallMS+7300 {
		t.Errorf("projected %+v, %v", p, ok)
	}
	if _, ok := r.m.Projection(0); ok {
		t.Error("an instant before the anchor was projected")
	}
}

// What was missing and what of it was concealed is counted; a stretch counts once.
func TestGapsAreCounted(t *testing.T) {
	r := newRig(t, "boot")
	r.step("audio_gap sample=0 samples=640 concealed=640", "audio_gap sample=960 samples=1280 concealed=960",
		"audio_gap sample=2240 samples=320", "audio_gap sample=4000 samples=320")
	c := r.m.Counters()
	if c.Gaps != 2 || c.Missing != 640+1280+320+320 || c.Concealed != 640+960 {
		t.Errorf("counted %d gaps, %d samples missing, %d concealed", c.Gaps, c.Missing, c.Concealed)
	}
	if r.m.heard != 4320 {
		t.Errorf("heard up to %d: what is missing has its place", r.m.heard)
	}
}

// The path of a caller frame and the full path of a pass come to the same machine.
func TestFrameEqualsFullPass(t *testing.T) {
	short, full := newRig(t, "boot"), newRig(t, "boot")
	random := timebase.NewRandom(5)
	sample := int64(0)
	for range 4000 {
		wait := 20 * timebase.Millisecond
		if random.Chance(1, 200) {
			wait = timebase.Span(random.Below(int64(2 * timebase.Second)))
		}
		wait += timebase.Span(random.Below(int64(5 * timebase.Millisecond)))
		short.at, full.at = short.at.Add(wait), full.at.Add(wait)
		frame := fmt.Sprintf("audio_in sample=%d samples=320", sample)
		a := short.step(frame)
		b := full.step(frame, "wake")
		short.m.identity.stamp() // the wake's
		if len(a) != len(b) || len(a) == 1 && Kind(a[0]) != Kind(b[0]) {
			t.Fatalf("at %d ms: %d decisions by the short path, %d by the full one", short.at.MS(), len(a), len(b))
		}
		sample += 320
	}
	if short.m.clock != full.m.clock || short.m.heard != full.m.heard || short.m.identity.sequence != full.m.identity.sequence {
		t.Errorf("the clocks differ: %+v and %+v", short.m.clock, full.m.clock)
	}
	if c := short.m.Counters().Clock; c.Rebases == 0 || c.OutOfBounds == 0 {
		t.Errorf("nothing had to be evidenced: %+v", c)
	}
}

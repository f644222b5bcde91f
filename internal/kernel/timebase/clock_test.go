// SPDX-License-Identifier: Apache-2.0

package timebase

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

const epochMS = 1_790_000_000_000

func calibrated(atMS int64) *Clock {
	c := &Clock{}
	c.Calibrate(Anchor{At: Instant(MS(atMS)), WallMS: epochMS})
	return c
}

// Flow section 6, Calibrate and Project: one anchor holds all axes; it only moves
// forward on the monotonic one, and going backwards is refused.
func TestCalibrateAndProject(t *testing.T) {
	c := calibrated(250)
	for ms, wall := range map[int64]int64{250: epochMS, 251: epochMS + 1, 1250: epochMS + 1000, 86_400_250: epochMS + 86_400_000} {
		got, ok := c.Project(Instant(MS(ms)))
		if want := (Anchor{At: Instant(MS(ms)), WallMS: wall, Media: Samples((ms - 250) * 16)}); !ok || got != want {
			t.Errorf("at %d ms: %+v, %v; want %+v", ms, got, ok, want)
		}
	}
	if _, ok := c.Project(Instant(MS(250)) - 1); ok {
		t.Error("an instant before the anchor was projected")
	}
	if c.Calibrate(Anchor{At: Instant(MS(250)) - 1, WallMS: 1}) {
		t.Error("the anchor went back")
	}
	if c.Wall(Instant(MS(300))) != epochMS+50 {
		t.Error("what was refused changed the anchor")
	}
	if !c.Calibrate(Anchor{At: Instant(MS(250)), WallMS: epochMS + 7, Media: 320}) || c.Wall(Instant(MS(251))) != epochMS+8 {
		t.Error("a calibration at the anchor's own instant counts")
	}
	if got := c.Media(Instant(MS(270))); got != 640 {
		t.Errorf("the media clock shows %d", got)
	}
}

// Flow section 6, Observe: beyond max_skew_ms the anchor is rebased in one step, beyond
// ten times the bound the observation is refused.
func TestReadJudges(t *testing.T) {
	for _, row := range []struct {
		skew int64
		want Verdict
	}{
		{0, Kept},
		{50, Kept},
		{-50, Kept},
		{51, Rebased},
		{-51, Rebased},
		{500, Rebased},
		{-500, Rebased},
		{501, Refused},
		{-501, Refused},
		{3_600_000, Refused},
		{-epochMS - 1000, Refused},
	} {
		c := calibrated(0)
		at := Instant(MS(1000))
		skew, v := c.Read(at, epochMS+1000+row.skew)
		if v != row.want || v != Refused && skew != MS(row.skew) {
			t.Errorf("a skew of %d ms: %d ms and verdict %d, want %d", row.skew, skew.MS(), v, row.want)
		}
		after := int64(epochMS + 3000)
		if v == Rebased {
			after += row.skew
		}
		if got := c.Wall(Instant(MS(3000))); got != after {
			t.Errorf("after a skew of %d ms the wall clock shows %d, want %d", row.skew, got-epochMS, after-epochMS)
		}
		n := c.Counters()
		if (n.Rebases == 1) != (v == Rebased) || (n.OutOfBounds == 1) != (v == Refused) || v != Refused && n.WallSkewMS != row.skew {
			t.Errorf("a skew of %d ms counts %+v", row.skew, n)
		}
	}
}

// Readings that no clock gives are refused, whatever they do to the arithmetic.
func TestAbsurdReadings(t *testing.T) {
	for _, ms := range []int64{math.MinInt64, math.MaxInt64, -1, maxWallMS + 1} {
		c := calibrated(0)
		if _, v := c.Read(0, ms); v != Refused || c.Wall(0) != epochMS {
			t.Errorf("a reading of %d: verdict %d", ms, v)
		}
	}
	c := calibrated(100)
	if _, v := c.Read(Instant(MS(99)), epochMS); v != Refused {
		t.Error("a reading from before the anchor was taken")
	}
}

// A wall clock that runs off is followed in steps, and what is projected is never
// further from the last reading than the bound.
func TestWallNeverFurtherThanTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := calibrated(0)
		at, wall := Instant(0), int64(epochMS)
		for range rapid.IntRange(1, 40).Draw(t, "readings") {
			step := rapid.Int64Range(0, 20_000).Draw(t, "step")
			at, wall = at.Add(MS(step)), wall+step+rapid.Int64Range(-700, 700).Draw(t, "slip")
			before := c.Wall(at)
			_, v := c.Read(at, wall)
			gap := wall - c.Wall(at)
			switch {
			case v == Refused && (c.Wall(at) != before || gap >= -500 && gap <= 500):
				t.Fatalf("refused at a skew of %d ms; the wall clock moved by %d", gap, c.Wall(at)-before)
			case v != Refused && (gap > 50 || gap < -50):
				t.Fatalf("verdict %d leaves a skew of %d ms", v, gap)
			case v == Rebased && gap != 0:
				t.Fatalf("a rebase left %d ms", gap)
			}
		}
	})
}

// The media projections are each other's inverse, to the sample, and rise together,
// whatever the rate.
func TestMediaProjectionsInvert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Clock{sound: soundClock{
			known: true,
			at:    Instant(rapid.Int64Range(0, 1<<50).Draw(t, "at")),
			media: Samples(rapid.Int64Range(0, 1<<33).Draw(t, "media")),
			rate:  rapid.Int64Range(-maxRate, maxRate).Draw(t, "rate"),
		}}
		position := c.sound.media + Samples(rapid.Int64Range(-1<<33, 1<<36).Draw(t, "further"))
		back := c.Media(c.Heard(position))
		if d := back - position; d < -1 || d > 1 {
			t.Fatalf("sample %d comes back as %d", position, back)
		}
		if c.Heard(position+1) <= c.Heard(position) || c.Media(c.Heard(position).Add(Millisecond)) <= back {
			t.Fatal("the projections do not rise")
		}
	})
}

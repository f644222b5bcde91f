// SPDX-License-Identifier: Apache-2.0

package timebase

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// device is a sound device whose crystal is off, behind a network that delays. What it
// has made at an instant is known exactly, which is what the kernel has to find out.
type device struct {
	ppm   int64
	floor Span // the least delay
	delay func(n int64) Span
	n     int64 // frames sent
}

// made gives when the device had made the samples before a position.
func (d *device) made(position Samples) Instant {
	nominal := position.Span()
	return Instant(nominal - nominal/billion*Span(d.ppm*1000) - nominal%billion*Span(d.ppm*1000)/billion)
}

// next gives the next frame's end and when it comes in.
func (d *device) next() (Samples, Instant) {
	d.n++
	position := Samples(d.n * FrameSamples)
	return position, d.made(position).Add(d.floor + d.delay(d.n))
}

// listen has a clock follow a device for a time, and gives how far its mapping was off
// after each frame, in microseconds. A frame that is delayed delays those behind it.
func (d *device) listen(t *testing.T, c *Clock, length Span) (errorsUS []int64) {
	t.Helper()
	now := Instant(0)
	for Samples(d.n*FrameSamples).Span() < length {
		position, at := d.next()
		now = max(now, at)
		if !c.Follow(now, position) {
			c.Hear(now, position)
		}
		e := c.Heard(position).Sub(d.made(position).Add(d.floor))
		errorsUS = append(errorsUS, int64(max(e, -e)/Microsecond))
	}
	return errorsUS
}

func percentile(list []int64, percent int) int64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// A window that a silence cut short is as old as the silence: what it saw does not outweigh
// the first frame after it.
func TestRateChangesInSilence(t *testing.T) {
	for _, ppm := range []int64{500, -500} {
		c := &Clock{}
		now, position := Instant(0), Samples(0)
		frame := func() {
			if !c.Follow(now, position) {
				c.Hear(now, position)
			}
		}
		for range 1510 { // 30.2 s: a window has just begun
			now, position = now.Add(20*Millisecond), position+FrameSamples
			frame()
		}
		const silence = 30 * Second
		now = now.Add(silence)
		position += SamplesIn(silence + silence/1_000_000*Span(ppm))
		frame()
		if e := c.Heard(position).Sub(now); e > Millisecond || e < -Millisecond {
			t.Errorf("%+d ppm: the first frame after the silence leaves the mapping off by %d us", ppm, e/Microsecond)
		}
	}
}

// Flow section 6: media_runtime_mapping_error_ms p99 <= 10, for a real sound clock (500
// ppm for an hour) with jitter on top. Virtual time: nothing here waits.
func TestHourOfDrift(t *testing.T) {
	const bound = 10 * int64(Millisecond/Microsecond)
	for _, ppm := range []int64{500, -500, 137, 0} {
		for name, delay := range jitters() {
			t.Run(fmt.Sprintf("%+d ppm, %s", ppm, name), func(t *testing.T) {
				c := &Clock{}
				d := &device{ppm: ppm, floor: 40 * Millisecond, delay: delay(NewRandom(uint64(ppm + 501)))}
				off := d.listen(t, c, 3600*Second)
				p99, worst := percentile(off, 99), percentile(off, 100)
				if p99 > bound {
					t.Errorf("p99 of the mapping error is %d us, want at most %d; the worst is %d", p99, bound, worst)
				}
				// What was learnt of the rate carries through ten seconds without sound.
				position := Samples((d.n + 500) * FrameSamples)
				if e := c.Heard(position).Sub(d.made(position).Add(d.floor)); e > 10*Millisecond || e < -10*Millisecond {
					t.Errorf("ten seconds ahead the mapping is off by %d us", e/Microsecond)
				}
				t.Logf("p50 %d, p99 %d, worst %d us; %+v", percentile(off, 50), p99, worst, c.Counters())
			})
		}
	}
}

// jitters are the delays beyond the floor, from a seed.
func jitters() map[string]func(Random) func(int64) Span {
	return map[string]func(Random) func(int64) Span{
		"no jitter": func(Random) func(int64) Span { return func(int64) Span { return 0 } },
		"jitter of 60 ms": func(r Random) func(int64) Span {
			return func(int64) Span { return Span(r.Below(int64(60 * Millisecond))) }
		},
		"a tail": func(r Random) func(int64) Span { // the product of two draws: most are small, some are not
			return func(int64) Span { return Span(r.Below(10_000) * r.Below(10_000)) }
		},
		"bursts": func(r Random) func(int64) Span { // 5 s in 60 nothing is quicker than 30 ms
			return func(n int64) Span {
				if n%3000 < 250 {
					return Span(r.Between(int64(30*Millisecond), int64(90*Millisecond)))
				}
				return Span(r.Below(int64(20 * Millisecond)))
			}
		},
	}
}

// A stream in which little comes is followed as well: one frame every three seconds.
func TestDriftOfASparseStream(t *testing.T) {
	for _, ppm := range []int64{500, -500} {
		c := &Clock{}
		d := &device{ppm: ppm}
		var off []int64
		for d.n = 1; d.n < 3600*50; d.n += 150 {
			position := Samples(d.n * FrameSamples)
			at := d.made(position)
			off = append(off, max(int64(c.Heard(position).Sub(at)), -int64(c.Heard(position).Sub(at)))/int64(Microsecond))
			if !c.Follow(at, position) {
				c.Hear(at, position)
			}
		}
		if worst := percentile(off[2:], 100); worst > 10_000 || c.Counters().Rebases != 0 {
			t.Errorf("%+d ppm: the mapping was off by %d us: %+v", ppm, worst, c.Counters())
		}
	}
}

// A delay that lasts is no drift: the phase follows it no faster than a device can drift,
// and the rate stays what it was.
func TestDelayIsNotDrift(t *testing.T) {
	c := &Clock{}
	d := &device{delay: func(n int64) Span {
		if n > 500 {
			return 40 * Millisecond
		}
		return 0
	}}
	d.listen(t, c, 40*Second)
	if c.sound.rate != 0 {
		t.Errorf("40 ms of delay count as %d ppb of drift", c.sound.rate)
	}
	if moved := c.Heard(0).Sub(0); moved < 28*Millisecond || moved > 30*Millisecond {
		t.Errorf("in 30 s the phase moved by %d us, want 1 ms a second", moved/Microsecond)
	}
}

// stream feeds a clock frames at instants of the caller's choice.
type stream struct {
	c        Clock
	position Samples
	at       Instant
	verdicts []Verdict
}

func (s *stream) frames(n int) {
	for range n {
		s.position += FrameSamples
		s.at = s.at.Add(FrameMS * Millisecond)
		if s.c.Follow(s.at, s.position) {
			continue
		}
		if _, v := s.c.Hear(s.at, s.position); v != Kept {
			s.verdicts = append(s.verdicts, v)
		}
	}
}

func (s *stream) off() Span { return s.at.Sub(s.c.Heard(s.position)) }

// Flow section 6, Observe, for the media clock: what stands still or leaps is rebased in
// one step, and beyond ten times the bound refused first.
func TestSoundThatStandsStillOrLeaps(t *testing.T) {
	for _, row := range []struct {
		name     string
		wait     Span    // nothing comes for so long
		leap     Samples // that much comes at once
		verdicts []Verdict
	}{
		{"a wait within the bound", 50 * Millisecond, 0, nil},
		{"a wait beyond it", 60 * Millisecond, 0, []Verdict{Rebased}},
		{"ten times the bound", 500 * Millisecond, 0, []Verdict{Rebased}},
		{"beyond ten times", 5 * Second, 0, []Verdict{Refused, Rebased}},
		{"a leap within the bound", 0, 40 * 16, nil},
		{"a leap beyond it", 0, 200 * 16, []Verdict{Rebased}},
		{"a leap beyond ten times", 0, 2000 * 16, []Verdict{Refused, Rebased}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &stream{}
			s.frames(500)
			s.at = s.at.Add(row.wait)
			s.position += row.leap
			s.frames(500)
			if !slices.Equal(s.verdicts, row.verdicts) {
				t.Errorf("verdicts %v, want %v", s.verdicts, row.verdicts)
			}
			if off := s.off(); off > MaxSkew || off < -MaxSkew {
				t.Errorf("ten seconds later the mapping is off by %d us", off/Microsecond)
			}
		})
	}
}

// A stream that comes to itself after a refusal has moved nothing.
func TestPassingStallMovesNothing(t *testing.T) {
	s := &stream{}
	s.frames(500)
	s.at = s.at.Add(3 * Second)
	s.frames(51) // a window of late ones
	s.at = s.at.Add(-3 * Second)
	s.at = max(s.at, s.c.sound.opened)
	s.position = Samples(int64(s.at) / 62500)
	s.frames(500)
	if !slices.Equal(s.verdicts, []Verdict{Refused}) || s.off() > Millisecond || s.off() < -Millisecond {
		t.Errorf("verdicts %v, off by %d us", s.verdicts, s.off()/Microsecond)
	}
}

// After Lose the next observation calibrates, and that is neither a rebase nor an error.
func TestLose(t *testing.T) {
	s := &stream{}
	s.frames(500)
	s.c.Lose()
	s.at = s.at.Add(60 * Second)
	s.frames(200)
	if len(s.verdicts) != 0 || s.off() != 0 {
		t.Errorf("verdicts %v, off by %d", s.verdicts, s.off())
	}
	if n := s.c.Counters(); n.Rebases != 0 || n.MappingWorstUS != 0 {
		t.Errorf("counted %+v", n)
	}
}

// Positions that nobody has heard are refused and change nothing.
func TestAbsurdPositions(t *testing.T) {
	for _, p := range []Samples{-1, math.MinInt64, math.MaxInt64, farAway + 1<<20} {
		s := &stream{}
		s.frames(100)
		before := s.c
		if s.c.Follow(s.at, p) {
			t.Errorf("position %d was followed", p)
		}
		if _, v := s.c.Hear(s.at, p); v != Refused || s.c.sound != before.sound {
			t.Errorf("position %d: verdict %d", p, v)
		}
	}
}

// Whatever comes, the clock neither loses its bounds nor goes back on the monotonic
// axis, and Follow changes nothing that it leaves to Hear.
func TestAnyObservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Clock{}
		at, position := Instant(0), Samples(0)
		for range rapid.IntRange(1, 300).Draw(t, "observations") {
			at = at.Add(Span(rapid.Int64Range(0, int64(2*Second)).Draw(t, "wait")))
			position += Samples(rapid.Int64Range(0, 40_000).Draw(t, "heard"))
			before := *c
			if !c.Follow(at, position) {
				if *c != before {
					t.Fatal("Follow said no and changed something")
				}
				c.Hear(at, position)
			}
			s := &c.sound
			if s.rate > maxRate || s.rate < -maxRate || s.opened < before.sound.opened || s.opened > at {
				t.Fatalf("the clock is %+v", *s)
			}
			if got, ok := c.Project(at); !ok || got.At != at {
				t.Fatal("the present cannot be projected")
			}
		}
	})
}

// A caller frame costs the clock no memory (engine section 2).
func TestFollowDoesNotAllocate(t *testing.T) {
	s := &stream{}
	s.frames(1)
	if n := testing.AllocsPerRun(1000, func() { s.frames(1) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkFollow(b *testing.B) {
	s := &stream{}
	s.frames(1)
	for b.Loop() {
		s.frames(1)
	}
}

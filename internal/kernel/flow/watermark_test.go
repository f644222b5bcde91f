// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// marked is an edge with a high mark at four items and a low one at one, which acts as it
// is told.
func marked(how controlplane.SheddingStrategy) *Spec {
	return wide(func(s *Spec) { s.HighItems, s.LowItems, s.Shedding = 4, 1, how })
}

// Flow section 2: "Crossing up at high and down at low each emit one watermark;
// hysteresis prevents repeats". F-144.
func TestHysteresisByDepth(t *testing.T) {
	e := play(t, marked(controlplane.ShedDegrade), `
		offer audio ms=0 => taken
		offer audio ms=0 => taken
		offer audio ms=0 => taken
		offer audio ms=0 => taken; high 4/0ms degrade; press degrade watermark
		offer audio ms=0 => taken
		take => audio 1
		take => audio 2
		offer audio ms=0 => taken
		take => audio 3
		take => audio 4
		take => audio 5; low 1/0ms
		offer audio ms=0 => taken
		offer audio ms=0 => taken
		take => audio 6
		offer audio ms=0 => taken
		offer audio ms=0 => taken; high 4/0ms degrade; press degrade watermark`)
	if s := e.Stats(); s.Highs != 2 || s.Lows != 1 || !e.High() {
		t.Errorf("%d above, %d below", s.Highs, s.Lows)
	}
}

// Flow section 2: "Depth and time-in-queue are both watched". Time is sound or age, and it
// falls below when both are low.
func TestHysteresisByTime(t *testing.T) {
	timed := wide(func(s *Spec) {
		s.HighTime, s.LowTime, s.Shedding = timebase.MS(60), timebase.MS(20), controlplane.ShedFallback
	})
	play(t, timed, `
		offer audio => taken
		offer audio => taken
		offer audio => taken; high 3/60ms fallback; press fallback watermark
		take => audio 1
		offer audio => taken
		take => audio 2
		take => audio 3; low 1/20ms`)
	play(t, timed, `
		offer interim => taken
		due => 60
		at 59
		expire =>
		at 60
		expire => high 1/60ms fallback; press fallback watermark
		due => never
		offer interim => taken
		at 80
		take => interim 1; low 1/20ms
		due => 120`)
	both := wide(func(s *Spec) {
		s.HighTime, s.LowTime, s.HighItems, s.LowItems = timebase.MS(60), timebase.MS(20), 10, 2
		s.Shedding = controlplane.ShedFallback
	})
	play(t, both, `
		offer audio => taken
		offer audio => taken
		offer audio => taken; high 3/60ms fallback; press fallback watermark
		offer interim => taken
		offer interim => taken
		take => audio 1
		take => audio 2
		take => audio 3; low 2/0ms`)
}

// What lies there is not late while the consumer takes nothing by plan: the edge's clock
// stands, and goes on where it stood.
func TestClockStands(t *testing.T) {
	s := wide(func(s *Spec) {
		s.HighTime, s.LowTime, s.Latency, s.Shedding = timebase.MS(60), timebase.MS(20), timebase.MS(100), controlplane.ShedDegrade
	})
	e := play(t, s, `
		offer interim => taken
		at 30
		pause
		pause
		due => never
		at 500
		expire =>
		depth => 1 10b 0ms age=30 waiting=0
		offer interim => taken
		pause
		at 1000
		run
		run
		depth => 2 20b 0ms age=30 waiting=0
		due => 1030
		at 1029
		expire =>
		at 1030
		expire => high 2/60ms degrade; press degrade watermark
		at 1050
		pause
		at 1100
		run
		at 1120
		take => interim 1
		take => interim 2; low 0/0ms`)
	if e.Stats().LongestWait != timebase.MS(100) {
		t.Errorf("the longest wait is %d ms: 30 before, 70 between, 20 after, less 20 of the second", e.Stats().LongestWait.MS())
	}
	// A pause from the first instant, and one that ends as it begins.
	play(t, s, `
		pause
		offer interim => taken
		at 700
		run
		depth => 1 10b 0ms age=0 waiting=0
		pause
		run
		at 710
		depth => 1 10b 0ms age=10 waiting=0`)
}

// The producer's wait is no wait for the consumer, and its cap does not stand.
func TestBlockTimeDoesNotStand(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 1 }), `
		pause
		offer interim => taken
		offer interim => waits
		due => 20
		at 20
		expire => release 1; admit 2`)
}

// Flow section 2: "The action is whatever the plan resolved": each does its work as the
// mark is crossed, down to the low mark where it can.
func TestActions(t *testing.T) {
	four := `
		offer interim s=1 => taken
		offer interim s=2 => taken
		offer interim s=1 => taken
		offer interim s=1 => taken; high 4/0ms `
	for how, want := range map[controlplane.SheddingStrategy]string{
		controlplane.ShedDrop: `drop; release 1; release 2; release 3; low 1/0ms
			take => interim 4; drop 1..3 watermark`,
		controlplane.ShedMerge: `merge; release 3
			take => interim 1
			take => interim 2; low 1/0ms
			take => interim 4 of 2, 10b 0ms; merged 3..4 n=2 [3 4]`,
		controlplane.ShedLatestOnly: `latest_only; release 1; release 3; drop 1..1 watermark
			take => interim 2; drop 3..3 watermark; low 1/0ms
			take => interim 4`,
		controlplane.ShedDegrade: `degrade; press degrade watermark
			take => interim 1`,
		controlplane.ShedFallback: `fallback; press fallback watermark
			take => interim 1`,
	} {
		t.Run(string(how), func(t *testing.T) { play(t, marked(how), four+want) })
	}
	newest := marked(controlplane.ShedDrop)
	newest.Victim = controlplane.VictimNewest
	play(t, newest, four+`drop; release 4; release 3; release 2; low 1/0ms
		take => interim 1; drop 2..4 watermark`)
	// What is protected stays, and the mark stays crossed.
	play(t, marked(controlplane.ShedDrop), `
		offer final => taken
		offer interim => taken
		offer final => taken
		offer interim => taken; high 4/0ms drop; release 2; release 4; drop 2..2 watermark
		take => final 1; drop 4..4 watermark; low 1/0ms`)
}

// An edge that blocks has its producer stopped at the watermarks, by sound as well as by
// number: XOFF while above, XON below.
func TestBlockStopsTheProducer(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Strategy, s.HighTime, s.LowTime = controlplane.StrategyBlock, timebase.MS(60), timebase.MS(20)
		s.Mode[Data] = controlplane.FlowSignal
	}), `
		offer audio => taken
		offer audio => taken
		offer audio => taken; high 3/60ms block; xoff data
		take => audio 1
		take => audio 2; low 1/20ms; xon data`)
	// In credit mode nobody is told: the credits do it.
	play(t, wide(func(s *Spec) {
		s.Strategy, s.HighItems, s.LowItems, s.Mode[Data] = controlplane.StrategyBlock, 1, 0, controlplane.FlowCredit
	}), `
		offer audio => taken; grant 1000; high 1/20ms block`)
}

// Depth is not watched where the plan names no mark for it, and time neither.
func TestUnwatched(t *testing.T) {
	play(t, wide(), `
		offer audio => taken
		offer audio => taken
		due => never
		take => audio 1
		take => audio 2`)
}

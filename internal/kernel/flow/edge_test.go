// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Flow section 4: "strict priority Control, Data, Telemetry; inside a lane FIFO by
// runtime_sequence".
func TestEdgeOrder(t *testing.T) {
	play(t, wide(), `
		take => nothing
		head data => 0 false
		offer metric => taken
		offer interim => taken
		offer metric => taken
		offer audio => taken
		offer marker lane=control => taken
		offer final => taken
		offer marker lane=control => taken
		head data => 2 true
		head control => 5 true
		head telemetry => 1 true
		take => marker 5
		take => marker 7
		take => interim 2
		take => audio 4
		take => final 6
		take => metric 1
		take => metric 3
		take => nothing`)
}

// Flow section 7: an overloaded host sheds at the scheduling point edge_enqueue, though
// there is room. What may not be shed comes in, and so does control; a run is one notice,
// ahead of the next delivery.
func TestRefuse(t *testing.T) {
	e := play(t, wide(), `
		offer interim => taken
		refuse shed interim => refused; release 2
		refuse shed audio => refused; release 3
		refuse shed final => taken
		refuse shed marker lane=control => taken
		refuse shed metric => refused; release 6
		take => marker 5; drop 2..3 shed #1; reset 2..3 shed #1; drop 6..6 shed telemetry
		take => interim 1
		take => final 4
		take => nothing`)
	if s := e.Stats(); s.Dropped[Shed] != 3 || s.Offered[Data] != 4 || s.Offered[Telemetry] != 1 {
		t.Errorf("counted %+v", s)
	}
}

// Of a group that is lost as a whole the loss is the group's, and one that has a member
// that may not be shed keeps all of them.
func TestRefuseGroups(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Sync = controlplane.SyncAtomicDrop }), `
		offer interim g=1 => taken
		refuse shed interim g=1 => refused; release 2; release 1
		offer interim g=1 => refused; release 3
		offer final g=2 => taken
		refuse shed interim g=2 => taken
		take => final 4; drop 1..3 sync_atomic g=1
		take => interim 5`)
}

// A refused offer spends a credit like any other, and gets it back at once.
func TestRefuseSpendsACredit(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Mode[Data], s.FlowHigh[Data] = controlplane.FlowCredit, 2
	}), `
		refuse shed interim => refused; grant 2; release 1; grant 1
		offer interim => taken`)
}

// A consumer that is known by its position takes what ends at or before it, of one scope,
// and of what it is in the midst of the part that it has read.
func TestConsume(t *testing.T) {
	e := play(t, wide(), `
		offer audio end=320 => taken
		offer audio end=640 => taken
		offer audio end=960 => taken
		offer audio end=1280 c=1 => taken
		offer audio end=1600 => taken
		consume 0 0
		depth => 5 3200b 100ms age=0 waiting=0
		consume 0 320
		depth => 4 2560b 80ms age=0 waiting=0
		consume 1 320
		consume 0 720
		depth => 3 1760b 55ms age=0 waiting=0
		# What lies behind another scope waits for it.
		consume 0 5000
		depth => 2 1280b 40ms age=0 waiting=0
		consume 1 5000
		consume 0 5000
		depth => 0 0b 0ms age=0 waiting=0`)
	if n := e.Stats().Delivered[Data]; n != 5 {
		t.Errorf("%d delivered", n)
	}
}

// Reading lets producers in and settles the thresholds, as any delivery does; what was
// dropped is told ahead of it.
func TestConsumeSettles(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Strategy, s.Queue, s.HighTime, s.LowTime = controlplane.StrategyBlock, timebase.MS(60), timebase.MS(60), timebase.MS(20)
	}), `
		offer audio end=320 => taken
		offer audio end=640 => taken
		offer audio end=960 => taken; high 3/60ms block
		offer audio end=1280 => waits
		consume 0 160
		depth => 3 1600b 50ms age=0 waiting=1
		# The rest of the first makes room as well as a whole one would.
		consume 0 320 => admit 4
		consume 0 960 => low 1/20ms`)
	play(t, wide(func(s *Spec) { s.Items = 2 }), `
		offer audio end=320 => taken
		offer audio end=640 => taken
		offer audio end=960 => taken; release 1; skip 320
		consume 0 640 => drop 1..1 max_items #1; reset 1..1 max_items #1
		offer audio end=1280 => taken
		offer audio end=1600 => taken; release 3; skip 960
		# Half of one is a delivery, too.
		consume 0 1120 => drop 3..3 max_items #2; reset 3..3 max_items #2`)
}

// Sound in a ring needs no timer of its own: each frame that comes asks anew.
func TestDueOfSoundByPosition(t *testing.T) {
	s := wide(func(s *Spec) {
		s.HighTime, s.LowTime, s.Shedding = timebase.MS(60), timebase.MS(20), controlplane.ShedDegrade
	})
	play(t, s, `
		offer audio end=320 => taken
		due => never
		at 60
		offer audio end=640 => taken; high 2/60ms degrade; press degrade watermark`)
	play(t, s, `
		offer audio => taken
		due => 60`)
}

// Lifecycle section 7: "edge queues of the scope are emptied". A fence takes what lies
// there and what waits, finals too, and is one notice without a discontinuity; control and
// other scopes stay.
func TestPurge(t *testing.T) {
	s := wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 3 })
	play(t, s, `
		offer audio c=1 end=320 => taken
		offer final c=1 => taken
		offer interim c=2 => taken
		offer metric c=1 => taken
		offer metric c=2 => taken
		offer marker lane=control c=1 => taken
		offer interim c=1 => waits
		offer interim c=2 => waits
		offer interim c=1 => waits
		purge 1 fenced => release 1; release 2; release 4; release 7; drop 1..2 fenced; release 9; drop 7..7 fenced; admit 8
		due => never
		take => marker 6; drop 9..9 fenced; drop 4..4 fenced telemetry
		take => interim 3
		take => interim 8
		take => metric 5`)
	// What waits goes on with what lies there.
	play(t, s, `
		offer interim c=1 => taken
		offer interim c=1 => taken
		offer metric c=1 => taken
		offer interim c=1 => taken
		offer interim c=1 => waits
		purge 1 fenced => release 1; release 2; release 4; release 3; release 5
		announce => drop 1..5 fenced n=4; drop 3..3 fenced telemetry`)
}

// Purging settles: thresholds fall, credits come back, a stuck item is gone.
func TestPurgeSettles(t *testing.T) {
	play(t, wide(func(s *Spec) {
		s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data], s.HighItems, s.LowItems = controlplane.FlowHybrid, 2, 0, 2, 0
		s.Shedding, s.Items = controlplane.ShedDegrade, 2
	}), `
		offer final c=1 => taken; grant 2
		offer final c=1 => taken; high 2/0ms degrade; press degrade watermark; xoff data
		offer final c=1 => waits
		at 20
		expire => press degrade block_timeout; overflow 3
		purge 1 fenced => release 1; release 2; release 3; low 0/0ms; xon data; grant 2
		due => never`)
}

// What waits with its producer can be withdrawn by itself: what egress has is heard out.
func TestWithdraw(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 2 }), `
		offer audio c=1 => taken
		offer audio c=1 => taken
		offer audio c=1 => waits
		offer audio c=2 => waits
		offer final c=1 => waits
		withdraw 1 fenced => release 3; release 5; drop 3..3 fenced
		take => audio 1; drop 5..5 fenced; admit 4
		take => audio 2
		take => audio 4
		take => nothing`)
}

// An edge that is given up lets everything go but control.
func TestEmpty(t *testing.T) {
	e := play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 1 }), `
		offer audio c=1 => taken
		offer final c=2 => waits
		offer metric => taken
		offer marker lane=control => taken
		empty shed => release 1; release 3; release 2
		announce => drop 1..2 shed #1; reset 1..2 shed #1; drop 3..3 shed telemetry
		take => marker 4
		take => nothing`)
	if !e.Idle() {
		t.Error("it is not idle")
	}
}

func TestIdle(t *testing.T) {
	for _, what := range []string{"metric", "audio", "marker lane=control"} {
		e := play(t, wide(), "offer "+what+" => taken")
		if e.Idle() {
			t.Errorf("idle with %s", what)
		}
	}
	e := play(t, wide(func(s *Spec) { s.Bytes = 1 }), `
		offer final => overflow; overflow 1
		take => nothing`)
	if e.Idle() {
		t.Error("idle while a producer waits")
	}
	e = play(t, wide(), `
		offer audio => taken
		take => audio 1`)
	if !e.Idle() {
		t.Error("not idle")
	}
}

// F-044: "counts visible". Everything that was offered is somewhere.
func TestStats(t *testing.T) {
	e := play(t, wide(func(s *Spec) {
		s.Strategy, s.Items, s.Shedding = controlplane.StrategyMerge, 2, controlplane.ShedDegrade
		s.HighItems, s.LowItems = 2, 1
	}), `
		offer audio => taken
		at 5
		offer audio => taken; high 2/40ms degrade; press degrade watermark
		offer audio => taken; join 2+3
		at 9
		offer interim => taken; join 1+2
		offer final => taken; release 1
		offer metric => taken
		at 12
		take => interim 4; drop 1..3 max_items #1; reset 1..3 max_items #1; low 1/3ms`)
	want := Stats{
		Offered: [laneCount]int64{0, 5, 1}, Delivered: [laneCount]int64{0, 1, 0}, Highs: 1, Lows: 1, Markers: 1,
		PeakItems: [laneCount]int64{0, 2, 1}, PeakBytes: 1930, PeakMedia: timebase.MS(60), LongestWait: timebase.MS(3),
	}
	want.Dropped[MaxItems] = 3
	if got := *e.Stats(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if e.Stats().Drops() != 3 {
		t.Errorf("%d drops", e.Stats().Drops())
	}
	d := e.Depth(timebase.Instant(timebase.MS(15)))
	if d != (Depth{Items: [laneCount]int64{0, 1, 1}, Bytes: 10, Age: timebase.MS(6)}) {
		t.Errorf("%+v", d)
	}
}

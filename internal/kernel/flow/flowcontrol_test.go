// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// blocks is an edge of two places whose producer waits 20 ms, and then sheds as it is told.
func blocks(how controlplane.SheddingStrategy) *Spec {
	return wide(func(s *Spec) { s.Strategy, s.Items, s.Shedding = controlplane.StrategyBlock, 2, how })
}

// Flow section 1: "block: producer waits at most max_block_time_ms". Who waits comes in
// when there is room, in order, and nobody passes them.
func TestBlockWaitsForRoom(t *testing.T) {
	play(t, blocks(controlplane.ShedDrop), `
		offer audio => taken
		offer audio => taken
		offer audio => waits
		offer audio => waits
		depth => 2 1280b 40ms age=0 waiting=2
		due => 20
		at 19
		take => audio 1; admit 3
		offer audio => waits
		take => audio 2; admit 4
		take => audio 3; admit 5
		due => never
		take => audio 4
		take => audio 5
		take => nothing`)
}

// Flow section 3: "the wait is capped, then shedding starts in the same call": F-148, of
// each shedding strategy.
func TestBlockCapThenSheds(t *testing.T) {
	wait := `
		offer interim s=1 => taken
		offer interim s=2 => taken
		at 3
		offer interim s=1 => waits
		due => 23
		at 22
		expire =>
		at 23
		expire => `
	for how, want := range map[controlplane.SheddingStrategy]string{
		controlplane.ShedDrop: "release 1; admit 3",
		// Its neighbour is of another stream, and there is nothing to merge: the oldest goes.
		controlplane.ShedMerge:      "release 1; admit 3",
		controlplane.ShedLatestOnly: "release 1; admit 3",
		controlplane.ShedDegrade:    "press degrade block_timeout; release 1; admit 3",
		controlplane.ShedFallback:   "press fallback block_timeout; release 1; admit 3",
	} {
		t.Run(string(how), func(t *testing.T) {
			play(t, blocks(how), wait+want+`
				due => never
				take => interim 2; drop 1..1 block_timeout
				take => interim 3`)
		})
	}
	t.Run("newest", func(t *testing.T) {
		s := blocks(controlplane.ShedDrop)
		s.Victim = controlplane.VictimNewest
		play(t, s, wait+`release 3
			take => interim 1; drop 3..3 block_timeout
			take => interim 2`)
	})
	t.Run("merged", func(t *testing.T) {
		play(t, blocks(controlplane.ShedMerge), `
			offer audio => taken
			offer audio => taken
			offer audio => waits
			at 20
			expire => join 2+3; admit 3
			take => audio 1
			take => audio 3 of 2, 1280b 40ms h=2; merged 2..3 n=2 [2 3]`)
	})
}

// What was shed before the time is over lets the next in, without waiting for its own.
func TestShedLetsOthersIn(t *testing.T) {
	s := blocks(controlplane.ShedLatestOnly)
	s.Items = 3
	play(t, s, `
		offer interim s=1 => taken
		offer interim s=1 => taken
		offer interim s=1 => taken
		offer interim s=1 => waits
		at 10
		offer interim s=1 => waits
		at 20
		expire => release 1; release 2; release 3; admit 4; admit 5`)
}

// Time acts in whichever call sees it: no producer waits longer because nobody called
// Expire.
func TestEveryCallEndsWaits(t *testing.T) {
	for _, call := range []string{"offer metric => taken; ", "purge 9 fenced => ", "expire => "} {
		play(t, blocks(controlplane.ShedDrop), `
			offer audio => taken
			offer audio => taken
			offer audio => waits
			at 21
			`+call+`release 1; admit 3`)
	}
	// One that could come in is not shed at the same time.
	play(t, blocks(controlplane.ShedDrop), `
		offer audio => taken
		offer audio => taken
		offer audio => waits
		at 21
		take => audio 1; admit 3`)
}

// An edge that may not wait sheds at once.
func TestNoBlockTime(t *testing.T) {
	s := blocks(controlplane.ShedDrop)
	s.Block = 0
	play(t, s, `
		offer interim => taken
		offer interim => taken
		offer interim => taken; release 1
		due => never`)
}

// Age counts in the queue: an item whose producer waited long is not late the moment it
// comes in.
func TestWaitIsNoAge(t *testing.T) {
	s := blocks(controlplane.ShedDrop)
	s.Block, s.Latency = timebase.MS(200), timebase.MS(50)
	play(t, s, `
		offer final => taken
		offer final => taken
		offer interim => waits
		at 150
		take => final 1
		take => final 2; admit 3
		at 199
		take => interim 3
		take => nothing`)
}

// A bounded number of producers can wait: one more that may be shed is.
func TestWaitingIsBounded(t *testing.T) {
	r := &rig{e: NewEdge(blocks(controlplane.ShedDrop))}
	want := func(kind string, verdict string) {
		t.Helper()
		if got := r.offer([]string{kind}); got != verdict {
			t.Fatalf("offer %d, %s: %s, want %s", r.seq, kind, got, verdict)
		}
	}
	want("final", "taken")
	want("final", "taken")
	for range maxWaiting {
		want("audio", "waits")
	}
	want("audio", "refused")
	for range maxWaiting * (protectedShare - 1) {
		want("final", "waits")
	}
	want("audio", "refused")
	want("final", "breach")
	s := r.e.Stats()
	if s.Dropped[MaxItems] != 2 || s.Offered[Data] != 2+maxWaiting*protectedShare+2 || s.Waited != maxWaiting*protectedShare {
		t.Errorf("%d dropped of %d, %d waited", s.Dropped[MaxItems], s.Offered[Data], s.Waited)
	}
}

// Flow section 1: "If only protected items remain and a bound still breaks after the block
// cap, ... section 8 decides". What is protected stays with its producer until there is
// room; who waits behind it does so no longer than the block time.
func TestStuck(t *testing.T) {
	e := play(t, blocks(controlplane.ShedDrop), `
		offer final => taken
		offer final => taken
		offer final => waits
		at 5
		offer interim => waits
		at 10
		offer final => waits
		at 20
		expire => overflow 3
		due => 25
		at 25
		expire => release 4
		due => 30
		at 30
		expire => overflow 5
		due => never
		offer interim => waits
		at 40
		take => final 1; drop 4..4 block_timeout; admit 3
		take => final 2; admit 5
		take => final 3; admit 6
		take => final 5
		take => interim 6`)
	if e.Stuck() || e.Stats().Overflows != 2 {
		t.Errorf("stuck %v, %d overflows", e.Stuck(), e.Stats().Overflows)
	}
	e = play(t, blocks(controlplane.ShedDrop), `
		offer final => taken
		offer final => taken
		offer final c=1 => waits
		at 20
		expire => overflow 3`)
	if !e.Stuck() {
		t.Error("it waits for a decision and says it does not")
	}
}

// Without a block time, what comes behind a stuck item is decided at once.
func TestStuckWithoutBlockTime(t *testing.T) {
	s := blocks(controlplane.ShedDrop)
	s.Block = 0
	play(t, s, `
		offer final => taken
		offer final => taken
		offer final => overflow; overflow 3
		offer interim => refused; release 4
		offer final => overflow; overflow 5
		take => final 1; drop 4..4 block_timeout; admit 3
		take => final 2; admit 5`)
}

// One that is larger than the whole queue never fits; its scope's end frees the others.
func TestStuckForGood(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Bytes = 100 }), `
		offer final b=101 c=4 => overflow; overflow 1
		offer final b=1 => waits
		at 20
		expire => overflow 2
		take => nothing
		purge 4 fenced => release 1; admit 2
		take => final 2; drop 1..1 fenced`)
}

// Flow section 3: "signal: sends until flow_xoff, resumes on flow_xon; XOFF at high, XON
// at low", once each.
func TestSignal(t *testing.T) {
	s := wide(func(s *Spec) { s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowSignal, 3, 1 })
	e := play(t, s, `
		offer audio => taken
		offer audio => taken
		offer audio => taken; xoff data`)
	if !e.Off(Data) || e.Off(Telemetry) || e.Spec() != s {
		t.Error("the producer may send")
	}
	play(t, s, `
		offer audio => taken
		offer audio => taken
		offer audio => taken; xoff data
		offer audio => taken
		take => audio 1
		take => audio 2
		offer audio => taken
		take => audio 3
		take => audio 4; xon data
		offer audio => taken
		offer audio => taken; xoff data
		empty shed => release 5; release 6; release 7; xon data`)
}

// Flow section 3: "A control producer is never XOFFed", "Telemetry treats XOFF as advice".
func TestSignalByLane(t *testing.T) {
	play(t, wide(func(s *Spec) {
		for lane := range laneCount {
			s.Mode[lane], s.FlowHigh[lane], s.FlowLow[lane] = controlplane.FlowSignal, 2, 0
		}
	}), `
		offer marker lane=control => taken
		offer marker lane=control => taken
		offer marker lane=control => taken
		offer metric => taken
		offer metric => taken; xoff telemetry
		offer metric => taken
		offer audio => taken
		offer audio => taken; xoff data`)
}

// Flow section 3: "credit: one credit per item; none, no send". Credits come in batches:
// at the low mark, when half a window is owed, and at once to one that waits.
func TestCredit(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowCredit, 4, 1 }), `
		offer audio => taken; grant 4
		offer audio => taken
		offer audio => taken
		offer audio => taken
		offer audio => waits
		take => audio 1; grant 1; admit 5
		take => audio 2
		take => audio 3; grant 2
		take => audio 4; grant 1
		take => audio 5; grant 1
		offer audio => taken
		offer audio => taken
		offer audio => taken
		offer audio => taken
		offer audio => waits`)
}

// Flow section 3: "Waiting on a credit counts against the same cap".
func TestCreditCap(t *testing.T) {
	s := wide(func(s *Spec) { s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowCredit, 2, 0 })
	play(t, s, `
		offer audio => taken; grant 2
		offer audio => taken
		offer audio => waits
		at 20
		expire => release 3
		take => audio 1; drop 3..3 block_timeout #1; reset 3..3 block_timeout #1; grant 1
		offer audio => taken`)
	// What may not be shed is sent without, as long as it fits; the next grant pays for it.
	play(t, s, `
		offer final => taken; grant 2
		offer final => taken
		offer final => waits
		at 20
		expire => admit 3
		take => final 1; grant 1
		take => final 2; grant 1
		take => final 3; grant 1`)
	// It fits: nothing is shed for it, and nobody has to do anything.
	s.Shedding = controlplane.ShedDegrade
	play(t, s, `
		offer interim => taken; grant 2
		offer interim => taken
		offer final => waits
		at 20
		expire => admit 3`)
	s.Block = 0
	play(t, s, `
		offer audio => taken; grant 2
		offer audio => taken
		offer audio => refused; release 3
		offer final => taken`)
}

// A credit is spent by sending, whatever becomes of the item, and only once: the edge's
// books and the producer's stay the same.
func TestCreditBooks(t *testing.T) {
	s := wide(func(s *Spec) {
		s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowCredit, 4, 0
		s.Strategy, s.Bytes = controlplane.StrategyBlock, 20
	})
	e := play(t, s, `
		offer audio b=10 => taken; grant 4
		offer audio b=10 => taken
		# It has a credit and waits for room: the credit is spent.
		offer audio b=10 => waits
		offer audio b=10 => waits
		# It has none, and waits for both.
		offer audio b=10 => waits
		take => audio 1; admit 3; grant 1
		take => audio 2; admit 4
		at 20
		expire => release 3; admit 5; grant 2
		take => audio 4; drop 3..3 block_timeout #1; reset 3..3 block_timeout #1`)
	if e.credit != 2 {
		t.Errorf("%d credits in hand, one of four lies in the queue and one was granted last", e.credit)
	}
	// Late members of a lost group are refused, and their credits come back.
	s = wide(func(s *Spec) {
		s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowCredit, 2, 0
		s.Sync, s.Bytes = controlplane.SyncAtomicDrop, 100
	})
	play(t, s, `
		offer audio b=101 g=1 => refused; grant 2; release 1; grant 1
		offer audio b=1 g=1 => refused; release 2; grant 1
		offer audio b=1 g=1 => refused; release 3; grant 1
		offer audio b=1 => taken
		offer audio b=1 => taken`)
}

// Flow section 3: "hybrid: both must allow: not XOFFed and a credit in hand", "all three"
// signals.
func TestHybrid(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Mode[Data], s.FlowHigh[Data], s.FlowLow[Data] = controlplane.FlowHybrid, 3, 1 }), `
		offer audio => taken; grant 3
		offer audio => taken
		offer audio => taken; xoff data
		offer audio => waits
		take => audio 1; grant 1; admit 4
		take => audio 2
		take => audio 3; xon data; grant 2`)
}

// The window is no larger than the queue, whatever the flow watermark says.
func TestWindow(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Mode[Data], s.Items = controlplane.FlowCredit, 3 }), `
		offer audio => taken; grant 3`)
}

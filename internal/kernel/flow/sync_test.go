// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

func atomic(s *Spec) { s.Sync, s.Domain = controlplane.SyncAtomicDrop, "av" }

// Flow section 4: "One notice per contiguous run; emitted before the next delivery on
// that edge".
func TestNoticePerRun(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Items = 1 }), `
		offer interim => taken
		offer interim => taken; release 1
		offer interim => taken; release 2
		offer interim => taken; release 3
		take => interim 4; drop 1..3 max_items
		offer interim => taken
		offer interim => taken; release 5
		take => interim 6; drop 5..5 max_items
		take => nothing
		announce =>`)
}

// A run goes on in either direction, and what lies between in another lane does not cut
// it: seq_range is of the target_lane.
func TestRunsInALane(t *testing.T) {
	// From the newest to the oldest.
	play(t, wide(func(s *Spec) { s.Items, s.Bytes, s.Victim = 10, 50, controlplane.VictimNewest }), `
		offer interim => taken
		offer interim => taken
		offer interim => taken
		offer interim => taken
		offer final b=40 => taken; release 4; release 3; release 2
		take => interim 1; drop 2..4 max_bytes`)
	// Control and telemetry between.
	play(t, wide(func(s *Spec) {
		s.Items, s.Victim, s.Telemetry = 1, controlplane.VictimNewest, controlplane.TreatDrop
		s.Mode[Telemetry], s.FlowHigh[Telemetry], s.FlowLow[Telemetry] = controlplane.FlowSignal, 1, 0
	}), `
		offer interim => taken
		offer metric => taken; xoff telemetry
		offer interim => refused; release 3
		offer metric => refused; release 4
		offer marker lane=control => taken
		offer interim => refused; release 6
		offer metric => refused; release 7
		take => marker 5; drop 3..6 max_items n=2; drop 4..7 watermark n=2 telemetry
		take => interim 1`)
}

// A notice has one reason and one stretch.
func TestRunsApart(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Items, s.Bytes, s.Victim = 2, 30, controlplane.VictimNewest }), `
		offer interim => taken
		# By bytes, by number, and by number once more: two reasons.
		offer interim b=25 => refused; release 2
		offer interim => taken
		offer interim => refused; release 4; drop 2..2 max_bytes
		offer interim => refused; release 5
		take => interim 1; drop 4..5 max_items
		# One reason, but what lies between is delivered.
		offer interim b=25 => refused; release 6
		offer interim => taken
		offer interim => refused; release 8; drop 6..6 max_bytes
		take => interim 3; drop 8..8 max_items
		take => interim 7`)
}

// Flow section 4: a merged item that is dropped is as many as were merged into it, and its
// range goes from the oldest to the newest.
func TestNoticeOfMergedItems(t *testing.T) {
	e := play(t, wide(func(s *Spec) { s.Strategy, s.Items, s.Bytes = controlplane.StrategyMerge, 2, 5000 }), `
		offer interim => taken
		offer audio => taken
		offer audio => taken; join 2+3
		offer audio => taken; join 2+4
		offer final => taken; release 1
		offer final => taken; release 2
		take => final 5; drop 1..4 max_items #1; reset 1..4 max_items #1`)
	if s := e.Stats(); s.Drops() != 4 || s.Merged != 0 {
		t.Errorf("%d dropped, %d merged away", s.Drops(), s.Merged)
	}
	// What comes behind the newest of them goes on with the run.
	play(t, wide(func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyMerge, 1 }), `
		offer audio => taken
		offer audio => taken; join 1+2
		offer interim => taken; release 1
		offer final => taken; release 3
		take => final 4; drop 1..3 max_items #1; reset 1..3 max_items #1`)
}

// Flow section 1: "an unavoidable audio drop brings a discontinuity". Text does not, and
// what a fence drops does not either: its consumers are being cancelled.
func TestSoundBringsADiscontinuity(t *testing.T) {
	play(t, wide(func(s *Spec) { s.Items = 2 }), `
		offer interim => taken
		offer audio => taken
		offer final => taken; release 1
		offer final => taken; release 2
		take => final 3; drop 1..2 max_items #1; reset 1..2 max_items #1
		offer audio c=3 => taken
		purge 3 fenced => release 5
		take => final 4; drop 5..5 fenced`)
}

// Flow section 5: "atomic_drop: losing one member drops its whole group on that edge;
// later members of the group are dropped on arrival; one drop_notice, reason sync_atomic".
func TestAtomicDrop(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Items = 4 }), `
		offer interim g=7 => taken
		offer interim => taken
		offer audio g=7 => taken
		offer interim g=8 => taken
		offer interim => taken; release 1; release 3
		offer interim g=7 => refused; release 6
		offer interim g=8 => taken
		take => interim 2; drop 1..6 sync_atomic n=3 g=7 av#1; reset 1..6 sync_atomic n=3 g=7 av#1
		offer interim g=7 => refused; release 8
		take => interim 4; drop 8..8 sync_atomic g=7
		take => interim 5
		take => interim 7`)
}

// Each group has a notice of its own: a range that spans two says of neither what is gone.
func TestAtomicNoticePerGroup(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Items = 4 }), `
		offer interim g=1 => taken
		offer interim g=2 => taken
		offer interim g=1 => taken
		offer interim => taken
		offer interim => taken; release 1; release 3
		offer interim => taken
		offer interim g=2 => refused; release 2; drop 1..3 sync_atomic n=2 g=1; release 7
		take => interim 4; drop 2..7 sync_atomic n=2 g=2`)
}

// A group that makes room for its own newcomer takes it along, and nothing more is lost
// for it.
func TestAtomicNewcomer(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Bytes = 40 }), `
		offer interim g=1 b=10 => taken
		offer interim b=20 => taken
		offer interim b=5 => taken
		offer interim g=1 b=30 => refused; release 1; release 4
		take => interim 2; drop 1..4 sync_atomic n=2 g=1
		take => interim 3`)
	play(t, wide(atomic, func(s *Spec) { s.Items, s.Victim = 2, controlplane.VictimNewest }), `
		offer interim g=1 => taken
		offer interim => taken
		offer interim g=1 => refused; release 3; release 1
		take => interim 2; drop 1..3 sync_atomic n=2 g=1`)
}

// Members that wait with their producers fall with their group at once.
func TestAtomicWaiting(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 2 }), `
		offer interim g=1 => taken
		offer interim => taken
		at 1
		offer interim => waits
		at 2
		offer interim g=1 => waits
		at 21
		expire => release 1; release 4; admit 3
		due => never
		take => interim 2; drop 1..4 sync_atomic n=2 g=1
		take => interim 3
		take => nothing`)
}

// Under every strategy that drops, the whole group goes.
func TestAtomicByStrategy(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyLatestOnly, 3 }), `
		offer interim s=1 g=1 => taken
		offer interim s=2 g=1 => taken
		offer interim s=3 => taken
		offer interim s=1 g=2 => taken; release 1; release 2
		take => interim 3; drop 1..2 sync_atomic g=1`)
	play(t, wide(atomic, func(s *Spec) { s.Strategy, s.Items, s.Every = controlplane.StrategySample, 2, 2 }), `
		offer interim g=1 => taken
		offer interim => taken
		offer interim g=1 => refused; release 3; release 1
		take => interim 2; drop 1..3 sync_atomic n=2 g=1`)
	play(t, wide(atomic, func(s *Spec) { s.Latency = 0 }), `
		offer interim g=1 => taken
		offer interim g=1 => taken
		at 1
		take => nothing; release 1; release 2
		announce => drop 1..2 sync_atomic g=1`)
	play(t, wide(atomic, func(s *Spec) { s.HighItems, s.LowItems = 3, 1 }), `
		offer interim g=1 => taken
		offer interim => taken
		offer interim g=1 => taken; high 3/0ms drop; release 1; release 3; low 1/0ms
		take => interim 2; drop 1..3 sync_atomic n=2 g=1`)
}

// Flow section 1: protected items "are never shed", and what would take them along is not
// either: the group is held, and section 8 asked, while one lies there, waits or comes.
func TestProtectedHoldTheirGroup(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Items = 3 }), `
		offer interim g=1 => taken
		offer interim => taken
		offer final g=1 => taken
		offer interim => taken; release 2
		# One that comes would take the final along.
		offer interim g=1 => taken; release 4; drop 2..2 max_items
		offer interim g=1 => overflow; overflow 6
		take => interim 1; drop 4..4 max_items; admit 6
		take => final 3
		# The final is delivered: the rest is as any other.
		offer interim => taken
		offer interim => taken; release 5; release 6
		take => interim 7; drop 5..6 sync_atomic g=1
		take => interim 8`)
	// One that comes holds what is there.
	play(t, wide(atomic, func(s *Spec) { s.Items = 2 }), `
		offer interim g=1 => taken
		offer interim => taken
		offer final g=1 => taken; release 2
		take => interim 1; drop 2..2 max_items
		take => final 3`)
	// One that waits does, too.
	play(t, wide(atomic, func(s *Spec) { s.Strategy, s.Items = controlplane.StrategyBlock, 2 }), `
		offer interim g=1 => taken
		offer interim => taken
		offer interim => waits
		offer final g=1 => waits
		at 20
		expire => release 2; admit 3; release 3; admit 4
		take => interim 1; drop 2..3 block_timeout
		take => final 4`)
}

// Flow section 5: "Recovery impossible: abort(sync_unrecoverable)": what is protected may
// not be shed, and its group is gone.
func TestUnrecoverable(t *testing.T) {
	play(t, wide(atomic, func(s *Spec) { s.Items = 1 }), `
		offer interim g=1 => taken
		offer final => taken; release 1
		offer final g=1 => refused; unrecoverable 3 g=1; release 3
		take => final 2; drop 1..3 sync_atomic n=2 g=1`)
}

// An edge remembers so many lost groups, the newest over the oldest. Late members do not
// make it forget others.
func TestLostGroupsAreBounded(t *testing.T) {
	r := &rig{e: NewEdge(wide(atomic, func(s *Spec) { s.Bytes = 5 }))}
	lose := func(g int) {
		t.Helper()
		if got := r.offer([]string{"interim", fmt.Sprint("g=", g)}); got != "refused" {
			t.Fatalf("group %d: %s", g, got)
		}
	}
	for g := range maxGroups {
		lose(g + 1)
	}
	for range maxGroups {
		lose(maxGroups)
	}
	if got := r.offer([]string{"interim", "b=1", "g=1"}); got != "refused" {
		t.Errorf("the oldest of %d lost groups is forgotten: %s", maxGroups, got)
	}
	lose(maxGroups + 1)
	for g, want := range map[int]string{1: "taken", 2: "refused", maxGroups + 1: "refused"} {
		if got := r.offer([]string{"interim", "b=1", fmt.Sprint("g=", g)}); got != want {
			t.Errorf("a late member of group %d is %s, want %s", g, got, want)
		}
	}
	if len(r.e.groups) != maxGroups {
		t.Errorf("%d groups are remembered", len(r.e.groups))
	}
}

// Flow section 5: "drop_with_discontinuity: drop_notice first, then discontinuity
// (sync_domain, discontinuity_id, reason)", of whatever is lost; telemetry is no stream
// that could be reset.
func TestDropWithDiscontinuity(t *testing.T) {
	e := play(t, wide(func(s *Spec) {
		s.Items, s.Sync, s.Domain = 1, controlplane.SyncDropWithDiscontinuity, "lips"
		s.Mode[Telemetry], s.FlowHigh[Telemetry], s.FlowLow[Telemetry], s.Telemetry = controlplane.FlowSignal, 1, 0, controlplane.TreatDrop
	}), `
		offer interim g=1 => taken
		offer interim g=1 => taken; release 1
		offer metric => taken; xoff telemetry
		offer metric => refused; release 4
		take => interim 2; drop 1..1 max_items g=1 lips#1; reset 1..1 max_items g=1 lips#1; drop 4..4 watermark telemetry
		# Later members of the group come through.
		offer interim g=1 => taken
		offer interim g=2 => taken; release 5
		offer interim g=2 => taken; release 6
		take => interim 7; drop 5..6 max_items lips#2; reset 5..6 max_items lips#2`)
	if e.Markers() != 2 || e.Stats().Markers != 2 {
		t.Errorf("%d markers", e.Markers())
	}
}

// Flow section 5: no_sync leaves a group's members to themselves. What binds them is the
// caller's choice (group_by), by Item.Group; 0 binds nothing.
func TestNoSync(t *testing.T) {
	script := `
		offer interim g=1 => taken
		offer interim g=1 => taken
		offer interim g=1 => taken; release 1
		take => interim 2; drop 1..1 max_items g=1
		take => interim 3`
	play(t, wide(func(s *Spec) { s.Items = 2 }), script)
	play(t, wide(atomic, func(s *Spec) { s.Items = 2 }), strings.ReplaceAll(strings.ReplaceAll(script, " g=1", ""), "max_items g=1", "max_items"))
}

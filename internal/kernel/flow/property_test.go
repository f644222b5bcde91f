// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// chance draws whole numbers: rapid's, which it can shrink, or those of a seed, which are
// spread evenly.
type chance func(name string, lo, hi int64) int64

func (c chance) maybe(name string) bool { return c(name, 0, 1) == 1 }

func choose[T any](c chance, name string, of ...T) T { return of[c(name, 0, int64(len(of)-1))] }

// anySpec draws what an edge may be told to obey: contradictions apart, everything.
func anySpec(c chance) *Spec {
	tight := func(name string, lo, hi int64) int64 { // a bound that matters, or one that does not
		if c.maybe(name + " matters") {
			return c(name, lo, hi)
		}
		return 1 << 30
	}
	marks := func(name string, hi int64) (high, low int64) {
		high = c(name+" high", 1, hi)
		return high, c(name+" low", 0, high-1)
	}
	pick := func(name string, of ...string) string { return choose(c, name, of...) }
	s := &Spec{
		Strategy:  controlplane.BufferStrategy(pick("strategy", "block", "drop", "merge", "sample", "latest_only")),
		Victim:    controlplane.DropVictim(pick("victim", "oldest", "newest")),
		Items:     c("items", 1, 6),
		Bytes:     tight("bytes", 10, 120),
		Queue:     timebase.MS(tight("queue", 1, 90)),
		Latency:   timebase.MS(tight("latency", 1, 60)),
		Shedding:  controlplane.SheddingStrategy(pick("shedding", "drop", "merge", "latest_only", "degrade", "fallback")),
		Telemetry: controlplane.LaneTreatment(pick("telemetry", "drop", "sample", "best_effort_drop")),
		Every:     c("every", 1, 4),
		Sync:      controlplane.SyncPolicy(pick("sync", "", "atomic_drop", "drop_with_discontinuity")),
		Domain:    "av",
	}
	if s.Strategy == controlplane.StrategyBlock || c.maybe("waits") {
		s.Block = timebase.MS(c("block", 1, 30))
	}
	if c.maybe("depth is watched") {
		s.HighItems, s.LowItems = marks("depth", 6)
	}
	if c.maybe("time is watched") {
		high, low := marks("time", 80)
		s.HighTime, s.LowTime = timebase.MS(high), timebase.MS(low)
	}
	for lane := range laneCount {
		s.Mode[lane] = controlplane.FlowMode(pick("mode", "signal", "credit", "hybrid"))
		s.FlowHigh[lane], s.FlowLow[lane] = marks("flow", 7)
	}
	return s
}

// anyItem draws an item. A group lies in one scope.
func (b *book) anyItem(c chance) Item {
	it := Item{
		Kind: choose(c, "kind", Audio, Audio, Interim, Interim, Final, Semantic, Marker), Lane: Data,
		Stream: c("stream", 0, b.variety), Scope: uint32(c("scope", 0, b.variety)),
		Bytes: choose[int64](c, "size", 1, 10, 30, 130),
	}
	switch c("lane", 0, 7) {
	case 0:
		it.Kind, it.Lane = Marker, Control
	case 1:
		it.Kind, it.Lane = Metric, Telemetry
	}
	if it.Kind == Audio {
		it.Media = timebase.MS(choose[int64](c, "length", 5, 20, 100))
	}
	if it.Lane == Data && b.variety > 0 && c.maybe("grouped") {
		it.Group = int64(it.Scope)*2 + c("group", 1, 2)
	}
	if b.tape && it.Lane == Data {
		b.end += timebase.SamplesIn(it.Media)
		it.End = b.end
	}
	return it
}

// anyCall lets something happen at the edge.
func (b *book) anyCall(c chance) {
	scope := func() uint32 { return uint32(c("scope", 0, 2)) }
	reason := func() Reason { return choose(c, "reason", Fenced, Shed) }
	switch c("call", 0, 21) {
	default:
		b.offer(b.anyItem(c))
	case 12:
		b.offered(b.anyItem(c), Shed)
	case 0, 1, 2, 3:
		b.advance(timebase.MS(c("ms", 0, 25)))
	case 4, 5, 6, 7:
		if b.tape {
			b.consume(scope(), timebase.Samples(c("read", 0, int64(b.end))))
		} else {
			b.take()
		}
	case 8:
		s, why := scope(), reason()
		b.fenced = func(it *Item) bool { return it.Scope == s }
		b.call(func(e *Edge, log *Log) any { e.Purge(b.now, s, why, log); return nil })
		b.settled()
	case 9:
		s, why := scope(), reason()
		b.fenced = func(it *Item) bool { return it.Scope == s }
		b.call(func(e *Edge, log *Log) any { e.Withdraw(b.now, s, why, log); return nil })
		b.settled()
	case 10:
		b.call(func(e *Edge, log *Log) any { e.Announce(log); return nil })
		b.accounts()
		clear(b.previous)
	case 11:
		b.paused = !b.paused
		b.call(func(e *Edge, _ *Log) any {
			if b.paused {
				e.Pause(b.now)
			} else {
				e.Run(b.now)
			}
			return nil
		})
	}
}

// finish drains the edge: whatever still waits then is larger than all there is. What is
// left is dropped, and at the end everything that was dropped has been told.
func (b *book) finish() {
	for n := b.e.stats.Delivered; !b.tape; n = b.e.stats.Delivered {
		b.take()
		if n == b.e.stats.Delivered && b.e.Due() == timebase.Never || len(b.e.waiting) == 0 && b.e.Depth(b.now).Items[Data] == 0 {
			break
		}
		if b.e.Due() < timebase.Never {
			b.advance(max(0, b.e.Due().Sub(b.now)))
		}
	}
	if first := b.e.waiting; !b.tape && len(first) > 0 {
		it := &first[0].item
		if b.e.lanes[Data].len() == 0 && it.Bytes <= b.s.Bytes && it.Media <= b.s.Queue {
			b.t.Fatalf("nothing lies there, and %d does not come in", it.Seq)
		}
	}
	b.fenced = func(*Item) bool { return true }
	b.call(func(e *Edge, log *Log) any { e.Empty(b.now, Shed, log); return nil })
	b.settled()
	b.call(func(e *Edge, log *Log) any { e.Announce(log); return nil })
	b.accounts()
	for _, x := range b.all {
		if x.fate == gone && !x.noticed {
			b.t.Fatalf("%d was dropped and nobody told", x.Seq)
		}
		if x.Lane != Control && !x.resolved && x.fate != breached {
			b.t.Fatalf("%d is left over", x.Seq)
		}
	}
}

// Whatever an edge obeys and whatever happens at it, the invariants of the package hold
// (doc.go), after every call. The checks are in book.
func TestEdgeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := chance(func(name string, lo, hi int64) int64 { return rapid.Int64Range(lo, hi).Draw(t, name) })
		b := newBook(t, anySpec(c), c.maybe("tape"))
		b.variety = c("variety", 0, 2)
		for range c("calls", 1, 60) {
			b.anyCall(c)
		}
		b.finish()
	})
}

// The same from seeds: longer, and without rapid's liking for small numbers. Between them
// they have to meet everything that can happen, or they would prove less than they say.
func TestEdgeSeries(t *testing.T) {
	met := map[What]int{}
	verdicts := map[Verdict]int{}
	for seed := range uint64(1500) {
		r := timebase.NewRandom(seed)
		c := chance(func(_ string, lo, hi int64) int64 { return r.Between(lo, hi) })
		b := newBook(seeded{t, seed}, anySpec(c), c("tape", 0, 3) == 0)
		b.met, b.verdicts, b.variety = met, verdicts, r.Between(0, 2)
		for range 120 {
			b.anyCall(c)
		}
		b.finish()
	}
	for what := range Unrecoverable + 1 {
		if met[what] == 0 {
			t.Errorf("event %d never happened", what)
		}
	}
	for v := range Breach {
		if verdicts[v] == 0 {
			t.Errorf("verdict %d never came", v)
		}
	}
}

// seeded names the seed with what it reports.
type seeded struct {
	*testing.T
	seed uint64
}

func (s seeded) Fatalf(format string, args ...any) {
	s.Helper()
	s.T.Fatalf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

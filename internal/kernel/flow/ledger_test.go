// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
)

// event enters one event of a log into the book.
func (b *book) event(i int) {
	b.t.Helper()
	ev := &b.log.List[i]
	if b.met != nil {
		b.met[ev.What]++
	}
	switch ev.What {
	case Released:
		b.released(ev.Handle)
	case Joined:
		if b.at(ev.Handle).resolved {
			b.t.Fatalf("%d is joined to %d, which is gone", ev.With, ev.Handle)
		}
		b.resolve(ev.With) // if it waited, it is admitted next
	case Admitted:
		x := b.at(ev.Handle)
		if !x.waits {
			b.t.Fatalf("%d is admitted and did not wait", ev.Handle)
		}
		b.enter(x)
		if age := b.e.Age(b.now); age > min(b.s.Queue, b.s.Latency) {
			b.t.Fatalf("%d was admitted when the oldest had waited %d ms", ev.Handle, age.MS())
		}
	case Overflowed:
		x := b.at(ev.First)
		if !b.holds(&x.Item) {
			b.t.Fatalf("section 8 is asked about %d, which can be shed", ev.First)
		}
		x.waits, x.stuck = true, true
	case Unrecoverable:
		if x := b.at(ev.First); !x.Kind.Protected() || x.Group == 0 {
			b.t.Fatalf("%d is called unrecoverable", ev.First)
		}
		b.excused[ev.First] = true
	case Granted:
		b.granted(ev.Count)
	case HighWater, LowWater:
		if up := ev.What == HighWater; up == b.above {
			b.t.Fatalf("the same crossing twice: %v", words(ev))
		}
		b.above = !b.above
	case XOff, XOn:
		if stop := ev.What == XOff; stop == b.off[ev.Lane] || ev.Lane == Control {
			b.t.Fatalf("out of turn: %v", words(ev))
		}
		b.off[ev.Lane] = !b.off[ev.Lane]
	case Discontinuous:
		if i == 0 || b.log.List[i-1].What != Dropped || b.log.List[i-1].Number != ev.Number || ev.Number != b.number+1 {
			b.t.Fatalf("%v after %d, in %v", words(ev), b.number, b.log.List)
		}
		b.number++
	case Dropped:
		if ev.Number > 0 && (i+1 == len(b.log.List) || b.log.List[i+1].What != Discontinuous) {
			b.t.Fatalf("%v has no discontinuity behind it", words(ev))
		}
	case Pressed, Skipped:
	case MergedOut:
		if !slices.ContainsFunc(b.delivered, func(it Item) bool {
			return it.First == ev.First && it.Seq == ev.Last && it.Merged == ev.Count && slices.Equal(it.Sources, ev.Sources)
		}) {
			b.t.Fatalf("%v was not delivered", words(ev))
		}
	}
}

// resolve notes that the edge has no use for a handle any more: once.
func (b *book) resolve(handle int64) {
	x := b.at(handle)
	if x.resolved {
		b.t.Fatalf("handle %d is let go twice", handle)
	}
	x.resolved = true
	b.dropCount++
	x.dropped = b.dropCount
}

func (b *book) released(handle int64) {
	b.resolve(handle)
	x := b.at(handle)
	x.waits, x.stuck = false, false
	if x.Lane == Control {
		x.fate = single
		return
	}
	if x.Kind.Protected() && !b.excused[x.Seq] && (b.fenced == nil || !b.fenced(&x.Item)) {
		b.t.Fatalf("%d is protected and was let go", handle)
	}
}

// granted counts credits. Those who wait for one spend it.
func (b *book) granted(n int64) {
	if n == 0 {
		return
	}
	if b.hand > 0 && b.hand >= b.e.window() {
		b.t.Fatalf("%d credits on top of %d, with a window of %d", n, b.hand, b.e.window())
	}
	b.hand += n
	for _, x := range b.all {
		if x.waits && !x.paid && x.Lane == Data && b.hand > 0 {
			x.paid = true
			b.hand--
		}
	}
}

// fates says what became of the items whose handles are gone: they are in what lies there,
// in what was delivered, or dropped.
func (b *book) fates() {
	inside, outside := map[int64]bool{}, map[int64]bool{}
	for lane := range laneCount {
		for i := range b.e.lanes[lane].len() {
			for _, seq := range b.e.lanes[lane].at(i).Sources {
				inside[seq] = true
			}
		}
	}
	for i := range b.delivered {
		outside[b.delivered[i].Seq] = true
		for _, seq := range b.delivered[i].Sources {
			outside[seq] = true
		}
	}
	for _, x := range b.all {
		switch {
		case !x.resolved || x.fate != open || inside[x.Seq]:
		case outside[x.Seq]:
			x.fate = reached
		default:
			x.fate = gone
		}
	}
}

// notices checks that each notice covers what was dropped and nothing else, that a run is
// one notice, and that nothing is delivered ahead of what was dropped before it.
func (b *book) notices() {
	b.t.Helper()
	for i := range b.log.List {
		if b.log.List[i].What == Dropped {
			b.notice(&b.log.List[i])
		}
	}
	if len(b.delivered) == 0 {
		return
	}
	clear(b.previous)
	for _, x := range b.all {
		// What the thresholds drop once it is delivered comes later.
		if x.fate == gone && !x.noticed && x.dropped <= b.before {
			b.t.Fatalf("%d was dropped, and something is delivered ahead of its notice", x.Seq)
		}
	}
}

func (b *book) notice(ev *Event) {
	b.t.Helper()
	atomic := ev.Reason == SyncAtomic
	var covered []*entry
	sound := false
	for _, x := range b.all {
		if x.Lane != ev.Lane || x.Seq < ev.First || x.Seq > ev.Last || atomic && x.Group != ev.Group {
			continue
		}
		if x.fate != gone && !atomic && ev.Lane != Telemetry {
			b.t.Fatalf("%v, and the fate of %d is %d", words(ev), x.Seq, x.fate)
		}
		if x.fate == gone && !x.noticed {
			covered = append(covered, x)
		}
	}
	if ev.Lane == Telemetry { // runs of several reasons can lie in each other: the older first
		slices.SortFunc(covered, func(x, y *entry) int { return int(x.dropped - y.dropped) })
		covered = covered[:min(int64(len(covered)), ev.Count)]
		slices.SortFunc(covered, func(x, y *entry) int { return int(x.Seq - y.Seq) })
	}
	for _, x := range covered {
		x.noticed = true
		sound = sound || x.Kind == Audio
	}
	if int64(len(covered)) != ev.Count || covered[0].Seq != ev.First || covered[len(covered)-1].Seq != ev.Last {
		b.t.Fatalf("%v: %d of them were dropped", words(ev), len(covered))
	}
	brings := ev.Lane == Data && ev.Reason != Fenced && (sound || b.s.Sync == controlplane.SyncDropWithDiscontinuity)
	if brings != (ev.Number > 0) {
		b.t.Fatalf("%v: a discontinuity is due: %v", words(ev), brings)
	}
	if atomic {
		b.lost[ev.Group] = true
	}
	b.oneNotice(ev, covered)
	last := *ev
	b.previous[ev.Lane] = &last
}

// oneNotice checks that a notice could not have been one with the notice before it. Where
// items are merged, what was let go first was not always dropped first.
func (b *book) oneNotice(ev *Event, covered []*entry) {
	before := b.previous[ev.Lane]
	if before == nil || before.Reason != ev.Reason {
		return
	}
	if ev.Reason == SyncAtomic {
		if ev.Group == before.Group {
			b.t.Fatalf("%v after %v", words(ev), words(before))
		}
		return
	}
	if b.s.Strategy == controlplane.StrategyMerge || b.s.Shedding == controlplane.ShedMerge {
		return
	}
	first := slices.MinFunc(covered, func(x, y *entry) int { return int(x.dropped - y.dropped) })
	if len(b.delivered) > 0 && first.dropped > b.before {
		return // the delivery lies between
	}
	if first.ordinal == b.at(before.Last).ordinal+1 || first.ordinal == b.at(before.First).ordinal-1 {
		b.t.Fatalf("%v after %v: they are one run", words(ev), words(before))
	}
}

// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// park has a producer wait for room or for a credit, for no longer than the edge's block
// time: both count against one cap (flow section 3). An edge without a block time does
// not wait at all.
func (e *Edge) park(now timebase.Instant, it *Item, log *Log) Verdict {
	switch n := len(e.waiting); {
	case n >= maxWaiting*protectedShare:
		return Breach // more producers than there can be
	case n >= maxWaiting && !it.Kind.Protected():
		e.dropGroup(*it, e.blockedBy(now, it), log)
		return Refused
	case n == 0 && e.spec.Block <= 0:
		return e.afterWait(now, it, log)
	}
	e.stats.Waited++
	e.waiting = append(e.waiting, parked{item: *it, until: now.Add(e.spec.Block)})
	return Waits
}

// blockedBy names the bound that keeps an item out; when it is only a credit, the wait
// for it.
func (e *Edge) blockedBy(now timebase.Instant, it *Item) Reason {
	if why := e.over(now, it); why != NoReason {
		return why
	}
	return BlockTimeout
}

// giveUp ends the wait of the first producer: shedding starts in the same call.
func (e *Edge) giveUp(now timebase.Instant, log *Log) {
	it := e.waiting[0].item
	e.unpark()
	e.afterWait(now, &it, log)
}

func (e *Edge) unpark() {
	n := copy(e.waiting, e.waiting[1:])
	e.waiting[n] = parked{}
	e.waiting = e.waiting[:n]
}

// afterWait applies the lane's shedding strategy to an item that has waited long enough.
// Without a credit it is not sent at all.
func (e *Edge) afterWait(now timebase.Instant, it *Item, log *Log) Verdict {
	if !e.hasCredit() && !it.Kind.Protected() {
		e.dropGroup(*it, BlockTimeout, log)
		return Refused
	}
	e.spend()
	if e.over(now, it) == NoReason {
		return e.enter(it, log)
	}
	v := Refused
	switch e.spec.Shedding {
	case controlplane.ShedMerge:
		v = e.shed(now, it, BlockTimeout, controlplane.StrategyMerge, log)
	case controlplane.ShedLatestOnly:
		v = e.shed(now, it, BlockTimeout, controlplane.StrategyLatestOnly, log)
	case controlplane.ShedDegrade, controlplane.ShedFallback:
		e.tell(log, Event{What: Pressed, Lane: Data, Reason: BlockTimeout, Action: Action(e.spec.Shedding)})
		v = e.shed(now, it, BlockTimeout, controlplane.StrategyDrop, log)
	case controlplane.ShedDrop, controlplane.ShedNone, controlplane.ShedSample:
		v = e.shed(now, it, BlockTimeout, controlplane.StrategyDrop, log)
	}
	if v == Taken {
		e.tell(log, Event{What: Admitted, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq})
	}
	return v
}

// enter brings an item that waited into the queue.
func (e *Edge) enter(it *Item, log *Log) Verdict {
	e.push(it)
	e.tell(log, Event{What: Admitted, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq})
	return Taken
}

// overflow keeps a protected item with its producer until section 8 has decided: it may
// be neither shed nor let in.
func (e *Edge) overflow(it *Item, log *Log) Verdict {
	e.stats.Overflows++
	e.tell(log, Event{What: Overflowed, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq})
	e.waiting = append(e.waiting, parked{})
	copy(e.waiting[1:], e.waiting)
	e.waiting[0] = parked{item: *it, until: timebase.Never}
	return Overflow
}

// Stuck says that a protected item waits for a decision of section 8.
func (e *Edge) Stuck() bool { return len(e.waiting) > 0 && e.waiting[0].until == timebase.Never }

// admitWaiting lets waiting producers in, in order, as far as there is room and credit.
func (e *Edge) admitWaiting(now timebase.Instant, log *Log) {
	for len(e.waiting) > 0 {
		it := e.waiting[0].item
		if e.lost(it.Group) && !it.Kind.Protected() {
			e.unpark()
			e.dropGroup(it, SyncAtomic, log)
			continue
		}
		e.grant(log)
		if !e.hasCredit() || e.over(now, &it) != NoReason {
			return
		}
		e.spend()
		e.unpark()
		e.enter(&it, log)
	}
}

// hasCredit says that the producer may send: without credit mode it always may.
func (e *Edge) hasCredit() bool { return !e.spec.credits() || e.credit > 0 }

func (e *Edge) spend() {
	if e.spec.credits() && e.credit > 0 {
		e.credit--
	}
}

// open grants the first window with the first offer.
func (e *Edge) open(log *Log) {
	if !e.opened && e.spec.credits() {
		e.opened = true
		e.extend(e.window(), log)
	}
}

// window is how many items may be in the edge and in the producer's hand together.
func (e *Edge) window() int64 { return min(e.spec.FlowHigh[Data], e.spec.Items) }

// grant gives the producer what it may send by now: in batches, as soon as the lane has
// fallen to its low mark or half a window is owed, and at once to one that waits.
func (e *Edge) grant(log *Log) {
	if !e.opened {
		return
	}
	depth := int64(e.lanes[Data].len())
	owed := e.window() - depth - e.credit
	if owed <= 0 {
		return
	}
	if depth <= e.spec.FlowLow[Data] || 2*owed >= e.window() || len(e.waiting) > 0 && e.credit == 0 {
		e.extend(owed, log)
	}
}

func (e *Edge) extend(n int64, log *Log) {
	if n <= 0 {
		return
	}
	e.credit += n
	e.stats.Granted += n
	e.tell(log, Event{What: Granted, Lane: Data, Count: n})
}

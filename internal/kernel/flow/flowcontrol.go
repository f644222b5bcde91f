// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// park has a producer wait for room or for a credit, for no longer than the edge's block
// time: both count against one cap (flow section 3). An edge without a block time does
// not wait at all.
func (e *Edge) park(now timebase.Instant, it *Item, log *Log) Verdict {
	n, kept := len(e.waiting), e.kept(it)
	switch {
	case n >= maxWaiting && !kept:
		e.dropGroup(*it, e.blockedBy(now, it), log)
		return Refused
	case n >= maxWaiting*protectedShare:
		return Breach
	case e.spec.Block > 0:
		e.stats.Waited++
		e.waiting = append(e.waiting, parked{item: *it, until: now.Add(e.spec.Block)})
		return Waits
	}
	return e.afterWait(now, n, it, log)
}

// blockedBy names the bound that keeps an item out; when there is none, it was the wait
// for a credit or for those ahead.
func (e *Edge) blockedBy(now timebase.Instant, it *Item) Reason {
	if why := e.over(now, it); why != NoReason {
		return why
	}
	return BlockTimeout
}

// lapse ends the first wait that is over, and says whether there was one: shedding starts
// in the same call.
func (e *Edge) lapse(now timebase.Instant, log *Log) bool {
	for i := range e.waiting {
		if e.waiting[i].until > now {
			continue
		}
		it := e.unpark(i)
		if e.afterWait(now, i, &it, log) == Taken {
			e.admitted(&it, log)
		}
		return true
	}
	return false
}

// unpark takes the i-th of those who wait away.
func (e *Edge) unpark(i int) Item {
	it := e.waiting[i].item
	e.waiting = slices.Delete(e.waiting, i, i+1)
	return it
}

// afterWait applies the lane's shedding strategy to an item that has waited long enough as
// the n-th in the row. Without a credit only what may not be shed is sent. Nothing comes in
// ahead of those that wait for a decision of section 8.
func (e *Edge) afterWait(now timebase.Instant, n int, it *Item, log *Log) Verdict {
	switch kept := e.kept(it); {
	case n > 0 && kept:
		return e.overflow(n, it, log)
	case n > 0 || !it.paid && !kept:
		e.dropGroup(*it, BlockTimeout, log)
		return Refused
	case e.over(now, it) == NoReason:
		e.push(now, it)
		return Taken
	}
	switch e.spec.Shedding {
	case controlplane.ShedMerge:
		return e.shed(now, it, BlockTimeout, controlplane.StrategyMerge, log)
	case controlplane.ShedLatestOnly:
		return e.shed(now, it, BlockTimeout, controlplane.StrategyLatestOnly, log)
	case controlplane.ShedDegrade, controlplane.ShedFallback:
		e.tell(log, Event{What: Pressed, Lane: Data, Reason: BlockTimeout, Action: Action(e.spec.Shedding)})
	case controlplane.ShedDrop, controlplane.ShedNone, controlplane.ShedSample:
	}
	return e.shed(now, it, BlockTimeout, controlplane.StrategyDrop, log)
}

// admitted tells a producer that waited that its item is in the queue.
func (e *Edge) admitted(it *Item, log *Log) {
	e.tell(log, Event{What: Admitted, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq})
}

// overflow keeps a protected item with its producer, as the n-th in the row, until section
// 8 has decided: it may be neither shed nor let in. When the consumer makes room it comes
// in; one that is larger than the whole queue waits until its scope is purged.
func (e *Edge) overflow(n int, it *Item, log *Log) Verdict {
	e.stats.Overflows++
	e.tell(log, Event{What: Overflowed, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq})
	e.waiting = slices.Insert(e.waiting, n, parked{item: *it, until: timebase.Never})
	return Overflow
}

// Stuck says that a protected item waits for a decision of section 8.
func (e *Edge) Stuck() bool { return len(e.waiting) > 0 && e.waiting[0].until == timebase.Never }

// admissible says that the first producer that waits can come in.
func (e *Edge) admissible(now timebase.Instant) bool {
	return len(e.waiting) > 0 && e.waiting[0].item.paid && e.over(now, &e.waiting[0].item) == NoReason
}

// admitWaiting lets waiting producers in, in order, as far as there is room and credit.
func (e *Edge) admitWaiting(now timebase.Instant, log *Log) {
	for e.admissible(now) {
		it := e.unpark(0)
		e.push(now, &it)
		e.admitted(&it, log)
	}
}

// spend takes a credit from the producer, and says whether it may send: without credit
// mode it always may.
func (e *Edge) spend() bool {
	if !e.rules.credits {
		return true
	}
	if e.credit <= 0 {
		return false
	}
	e.credit--
	return true
}

// owe charges an item that comes in without a credit, because it may not be shed: its
// producer counts it as sent, and a later grant pays for it.
func (e *Edge) owe(it *Item) {
	if it.Lane == Data && e.rules.credits && !it.paid {
		e.credit--
	}
}

// open grants the first window with the first offer.
func (e *Edge) open(log *Log) {
	if !e.opened && e.rules.credits {
		e.opened = true
		e.extend(e.window(), log)
	}
}

// window is how many items may be in the edge and in the producer's hand together.
func (e *Edge) window() int64 { return min(e.spec.FlowHigh[Data], e.spec.Items) }

// grant, once the first window is, gives the producer what it may send by now: in batches, as soon as the lane has
// fallen to its low mark or half a window is owed, and at once to one that waits for it.
func (e *Edge) grant(log *Log) {
	sent, unpaid := int64(e.lanes[Data].len()), false
	for i := range e.waiting {
		if e.waiting[i].item.paid {
			sent++
		} else {
			unpaid = true
		}
	}
	owed := e.window() - sent - e.credit
	if owed > 0 && (sent <= e.spec.FlowLow[Data] || 2*owed >= e.window() || unpaid) {
		e.extend(owed, log)
	}
}

// extend gives the producer further credits. Those it waits for are spent at once.
func (e *Edge) extend(n int64, log *Log) {
	e.credit += n
	e.stats.Granted += n
	e.tell(log, Event{What: Granted, Lane: Data, Count: n})
	for i := range e.waiting {
		if it := &e.waiting[i].item; !it.paid {
			it.paid = e.spend()
		}
	}
}

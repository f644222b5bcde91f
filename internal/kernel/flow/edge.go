// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Edge is a typed, bounded channel between two nodes: the only place where latency may
// pile up (flow section 1). It holds descriptors; contents stay with the shell. One
// owner uses it, and every call says what time it is.
//
// A producer offers, a consumer takes. What neither of them asked for (drops, merges,
// crossings, flow signals) goes to a Log, in order.
type Edge struct {
	number  int // on its board
	spec    *Spec
	rules   rules
	lanes   [laneCount]queue
	waiting []parked // producers of the data lane that wait for room or a credit, in order

	high     bool            // above the high watermark
	off      [laneCount]bool // the lane's producer was told to stop
	credit   int64           // credits in the producer's hand; below 0 it owes them
	opened   bool            // the first window was granted
	stood    timebase.Span   // how long the edge's clock has stood altogether
	standing bool
	since    timebase.Instant // standing: since when

	runs    [laneCount]run
	groups  []int64          // sync groups that were dropped, newest last
	markers int64            // discontinuities so far
	ordinal [laneCount]int64 // offers so far
	sampled [laneCount]int64 // items that sample judged

	stats Stats
}

// parked is an item whose producer waits.
type parked struct {
	item  Item
	until timebase.Instant // the wait is over then; Never = section 8 has to decide
}

// Verdict is the answer to an offer.
type Verdict uint8

// The verdicts.
const (
	Taken    Verdict = iota // it is in the queue, or merged into what is
	Waits                   // its producer waits: Admitted, or a drop, follows within the block time
	Refused                 // it was shed; the log says why
	Overflow                // protected, and there is no room: it waits for the decision of section 8
	Breach                  // an invariant is broken, and the item was not taken: control is full, or too many wait
)

// NewEdge makes an empty edge. The spec is shared and not changed.
func NewEdge(s *Spec) *Edge { return &Edge{spec: s, rules: s.rules()} }

// Touch reads what an offer of sound and its consumer need, and gives a sum that means
// nothing: see session.Machine.Touch.
func (e *Edge) Touch(depth int) int64 {
	q := &e.lanes[Data]
	if depth == 0 {
		s := &e.stats
		return int64(e.number+len(q.items)+len(e.waiting)+len(e.groups)) + int64(q.media) + e.credit + int64(e.stood) + e.runs[Control].first + e.runs[Data].first +
			e.runs[Telemetry].first + e.ordinal[Data] + e.sampled[Data] + s.Offered[Data] + s.Dropped[ReasonCount-1] + s.Overflows + s.Markers + int64(s.LongestWait)
	}
	if depth > 1 {
		return 0
	}
	sum := int64(e.spec.HighTime) + e.spec.FlowHigh[Data]
	if q.len() > 0 {
		it := q.at(0)
		sum += it.Seq + int64(it.End) + int64(it.since)
	}
	return sum
}

// Spec gives what the edge obeys.
func (e *Edge) Spec() *Spec { return e.spec }

// Offer gives the edge an item. Its sequence is above all before it.
func (e *Edge) Offer(now timebase.Instant, it Item, log *Log) Verdict {
	return e.offer(now, &it, NoReason, log)
}

// Refuse gives the edge an item that is not to come in, though there may be room: it is
// dropped on arrival for a reason that is not the edge's own. What may not be shed, and
// control, is offered like any other.
func (e *Edge) Refuse(now timebase.Instant, it Item, why Reason, log *Log) Verdict {
	return e.offer(now, &it, why, log)
}

// Lose drops an item that an offer had no place for, because the edge is being given up.
func (e *Edge) Lose(it Item, why Reason, log *Log) {
	it.First, it.ordinal, it.oldest = it.Seq, e.ordinal[it.Lane], e.ordinal[it.Lane]
	e.stats.Offered[it.Lane]++
	e.drop(it, why, log)
}

func (e *Edge) offer(now timebase.Instant, it *Item, unwanted Reason, log *Log) Verdict {
	e.ordinal[it.Lane]++
	it.ordinal, it.oldest = e.ordinal[it.Lane], e.ordinal[it.Lane]
	if it.First == 0 {
		it.First = it.Seq
	}
	var v Verdict
	switch {
	case it.Lane == Control:
		v = e.offerControl(now, it, log)
	case it.Lane == Telemetry && unwanted != NoReason:
		e.drop(*it, unwanted, log)
		v = Refused
	case it.Lane == Telemetry:
		v = e.offerTelemetry(now, it, log)
	default:
		e.open(log)
		v = e.offerData(now, it, unwanted, log)
	}
	if v != Breach {
		e.stats.Offered[it.Lane]++
	}
	e.settle(now, log)
	return v
}

// offerData is an offer on the data lane. A credit is spent by sending, whatever becomes
// of the item.
func (e *Edge) offerData(now timebase.Instant, it *Item, unwanted Reason, log *Log) Verdict {
	it.paid = e.spend()
	switch {
	case e.lost(it.Group):
		e.dropLate(it, log)
		return Refused
	case unwanted != NoReason && !e.kept(it):
		e.dropGroup(*it, unwanted, log)
		return Refused
	case len(e.waiting) > 0 || !it.paid:
		return e.park(now, it, log)
	}
	return e.admit(now, it, log)
}

// Take gives the next item, by strict priority of the lanes; ok is false when there is
// none. What has waited longer than the bounds allow is shed first.
func (e *Edge) Take(now timebase.Instant, log *Log) (it Item, ok bool) {
	for lane := range laneCount {
		if _, there := e.Head(now, lane, log); there {
			return e.TakeLane(now, lane, log), true
		}
	}
	return Item{}, false
}

// Head gives the sequence of the item that a lane would give next, when there is one.
func (e *Edge) Head(now timebase.Instant, lane Lane, log *Log) (seq int64, ok bool) {
	if lane == Data && e.shedStale(now, log) {
		e.settle(now, log)
	}
	q := &e.lanes[lane]
	if q.len() == 0 {
		return 0, false
	}
	return q.at(0).Seq, true
}

// TakeLane takes the item that Head spoke of. The notice of what was dropped before it
// goes ahead of it (flow section 4).
func (e *Edge) TakeLane(now timebase.Instant, lane Lane, log *Log) Item {
	e.Announce(log)
	it := e.lanes[lane].remove(0)
	e.delivered(now, &it, log)
	e.settle(now, log)
	return it
}

// Consume takes everything up to a position: the consumer has read the sound where it
// lies. Of an item that it is in the midst of, the rest stays, and has waited no longer: it
// is being read. Items of other scopes stay.
func (e *Edge) Consume(now timebase.Instant, scope uint32, through timebase.Samples, log *Log) {
	q := &e.lanes[Data]
	moved := false
	for q.len() > 0 && q.at(0).Scope == scope && q.at(0).End <= through {
		e.Announce(log)
		it := q.remove(0)
		e.delivered(now, &it, log)
		moved = true
	}
	if q.len() > 0 && q.at(0).Scope == scope && q.shrink(through) {
		e.Announce(log)
		e.begun(now, q.at(0))
		moved = true
	}
	if moved {
		e.settle(now, log)
	}
}

// Closer brings what lies behind a position nearer to its consumer: sound before it was
// given up with its producer, and will not be there.
func (e *Edge) Closer(scope uint32, behind, by timebase.Samples) {
	closer := func(it *Item) {
		if it.Scope == scope && it.End > behind {
			it.End -= by
		}
	}
	q := &e.lanes[Data]
	for i := range q.len() {
		closer(q.at(i))
	}
	for i := range e.waiting {
		closer(&e.waiting[i].item)
	}
}

// begun ends the wait of an item that is being read. What is left of it grows old again
// from here on, should its consumer stop.
func (e *Edge) begun(now timebase.Instant, it *Item) {
	e.stats.LongestWait = max(e.stats.LongestWait, e.clock(now)-it.since)
	it.since = e.clock(now)
}

func (e *Edge) delivered(now timebase.Instant, it *Item, log *Log) {
	if it.Merged > 0 {
		e.tell(log, Event{What: MergedOut, Lane: it.Lane, First: it.First, Last: it.Seq, Count: it.Merged, Sources: it.Sources})
	}
	e.stats.Delivered[it.Lane]++
	it.Waited = e.clock(now) - it.since
	e.stats.LongestWait = max(e.stats.LongestWait, it.Waited)
}

// push puts an item into its lane. There is room for it. Its age counts from here: the
// wait of its producer has a bound of its own.
func (e *Edge) push(now timebase.Instant, it *Item) {
	it.since = e.clock(now)
	e.owe(it)
	q := &e.lanes[it.Lane]
	q.push(it)
	e.stats.PeakItems[it.Lane] = max(e.stats.PeakItems[it.Lane], e.depth(it.Lane))
	if it.Lane == Data {
		l := e.load(now)
		e.stats.PeakBytes = max(e.stats.PeakBytes, l.bytes)
		e.stats.PeakMedia = max(e.stats.PeakMedia, l.media)
	}
}

// Due is when time alone changes something at the edge: a producer has waited long
// enough, or the oldest item crosses the high watermark by age. Sound whose consumer is
// known by its position needs no timer: each frame that comes asks anew.
func (e *Edge) Due() timebase.Instant {
	due := timebase.Never
	for i := range e.waiting {
		due = timebase.Earliest(due, e.waiting[i].until)
	}
	q := &e.lanes[Data]
	if e.spec.HighTime > 0 && !e.high && !e.standing && q.len() > 0 && q.at(0).End == 0 {
		due = timebase.Earliest(due, timebase.Instant(q.at(0).since+e.spec.HighTime+e.stood))
	}
	return due
}

// timeless says that time alone changes nothing at the edge: nothing lies there that grows
// old.
func (e *Edge) timeless() bool { return len(e.waiting) == 0 && e.lanes[Data].len() == 0 }

// Expire lets time act.
func (e *Edge) Expire(now timebase.Instant, log *Log) { e.settle(now, log) }

// Purge drops everything of a scope, waiting producers included, because the scope is
// fenced or over. Control stays.
func (e *Edge) Purge(now timebase.Instant, scope uint32, why Reason, log *Log) {
	e.purge(now, why, log, func(it *Item) bool { return it.Scope == scope })
}

// Withdraw drops what of a scope waits with its producer, and leaves the queue alone.
func (e *Edge) Withdraw(now timebase.Instant, scope uint32, why Reason, log *Log) {
	e.withdraw(why, log, func(it *Item) bool { return it.Scope == scope })
	e.settle(now, log)
}

// Empty drops everything but control.
func (e *Edge) Empty(now timebase.Instant, why Reason, log *Log) {
	e.purge(now, why, log, func(*Item) bool { return true })
}

func (e *Edge) purge(now timebase.Instant, why Reason, log *Log, hit func(it *Item) bool) {
	for lane := Data; lane < laneCount; lane++ {
		e.sweep(lane, why, log, hit)
	}
	e.withdraw(why, log, hit)
	e.settle(now, log)
}

// sweep drops what is hit of what lies in a lane, withdraw of what waits.
func (e *Edge) sweep(lane Lane, why Reason, log *Log, hit func(it *Item) bool) {
	q := &e.lanes[lane]
	q.sweep(func(i int) bool {
		if !hit(q.at(i)) {
			return false
		}
		e.drop(*q.at(i), why, log)
		return true
	})
}

func (e *Edge) withdraw(why Reason, log *Log, hit func(it *Item) bool) {
	kept := e.waiting[:0]
	for i := range e.waiting {
		if hit(&e.waiting[i].item) {
			e.drop(e.waiting[i].item, why, log)
			continue
		}
		kept = append(kept, e.waiting[i])
	}
	clear(e.waiting[len(kept):])
	e.waiting = kept
}

// Pause stops the edge's clock: its consumer does not take anything by plan, and what
// waits for that is not late.
func (e *Edge) Pause(now timebase.Instant) {
	if !e.standing {
		e.standing, e.since = true, now
	}
}

// Run lets the clock go on.
func (e *Edge) Run(now timebase.Instant) {
	if e.standing {
		e.standing = false
		e.stood += now.Sub(e.since)
	}
}

// clock is the edge's own time.
func (e *Edge) clock(now timebase.Instant) timebase.Span {
	if e.standing {
		now = e.since
	}
	return timebase.Span(now) - e.stood
}

// Ages says that something lies in the data lane and grows older.
func (e *Edge) Ages() bool { return e.lanes[Data].len() > 0 && !e.standing }

// Reaches is when the oldest item of the data lane will have waited so long, if the clock
// goes on. Something lies there.
func (e *Edge) Reaches(wait timebase.Span) timebase.Instant {
	return timebase.Instant(e.lanes[Data].at(0).since + wait + e.stood)
}

// Age is how long the oldest item of the data lane has waited.
func (e *Edge) Age(now timebase.Instant) timebase.Span {
	q := &e.lanes[Data]
	if q.len() == 0 {
		return 0
	}
	return e.clock(now) - q.at(0).since
}

// lies says that something lies in a lane.
func (e *Edge) lies() bool {
	return e.lanes[Control].len()+e.lanes[Data].len()+e.lanes[Telemetry].len() > 0
}

// Idle says that nothing waits at the edge, producers included.
func (e *Edge) Idle() bool {
	return !e.lies() && len(e.waiting) == 0
}

// Depth is what lies in an edge.
type Depth struct {
	Items   [laneCount]int64
	Bytes   int64         // of the data lane
	Media   timebase.Span // of the data lane
	Age     timebase.Span // of its oldest item
	Waiting int64         // producers
	High    bool          // above the high watermark
	Off     bool          // the data producer was told to stop
	Credit  int64         // credits in the data producer's hand, 0 where it needs none, below 0 where it owes them
}

// Depth tells what lies in the edge now.
func (e *Edge) Depth(now timebase.Instant) Depth {
	d := Depth{
		Bytes: e.lanes[Data].bytes, Media: e.lanes[Data].media, Age: e.Age(now),
		Waiting: int64(len(e.waiting)), High: e.high, Off: e.off[Data], Credit: e.credit,
	}
	for lane := range laneCount {
		d.Items[lane] = int64(e.lanes[lane].len())
	}
	return d
}

// Stats are an edge's counters since it was made.
type Stats struct {
	Offered     [laneCount]int64
	Delivered   [laneCount]int64
	Dropped     [ReasonCount]int64
	Merged      int64 // items that went into a neighbour
	Coalesced   int64 // control that was there already
	Waited      int64 // offers whose producer had to wait
	Overflows   int64
	Highs, Lows int64 // watermark crossings
	XOffs, XOns int64
	Granted     int64 // credits
	Markers     int64 // discontinuities
	PeakItems   [laneCount]int64
	PeakBytes   int64
	PeakMedia   timebase.Span
	LongestWait timebase.Span // of a delivered item
}

// Stats gives the counters.
func (e *Edge) Stats() *Stats { return &e.stats }

// Drops counts dropped items of all reasons.
func (s *Stats) Drops() (n int64) {
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

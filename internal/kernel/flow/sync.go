// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
)

// run is a contiguous run of dropped items of one lane that was not announced yet: one
// notice a run, ahead of the next delivery (flow section 4).
type run struct {
	active      bool
	reason      Reason
	first, last int64
	count       int64
	group       int64 // -1 = several
	sound       bool  // audio is among them
	from, to    int64 // numbers of its offers in the lane
}

// takes says that an item goes on with the run: it was dropped for the same reason and
// was offered next to it, on either side, so that nothing between them is delivered. A
// group that falls as a whole is one run, wherever its members lay (flow section 5). Of
// telemetry all that was dropped before a delivery is one run: it is counted, and a flood
// of it must not become a flood of control.
func (r *run) takes(it *Item, why Reason) bool {
	switch {
	case !r.active || r.reason != why:
		return false
	case it.Lane == Telemetry:
		return true
	case why == SyncAtomic:
		return r.group == it.Group
	}
	return it.oldest == r.to+1 || it.ordinal == r.from-1
}

// drop lets an item go and notes it in the run.
func (e *Edge) drop(it Item, why Reason, log *Log) {
	e.stats.Dropped[why] += it.Count()
	e.stats.Merged -= it.Count() - 1 // what was merged into it is lost as well
	if it.Handle != 0 {
		e.tell(log, Event{What: Released, Handle: it.Handle, Reason: why})
	}
	if it.End > 0 && why != Fenced {
		e.tell(log, Event{What: Skipped, Lane: it.Lane, Through: it.End})
	}
	r := &e.runs[it.Lane]
	if !r.takes(&it, why) {
		e.announce(it.Lane, log)
		*r = run{
			active: true, reason: why, first: it.First, last: it.Seq, group: it.Group, from: it.oldest, to: it.ordinal,
		}
	}
	r.first, r.last = min(r.first, it.First), max(r.last, it.Seq)
	r.from, r.to = min(r.from, it.oldest), max(r.to, it.ordinal)
	r.count += it.Count()
	r.sound = r.sound || it.Kind == Audio
	if r.group != it.Group {
		r.group = -1
	}
}

// Announce closes the runs under way.
func (e *Edge) Announce(log *Log) {
	for lane := range laneCount {
		e.announce(lane, log)
	}
}

// announce closes a lane's run: the drop notice first, then the discontinuity that it
// brings, to the consumers of the edge's sync domain. Sound that is lost always brings one
// (flow section 1); so does every loss under drop_with_discontinuity, but of telemetry.
// What a fence dropped brings none: its consumers are being cancelled.
func (e *Edge) announce(lane Lane, log *Log) {
	r := &e.runs[lane]
	if !r.active {
		return
	}
	r.active = false
	notice := Event{What: Dropped, Lane: lane, Reason: r.reason, First: r.first, Last: r.last, Count: r.count, Group: max(r.group, 0)}
	marked := lane == Data && r.reason != Fenced && (r.sound || e.spec.Sync == controlplane.SyncDropWithDiscontinuity)
	if marked {
		e.markers++
		e.stats.Markers++
		notice.Domain, notice.Number = e.spec.Domain, e.markers
	}
	e.tell(log, notice)
	if marked {
		marker := notice
		marker.What = Discontinuous
		e.tell(log, marker)
	}
}

// dropGroup drops an item and, where losing one member loses all (atomic_drop), every
// other member of its group, in the queue and with those who wait; what comes later of the
// group is dropped on arrival. The whole group is one notice.
func (e *Edge) dropGroup(it Item, why Reason, log *Log) {
	if !e.atomic(it.Group) {
		e.drop(it, why, log)
		return
	}
	e.forget(it.Group)
	e.drop(it, SyncAtomic, log)
	member := func(x *Item) bool { return x.Group == it.Group }
	e.sweep(Data, SyncAtomic, log, member)
	e.withdraw(SyncAtomic, log, member)
}

// atomic says that a group falls as a whole.
func (e *Edge) atomic(group int64) bool {
	return group != 0 && e.spec.Sync == controlplane.SyncAtomicDrop
}

// lost says that a group was dropped.
func (e *Edge) lost(group int64) bool { return e.atomic(group) && slices.Contains(e.groups, group) }

// forget remembers a dropped group for its late members, newest over oldest.
func (e *Edge) forget(group int64) {
	if slices.Contains(e.groups, group) {
		return
	}
	if len(e.groups) >= maxGroups {
		e.groups = append(e.groups[:0], e.groups[1:]...)
	}
	e.groups = append(e.groups, group)
}

// dropLate drops an item of a group that was dropped. A protected one may not be shed
// and has nothing to stand with: recovery is impossible (flow section 5).
func (e *Edge) dropLate(it *Item, log *Log) {
	if it.Kind.Protected() {
		e.tell(log, Event{What: Unrecoverable, Lane: Data, Handle: it.Handle, First: it.Seq, Last: it.Seq, Group: it.Group})
	}
	e.dropGroup(*it, SyncAtomic, log)
}

// kept says that an item that comes may not be shed: it is protected itself, or a member
// of its group is, and would fall with it.
func (e *Edge) kept(it *Item) bool { return e.shielded(it, nil) }

// shielded says that an item may not be dropped, not even for one that comes: it is
// protected itself, or another member of its group is, in the queue, with those who wait
// or coming.
func (e *Edge) shielded(it, coming *Item) bool {
	if it.Kind.Protected() {
		return true
	}
	if !e.atomic(it.Group) {
		return false
	}
	stands := func(x *Item) bool { return x.Group == it.Group && x.Kind.Protected() }
	if coming != nil && stands(coming) {
		return true
	}
	for i := range e.waiting {
		if stands(&e.waiting[i].item) {
			return true
		}
	}
	q := &e.lanes[Data]
	for i := 0; q.held > 0 && i < q.len(); i++ {
		if stands(q.at(i)) {
			return true
		}
	}
	return false
}

// Markers counts the discontinuities of the edge so far.
func (e *Edge) Markers() int64 { return e.markers }

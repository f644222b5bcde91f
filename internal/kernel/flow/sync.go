// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
)

// run is a contiguous run of dropped items that was not announced yet: one notice a run,
// ahead of the next delivery (flow section 4).
type run struct {
	active      bool
	lane        Lane
	reason      Reason
	first, last int64
	count       int64
	group       int64 // -1 = several
	sound       bool  // audio is among them
	ordinal     int64 // of the item dropped last
}

// drop lets an item go and notes it in the run.
func (e *Edge) drop(it Item, why Reason, log *Log) {
	e.stats.Dropped[why] += it.Count()
	e.stats.Merged -= it.Count() - 1 // what was merged into it is lost as well
	e.release(log, it.Handle)
	if it.End > 0 && why != Fenced {
		e.tell(log, Event{What: Skipped, Lane: it.Lane, Through: it.End})
	}
	r := &e.run
	if !r.active || r.lane != it.Lane || r.reason != why || it.ordinal != r.ordinal+1 {
		e.Announce(log)
		*r = run{active: true, lane: it.Lane, reason: why, first: it.First, last: it.Seq, group: it.Group}
	}
	r.first, r.last = min(r.first, it.First), max(r.last, it.Seq)
	r.count += it.Count()
	r.sound = r.sound || it.Kind == Audio
	r.ordinal = it.ordinal
	if r.group != it.Group {
		r.group = -1
	}
}

// Announce closes the run under way: the drop notice first, then the discontinuity that
// it brings, to the consumers of the edge's sync domain. Sound that is lost always
// brings one (flow section 1); so does every loss under drop_with_discontinuity. What a
// fence dropped brings none: its consumers are being cancelled.
func (e *Edge) Announce(log *Log) {
	r := &e.run
	if !r.active {
		return
	}
	r.active = false
	notice := Event{What: Dropped, Lane: r.lane, Reason: r.reason, First: r.first, Last: r.last, Count: r.count, Group: max(r.group, 0)}
	marked := r.reason != Fenced && (r.sound || e.spec.Sync == controlplane.SyncDropWithDiscontinuity)
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
// other member of its group in the queue; what comes later of the group is dropped on
// arrival. The whole group is one notice.
func (e *Edge) dropGroup(it Item, why Reason, log *Log) {
	if !e.atomic(it.Group) {
		e.drop(it, why, log)
		return
	}
	e.forget(it.Group)
	members := []Item{it}
	q := &e.lanes[Data]
	for i := 0; i < q.len(); {
		if q.at(i).Group == it.Group {
			members = append(members, q.remove(i))
			continue
		}
		i++
	}
	slices.SortFunc(members, func(a, b Item) int { return int(a.ordinal - b.ordinal) })
	for i := range members {
		if e.run.active && e.run.reason == SyncAtomic && e.run.group == it.Group {
			members[i].ordinal = max(members[i].ordinal, e.run.ordinal+1) // one notice a group
			e.run.ordinal = members[i].ordinal - 1
		}
		e.drop(members[i], SyncAtomic, log)
	}
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

// shielded says that an item may not be dropped: it is protected itself, or a member of
// its group is, and would fall with it.
func (e *Edge) shielded(it *Item) bool {
	if it.Kind.Protected() {
		return true
	}
	if !e.atomic(it.Group) {
		return false
	}
	q := &e.lanes[Data]
	for i := range q.len() {
		if other := q.at(i); other.Group == it.Group && other.Kind.Protected() {
			return true
		}
	}
	return false
}

// Markers counts the discontinuities of the edge so far.
func (e *Edge) Markers() int64 { return e.markers }

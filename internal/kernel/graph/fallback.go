// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
)

// Branch gives the node that would stand in for another if a trigger happened to it; false
// where none would.
func (r *Run) Branch(id eventabi.NodeID, trigger Trigger) (eventabi.NodeID, bool) {
	if i := r.g.index(id); i >= 0 {
		if to := r.branch(i, trigger); to >= 0 {
			return r.g.nodes[to].ID, true
		}
	}
	return "", false
}

func (r *Run) branch(i int, trigger Trigger) int {
	for _, to := range r.g.stands[i] {
		if !r.out().has(to) && slices.Contains(r.g.nodes[to].FallbackOn, trigger) {
			return to
		}
	}
	return -1
}

// Fail takes the failure of a node. Where a branch stands in for it, that takes over for the
// rest of the run: what comes to the node goes there, and what was in its hands and had given
// nothing (F-007). Without a branch the failure is the caller's to answer; what the node had,
// and what comes to it, are dead letters.
func (r *Run) Fail(id eventabi.NodeID, trigger Trigger, reason string, log *Log) Verdict {
	i := r.g.index(id)
	switch {
	case i < 0:
		return Unknown
	case r.out().has(i):
		r.count.Late++
		return Late
	}
	to := r.branch(i, trigger)
	r.gone.add(i)
	r.standIn[i] = int8(to)
	r.outline()
	ev := Event{What: Unresolved, Node: id, Trigger: trigger, Reason: reason}
	if to >= 0 {
		ev.What, ev.To = FellBack, r.g.nodes[to].ID
	}
	log.add(ev)
	for k := 0; k < len(r.flights); {
		f := &r.flights[k]
		switch {
		case int(f.at) != i:
			k++
		case to < 0:
			dead := Event{Node: id, Edge: r.g.edges[f.edge].ID, Item: f.item}
			r.remove(k)
			r.deadLetter(dead, Failed, reason, log)
		case f.state == holding:
			k++ // behind the merge it goes to the branch
		case f.gave:
			r.drop(k, Partial, log)
		default:
			r.tally(f, -1)
			f.at, f.state = int8(to), queued
			r.tally(f, 1)
			log.add(Event{What: Rewired, Node: id, To: ev.To, Edge: r.g.edges[f.edge].ID, Item: f.item})
			k++
		}
	}
	r.pump(log)
	return Taken
}

// SPDX-License-Identifier: Apache-2.0

package graph

import "github.com/parley-voice/parley/api/eventabi"

// Cancel cancels a node and what only it feeds (lifecycle section 8): the cancel goes along
// the edges, and takes a node with several of them only when every live one belongs to the
// scope. What these nodes have and what waits for them is dropped; what has left the scope
// goes on. The log has a Cancelled for each node, in topological order.
func (r *Run) Cancel(id eventabi.NodeID, log *Log) Verdict {
	i := r.g.index(id)
	if i < 0 {
		return Unknown
	}
	if i = r.place(i); i < 0 || (r.cancelled | r.ended).has(i) {
		r.count.Late++
		return Late
	}
	r.cancel(r.scope(i), log)
	return Taken
}

// scope finds a node and what only it feeds.
func (r *Run) scope(root int) (s nodeSet) {
	alive := r.alive()
	s.add(root)
	for _, i := range r.g.order {
		if i == root || r.out().has(i) || r.g.sources.has(i) {
			continue
		}
		fed, other := false, false
		for k := i; k >= 0; k = r.worksFor(k) {
			for _, e := range r.g.ins[k] {
				from := r.g.from(e)
				if s.has(from) {
					fed = true
				} else {
					other = other || alive.has(from) || r.has(i, e)
				}
			}
		}
		if fed && !other {
			s.add(i)
		}
	}
	return s
}

// worksFor gives the node for which another stands in now, -1 where there is none.
func (r *Run) worksFor(k int) int {
	if of := r.g.of[k]; of >= 0 && r.gone.has(of) && int(r.standIn[of]) == k {
		return of
	}
	return -1
}

// has says that something which came along an edge is with a node, or held in front of it.
func (r *Run) has(i, e int) bool {
	for k := range r.flights {
		if f := &r.flights[k]; int(f.edge) == e && (int(f.at) == i || r.place(int(f.at)) == i) {
			return true
		}
	}
	return false
}

// cancel ends the nodes of a scope, and all that is with them.
func (r *Run) cancel(s nodeSet, log *Log) {
	r.cancelled |= s
	r.outline()
	for _, i := range r.g.order {
		if s.has(i) {
			log.add(Event{What: Cancelled, Node: r.g.nodes[i].ID})
		}
	}
	for k := 0; k < len(r.flights); {
		if n := r.place(int(r.flights[k].at)); n >= 0 && s.has(n) {
			r.drop(k, CancelledIn, log)
		} else {
			k++
		}
	}
	r.pump(log)
}

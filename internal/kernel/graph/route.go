// SPDX-License-Identifier: Apache-2.0

package graph

// route sends an item along the edges of a node, in their order. at is its place among what
// is under way; where it goes several ways, what becomes of it on one edge stands before what
// becomes of it on the next.
func (r *Run) route(i int, it Item, at int, log *Log) {
	g := r.g
	chooses := g.nodes[i].Role == RoleSelect
	carried, taken := false, 0
	for _, e := range g.outs[i] {
		if !g.takes(e, it.Type) || g.listens.has(g.to(e)) {
			continue
		}
		carried = true
		edge := &g.edges[e]
		holds, test := edge.decide(&it)
		if chooses || test >= 0 {
			r.decision(i, e, test, holds, &it, log)
		}
		if !holds {
			continue
		}
		taken++
		at += r.deliver(e, it, at, log)
		if chooses {
			break
		}
	}
	if taken == 0 {
		r.count.Unrouted++
		why := NoEdge
		if carried {
			why = NoRoute
		}
		log.add(Event{What: Dropped, Node: g.nodes[i].ID, Item: it, Why: why})
	}
}

// decision tells what came of the conditions of an edge (turn-plan section 1).
func (r *Run) decision(i, e, test int, holds bool, it *Item, log *Log) {
	edge := &r.g.edges[e]
	ev := Event{What: Routed, Node: r.g.nodes[i].ID, To: edge.To, Edge: edge.ID, Item: *it, Holds: holds, Condition: test}
	if test >= 0 {
		ev.Attribute = edge.When[test].Attribute
		ev.Value, _ = it.Attribute(ev.Attribute)
	}
	log.add(ev)
}

// deliver brings an item to the end of an edge. It says by how many the flights before the
// place at have grown.
func (r *Run) deliver(e int, it Item, at int, log *Log) int {
	g := r.g
	to := g.to(e)
	r.count.Put++
	if g.joint[to] {
		return r.hold(e, to, it, at, log)
	}
	return r.arrive(e, to, it, at, log)
}

// arrive brings an item to a node that nothing is merged in front of, or behind that merge.
func (r *Run) arrive(e, to int, it Item, at int, log *Log) int {
	g := r.g
	n := r.place(to)
	ev := Event{Node: g.nodes[to].ID, Edge: g.edges[e].ID, Item: it}
	switch {
	case n < 0:
		r.deadLetter(ev, Gone, "", log)
		return 0
	case r.cancelled.has(n) || r.ended.has(n):
		ev.What, ev.Why = Dropped, CancelledIn
		if r.ended.has(n) {
			ev.Why = Ended
		}
		r.count.Dropped++
		log.add(ev)
		return 0
	case g.nodes[n].Role == RoleDeadLetter:
		ev.Node = g.edges[e].From
		r.deadLetter(ev, ByEdge, "", log)
		return 0
	case g.passes(n):
		r.count.Passed++
		before := len(r.flights)
		r.route(n, it, at, log)
		return len(r.flights) - before
	}
	r.insert(at, flight{item: it, edge: int16(e), at: int8(n), state: queued})
	return 1
}

// deadLetter tells of an item that could not be processed (F-132).
func (r *Run) deadLetter(ev Event, why Why, reason string, log *Log) {
	r.count.Dead++
	ev.What, ev.Why, ev.Reason = DeadLetter, why, reason
	if r.g.letters >= 0 {
		ev.To = r.g.nodes[r.g.letters].ID
	}
	log.add(ev)
}

// fits says that there is room for what a node gives, wherever it may come to at once. at is
// its place in the order.
func (r *Run) fits(i int, it *Item, at int) bool {
	g := r.g
	for _, e := range g.outs[i] {
		to := g.to(e)
		if !g.takes(e, it.Type) || g.listens.has(to) || g.nodes[to].Role == RoleDeadLetter {
			continue
		}
		if g.joint[to] {
			if !r.holdable(e, to, it, at) {
				return false
			}
			continue
		}
		n := r.place(to)
		switch {
		case n < 0 || (r.cancelled | r.ended).has(n):
		case g.passes(n):
			if !r.fits(n, it, at) {
				return false
			}
		case r.waiting[n] >= r.roomOf(n):
			return false
		}
	}
	return true
}

// roomOf is how many items may wait for a node.
func (r *Run) roomOf(n int) int32 {
	if room := r.g.rooms[n]; room > 0 {
		return min(room, r.room)
	}
	return r.room
}

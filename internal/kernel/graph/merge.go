// SPDX-License-Identifier: Apache-2.0

package graph

import "slices"

// winner says which edge was first with an origin at a merge.
type winner struct {
	merge  int8
	edge   int16
	origin int64
}

// hold takes what comes to a merge, or to a node with several edges. It says by how many the
// flights have grown.
func (r *Run) hold(e, to int, it Item, at int, log *Log) int {
	g := r.g
	why := NoReason
	for k := range r.flights {
		f := &r.flights[k]
		if f.state == holding && int(f.at) == to && f.item.Seq == it.Seq && g.rule(to) != MergeAll {
			why = Duplicate
		}
	}
	switch out := r.place(to); {
	case out < 0:
		r.deadLetter(Event{Node: g.nodes[to].ID, Edge: g.edges[e].ID, Item: it}, Gone, "", log)
		return 0
	case r.cancelled.has(out):
		why = CancelledIn
	case r.ended.has(out):
		why = Ended
	case g.rule(to) == MergeFirst && r.claim(to, e, it.Origin) != e:
		why = NotFirst
	}
	if why != NoReason {
		r.count.Dropped++
		log.add(Event{What: Dropped, Node: g.nodes[to].ID, Edge: g.edges[e].ID, Item: it, Why: why})
		return 0
	}
	r.insert(at, flight{item: it, edge: int16(e), at: int8(to), state: holding})
	return 1
}

// won gives the edge that was first with an origin, -1 when none was.
func (r *Run) wonBy(merge int, origin int64) int {
	for i := range r.won {
		if w := &r.won[i]; int(w.merge) == merge && w.origin == origin {
			return int(w.edge)
		}
	}
	return -1
}

// claim gives the edge that was first with an origin: this one where none was. What no flight
// stems from any more is forgotten.
func (r *Run) claim(merge, e int, origin int64) int {
	if w := r.wonBy(merge, origin); w >= 0 {
		return w
	}
	live := r.won[:0]
	for _, w := range r.won {
		for k := range r.flights {
			if r.flights[k].item.Origin == w.origin {
				live = append(live, w)
				break
			}
		}
	}
	r.won = append(live, winner{merge: int8(merge), edge: int16(e), origin: origin})
	return e
}

// holdable says that a merge has room. At its bound it still takes what the others wait
// for: it stands before all that is held there and cannot pass, or completes a group.
func (r *Run) holdable(e, to int, it *Item, at int) bool {
	if r.held[to] < r.room {
		return true
	}
	all := r.g.rule(to) == MergeAll
	head := -1
	for k := range r.flights {
		f := &r.flights[k]
		if f.state != holding || int(f.at) != to {
			continue
		}
		if f.item.Seq == it.Seq && !all {
			return true // it is a duplicate
		}
		if head < 0 {
			head = k
		}
		if all && f.item.Origin == it.Origin && int(f.edge) == e {
			return false
		}
	}
	return at <= head && !r.mayPass(head, to) || all && r.flights[head].item.Origin == it.Origin
}

// join lets what stands first at a merge go on, if it can. It says whether anything moved.
func (r *Run) join(to int, log *Log) bool {
	head := slices.IndexFunc(r.flights, func(f flight) bool { return f.state == holding && int(f.at) == to })
	if !r.mayPass(head, to) {
		return false
	}
	if r.g.rule(to) == MergeAll {
		return r.joinAll(head, to, log)
	}
	f := r.flights[head]
	if !r.roomBehind(to, &f.item, head) {
		return false
	}
	r.remove(head)
	r.onward(to, f.item.Seq, &f, f.item, head, log)
	return true
}

// roomBehind says that a merge may let an item go on.
func (r *Run) roomBehind(to int, it *Item, at int) bool {
	n := r.place(to)
	switch {
	case n < 0 || (r.cancelled | r.ended).has(n):
		return true
	case r.g.passes(n):
		return r.fits(n, it, at)
	}
	return r.waiting[n] < r.roomOf(n)
}

// onward lets an item go on behind a merge.
func (r *Run) onward(to int, from int64, f *flight, it Item, at int, log *Log) int {
	if r.g.nodes[to].Role == RoleMerge {
		log.add(Event{What: Merged, Node: r.g.nodes[to].ID, Edge: r.g.edges[f.edge].ID, Item: it, From: from})
	}
	return r.arrive(int(f.edge), to, it, at, log)
}

// mayPass says that nothing which is still to come to a merge stands before what it holds.
func (r *Run) mayPass(head, to int) bool {
	g := r.g
	rule, h := g.rule(to), &r.flights[head].item
	for k := range r.flights {
		f := &r.flights[k]
		at := int(f.at)
		if at == to && f.state == holding || !r.reach[at].has(to) {
			continue
		}
		if at == to { // it has passed the merge already
			continue
		}
		same := f.item.Seq == h.Seq && f.state == holding && rule != MergeAll // the same item comes along another way
		if k > head && !same {
			continue
		}
		switch rule {
		case MergeAll:
			if f.item.Origin == h.Origin {
				continue // its group waits for it
			}
		case MergeFirst:
			if w := r.wonBy(to, f.item.Origin); w >= 0 && !r.reach[at].has(g.from(w)) {
				continue // it has lost
			}
		case MergeSequence:
		}
		return false
	}
	return true
}

// joinAll lets a group go on: the first item of the head's origin from each edge that has one,
// once none of the others can bring one any more.
func (r *Run) joinAll(head, to int, log *Log) bool {
	g := r.g
	origin := r.flights[head].item.Origin
	r.group = r.group[:0]
	for _, e := range g.ins[to] {
		found := -1
		for k := range r.flights {
			f := &r.flights[k]
			if f.state == holding && int(f.at) == to && int(f.edge) == e && f.item.Origin == origin {
				found = k
				break
			}
		}
		switch {
		case found >= 0:
			r.group = append(r.group, found)
		case r.mayBring(e, origin):
			return false
		}
	}
	for _, k := range r.group {
		if !r.roomBehind(to, &r.flights[k].item, head) {
			return false
		}
	}
	var kept [MaxEdges]flight
	members := kept[:len(r.group)]
	for i, k := range r.group {
		members[i] = r.flights[k]
	}
	slices.Sort(r.group)
	for i := len(r.group) - 1; i >= 0; i-- {
		r.remove(r.group[i])
	}
	at := head
	for i := range members {
		f := &members[i]
		it := f.item
		r.seq++ // together they stand in another order than before
		it.Seq = r.seq
		at += r.onward(to, f.item.Seq, f, it, at, log)
	}
	return true
}

// mayBring says that something of an origin may still come along an edge.
func (r *Run) mayBring(e int, origin int64) bool {
	g := r.g
	for k := range r.flights {
		f := &r.flights[k]
		if f.item.Origin == origin && int(f.at) != g.to(e) && r.reach[f.at].has(g.from(e)) {
			return true
		}
	}
	return false
}

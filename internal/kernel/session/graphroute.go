// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// emitItem sends what somebody gives on its way: what a node made of another item stands in
// its line right before that, and what comes from outside behind all others.
func (m *Machine) emitItem(from eventabi.NodeID, it item, parent int64) {
	r := m.turn.run
	if r.over || len(r.lines[0])+len(r.lines[1])+len(r.jobs) >= maxGraphItems {
		m.refuse("graph_item_limit", string(from), m.turn.id)
		return
	}
	m.graph.items++
	it.number = m.graph.items
	if it.origin == 0 {
		it.origin = it.number
	}
	l := r.line(m.graph.zoneBehind(from))
	at := slices.IndexFunc(*l, func(p place) bool { return p.item.number == parent })
	if at < 0 {
		at = len(*l)
	}
	*l = slices.Insert(*l, at, place{item: it, pending: 1}) // it is on its way
	m.route(from, &it)
	m.settleHand(it.number)
	m.proceed()
}

// line gives the order of a zone.
func (r *graphRun) line(z zone) *line {
	if z == zoneWords {
		return &r.lines[0]
	}
	return &r.lines[1]
}

// zoneBehind is where things are that a node gives.
func (g *graphSetup) zoneBehind(id eventabi.NodeID) zone {
	switch id {
	case g.ear:
		return zoneWords
	case g.cutter:
		return zoneReply
	}
	return g.zones[g.index(id)]
}

// place finds an item that is not settled.
func (r *graphRun) place(number int64) *place {
	for i := range r.lines {
		for k := range r.lines[i] {
			if r.lines[i][k].item.number == number {
				return &r.lines[i][k]
			}
		}
	}
	return nil
}

// settleHand takes an item out of one of the hands in which it is.
func (m *Machine) settleHand(number int64) {
	if p := m.turn.run.place(number); p != nil {
		p.pending--
	}
}

// route sends an item along the edges of a node. It is dropped where none takes it.
func (m *Machine) route(from eventabi.NodeID, it *item) {
	n := m.graph.node(from)
	chooses := n.Node.Role == graph.RoleSelect
	taken := 0
	for _, i := range m.graph.out(from) {
		e := &m.graph.edges[i]
		if len(e.Events) > 0 && !slices.Contains(e.Events, it.typ) || m.graph.isBeside(e.To) {
			continue
		}
		holds := matches(e.When, it)
		if chooses || len(e.When) > 0 {
			m.routeDecision(e, it, holds, chooses)
		}
		if !holds {
			continue
		}
		taken++
		m.send(e, it)
		if chooses {
			return
		}
	}
	if taken == 0 && chooses {
		m.deadLetter(from, it.number, "no_route")
	}
}

// routeDecision tells what came of a condition (turn-plan section 1).
func (m *Machine) routeDecision(e *graph.Edge, it *item, holds, chooses bool) {
	reason := "matched"
	switch {
	case !holds:
		reason = "not_matched"
	case len(e.When) == 0:
		reason = "default"
	}
	signal := m.emit(eventabi.SignalRouteDecision, eventabi.EmitterExecutor, m.turn.id, reason)
	signal.EdgeID = e.ID
	if chooses {
		signal.NodeID = e.From
	}
	body := m.fx.body(64)
	body.int("item", it.number)
	body.str("to", string(e.To))
	signal.Payload = body.done()
}

// send brings an item to the end of an edge.
func (m *Machine) send(e *graph.Edge, it *item) {
	r := m.turn.run
	to := r.standsIn(e.To)
	n := m.graph.node(to)
	switch n.Node.Role {
	case graph.RoleSelect:
		m.route(to, it)
	case graph.RoleMerge:
		m.merge(e, n, it)
	case graph.RoleModel, graph.RoleSynthesiser:
		if p := r.place(it.number); p != nil && p.voice == "" {
			p.voice = to
		} else {
			m.refuse("arrived_already", string(to), m.turn.id)
		}
	case graph.RoleDeadLetter:
		m.deadLetter(e.From, it.number, "routed")
	case graph.RoleWork:
		if slices.Contains(r.dead, to) {
			m.deadLetter(to, it.number, "node_gone")
			return
		}
		if m.graph.leads[m.graph.index(to)] {
			r.place(it.number).pending++
		}
		r.jobs = append(r.jobs, job{node: to, item: *it})
	case graph.RoleCaller, graph.RoleDetector, graph.RoleRecogniser, graph.RoleSegmenter, graph.RoleSpeaker, graph.RoleResponder:
	}
}

// standsIn follows the branches that were taken.
func (r *graphRun) standsIn(id eventabi.NodeID) eventabi.NodeID {
	for _, s := range r.branches {
		if s.of == id {
			id = s.branch
		}
	}
	return id
}

// joined is an item that a merge holds.
type joined struct {
	merge eventabi.NodeID
	edge  eventabi.EdgeID
	item  item
}

// merge joins what comes in (F-005).
func (m *Machine) merge(e *graph.Edge, n *GraphNode, it *item) {
	r := m.turn.run
	switch n.Node.Merge {
	case graph.MergeFirst:
		first := passed{merge: n.Node.ID, origin: it.origin}
		if slices.Contains(r.passed, first) {
			return
		}
		r.passed = append(r.passed, first)
		m.route(n.Node.ID, it)
	case graph.MergeAll:
		r.place(it.number).pending++
		r.joined = append(r.joined, joined{merge: n.Node.ID, edge: e.ID, item: *it})
	case graph.MergeSequence, "":
		m.route(n.Node.ID, it) // the lines keep the order
	}
}

// passed is the origin of which a merge has let the first item through.
type passed struct {
	merge  eventabi.NodeID
	origin int64
}

// join lets go on what a merge holds, when nothing of the same origin comes to it any more. It
// says whether there was anything.
func (m *Machine) join() bool {
	r := m.turn.run
	for i := range r.joined {
		id, origin := r.joined[i].merge, r.joined[i].item.origin
		if m.awaits(id, origin) {
			continue
		}
		var onward []joined
		r.joined = slices.DeleteFunc(r.joined, func(j joined) bool {
			mine := j.merge == id && j.item.origin == origin
			if mine {
				onward = append(onward, j)
			}
			return mine
		})
		slices.SortStableFunc(onward, func(a, b joined) int { return m.graph.edgeOrder(a.edge) - m.graph.edgeOrder(b.edge) })
		r.arrange(onward)
		for k := range onward {
			m.route(id, &onward[k].item)
			m.settleHand(onward[k].item.number)
		}
		return true
	}
	return false
}

// arrange has the items of a merge stand in their lines as the merge has them.
func (r *graphRun) arrange(list []joined) {
	for i := range r.lines {
		l := r.lines[i]
		var at []int
		var places []place
		for _, j := range list {
			if k := slices.IndexFunc(l, func(p place) bool { return p.item.number == j.item.number }); k >= 0 {
				at, places = append(at, k), append(places, l[k])
			}
		}
		slices.Sort(at)
		for n, k := range at {
			l[k] = places[n]
		}
	}
}

// awaits says that something of an origin may still come to a node.
func (m *Machine) awaits(id eventabi.NodeID, origin int64) bool {
	r := m.turn.run
	for i := range r.jobs {
		if r.jobs[i].item.origin == origin && m.graph.reaches(r.standsIn(r.jobs[i].node), id) {
			return true
		}
	}
	return slices.ContainsFunc(r.joined, func(j joined) bool {
		return j.item.origin == origin && j.merge != id && m.graph.reaches(j.merge, id)
	})
}

// proceed lets everything go as far as it comes: what merges hold, what has arrived and has
// nothing ahead of it, and what waits for a node that has nothing in hand.
func (m *Machine) proceed() {
	r := m.turn.run
	for m.join() {
	}
	for m.scopeTurn() != "" && m.release(&r.lines[0]) {
	}
	for m.scopeTurn() != "" && m.release(&r.lines[1]) {
	}
	m.handOver()
	m.lineEmpty()
}

// release lets what stands first in a line go on, if it can. It says whether anything moved.
func (m *Machine) release(l *line) bool {
	if len(*l) == 0 {
		return false
	}
	p := &(*l)[0]
	if p.voice != "" {
		it, voice := p.item, p.voice
		if p.pending == 0 {
			*l = append((*l)[:0], (*l)[1:]...)
		} else {
			p.voice = ""
		}
		m.arrived(&it, voice)
		return true
	}
	if p.pending == 0 {
		*l = append((*l)[:0], (*l)[1:]...)
		return true
	}
	return false
}

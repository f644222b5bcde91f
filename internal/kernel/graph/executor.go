// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
)

// Run is the execution of one turn over a graph. It holds descriptors, and decides who is
// given what; whoever calls it has the nodes do it. The zero value is ready for Begin, and
// Begin keeps the memory of the run before, so that nothing is allocated for an item in the
// steady state.
type Run struct {
	g    *Graph
	room int32 // items that may wait for one node, or be held in front of one
	// flights are the items under way, each once for every place where it is, in order: what a
	// node made of an item stands right before that, and what comes from outside behind all.
	// Merges go by this order.
	flights []flight
	seq     int64 // of the last item
	clock   int64 // of arrivals

	waiting, inHand [MaxNodes]int32
	held            [MaxNodes]int32
	standIn         [MaxNodes]int8 // who does the node's work; -1 = nobody any more
	gone            nodeSet        // failed, with or without a stand-in
	cancelled       nodeSet
	ended           nodeSet
	paused          nodeSet           // given nothing until Resume
	reach           [MaxNodes]nodeSet // as the graph has it, without what gives nothing more
	won             []winner
	group           []int // of flights: what a merge passes on together
	count           Count
}

// Count is what became of the copies of items that were put on edges. Put is the sum of the
// others and of what is under way.
type Count struct {
	Put, Passed, Done, Dropped, Dead int64
	Unrouted                         int64 // items that left a node along no edge
	Late, Full                       int64 // refusals
}

// state is what a flight waits for.
type state uint8

const (
	holding state = iota // in front of a merge, or of a node with several edges
	queued               // for its node to have a hand free
	inHands
)

// flight is an item at a place.
type flight struct {
	item    Item
	arrived int64
	edge    int16 // that it came along
	at      int8  // a node
	state   state
	gave    bool // its node has given something of it
}

// Begin starts a run over a graph. room is how many items may wait for one node, or be held
// in front of one, at least 1.
func (r *Run) Begin(g *Graph, room int) {
	clear(r.flights[:cap(r.flights)])
	kept := Run{g: g, room: int32(max(1, min(room, MaxRoom))), flights: r.flights[:0], won: r.won[:0], group: r.group[:0]}
	*r = kept
	for i := range r.standIn {
		r.standIn[i] = int8(i)
	}
	copy(r.reach[:], g.reach)
}

// Pause has the nodes of a role given nothing until Resume: what comes to them waits.
func (r *Run) Pause(role Role) { r.paused |= r.g.roleSet(role) }

// Paused says that a node of a role is paused.
func (r *Run) Paused(role Role) bool { return r.paused&r.g.roleSet(role) != 0 }

// Resume ends a pause.
func (r *Run) Resume(role Role, log *Log) {
	r.paused &^= r.g.roleSet(role)
	r.pump(log)
}

// Emit takes what a node gives. cause is the Seq of the item that it was made of: one in the
// node's hands, or in the hands of a node that leads to it, whose stream it works on; 0 = the
// node gives of its own accord. Seq and Origin of it are the run's to give; a segmenter's pieces, and
// what comes of no cause, are origins. With any verdict but Taken nothing has happened.
func (r *Run) Emit(from eventabi.NodeID, cause int64, it Item, log *Log) (seq int64, v Verdict) {
	g := r.g
	i := g.index(from)
	switch {
	case i < 0:
		return 0, Unknown
	case r.out().has(i):
		r.count.Late++
		return 0, Late
	case !member(g.gives[i], it.Type):
		return 0, Untyped
	}
	at := len(r.flights)
	if cause != 0 {
		if at = r.hand(i, cause); at < 0 {
			r.count.Late++
			return 0, Late
		}
	}
	it.Seq, it.Origin = r.seq+1, r.seq+1
	if cause != 0 && g.nodes[i].Role != RoleSegmenter {
		it.Origin = r.flights[at].item.Origin
	}
	if !r.fits(i, &it, at) {
		r.count.Full++
		return 0, Full
	}
	if cause != 0 {
		r.flights[at].gave = true
	}
	r.seq++
	r.route(i, it, at, log)
	r.pump(log)
	return it.Seq, Taken
}

// hand finds an item in the hands of a node, or of one that leads to it; -1 where it is in
// none of these.
func (r *Run) hand(i int, seq int64) int {
	upstream := -1
	for k := range r.flights {
		f := &r.flights[k]
		if f.state != inHands || f.item.Seq != seq {
			continue
		}
		if int(f.at) == i {
			return k
		}
		if upstream < 0 && r.reach[f.at].has(i) {
			upstream = k
		}
	}
	return upstream
}

// Done takes that a node has finished with an item that it has in hand.
func (r *Run) Done(id eventabi.NodeID, seq int64, log *Log) Verdict {
	i := r.g.index(id)
	if i < 0 {
		return Unknown
	}
	for k := range r.flights {
		if f := &r.flights[k]; f.state == inHands && f.item.Seq == seq && int(f.at) == i {
			r.count.Done++
			r.remove(k)
			r.pump(log)
			return Taken
		}
	}
	r.count.Late++
	return Late
}

// End takes that a node gives nothing more. What it has in hand is done; what waits for it, and
// what comes to it, is dropped.
func (r *Run) End(id eventabi.NodeID, log *Log) Verdict {
	i := r.g.index(id)
	switch {
	case i < 0:
		return Unknown
	case r.out().has(i):
		r.count.Late++
		return Late
	}
	r.ended.add(i)
	r.outline()
	for k := 0; k < len(r.flights); {
		f := &r.flights[k]
		switch {
		case int(f.at) != i:
			k++
		case f.state == inHands:
			r.count.Done++
			r.remove(k)
		default:
			r.drop(k, Ended, log)
		}
	}
	r.pump(log)
	return Taken
}

// insert puts a flight at a place of the order.
func (r *Run) insert(at int, f flight) {
	r.clock++
	f.arrived = r.clock
	r.flights = slices.Insert(r.flights, at, f)
	r.tally(&f, 1)
}

// tally counts a flight at its place.
func (r *Run) tally(f *flight, n int32) {
	switch f.state {
	case holding:
		r.held[f.at] += n
	case queued:
		r.waiting[f.at] += n
	case inHands:
		r.inHand[f.at] += n
	}
}

// remove takes a flight away.
func (r *Run) remove(k int) {
	r.tally(&r.flights[k], -1)
	r.flights = slices.Delete(r.flights, k, k+1)
}

// drop ends a flight, and says why.
func (r *Run) drop(k int, why Why, log *Log) {
	f := &r.flights[k]
	r.count.Dropped++
	log.add(Event{What: Dropped, Node: r.g.nodes[f.at].ID, Edge: r.g.edges[f.edge].ID, Item: f.item, Why: why})
	r.remove(k)
}

// pump lets everything go as far as it comes: what merges hold, and what waits for a node
// that has a hand free.
func (r *Run) pump(log *Log) {
	for moved := true; moved; {
		moved = false
		for _, i := range r.g.order {
			for r.held[i] > 0 && r.join(i, log) {
				moved = true
			}
			for r.waiting[i] > 0 && r.dispatch(i, log) {
				moved = true
			}
		}
	}
}

// dispatch gives a node what has waited longest for it, if it can take anything. It says
// whether it could.
func (r *Run) dispatch(i int, log *Log) bool {
	if r.inHand[i] > 0 || r.paused.has(i) {
		return false
	}
	next := -1
	for k := range r.flights {
		f := &r.flights[k]
		if f.state == queued && int(f.at) == i && (next < 0 || f.arrived < r.flights[next].arrived) {
			next = k
		}
	}
	if !r.isNext(next) {
		return false
	}
	f := &r.flights[next]
	r.tally(f, -1)
	f.state = inHands
	r.tally(f, 1)
	log.add(Event{What: Dispatched, Node: r.g.nodes[i].ID, Edge: r.g.edges[f.edge].ID, Item: f.item})
	return true
}

// isNext says that nothing which stands before a flight may still come to a node of the same
// role, where the nodes of that role have one order.
func (r *Run) isNext(k int) bool {
	peers := r.g.peers[r.flights[k].at]
	if peers == 0 {
		return true
	}
	for i := range r.flights[:k] {
		f := &r.flights[i]
		if (r.reach[f.at]&peers) != 0 && !(peers.has(int(f.at)) && f.state == inHands) {
			return false
		}
	}
	return true
}

// Busy says that something is under way.
func (r *Run) Busy() bool { return len(r.flights) > 0 }

// Towards says that something under way may still come to a node of a role, or is there.
func (r *Run) Towards(role Role) bool {
	nodes := r.g.roleSet(role) &^ r.out()
	for k := range r.flights {
		if r.reach[r.flights[k].at]&nodes != 0 {
			return true
		}
	}
	return false
}

// Lives says that a node has not failed, been cancelled or ended.
func (r *Run) Lives(id eventabi.NodeID) bool {
	i := r.g.index(id)
	return i >= 0 && !r.out().has(i)
}

// Holds says that a node has something in hand, or that something waits for it.
func (r *Run) Holds(id eventabi.NodeID) bool {
	hands, waiting := r.At(id)
	return hands+waiting > 0
}

// Seq is the number of the last item.
func (r *Run) Seq() int64 { return r.seq }

// At counts what a node has in hand, and what waits for it or is held in front of it.
func (r *Run) At(id eventabi.NodeID) (hands, waiting int) {
	i := r.g.index(id)
	if i < 0 {
		return 0, 0
	}
	return int(r.inHand[i]), int(r.waiting[i] + r.held[i])
}

// out are the nodes that take and give nothing any more.
func (r *Run) out() nodeSet { return r.gone | r.cancelled | r.ended }

// outline finds anew what may come where. A node that has failed leads to what stands in for
// it, and to nothing where nothing does.
func (r *Run) outline() {
	g := r.g
	for k := len(g.order) - 1; k >= 0; k-- {
		i := g.order[k]
		var s nodeSet
		s.add(i)
		switch {
		case r.gone.has(i):
			if to := r.standIn[i]; to >= 0 {
				s |= r.reach[to]
			}
		case !(r.cancelled | r.ended).has(i):
			for _, e := range g.outs[i] {
				s |= r.reach[g.to(e)]
			}
			for _, to := range g.stands[i] {
				s |= r.reach[to]
			}
		}
		r.reach[i] = s
	}
}

// alive gives the nodes that may still give something.
func (r *Run) alive() (s nodeSet) {
	for _, i := range r.g.order {
		out := r.out()
		// What is held in front of a node that has fallen goes to its stand-in.
		if !out.has(i) && (r.g.sources.has(i) || r.waiting[i]+r.held[i]+r.inHand[i] > 0 || r.fed(i, s)) {
			s.add(i)
		}
	}
	return s
}

// fed says that a living node leads to another, or to one whose work that does.
func (r *Run) fed(i int, alive nodeSet) bool {
	for k := i; ; {
		for _, e := range r.g.ins[k] {
			if alive.has(r.g.from(e)) {
				return true
			}
		}
		of := r.g.of[k]
		if of < 0 || !r.gone.has(of) || int(r.standIn[of]) != k {
			return false
		}
		if r.held[of] > 0 {
			return true
		}
		k = of
	}
}

// place follows stand-ins to the node that does the work of another now; -1 = none does.
func (r *Run) place(i int) int {
	for r.gone.has(i) {
		if r.standIn[i] < 0 {
			return -1
		}
		i = int(r.standIn[i])
	}
	return i
}

// Check looks for what can never be; empty when nothing is wrong. It is for tests and
// simulations.
func (r *Run) Check() string {
	var waiting, hand, held [MaxNodes]int32
	for k := range r.flights {
		f := &r.flights[k]
		switch f.state {
		case holding:
			held[f.at]++
		case queued:
			waiting[f.at]++
		case inHands:
			hand[f.at]++
		}
		if f.state != holding && r.out().has(int(f.at)) {
			return "a node that is gone has something: " + string(r.g.nodes[f.at].ID)
		}
		for j := range r.flights[:k] {
			if o := &r.flights[j]; o.item.Seq == f.item.Seq && o.at == f.at && o.edge == f.edge {
				return "an item is twice on an edge: " + string(r.g.edges[f.edge].ID)
			}
		}
	}
	if waiting != r.waiting || hand != r.inHand || held != r.held {
		return "what nodes have is not what is counted"
	}
	for i := range r.g.nodes {
		id := string(r.g.nodes[i].ID)
		switch {
		case hand[i] > 1:
			return "a node has more than one item in hand: " + id
		case waiting[i] > 0 && hand[i] == 0 && !r.paused.has(i) && r.g.peers[i] == 0:
			return "something waits for a node that has nothing in hand: " + id
		case waiting[i] > r.roomOf(i)+1+MaxEdges || held[i] > r.room+MaxEdges:
			return "more waits than may: " + id
		}
	}
	c := &r.count
	if c.Put != c.Passed+c.Done+c.Dropped+c.Dead+int64(len(r.flights)) {
		return "something was lost uncounted"
	}
	return ""
}

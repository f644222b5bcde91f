// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"strings"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Ends say where an edge lies.
type Ends struct {
	ID   string // as in the plan
	From string // its producer, or the stream that feeds it
	To   string // its consumer; several edges with one consumer are a fan-in
	Key  string // fairness key of its items, empty = the session's
	Side bool   // the turn can do without it
}

// Board is all edges of one session. Edges are numbered in the order in which they were
// added, and consumers are known by their names. The zero value has none.
type Board struct {
	edges     []*Edge
	ends      []Ends
	consumers []consumer
}

// consumer is who takes from one edge or from several.
type consumer struct {
	name   string
	demand int64             // items it can take now
	served [laneCount]string // fairness key that each lane served last
	edges  []int
}

// Add puts an edge on the board and gives its number.
func (b *Board) Add(ends Ends, s *Spec) int {
	e := NewEdge(s)
	e.number = len(b.edges)
	b.edges, b.ends = append(b.edges, e), append(b.ends, ends)
	if ends.To != "" {
		c := b.consumer(ends.To)
		c.edges = append(c.edges, e.number)
	}
	return e.number
}

// consumer finds a consumer by its name, or makes it.
func (b *Board) consumer(name string) *consumer {
	for i := range b.consumers {
		if b.consumers[i].name == name {
			return &b.consumers[i]
		}
	}
	b.consumers = append(b.consumers, consumer{name: name})
	return &b.consumers[len(b.consumers)-1]
}

// Len is the number of edges.
func (b *Board) Len() int { return len(b.edges) }

// Edge gives an edge by its number.
func (b *Board) Edge(n int) *Edge { return b.edges[n] }

// Ends says where an edge lies.
func (b *Board) Ends(n int) *Ends { return &b.ends[n] }

// Find gives the number of an edge by its id.
func (b *Board) Find(id string) (n int, ok bool) {
	for i := range b.ends {
		if b.ends[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// maxDemand bounds what a consumer may ask for: one that is always ready asks once.
const maxDemand = 1 << 40

// Ready says that a consumer can take n further items. It may ask before there is an edge
// to it.
func (b *Board) Ready(name string, n int64) {
	c := b.consumer(name)
	c.demand += min(max(n, 0), maxDemand-c.demand)
}

// Next gives the item that is to be handed to a consumer now, and the number of its
// edge. Lanes go by strict priority; in a lane fairness keys take turns, and of one key
// the lowest sequence goes first, whichever edge it lies in: the merge rule
// sequence_order.
func (b *Board) Next(now timebase.Instant, log *Log) (edge int, it Item, ok bool) {
	if !b.wanted() {
		return 0, Item{}, false
	}
	for lane := range laneCount {
		for i := range b.consumers {
			c := &b.consumers[i]
			if c.demand == 0 {
				continue
			}
			if n, key, found := b.pick(now, c, lane, log); found {
				c.demand--
				c.served[lane] = key
				return n, b.edges[n].TakeLane(now, lane, log), true
			}
		}
	}
	return 0, Item{}, false
}

// wanted says that something lies in front of a consumer that can take more.
func (b *Board) wanted() bool {
	for i := range b.consumers {
		c := &b.consumers[i]
		if c.demand == 0 {
			continue
		}
		for _, n := range c.edges {
			if b.edges[n].lies() {
				return true
			}
		}
	}
	return false
}

// pick chooses among a consumer's edges that have something in a lane: the key after the
// one served last, in the order of their names, and of its edges the one that holds the
// lowest sequence.
func (b *Board) pick(now timebase.Instant, c *consumer, lane Lane, log *Log) (edge int, key string, ok bool) {
	var lowest int64
	for _, n := range c.edges {
		e := b.edges[n]
		if e.lanes[lane].len() == 0 {
			continue
		}
		seq, there := e.Head(now, lane, log)
		if !there {
			continue
		}
		k := b.ends[n].Key
		turn := keyTurn(k, key, c.served[lane])
		if !ok || turn < 0 || turn == 0 && seq < lowest {
			edge, key, lowest, ok = n, k, seq, true
		}
	}
	return edge, key, ok
}

// keyTurn compares two keys by whose turn comes first after the one that was served:
// those behind it in order, then those from the beginning.
func keyTurn(a, b, served string) int {
	if behindA, behindB := a > served, b > served; behindA != behindB {
		if behindA {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// Purge drops what belongs to a scope on every edge.
func (b *Board) Purge(now timebase.Instant, scope uint32, why Reason, log *Log) {
	for _, e := range b.edges {
		e.Purge(now, scope, why, log)
	}
}

// Announce closes the runs of drops on every edge.
func (b *Board) Announce(log *Log) {
	for _, e := range b.edges {
		e.Announce(log)
	}
}

// Expire lets time act on every edge.
func (b *Board) Expire(now timebase.Instant, log *Log) {
	for _, e := range b.edges {
		if !e.timeless() && e.Due() <= now {
			e.Expire(now, log)
		}
	}
}

// Due is when time alone changes something at an edge.
func (b *Board) Due() timebase.Instant {
	due := timebase.Never
	for _, e := range b.edges {
		if !e.timeless() {
			due = timebase.Earliest(due, e.Due())
		}
	}
	return due
}

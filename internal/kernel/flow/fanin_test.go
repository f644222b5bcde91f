// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// hall is a board seen from outside: what lies where, who asked for how much, and how long
// each key has been passed over.
type hall struct {
	t      *rapid.T
	b      Board
	seq    int64
	lies   [][laneCount][]int64 // by edge
	demand map[string]int64
	passed map[string]int // by consumer, lane and key
	log    Log
}

// next takes one item and checks that it was the one whose turn it was.
func (h *hall) next() {
	n, it, ok := h.b.Next(0, &h.log)
	first := laneCount // that somebody waits for and something lies in
	for edge := range h.lies {
		for lane := range laneCount {
			if h.demand[h.b.Ends(edge).To] > 0 && len(h.lies[edge][lane]) > 0 {
				first = min(first, lane)
			}
		}
	}
	if ok != (first < laneCount) {
		h.t.Fatalf("something is handed over: %v, and the first lane is %d", ok, first)
	}
	if !ok {
		return
	}
	ends := h.b.Ends(n)
	if it.Lane != first || h.demand[ends.To] <= 0 || len(h.lies[n][first]) == 0 || h.lies[n][first][0] != it.Seq {
		h.t.Fatalf("%v of edge %s; lane %d is first, %s asked for %d", it, ends.ID, first, ends.To, h.demand[ends.To])
	}
	h.turns(ends, first, it.Seq)
	h.demand[ends.To]--
	h.lies[n][first] = h.lies[n][first][1:]
}

// turns checks the order among a consumer's edges: of one key the lowest sequence, and no
// key passed over for longer than a round.
func (h *hall) turns(served *Ends, lane Lane, seq int64) {
	keys := map[string]bool{}
	waits := map[string]bool{}
	for edge := range h.lies {
		ends := h.b.Ends(edge)
		if ends.To != served.To {
			continue
		}
		keys[ends.Key] = true
		if heads := h.lies[edge][lane]; len(heads) > 0 {
			waits[ends.Key] = true
			if ends.Key == served.Key && heads[0] < seq {
				h.t.Fatalf("%d goes ahead of %d of the same key", seq, heads[0])
			}
		}
	}
	for key := range keys {
		at := fmt.Sprint(served.To, lane, key)
		if key == served.Key || !waits[key] {
			h.passed[at] = 0
			continue
		}
		if h.passed[at]++; h.passed[at] >= len(keys) {
			h.t.Fatalf("key %q was passed over %d times, there are %d keys", key, h.passed[at], len(keys))
		}
	}
}

// Flow section 4: "strict priority Control, Data, Telemetry; inside a lane FIFO by
// runtime_sequence, modified only by fairness keys". Section 7: "Between keys service is
// round-robin".
func TestBoardProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hall{t: t, demand: map[string]int64{}, passed: map[string]int{}}
		one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		for n := range rapid.IntRange(1, 6).Draw(t, "edges") {
			h.b.Add(Ends{ID: fmt.Sprint("e", n), To: one("to", "x", "y"), Key: one("key", "", "k1", "k2", "k3")}, wide())
			h.lies = append(h.lies, [laneCount][]int64{})
		}
		for range rapid.IntRange(1, 100).Draw(t, "calls") {
			switch rapid.IntRange(0, 5).Draw(t, "call") {
			case 0:
				to, n := one("to", "x", "y"), rapid.Int64Range(0, 4).Draw(t, "n")
				h.b.Ready(to, n)
				h.demand[to] += n
			case 1, 2:
				h.next()
			default:
				h.seq++
				edge := rapid.IntRange(0, h.b.Len()-1).Draw(t, "edge")
				lane := rapid.SampledFrom([]Lane{Control, Data, Data, Telemetry}).Draw(t, "lane")
				it := Item{Seq: h.seq, Handle: h.seq, Kind: [...]Kind{Marker, Audio, Metric}[lane], Lane: lane, Bytes: 1}
				if v := h.b.Edge(edge).Offer(0, it, &h.log); v != Taken {
					t.Fatalf("verdict %d", v)
				}
				h.lies[edge][lane] = append(h.lies[edge][lane], h.seq)
			}
		}
	})
}

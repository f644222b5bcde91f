// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// dice are the chance of a test.
type dice struct{ random timebase.Random }

func newDice(seed, use uint64) *dice { return &dice{timebase.NewRandom(seed<<8 | use)} }

func (d *dice) IntN(n int) int { return int(d.random.Below(int64(n))) }

func (d *dice) Shuffle(n int, swap func(i, k int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, d.IntN(i+1))
	}
}

// randomGraph makes a graph that compiles, with text nodes of all kinds between the segmenter
// and the synthesiser.
func randomGraph(rng *dice, rules []MergeRule) *Graph {
	for {
		d := base()
		d.Edges = append(d.Edges, parseEdge([]string{"ear", "mind"}))
		ids := []eventabi.NodeID{"cutter"}
		for i := range 2 + rng.IntN(6) {
			n := Node{ID: eventabi.NodeID(fmt.Sprintf("n%d", rng.IntN(90)+10*i+100)), Role: RoleWork, Scope: ScopeTurn}
			switch rng.IntN(4) {
			case 0:
				n.Role, n.Merge = RoleMerge, rules[rng.IntN(len(rules))]
			case 1:
				n.Role = RoleSelect
			case 2:
				if rng.IntN(2) == 0 {
					f := n
					f.ID, f.FallbackOf, f.FallbackOn = n.ID+"f", n.ID, []Trigger{OnError}
					d.Nodes = append(d.Nodes, f)
					d.Edges = append(d.Edges, Edge{ID: eventabi.EdgeID(f.ID + "-mouth"), From: f.ID, To: "mouth"})
				}
			}
			d.Nodes = append(d.Nodes, n)
			ids = append(ids, n.ID)
		}
		ids = append(ids, "mouth")
		for from := range len(ids) - 1 {
			for k := range 1 + rng.IntN(3) {
				to := ids[from+1+rng.IntN(len(ids)-from-1)]
				e := Edge{ID: eventabi.EdgeID(fmt.Sprintf("%s-%s-%d", ids[from], to, k)), From: ids[from], To: to, Rank: int64(rng.IntN(3))}
				if rng.IntN(3) == 0 {
					e.Room = 1 + int64(rng.IntN(3))
				}
				if rng.IntN(4) == 0 {
					e.When = []Test{{"n", OpLess, fmt.Sprint(rng.IntN(10))}}
				}
				d.Edges = append(d.Edges, e)
			}
		}
		if g, _ := Compile(d); g != nil {
			return g
		}
	}
}

// world drives a run at random, and looks at what it decides.
type world struct {
	t      *testing.T
	g      *Graph
	rng    *dice
	run    Run
	log    Log
	text   []string
	hands  []Event          // dispatched and not done
	keys   map[int64][]part // where an item stands in the order, by its descent
	kids   map[int64]int    // how many were made of it
	last   map[string]int64 // by edge, the last item that was given along it
	behind map[int][]part   // by node with several edges, the key of the last
	seen   map[string]bool  // node and item
	moved  map[string]bool  // rewired: its order is that of another edge
	faults bool
}

func newWorld(t *testing.T, g *Graph, seed uint64) *world {
	t.Helper()
	w := &world{
		t: t, g: g, rng: newDice(seed, 7), keys: map[int64][]part{}, kids: map[int64]int{}, last: map[string]int64{},
		behind: map[int][]part{}, seen: map[string]bool{}, moved: map[string]bool{},
	}
	w.run.Begin(g, room)
	return w
}

// settle takes in what the last call decided.
func (w *world) settle() {
	w.t.Helper()
	for _, ev := range w.log.List {
		w.text = append(w.text, readable(&ev))
		name := fmt.Sprint(ev.Node, ev.Item.Seq)
		switch ev.What {
		case Dispatched:
			if w.seen[name] {
				w.t.Fatalf("item %d is given to %s twice", ev.Item.Seq, ev.Node)
			}
			w.seen[name] = true
			w.hands = append(w.hands, ev)
			w.inOrder(&ev)
		case Rewired:
			w.moved[fmt.Sprint(ev.To, ev.Item.Seq)] = true
			w.forget(ev.Node, ev.Item.Seq)
		case Dropped, DeadLetter:
			w.forget(ev.Node, ev.Item.Seq)
		case Cancelled:
			w.hands = slices.DeleteFunc(w.hands, func(h Event) bool { return h.Node == ev.Node })
		case Routed, Merged, FellBack, Unresolved, whatCount:
		}
	}
	w.log.Reset()
	if why := w.run.Check(); why != "" {
		w.t.Fatalf("%s\n%v", why, w.text)
	}
}

func (w *world) forget(id eventabi.NodeID, seq int64) {
	w.hands = slices.DeleteFunc(w.hands, func(h Event) bool { return h.Node == id && h.Item.Seq == seq })
}

// inOrder holds what a node is given to the order of its edge, and of the merge in front of it.
func (w *world) inOrder(ev *Event) {
	w.t.Helper()
	i := w.g.index(ev.Node)
	k, _ := findEdge(w.g.edges, ev.Edge)
	if w.moved[fmt.Sprint(ev.Node, ev.Item.Seq)] {
		return
	}
	if from := w.g.from(k); !w.g.passes(from) {
		if key := string(ev.Node) + string(ev.Edge); !w.g.joint[i] {
			if ev.Item.Seq <= w.last[key] {
				w.t.Fatalf("%s is given item %d behind %d along %s", ev.Node, ev.Item.Seq, w.last[key], ev.Edge)
			}
			w.last[key] = ev.Item.Seq
		}
	}
	key, ok := w.keys[ev.Item.Seq]
	if !ok || !w.g.joint[i] {
		return
	}
	if last := w.behind[i]; last != nil && before(key, last) {
		w.t.Fatalf("%s is given %v behind %v: out of order\n%v", ev.Node, key, last, w.text)
	}
	w.behind[i] = key
}

// before compares places in the order. An item stands behind another when what they were made
// of did, or the same node gave it later for the same item. What two nodes made of one item,
// and an item and what a node made of it, may come in either order.
func before(a, b []part) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i].by == b[i].by && a[i].n < b[i].n
		}
	}
	return false
}

// part is a step of an item's descent: who made it, and as which of what it made of that.
type part struct {
	by eventabi.NodeID
	n  int
}

func (w *world) emit(from eventabi.NodeID, cause int64) Verdict {
	it := Item{Type: "segment", Attributes: []Attribute{{"n", fmt.Sprint(w.rng.IntN(10))}}}
	seq, v := w.run.Emit(from, cause, it, &w.log)
	if v == Taken && (cause == 0 || w.keys[cause] != nil) { // what a merge of all made stands elsewhere
		key := []part{{"", int(seq)}}
		if cause != 0 {
			key = append(slices.Clone(w.keys[cause]), part{from, w.kids[cause]})
			w.kids[cause]++
		}
		w.keys[seq] = key
	}
	w.settle()
	return v
}

// step does one thing that could happen.
func (w *world) step() {
	w.t.Helper()
	switch n := w.rng.IntN(20); {
	case n < 5 || len(w.hands) == 0:
		w.emit("cutter", 0)
		return
	case n == 5 && w.faults:
		h := w.hands[w.rng.IntN(len(w.hands))]
		w.run.Fail(h.Node, OnError, "x", &w.log)
	case n == 6 && w.faults && w.rng.IntN(8) == 0:
		w.run.Cancel(w.hands[w.rng.IntN(len(w.hands))].Node, &w.log)
	default:
		h := w.hands[w.rng.IntN(len(w.hands))]
		if n < 14 && w.g.Node(h.Node).Role == RoleWork {
			w.emit(h.Node, h.Item.Seq)
			return
		}
		w.finish(h)
		return
	}
	w.settle()
}

func (w *world) finish(h Event) {
	w.t.Helper()
	if v := w.run.Done(h.Node, h.Item.Seq, &w.log); v != Taken {
		w.t.Fatalf("%s has item %d and cannot be done with it: %s", h.Node, h.Item.Seq, v)
	}
	w.forget(h.Node, h.Item.Seq)
	w.settle()
}

func play(t *testing.T, g *Graph, seed uint64, steps int, faults bool) *world {
	t.Helper()
	w := newWorld(t, g, seed)
	w.faults = faults
	for range steps {
		w.step()
	}
	for len(w.hands) > 0 {
		w.finish(w.hands[w.rng.IntN(len(w.hands))])
	}
	if w.run.Busy() {
		t.Fatalf("%d are under way and nobody has them\n%v", len(w.run.flights), w.text)
	}
	return w
}

// Whatever is done to a run, in any graph: order is kept, nothing is given twice or lost
// uncounted, everything comes to an end, and it is the same again.
func TestRandomRuns(t *testing.T) {
	rules := [][]MergeRule{{MergeSequence}, {MergeSequence, MergeFirst}, {MergeSequence, MergeFirst, MergeAll}}
	for seed := range uint64(600) {
		g := randomGraph(newDice(seed, 1), rules[seed%3])
		steps := 60
		if seed%20 == 0 {
			steps = 600 // enough to fill what is bounded
		}
		a := play(t, g, seed, steps, seed%2 == 1)
		b := play(t, g, seed, steps, seed%2 == 1)
		if !slices.Equal(a.text, b.text) || a.run.count != b.run.count {
			t.Fatalf("seed %d: two equal runs differ", seed)
		}
	}
}

// A cancel reaches a node exactly when all ways to it lead through the one that is cancelled.
func TestCancelScope(t *testing.T) {
	for seed := range uint64(400) {
		g := randomGraph(newDice(seed, 2), []MergeRule{MergeSequence, MergeAll, MergeFirst})
		for root := range g.nodes {
			if g.dormant.has(root) {
				continue
			}
			var r Run
			var log Log
			r.Begin(g, room)
			without := ways(g, root)
			var want []eventabi.NodeID
			for _, i := range g.order {
				if i == root || walk(g, root, -1).has(i) && !without.has(i) && !g.dormant.has(i) {
					want = append(want, g.nodes[i].ID)
				}
			}
			r.Cancel(g.nodes[root].ID, &log)
			var got []eventabi.NodeID
			for i := range log.List {
				got = append(got, log.List[i].Node)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: cancel of %s reaches %v, want %v", seed, g.nodes[root].ID, got, want)
			}
		}
	}
}

// ways gives what the sources come to without a node.
func ways(g *Graph, without int) (s nodeSet) {
	for i := range g.nodes {
		if len(g.ins[i]) == 0 && g.nodes[i].FallbackOf == "" && i != without {
			s |= walk(g, i, without)
		}
	}
	return s
}

// walk gives what a node comes to along edges.
func walk(g *Graph, from, without int) (s nodeSet) {
	s.add(from)
	for _, e := range g.edges {
		if to := g.index(e.To); g.index(e.From) == from && to != without {
			s |= walk(g, to, without)
		}
	}
	return s
}

// Where nothing is finished, what waits is bounded, the producer is told so, and what was
// refused has left no trace.
func TestFull(t *testing.T) {
	d := base()
	d.Edges = append(d.Edges, parseEdge([]string{"ear", "mind"}), parseEdge([]string{"cutter", "mouth"}))
	g, _ := Compile(d)
	var r Run
	var log Log
	r.Begin(g, room)
	for range room + 1 {
		if _, v := r.Emit("cutter", 0, Item{Type: "segment"}, &log); v != Taken {
			t.Fatal(v)
		}
	}
	before := r.count
	log.Reset()
	if seq, v := r.Emit("cutter", 0, Item{Type: "segment"}, &log); v != Full || seq != 0 || len(log.List) > 0 {
		t.Errorf("item %d beyond the bound is %s, and %v came of it", seq, v, log.List)
	}
	before.Full++
	if r.count != before {
		t.Errorf("counts are %+v, want %+v", r.count, before)
	}
	r.Done("mouth", 1, &log)
	if _, v := r.Emit("cutter", 0, Item{Type: "segment"}, &log); v != Taken {
		t.Errorf("with room it is %s", v)
	}
}

// A merge that holds all that it may still takes what the others wait for, and no more than
// that of anything else.
func TestFullMerge(t *testing.T) {
	for _, rule := range []string{"sequence_order", "all"} {
		g, faults := Compile(declare("node a work type=segment", "node m merge merge="+rule, "edge cutter a", "edge cutter m rank=1", "edge a m", "edge m mouth id=out"))
		if g == nil {
			t.Fatal(faults)
		}
		var r Run
		var log Log
		r.Begin(g, room)
		var first int64
		full := false
		for range 4 * room {
			seq, v := r.Emit("cutter", 0, Item{Type: "segment"}, &log)
			if full = v == Full; full {
				break
			}
			if first == 0 {
				first = seq
			}
			if why := r.Check(); why != "" {
				t.Fatal(why)
			}
		}
		if _, held := r.At("m"); !full || held > room {
			t.Errorf("%s: %d are held, and full is %v", rule, held, full)
		}
		if _, v := r.Emit("a", first, Item{Type: "segment"}, &log); v != Taken {
			t.Errorf("%s: what the others wait for is %s", rule, v)
		}
		for seq := first; r.Done("a", seq, &log) == Taken; seq++ {
			for hands, _ := r.At("mouth"); hands > 0; hands, _ = r.At("mouth") {
				for i := range log.List {
					if ev := &log.List[i]; ev.What == Dispatched && ev.Node == "mouth" {
						r.Done("mouth", ev.Item.Seq, &log)
					}
				}
			}
		}
		if why := r.Check(); why != "" {
			t.Error(why)
		}
	}
}

// Check speaks up when what it looks at is broken.
func TestCheck(t *testing.T) {
	g := randomGraph(newDice(3, 3), []MergeRule{MergeSequence})
	for name, hurt := range map[string]func(r *Run){
		"lost":      func(r *Run) { r.count.Put++ },
		"counted":   func(r *Run) { r.waiting[0]++ },
		"forgotten": func(r *Run) { r.flights = r.flights[:0] },
		"twice":     func(r *Run) { r.insert(0, r.flights[0]); r.count.Put++ },
		"dead":      func(r *Run) { r.gone.add(int(r.flights[len(r.flights)-1].at)); r.flights[0].state = inHands },
	} {
		w := newWorld(t, g, 5)
		for range 10 {
			w.emit("cutter", 0)
		}
		hurt(&w.run)
		if w.run.Check() == "" {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}

// threeNodes is a path of a segmenter, a work node and a synthesiser.
func threeNodes(tb testing.TB) *Graph {
	tb.Helper()
	d := base()
	d.Nodes = append(d.Nodes, parseNode([]string{"a", "work", "type=segment"}))
	for _, e := range [][]string{{"ear", "mind"}, {"cutter", "a"}, {"a", "mouth"}} {
		d.Edges = append(d.Edges, parseEdge(e))
	}
	g, faults := Compile(d)
	if g == nil {
		tb.Fatal(faults)
	}
	return g
}

func through(r *Run, log *Log) {
	log.Reset()
	seq, _ := r.Emit("cutter", 0, Item{Type: "segment"}, log)
	made, _ := r.Emit("a", seq, Item{Type: "segment"}, log)
	r.Done("a", seq, log)
	r.Done("mouth", made, log)
}

// In the steady state an item costs the garbage collector nothing.
func TestItemsDoNotAllocate(t *testing.T) {
	var r Run
	var log Log
	r.Begin(threeNodes(t), room)
	through(&r, &log)
	if n := testing.AllocsPerRun(200, func() { through(&r, &log) }); n != 0 {
		t.Errorf("an item through three nodes allocates %v times", n)
	}
	if r.Busy() || r.count.Done != 404 {
		t.Errorf("%+v, and %d under way", r.count, len(r.flights))
	}
}

func BenchmarkThreeNodes(b *testing.B) {
	var r Run
	var log Log
	r.Begin(threeNodes(b), room)
	b.ReportAllocs()
	for b.Loop() {
		through(&r, &log)
	}
}

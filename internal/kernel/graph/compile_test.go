// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// declare adds lines of a script to a conversation that is whole.
func declare(lines ...string) Definition {
	d := base()
	for _, line := range append([]string{"edge ear mind", "edge cutter mouth"}, lines...) {
		if f := strings.Fields(line); f[0] == "node" {
			d.Nodes = append(d.Nodes, parseNode(f[1:]))
		} else {
			d.Edges = append(d.Edges, parseEdge(f[1:]))
		}
	}
	return d
}

func change(d Definition, id eventabi.NodeID, how func(n *Node)) Definition {
	for i := range d.Nodes {
		if d.Nodes[i].ID == id {
			how(&d.Nodes[i])
		}
	}
	return d
}

// prelude has nodes work ahead of turns.
func prelude(d Definition, ids ...eventabi.NodeID) Definition {
	for _, id := range ids {
		d = change(d, id, func(n *Node) { n.Prelude, n.Scope = true, ScopeSession })
	}
	return d
}

func lose(d Definition, id eventabi.NodeID) Definition {
	d.Nodes = slices.DeleteFunc(d.Nodes, func(n Node) bool { return n.ID == id })
	d.Edges = slices.DeleteFunc(d.Edges, func(e Edge) bool { return e.From == id || e.To == id })
	return d
}

// Each defect is told, and nothing else is: a list of severity, code and path.
func TestFaults(t *testing.T) {
	session := func(id eventabi.NodeID) func(d Definition) Definition {
		return func(d Definition) Definition { return change(d, id, func(n *Node) { n.Scope = ScopeSession }) }
	}
	for name, c := range map[string]struct {
		d    Definition
		want string
	}{
		"whole": {declare(), ""},
		"cycle": {
			declare("node a work type=segment", "node b work type=segment", "edge cutter a", "edge a b", "edge b a", "edge b mouth"),
			"error cycle nodes.a",
		},
		"itself":           {declare("node a work type=segment", "edge cutter a", "edge a a", "edge a mouth"), "error cycle nodes.a"},
		"dangling":         {declare("edge ear nobody", "edge nobody mind"), "error unknown_node edges.ear-nobody.to; error unknown_node edges.nobody-mind.from"},
		"types apart":      {declare("edge ear mouth"), "error types edges.ear-mouth"},
		"type not given":   {declare("node a work type=transcript", "edge ear a events=gesture"), "error types edges.ear-a.events; warning unreachable nodes.a"},
		"type not taken":   {declare("node a work type=segment", "edge ear a events=transcript", "edge a mouth"), "error types edges.ear-a.events"},
		"types by a merge": {declare("node m merge", "node a work type=transcript", "edge ear a", "edge ear m", "edge a m", "edge m mouth"), "error types edges.m-mouth"},
		"role":             {declare("node a wizard", "edge cutter a"), "error role nodes.a.role"},
		"scope":            {change(declare(), "mind", func(n *Node) { n.Scope = "" }), "error scope nodes.mind.scope"},
		"budget":           {change(declare(), "mind", func(n *Node) { n.BudgetMS = -1 }), "error budget nodes.mind.budget_ms"},
		"id":               {declare("node a/b dead_letter"), "error id nodes.a/b"},
		"id twice":         {declare("node mind model"), "error id nodes.mind"},
		"edge twice":       {declare("edge ear mind"), "error id edges.ear-mind"},
		"edge id":          {declare("edge cutter mouth id=a/b"), "error id edges.a/b"},
		"two dead letters": {declare("node d1 dead_letter", "node d2 dead_letter"), "error role nodes.d2.role"},
		"two responders":   {declare("node d1 responder", "node d2 responder"), "error role nodes.d2.role"},
		"merge rule":       {declare("node m merge merge=best", "node a work type=segment", "edge cutter m", "edge cutter a", "edge a m", "edge m mouth"), "error merge_rule nodes.m.merge"},
		"rule of no merge": {declare("node a work type=segment merge=all", "edge cutter a", "edge a mouth"), "error merge_rule nodes.a.merge"},
		"one input":        {declare("node m merge merge=all", "edge cutter m", "edge m mouth"), "error merge_inputs nodes.m.merge"},
		"one live input": {
			declare("node m merge", "node a work type=segment", "node b work type=segment of=a on=error", "edge cutter a", "edge a m", "edge b m", "edge m mouth"),
			"error merge_inputs nodes.m.merge",
		},
		"bad number":       {declare("node a work type=segment", "edge cutter a when=confidence,>,0,5", "edge a mouth", "edge cutter mouth id=x when=confidence,<,high"), "error condition edges.x.when"},
		"operator":         {declare("edge cutter mouth id=x when=confidence,~,1"), "error condition edges.x.when"},
		"no attribute":     {declare("edge cutter mouth id=x when=,==,1"), "error condition edges.x.when"},
		"uncovered":        {declare("node s select", "edge cutter s", "edge s mouth when=a,==,b"), "warning uncovered nodes.s"},
		"behind the open":  {declare("node s select", "edge cutter s", "edge s mouth", "edge s mouth id=t rank=1 when=a,==,b"), "warning uncovered edges.t.rank"},
		"unreached":        {declare("node a work type=segment", "edge a mouth"), "warning unreachable nodes.a"},
		"leads nowhere":    {declare("node a work type=segment", "edge cutter a"), "warning unreachable nodes.a"},
		"fallback of none": {declare("node b work type=segment of=nobody on=error", "edge b mouth"), "error unknown_node nodes.b.fallback_of; warning unreachable nodes.b"},
		"of itself":        {declare("node b work type=segment of=b on=error", "edge cutter b", "edge b mouth"), "error fallback nodes.b.fallback_of"},
		"fallbacks in a ring": {
			declare("node a work type=segment of=b on=error", "node b work type=segment of=a on=error", "edge a mouth", "edge b mouth"),
			"error cycle nodes.a; warning unreachable nodes.a; warning unreachable nodes.b",
		},
		"no trigger":    {declare("node a work type=segment", "node b work type=segment of=a", "edge cutter a", "edge a mouth", "edge b mouth"), "error trigger nodes.b.fallback_on"},
		"wrong trigger": {declare("node a work type=segment", "node b work type=segment of=a on=rain", "edge cutter a", "edge a mouth", "edge b mouth"), "error trigger nodes.b.fallback_on"},
		"same trigger": {
			declare("node a work type=segment", "node b work type=segment of=a on=error", "node c work type=segment of=a on=error", "edge cutter a", "edge a mouth", "edge b mouth", "edge c mouth"),
			"error trigger nodes.c.fallback_on",
		},
		"trigger alone":    {declare("node a work type=segment on=error", "edge cutter a", "edge a mouth"), "error trigger nodes.a.fallback_on"},
		"types of a stand": {declare("node a work type=segment", "node b work type=transcript of=a on=error", "edge cutter a", "edge a mouth"), "error types nodes.b.fallback_of; warning unreachable nodes.b"},
		"roles of a stand": {declare("node b work type=transcript of=ear on=error", "edge b mind"), "error fallback nodes.b.fallback_of; error types nodes.b.fallback_of"},
		"edge to a stand":  {declare("node a work type=segment", "node b work type=segment of=a on=error", "edge cutter a", "edge a mouth", "edge b mouth", "edge cutter b"), "error fallback edges.cutter-b.to"},
		"two answers":      {declare("node other model", "edge ear other", "edge other cutter"), "error two_answers nodes.other"},
		"one of two":       {declare("node other model", "edge ear other when=language,==,de", "edge other cutter"), "error two_answers nodes.other"},
		"select of two":    {swap("node s select", "edge ear s", "edge s mind", "edge s other rank=-1 when=language,==,de"), ""},
		"conditions apart": {swap("edge ear mind when=confidence,>=,0.5", "edge ear other when=confidence,<,0.5"), ""},
		"first of two":     {swap("edge ear mind", "edge ear other", "node m merge merge=first", "edge other m", "edge mind m", "edge m cutter"), ""},
		"no segmenter":     {lose(declare(), "cutter"), "error incomplete_path nodes; warning unreachable nodes.mind; warning unreachable nodes.mouth; warning unreachable nodes.speaker"},
		"no way": {
			without("ear-mind"),
			"error incomplete_path edges; warning unreachable nodes.cutter; warning unreachable nodes.ear; warning unreachable nodes.mind; warning unreachable nodes.mouth; warning unreachable nodes.speaker",
		},
		"prelude of turns":  {change(declare(), "ear", func(n *Node) { n.Prelude = true }), "error prelude nodes.ear.prelude"},
		"one prelude":       {prelude(declare("node x work type=audio_chunk", "edge caller x"), "x", "ear"), "warning unreachable nodes.x"},
		"two preludes":      {prelude(declare("node x work type=transcript", "edge x mind"), "x", "ear"), "error prelude nodes.x.prelude"},
		"fed prelude":       {prelude(declare("node x work type=segment", "edge cutter x"), "x"), "error prelude edges.cutter-x.to; warning unreachable nodes.x"},
		"session in a turn": {session("a")(declare("node a work type=segment", "edge cutter a", "edge a mouth")), "error scope nodes.a.scope"},
		"session beside":    {session("a")(declare("node a work type=segment", "edge cutter a")), "warning unreachable nodes.a"},
	} {
		t.Run(name, func(t *testing.T) {
			g, found := Compile(c.d)
			var list []string
			for _, f := range found {
				list = append(list, fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Path))
				if f.Message == "" || !strings.Contains(f.Error(), f.Path) {
					t.Errorf("%+v says nothing", f)
				}
			}
			slices.Sort(list)
			want := strings.Split(c.want, "; ")
			slices.Sort(want)
			if got := strings.Join(list, "; "); got != strings.Join(want, "; ") {
				t.Errorf("found:\n%s\nwant:\n%s\n%v", got, strings.Join(want, "; "), found)
			}
			if (g == nil) != Fatal(found) {
				t.Errorf("the graph is %v with %v", g, found)
			}
		})
	}
}

// swap is a conversation whose ways to two models are to be said.
func swap(lines ...string) Definition {
	d := without("ear-mind", "mind-cutter")
	own := declare(append([]string{"node other model"}, lines...)...)
	own.Edges = own.Edges[len(declare().Edges):]
	d.Nodes = own.Nodes
	d.Edges = append(d.Edges, own.Edges...)
	if !slices.ContainsFunc(lines, func(l string) bool { return l == "edge m cutter" }) {
		d.Edges = append(d.Edges, parseEdge([]string{"mind", "cutter"}), parseEdge([]string{"other", "cutter"}))
	}
	return d
}

func without(ids ...eventabi.EdgeID) Definition {
	d := declare()
	d.Edges = slices.DeleteFunc(d.Edges, func(e Edge) bool { return slices.Contains(ids, e.ID) })
	return d
}

func TestBounds(t *testing.T) {
	nodes, edges, tests := declare(), declare(), declare()
	for i := range MaxNodes {
		nodes.Nodes = append(nodes.Nodes, Node{ID: eventabi.NodeID(fmt.Sprint("n", i)), Role: RoleWork, Scope: ScopeTurn})
	}
	for i := range MaxEdges {
		edges.Edges = append(edges.Edges, Edge{ID: eventabi.EdgeID(fmt.Sprint("e", i)), From: "cutter", To: "mouth"})
	}
	for i := range MaxTests + 1 {
		tests.Edges[0].When = append(tests.Edges[0].When, Test{"a", OpNotEqual, fmt.Sprint(i)})
	}
	for _, d := range []Definition{nodes, edges, tests} {
		g, found := Compile(d)
		if g != nil || len(found) != 1 || found[0].Code != CodeBounds {
			t.Errorf("found %v", found)
		}
	}
}

// Names that could have been meant go with a name that is unknown, and all ends of one run.
func TestCandidates(t *testing.T) {
	_, found := Compile(declare("edge ear mindd", "edge cutter mouth id=x events=segmnt"))
	if len(found) != 2 || !slices.Contains(found[0].Candidates, "mind") || !slices.Contains(found[1].Candidates, "segment") {
		t.Errorf("found %+v", found)
	}
}

// The order of a declaration makes no difference; everything else does.
func TestFingerprint(t *testing.T) {
	make1 := func() Definition {
		return declare("node s select", "node a work type=segment", "edge cutter s", "edge s a when=b,==,1 when=a,==,2", "edge s mouth rank=1", "edge a mouth events=segment")
	}
	g, found := Compile(make1())
	if g == nil || len(g.Fingerprint()) != 64 {
		t.Fatal(found)
	}
	rng := newDice(1, 1)
	for range 20 {
		d := make1()
		rng.Shuffle(len(d.Nodes), func(i, k int) { d.Nodes[i], d.Nodes[k] = d.Nodes[k], d.Nodes[i] })
		rng.Shuffle(len(d.Edges), func(i, k int) { d.Edges[i], d.Edges[k] = d.Edges[k], d.Edges[i] })
		for i := range d.Edges {
			slices.Reverse(d.Edges[i].When)
		}
		other, _ := Compile(d)
		if other.Fingerprint() != g.Fingerprint() || !slices.Equal(other.Order(), g.Order()) {
			t.Fatal("the order of a declaration makes a difference")
		}
	}
	marks := map[string]string{g.Fingerprint(): "itself"}
	for name, how := range map[string]func(d *Definition){
		"version": func(d *Definition) { d.Nodes[2].Version = "2" },
		"type":    func(d *Definition) { d.Nodes[2].Type = "x" },
		"budget":  func(d *Definition) { d.Nodes[2].BudgetMS = 1 },
		"inputs": func(d *Definition) {
			d.Nodes[2].Inputs, d.Nodes[2].Outputs = []string{"transcript"}, []string{"text_delta"}
		},
		"prelude":   func(d *Definition) { d.Nodes[0].Prelude, d.Nodes[0].Scope = true, ScopeSession },
		"scope":     func(d *Definition) { d.Nodes[5].Scope = ScopeSession },
		"rank":      func(d *Definition) { d.Edges[0].Rank = 7 },
		"events":    func(d *Definition) { d.Edges[3].Events = []string{"transcript"} },
		"condition": func(d *Definition) { d.Edges[3].When = []Test{{"a", OpEqual, "b"}} },
		"value":     func(d *Definition) { d.Edges[3].When = []Test{{"a", OpEqual, "c"}} },
		"edge":      func(d *Definition) { d.Edges[3].ID = "other" },
	} {
		d := make1()
		how(&d)
		other, found := Compile(d)
		if other == nil {
			t.Fatal(name, found)
		}
		if twin, ok := marks[other.Fingerprint()]; ok {
			t.Errorf("%s has the fingerprint of %s", name, twin)
		}
		marks[other.Fingerprint()] = name
	}
}

// What is read of a graph.
func TestGraph(t *testing.T) {
	g, _ := Compile(declare("node a work type=segment", "edge cutter a", "edge a mouth"))
	if !g.Leads("ear", "speaker") || g.Leads("speaker", "ear") || g.Leads("ear", "ear") || g.Leads("ear", "nobody") {
		t.Error("what leads where is wrong")
	}
	if g.Node("a") == nil || g.Node("nobody") != nil || !slices.Equal(g.Carries("cutter-a"), []string{"segment"}) || g.Carries("nothing") != nil {
		t.Error("what a graph says of its nodes and edges is wrong")
	}
	if d := g.Definition(); d.Nodes[0].ID != "a" || d.Edges[0].ID != "a-mouth" {
		t.Errorf("it is %+v", d)
	}
}

// FuzzCompile holds Compile to an answer for whatever it is given, and what it compiles to an
// order in which each node stands behind all that lead to it.
func FuzzCompile(f *testing.F) {
	f.Add("node a work type=segment\nedge cutter a\nedge a mouth")
	f.Add("node a work of=b on=error\nnode b work of=a on=timeout\nedge a b\nedge b a when=x,<,1")
	f.Add("node m merge merge=first\nnode s select\nedge cutter m\nedge m s\nedge s mouth\nedge s m")
	f.Add("node o model\nedge ear o\nedge o cutter\nnode d dead_letter\nedge o d")
	f.Fuzz(func(t *testing.T, text string) {
		var lines []string
		for _, line := range strings.Split(text, "\n") {
			words := strings.Fields(line)
			if len(words) < 3 || words[0] != "node" && words[0] != "edge" || strings.Contains(line, "when=") && strings.Count(line, ",") < 2*strings.Count(line, "when=") {
				continue
			}
			bad := slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "when=") && strings.Count(w, ",") < 2 })
			if !bad {
				lines = append(lines, line)
			}
		}
		g, found := Compile(declare(lines...))
		if (g == nil) != Fatal(found) {
			t.Fatalf("graph %v, faults %v", g != nil, found)
		}
		if g == nil {
			return
		}
		place := map[eventabi.NodeID]int{}
		for i, id := range g.Order() {
			place[id] = i + 1
		}
		for _, e := range g.edges {
			if place[e.From] == 0 || place[e.From] >= place[e.To] {
				t.Errorf("%s leads from %d to %d", e.ID, place[e.From], place[e.To])
			}
		}
		var r Run
		var log Log
		r.Begin(g, room)
		r.Emit("cutter", 0, Item{Type: "segment"}, &log)
		if why := r.Check(); why != "" {
			t.Error(why)
		}
	})
}

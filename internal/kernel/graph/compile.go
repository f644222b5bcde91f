// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
)

// Compile makes a graph of a definition, and finds every defect of it in one run. With an
// error among the faults there is no graph; warnings do not keep it from running. The order
// in which nodes, edges, types and conditions are declared makes no difference.
func Compile(d Definition) (*Graph, []Fault) {
	c := &compiler{}
	if len(d.Nodes) > MaxNodes {
		c.add(CodeBounds, "nodes", strconv.Itoa(len(d.Nodes)), "a graph has at most %d nodes: split it, or leave some out", MaxNodes)
	}
	if len(d.Edges) > MaxEdges {
		c.add(CodeBounds, "edges", strconv.Itoa(len(d.Edges)), "a graph has at most %d edges: leave some out", MaxEdges)
	}
	if len(c.list) > 0 {
		return nil, c.list
	}
	c.canonical(d)
	c.checkNodes()
	c.checkEdges()
	// Of two with one id the first stands, so that nothing is told of both.
	c.g.nodes = slices.CompactFunc(c.g.nodes, func(a, b Node) bool { return a.ID == b.ID })
	c.given = slices.CompactFunc(c.given, func(a, b Edge) bool { return a.ID == b.ID })
	c.lay()
	c.cycles()
	c.types()
	c.checkFallbacks()
	c.checkShape()
	found := c.sorted()
	if Fatal(found) {
		return nil, found
	}
	c.g.mark = fingerprint(c.g.nodes, c.g.edges)
	return &c.g, found
}

// compiler is the work on one definition.
type compiler struct {
	faults
	g      Graph
	given  []Edge // all edges; those of the graph have both ends
	cyclic bool
}

// canonical takes what was declared in its one order.
func (c *compiler) canonical(d Definition) {
	c.g.nodes = slices.Clone(d.Nodes)
	for i := range c.g.nodes {
		n := &c.g.nodes[i]
		n.Inputs, n.Outputs, n.FallbackOn = set(n.Inputs), set(n.Outputs), set(n.FallbackOn)
		if n.Role == RoleMerge && n.Merge == "" {
			n.Merge = MergeSequence
		}
		if len(n.Inputs)+len(n.Outputs) == 0 {
			n.Inputs, n.Outputs = usual(n.Role)
		}
	}
	slices.SortStableFunc(c.g.nodes, func(a, b Node) int { return strings.Compare(string(a.ID), string(b.ID)) })
	c.given = slices.Clone(d.Edges)
	for i := range c.given {
		e := &c.given[i]
		e.Events = set(e.Events)
		e.When = slices.Clone(e.When)
		slices.SortFunc(e.When, compareTests)
		e.When = slices.Compact(e.When)
	}
	slices.SortStableFunc(c.given, func(a, b Edge) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

func compareTests(a, b Test) int {
	return cmp.Or(strings.Compare(a.Attribute, b.Attribute), strings.Compare(string(a.Op), string(b.Op)), strings.Compare(a.Value, b.Value))
}

// set gives the members of a list in order, each once; nil where there are none.
func set[T ~string](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// usual are the event types of the nodes that the runtime runs itself, where nobody says them.
func usual(r Role) (inputs, outputs []string) {
	switch r {
	case RoleCaller:
		return nil, []string{"audio_chunk"}
	case RoleDetector:
		return []string{"audio_chunk"}, []string{"end_of_utterance", "voice_off", "voice_on"}
	case RoleRecogniser:
		return []string{"audio_chunk"}, []string{"transcript"}
	case RoleModel:
		return []string{"transcript"}, []string{"text_delta", "text_end", "text_start"}
	case RoleSegmenter:
		return []string{"text_delta", "text_end", "text_start"}, []string{"segment"}
	case RoleSynthesiser:
		return []string{"segment"}, []string{"audio_chunk", "audio_end"}
	case RoleSpeaker:
		return []string{"audio_chunk", "audio_end"}, nil
	case RoleWork, RoleMerge, RoleSelect, RoleDeadLetter, RoleResponder:
	}
	return nil, nil
}

// lay lays out what a run looks up: the edges of each node, what stands in for it, and which
// nodes lead to which. Edges with an end that is not there are left out; they are told.
func (c *compiler) lay() {
	g := &c.g
	n := len(g.nodes)
	g.outs, g.ins, g.stands = make([][]int, n), make([][]int, n), make([][]int, n)
	g.reach, g.joint, g.letters = make([]nodeSet, n), make([]bool, n), -1
	for i := range c.given {
		e := &c.given[i]
		from, to := g.index(e.From), g.index(e.To)
		if from >= 0 && to >= 0 {
			g.edges = append(g.edges, *e)
			g.ends = append(g.ends, [2]int{from, to})
		}
	}
	byRank := make([]int, len(g.edges))
	for i := range byRank {
		byRank[i] = i
	}
	slices.SortStableFunc(byRank, func(a, b int) int { return cmp.Compare(g.edges[a].Rank, g.edges[b].Rank) })
	for _, e := range byRank {
		g.outs[g.from(e)] = append(g.outs[g.from(e)], e)
		g.ins[g.to(e)] = append(g.ins[g.to(e)], e)
	}
	g.of = make([]int, n)
	for i := range g.nodes {
		g.of[i] = -1
		if of := g.index(g.nodes[i].FallbackOf); g.nodes[i].FallbackOf != "" && of >= 0 && of != i {
			g.stands[of] = append(g.stands[of], i)
			g.of[i] = of
			g.dormant.add(i)
		}
	}
	c.rooms()
	g.peers = make([]nodeSet, n)
	for i := range g.nodes {
		role := g.nodes[i].Role
		if set := g.roleSet(role); (role == RoleModel || role == RoleSynthesiser) && bits.OnesCount64(uint64(set)) > 1 {
			g.peers[i] = set
		}
		if role == RoleWork && g.nodes[i].Scope == ScopeSession {
			g.listens.add(i)
		}
		g.joint[i] = role == RoleMerge || len(g.ins[i]) > 1 && role != RoleDeadLetter
		if len(g.ins[i]) == 0 && !g.dormant.has(i) && role != RoleDeadLetter && role != RoleResponder || g.nodes[i].Scope == ScopeSession {
			g.sources.add(i)
		}
		if role == RoleDeadLetter {
			g.letters = i
		}
	}
	g.closure(g.reach, -1)
}

// rooms finds how much may wait for each node: the smallest that its edges say, or those of the
// node that it stands in for.
func (c *compiler) rooms() {
	g := &c.g
	g.rooms = make([]int32, len(g.nodes))
	for e := range g.edges {
		room, to := int32(min(max(g.edges[e].Room, 0), MaxRoom)), g.to(e)
		if room > 0 && (g.rooms[to] == 0 || room < g.rooms[to]) {
			g.rooms[to] = room
		}
	}
	for i, of := range g.of {
		if of >= 0 && g.rooms[i] == 0 {
			g.rooms[i] = g.rooms[of]
		}
	}
}

// closure finds what each node leads to, itself included, as if one of them (-1 = none) let
// nothing through.
func (g *Graph) closure(reach []nodeSet, without int) {
	for i := range reach {
		reach[i].add(i)
	}
	for moved := true; moved; {
		moved = false
		join := func(from, to int) {
			if from != without && to != without && reach[from]|reach[to] != reach[from] {
				reach[from], moved = reach[from]|reach[to], true
			}
		}
		for e := range g.edges {
			join(g.from(e), g.to(e))
		}
		for of := range g.stands {
			for _, f := range g.stands[of] {
				join(of, f)
			}
		}
	}
}

// behind lists what lies one step behind a node.
func (g *Graph) behind(i int, visit func(to int)) {
	for _, e := range g.outs[i] {
		visit(g.to(e))
	}
	for _, f := range g.stands[i] {
		visit(f)
	}
}

// cycles finds the topological order, and names the nodes that have none.
func (c *compiler) cycles() {
	g := &c.g
	before := make([]int, len(g.nodes)) // steps that lead to a node and were not taken
	for i := range g.nodes {
		g.behind(i, func(to int) { before[to]++ })
	}
	var done nodeSet
	for found := true; found; {
		found = false
		for i := range g.nodes {
			if before[i] > 0 || done.has(i) {
				continue
			}
			done.add(i)
			g.order, found = append(g.order, i), true
			g.behind(i, func(to int) { before[to]-- })
			break // the first by id
		}
	}
	var told nodeSet
	for i := range g.nodes {
		ring := c.ring(i)
		if ring == 0 || told.has(i) {
			continue
		}
		told |= ring
		c.cyclic = true
		var names []string
		for k := range g.nodes {
			if ring.has(k) {
				names = append(names, string(g.nodes[k].ID))
			}
		}
		c.add(CodeCycle, nodePath(&g.nodes[i], ""), strings.Join(names, ", "),
			"these nodes lead to themselves; take away one of the edges or fallback branches among them")
	}
}

// ring gives the nodes that a node leads to and that lead back to it; none where it does not
// lead to itself.
func (c *compiler) ring(i int) (ring nodeSet) {
	self := false
	c.g.behind(i, func(to int) { self = self || c.g.reach[to].has(i) })
	if !self {
		return 0
	}
	for k := range c.g.nodes {
		if c.g.reach[i].has(k) && c.g.reach[k].has(i) {
			ring.add(k)
		}
	}
	return ring
}

func nodePath(n *Node, field string) string { return dotted("nodes."+string(n.ID), field) }
func edgePath(e *Edge, field string) string { return dotted("edges."+string(e.ID), field) }

func dotted(path, field string) string {
	if field == "" {
		return path
	}
	return path + "." + field
}

// names lists the nodes that could be meant by a name that is unknown.
func (c *compiler) names(except eventabi.NodeID) (list []string) {
	for i := range c.g.nodes {
		if id := c.g.nodes[i].ID; id != except && id != "" {
			list = append(list, string(id))
		}
	}
	return slices.Compact(list)
}

// fingerprint is the SHA-256 of the canonical text: a line for each node and edge, each field
// in quotes, lists with their length ahead.
func fingerprint(nodes []Node, edges []Edge) string {
	var b []byte
	text := func(s string) { b = append(strconv.AppendQuote(b, s), ' ') }
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), ' ') }
	list := func(l []string) {
		number(int64(len(l)))
		for _, s := range l {
			text(s)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		b = append(b, "node "...)
		for _, s := range []string{string(n.ID), n.Type, n.Version, string(n.Role), string(n.Scope), string(n.Merge), string(n.FallbackOf)} {
			text(s)
		}
		list(n.Inputs)
		list(n.Outputs)
		number(int64(len(n.FallbackOn)))
		for _, t := range n.FallbackOn {
			text(string(t))
		}
		number(n.BudgetMS)
		b = append(strconv.AppendBool(b, n.Prelude), '\n')
	}
	for i := range edges {
		e := &edges[i]
		b = append(b, "edge "...)
		for _, s := range []string{string(e.ID), string(e.From), string(e.To)} {
			text(s)
		}
		list(e.Events)
		number(e.Rank)
		if e.Room != 0 {
			text("room")
			number(e.Room)
		}
		for _, t := range e.When {
			for _, s := range []string{t.Attribute, string(t.Op), t.Value} {
				text(s)
			}
		}
		b = append(b, '\n')
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

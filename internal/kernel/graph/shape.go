// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"math/bits"
	"slices"
)

// checkShape judges the graph as a whole.
func (c *compiler) checkShape() {
	c.checkPath()
	c.checkPrelude()
	c.checkAnswers()
	for i := range c.g.nodes {
		c.checkMerge(i)
		c.checkSelect(i)
		c.checkEnds(i)
		c.checkScope(i)
	}
}

// roleSet gives the nodes of a role.
func (g *Graph) roleSet(r Role) (s nodeSet) {
	for i := range g.nodes {
		if g.nodes[i].Role == r {
			s.add(i)
		}
	}
	return s
}

// behindAll gives what a set of nodes leads to.
func behindAll(reach []nodeSet, from nodeSet) (s nodeSet) {
	for left := uint64(from); left != 0; left &= left - 1 {
		s |= reach[bits.TrailingZeros64(left)]
	}
	return s
}

// checkPath wants the way of a conversation, and names each piece of it that is missing.
func (c *compiler) checkPath() {
	way := []Role{RoleCaller, RoleRecogniser, RoleModel, RoleSegmenter, RoleSynthesiser, RoleSpeaker}
	var from nodeSet
	for k, role := range way {
		all := c.g.roleSet(role)
		if all == 0 {
			c.add(CodeIncomplete, "nodes", string(role), "a conversation goes from the caller over recogniser, model, segmenter and synthesiser to the speaker, and there is no %s: add one", role)
		}
		on := all & behindAll(c.g.reach, from)
		if k > 0 && from != 0 && all != 0 && on == 0 {
			c.add(CodeIncomplete, "edges", string(way[k-1])+" -> "+string(role), "no way leads from a %s to a %s: join them by edges", way[k-1], role)
		}
		if from = on; from == 0 {
			from = all // what lies behind is judged all the same
		}
	}
}

// checkPrelude wants at most one prelude, of nodes that live as long as the session.
func (c *compiler) checkPrelude() {
	g := &c.g
	var prelude nodeSet
	for i := range g.nodes {
		n := &g.nodes[i]
		if !n.Prelude {
			continue
		}
		prelude.add(i)
		if n.Scope == ScopeTurn {
			c.add(CodePrelude, nodePath(n, "prelude"), string(n.Scope), "what works ahead of turns lives as long as the session: give it the scope %s, or leave it out of the prelude", ScopeSession)
		}
		for _, e := range g.ins[i] {
			if from := &g.nodes[g.from(e)]; from.Scope == ScopeTurn && from.Role != RoleCaller {
				c.add(CodePrelude, edgePath(&g.edges[e], "to"), string(n.ID), "%s works in turns, and the prelude ahead of them: nothing can come to it from there; leave the edge out", from.ID)
			}
		}
	}
	if prelude == 0 {
		return
	}
	one := c.together(prelude)
	for i := range g.nodes {
		if prelude.has(i) && !one.has(i) {
			c.add(CodePrelude, nodePath(&g.nodes[i], "prelude"), "true", "a graph has one prelude, and %s is joined to no other node of it: join them by an edge, or by what feeds both, or leave it out",
				g.nodes[i].ID)
		}
	}
}

// together gives the nodes of the prelude that hang together with the first one, by edges
// among them or by a caller that feeds them.
func (c *compiler) together(prelude nodeSet) nodeSet {
	g := &c.g
	inside := prelude | g.roleSet(RoleCaller)
	var one nodeSet
	one.add(bits.TrailingZeros64(uint64(prelude)))
	for moved := true; moved; {
		moved = false
		for e := range g.edges {
			a, b := g.from(e), g.to(e)
			if inside.has(a) && inside.has(b) && one.has(a) != one.has(b) {
				one.add(a)
				one.add(b)
				moved = true
			}
		}
	}
	return one
}

// checkMerge wants something to merge.
func (c *compiler) checkMerge(i int) {
	g, n := &c.g, &c.g.nodes[i]
	if n.Role != RoleMerge {
		return
	}
	var live nodeSet // of a node and what stands in for it only one gives
	for _, e := range g.ins[i] {
		live.add(c.first(g.from(e)))
	}
	if len(g.ins[i]) == 0 || bits.OnesCount64(uint64(live)) < 2 {
		c.add(CodeMergeInputs, nodePath(n, "merge"), string(n.Merge), "a merge joins two or more live inputs, and this has %d: lead another edge to it, or leave it out", bits.OnesCount64(uint64(live)))
	}
	if n.Merge == MergeAll && len(g.ins[i]) > 1 && !c.parted(i) {
		c.warn(CodeMergeInputs, nodePath(n, "merge"), string(n.Merge), "its inputs have no source in common, so none of their items belong together: use %s", MergeSequence)
	}
}

// first follows stand-ins to the node that they stand in for.
func (c *compiler) first(i int) int {
	for range c.g.nodes {
		of := c.g.index(c.g.nodes[i].FallbackOf)
		if of < 0 {
			break
		}
		i = of
	}
	return i
}

// parted says that something leads to a merge along two of its edges.
func (c *compiler) parted(i int) bool {
	g := &c.g
	for k := range g.nodes {
		ways := 0
		for _, e := range g.ins[i] {
			if g.reach[k].has(g.from(e)) {
				ways++
			}
		}
		if ways > 1 && k != i {
			return true
		}
	}
	return false
}

// checkSelect wants a way for every item, and no way that none can take.
func (c *compiler) checkSelect(i int) {
	g, n := &c.g, &c.g.nodes[i]
	if n.Role != RoleSelect || len(g.outs[i]) == 0 {
		return
	}
	open := -1
	for _, e := range g.outs[i] {
		edge := &g.edges[e]
		if open >= 0 && (len(g.edges[open].Events) == 0 || slices.Equal(g.edges[open].Events, edge.Events)) {
			c.warn(CodeUncovered, edgePath(edge, "rank"), string(n.ID), "%s is tried before it and takes everything, so nothing ever goes along: give it a smaller rank than that", g.edges[open].ID)
			continue
		}
		if len(edge.When) == 0 {
			open = e
		}
	}
	if open < 0 {
		c.warn(CodeUncovered, nodePath(n, ""), string(n.ID), "every edge out of it has a condition, and what meets none is dropped (no_route): add an edge without one, with the largest rank")
	}
}

// checkEnds tells of nodes that nothing reaches, or that lead nowhere.
func (c *compiler) checkEnds(i int) {
	g, n := &c.g, &c.g.nodes[i]
	if n.Role == RoleDeadLetter || n.Role == RoleResponder {
		return
	}
	from := g.roleSet(RoleCaller)
	for k := range g.nodes {
		if g.nodes[k].Scope == ScopeSession {
			from.add(k)
		}
	}
	if from != 0 && !behindAll(g.reach, from).has(i) {
		c.warn(CodeUnreachable, nodePath(n, ""), string(n.ID), "nothing that the caller says reaches it: lead an edge to it, or leave it out")
	}
	gives := !c.cyclic && (g.gives[i] == nil || len(g.gives[i]) > 0)
	if len(g.outs[i]) == 0 && (gives || g.passes(i)) && n.Role != RoleSpeaker && n.Role != RoleDetector {
		c.warn(CodeUnreachable, nodePath(n, ""), string(n.ID), "what it gives goes nowhere: lead an edge from it, or leave it out")
	}
}

// checkScope refuses a node of the session on the way of a turn: what a turn gave it would
// outlive the turn, and come out of it in another.
func (c *compiler) checkScope(i int) {
	g, n := &c.g, &c.g.nodes[i]
	if n.Scope != ScopeSession || n.Prelude || n.Role == RoleCaller || n.Role == RoleSpeaker {
		return
	}
	onward := false
	for _, e := range g.outs[i] {
		to := &g.nodes[g.to(e)]
		onward = onward || to.Scope == ScopeTurn && to.Role != RoleDeadLetter && to.Role != RoleSpeaker
	}
	for _, e := range g.ins[i] {
		if from := &g.nodes[g.from(e)]; onward && from.Scope == ScopeTurn && from.Role != RoleCaller {
			c.add(CodeScope, nodePath(n, "scope"), string(n.Scope), "it takes from %s, which works in turns, and gives to nodes of turns: give it the scope %s", from.ID, ScopeTurn)
			return
		}
	}
}

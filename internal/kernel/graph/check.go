// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
)

const goodID = "letters, digits, dot, underscore, colon and hyphen"

func soundID(s string) bool {
	if s == "" || len(s) > eventabi.MaxIDLength {
		return false
	}
	for i := range len(s) {
		b := s[i]
		if !(b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '_' || b == ':' || b == '-') {
			return false
		}
	}
	return true
}

func roles() []Role {
	return []Role{
		RoleWork, RoleCaller, RoleDetector, RoleRecogniser, RoleModel, RoleSegmenter,
		RoleSynthesiser, RoleSpeaker, RoleMerge, RoleSelect, RoleDeadLetter, RoleResponder,
	}
}

// checkNodes judges each node by itself.
func (c *compiler) checkNodes() {
	for i := range c.g.nodes {
		n := &c.g.nodes[i]
		switch {
		case !soundID(string(n.ID)):
			c.add(CodeID, nodePath(n, ""), string(n.ID), "a node's id has 1 to %d %s", eventabi.MaxIDLength, goodID)
		case i > 0 && c.g.nodes[i-1].ID == n.ID:
			c.add(CodeID, nodePath(n, ""), string(n.ID), "two nodes have this id: give one of them another")
		}
		if !slices.Contains(roles(), n.Role) {
			c.add(CodeRole, nodePath(n, "role"), string(n.Role), "there is no such role: use one of %s", strings.Join(texts(roles()), ", "))
		}
		if n.Scope != ScopeSession && n.Scope != ScopeTurn {
			c.add(CodeScope, nodePath(n, "scope"), string(n.Scope), "a node lives as long as a %s or a %s: say which", ScopeTurn, ScopeSession)
		}
		if n.BudgetMS < 0 {
			c.add(CodeBudget, nodePath(n, "budget_ms"), strconv.FormatInt(n.BudgetMS, 10), "give milliseconds from 1, or 0 for node_budget_ms_default")
		}
		switch merge := n.Merge; {
		case n.Role != RoleMerge && merge != "":
			c.add(CodeMergeRule, nodePath(n, "merge"), string(merge), "only a node of the role %s has a merge rule: leave it out", RoleMerge)
		case n.Role == RoleMerge && merge != MergeSequence && merge != MergeAll && merge != MergeFirst:
			c.add(CodeMergeRule, nodePath(n, "merge"), string(merge), "there is no such merge rule: use %s, %s or %s", MergeSequence, MergeAll, MergeFirst)
		}
	}
	for _, role := range []Role{RoleDeadLetter, RoleResponder} {
		first := ""
		for i := range c.g.nodes {
			switch n := &c.g.nodes[i]; {
			case n.Role != role:
			case first == "":
				first = string(n.ID)
			default:
				c.add(CodeRole, nodePath(n, "role"), string(role), "%s is one already, and a graph has at most one: leave one of them out", first)
			}
		}
	}
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = string(list[i])
	}
	return out
}

// checkEdges judges each edge by itself.
func (c *compiler) checkEdges() {
	for i := range c.given {
		e := &c.given[i]
		switch {
		case !soundID(string(e.ID)):
			c.add(CodeID, edgePath(e, ""), string(e.ID), "an edge's id has 1 to %d %s", eventabi.MaxIDLength, goodID)
		case i > 0 && c.given[i-1].ID == e.ID:
			c.add(CodeID, edgePath(e, ""), string(e.ID), "two edges have this id: give one of them another")
		}
		c.end(e, "from", e.From, e.To)
		c.end(e, "to", e.To, e.From)
		if len(e.When) > MaxTests {
			c.add(CodeBounds, edgePath(e, "when"), strconv.Itoa(len(e.When)), "an edge has at most %d conditions: leave some out", MaxTests)
		}
		if e.Room < 0 || e.Room > MaxRoom {
			c.add(CodeBounds, edgePath(e, "max_queue_items"), strconv.FormatInt(e.Room, 10), "1 to %d items may wait: give one of these, or leave it out", MaxRoom)
		}
		for k := range e.When {
			c.condition(e, &e.When[k])
		}
	}
}

func (c *compiler) end(e *Edge, field string, id, other eventabi.NodeID) {
	if c.g.index(id) >= 0 {
		return
	}
	c.add(CodeUnknownNode, edgePath(e, field), string(id), "there is no node of this id: name one that there is, or declare it")
	c.list[len(c.list)-1].Candidates = c.names(other)
}

func (c *compiler) condition(e *Edge, t *Test) {
	path, text := edgePath(e, "when"), t.Attribute+" "+string(t.Op)+" "+t.Value
	_, number := Micro(t.Value)
	switch {
	case t.Attribute == "":
		c.add(CodeCondition, path, text, "a condition asks for an attribute: name one")
	case !t.Op.Known():
		c.add(CodeCondition, path, text, "there is no such operator: use one of == != < <= > >=")
	case t.Op.numeric() && !number:
		c.add(CodeCondition, path, text, "%s compares numbers: give a decimal of at most 12 digits before and 6 behind the point", t.Op)
	}
}

// types finds what goes along each edge, from the front of the graph to its end.
func (c *compiler) types() {
	g := &c.g
	g.carries, g.gives = make([][]string, len(g.edges)), make([][]string, len(g.nodes))
	if c.cyclic {
		return // what goes around has no beginning
	}
	for _, i := range g.order {
		g.gives[i] = c.givenBy(i)
		for _, e := range g.outs[i] {
			c.carry(e, i)
		}
	}
}

// givenBy finds what a node gives: nil for all types, an empty list for none.
func (c *compiler) givenBy(i int) []string {
	g, n := &c.g, &c.g.nodes[i]
	switch {
	case g.passes(i):
		var list []string
		for _, e := range g.ins[i] {
			if g.carries[e] == nil {
				return nil
			}
			list = append(list, g.carries[e]...)
		}
		if len(g.ins[i]) == 0 {
			return nil
		}
		return nonNil(set(list))
	case len(n.Outputs) > 0:
		return n.Outputs
	case n.Role == RoleWork && len(n.Inputs) == 0:
		return nil
	}
	return []string{}
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// carry finds the types of an edge, and refuses those that one of its ends does not know.
func (c *compiler) carry(e, from int) {
	g, edge := &c.g, &c.g.edges[e]
	gives, takes := g.gives[from], g.nodes[g.to(e)].Inputs
	if len(edge.Events) > 0 {
		g.carries[e] = edge.Events
		for _, t := range edge.Events {
			switch {
			case !member(gives, t):
				c.add(CodeTypes, edgePath(edge, "events"), t, "%s gives %s: name what it gives", edge.From, listed(gives))
				c.list[len(c.list)-1].Candidates = gives
			case !member(takes, t):
				c.add(CodeTypes, edgePath(edge, "events"), t, "%s takes %s: name what it takes", edge.To, listed(takes))
				c.list[len(c.list)-1].Candidates = takes
			}
		}
		return
	}
	switch {
	case takes == nil:
		g.carries[e] = gives
	case gives == nil:
		g.carries[e] = takes
	default:
		g.carries[e] = nonNil(slices.DeleteFunc(slices.Clone(gives), func(t string) bool { return !slices.Contains(takes, t) }))
	}
	if g.carries[e] != nil && len(g.carries[e]) == 0 {
		c.add(CodeTypes, edgePath(edge, ""), string(edge.From)+" -> "+string(edge.To),
			"%s gives %s, %s takes %s: nothing would go along; put a node in between that makes one of the other, or leave the edge out",
			edge.From, listed(gives), edge.To, listed(takes))
	}
}

func listed(types []string) string {
	switch {
	case types == nil:
		return "every type"
	case len(types) == 0:
		return "nothing"
	}
	return strings.Join(types, ", ")
}

// checkFallbacks judges the nodes that stand in for others.
func (c *compiler) checkFallbacks() {
	for i := range c.g.nodes {
		n := &c.g.nodes[i]
		if n.FallbackOf == "" {
			if len(n.FallbackOn) > 0 {
				c.add(CodeTrigger, nodePath(n, "fallback_on"), joined(n.FallbackOn), "the node stands in for no other: name that in fallback_of, or leave the triggers out")
			}
			continue
		}
		path := nodePath(n, "fallback_of")
		switch of := c.g.index(n.FallbackOf); {
		case of < 0:
			c.add(CodeUnknownNode, path, string(n.FallbackOf), "there is no node of this id: name the one that it stands in for")
			c.list[len(c.list)-1].Candidates = c.names(n.ID)
		case c.g.nodes[of].ID == n.ID:
			c.add(CodeFallback, path, string(n.FallbackOf), "a node cannot stand in for itself: name another")
		default:
			c.standIn(i, of)
		}
		if len(n.FallbackOn) == 0 {
			c.add(CodeTrigger, nodePath(n, "fallback_on"), "", "the node never stands in: name one of %s, %s, %s", OnTimeout, OnError, OnBudget)
		}
		for _, t := range n.FallbackOn {
			if t != OnTimeout && t != OnError && t != OnBudget {
				c.add(CodeTrigger, nodePath(n, "fallback_on"), string(t), "there is no such trigger: use %s, %s or %s", OnTimeout, OnError, OnBudget)
			}
		}
	}
}

func joined[T ~string](list []T) string { return strings.Join(texts(list), ", ") }

// standIn judges one node that stands in for another.
func (c *compiler) standIn(i, of int) {
	g, n, other := &c.g, &c.g.nodes[i], &c.g.nodes[of]
	path := nodePath(n, "fallback_of")
	switch {
	case other.Role != RoleWork && other.Role != RoleModel && other.Role != RoleSynthesiser:
		c.add(CodeFallback, path, string(n.FallbackOf), "it is a node of the role %s, for which none can stand in; a %s, a %s and a %s can have a fallback branch", other.Role, RoleWork, RoleModel, RoleSynthesiser)
	case other.Role != n.Role:
		c.add(CodeFallback, path, string(n.FallbackOf), "it has the role %s and its stand-in %s: give them one role", other.Role, n.Role)
	case other.Scope != n.Scope:
		c.add(CodeFallback, path, string(n.FallbackOf), "it lives as long as a %s and its stand-in as a %s: give them one scope", other.Scope, n.Scope)
	}
	for _, e := range g.ins[i] {
		c.add(CodeFallback, edgePath(&g.edges[e], "to"), string(n.ID), "it stands in for %s and takes what goes to that one: leave the edge out", other.ID)
	}
	for _, k := range g.stands[of] {
		if k >= i {
			continue
		}
		for _, t := range n.FallbackOn {
			if slices.Contains(g.nodes[k].FallbackOn, t) {
				c.add(CodeTrigger, nodePath(n, "fallback_on"), string(t), "%s stands in for %s on this as well: leave it to one of them", g.nodes[k].ID, other.ID)
			}
		}
	}
	if c.cyclic || n.Inputs == nil {
		return
	}
	for root := of; ; root = g.index(g.nodes[root].FallbackOf) { // a stand-in of a stand-in takes what went to the first
		for _, e := range g.ins[root] {
			for _, t := range g.carries[e] {
				if !slices.Contains(n.Inputs, t) {
					c.add(CodeTypes, path, string(n.FallbackOf), "%s goes to that one along %s, and %s does not take it: it takes %s", t, g.edges[e].ID, n.ID, listed(n.Inputs))
				}
			}
			if g.carries[e] == nil {
				c.add(CodeTypes, path, string(n.FallbackOf), "every type goes to that one along %s, and %s takes only %s: name the types of the edge", g.edges[e].ID, n.ID, listed(n.Inputs))
			}
		}
		if !g.dormant.has(root) {
			return
		}
	}
}

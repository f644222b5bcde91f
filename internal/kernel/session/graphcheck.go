// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// sound says what is wrong with a graph by itself, wherever its nodes stand; empty when
// nothing is.
func (g *graphSetup) sound() string {
	for i := range g.nodes {
		if why := g.soundNode(i); why != "" {
			return "nodes." + string(g.nodes[i].Node.ID) + "." + why
		}
	}
	for i := range g.edges {
		if why := g.soundEdge(i); why != "" {
			return "edges." + string(g.edges[i].ID) + "." + why
		}
	}
	return g.cycle()
}

func (g *graphSetup) soundNode(i int) string {
	n := &g.nodes[i].Node
	c := settingsCheck{}
	c.id("id", string(n.ID), true)
	c.ms("budget_ms", n.BudgetMS)
	if len(c.faults) > 0 {
		return "id_or_budget"
	}
	if g.index(n.ID) != i {
		return "id:twice"
	}
	roles := []graph.Role{
		graph.RoleWork, graph.RoleCaller, graph.RoleDetector, graph.RoleRecogniser, graph.RoleModel, graph.RoleSegmenter,
		graph.RoleSynthesiser, graph.RoleSpeaker, graph.RoleMerge, graph.RoleSelect, graph.RoleDeadLetter, graph.RoleResponder,
	}
	switch {
	case !slices.Contains(roles, n.Role):
		return "role:unknown"
	case n.Scope != graph.ScopeSession && n.Scope != graph.ScopeTurn:
		return "scope:unknown"
	case n.Role == graph.RoleMerge && n.Merge != "" && n.Merge != graph.MergeSequence && n.Merge != graph.MergeAll && n.Merge != graph.MergeFirst:
		return "merge:unknown"
	case n.FallbackOf == "":
		return unless(len(n.FallbackOn) == 0, "fallback_on:of_no_node")
	}
	of := g.node(n.FallbackOf)
	switch {
	case of == nil:
		return "fallback_of:unknown_node"
	case of.Node.Role != graph.RoleWork || n.Role != graph.RoleWork:
		return "fallback_of:only_work_nodes"
	case len(n.FallbackOn) == 0:
		return "fallback_on:empty"
	}
	for _, t := range n.FallbackOn {
		if t != graph.OnTimeout && t != graph.OnError && t != graph.OnBudget {
			return "fallback_on:unknown"
		}
	}
	return ""
}

func (g *graphSetup) soundEdge(i int) string {
	e := &g.edges[i]
	c := settingsCheck{}
	c.id("id", string(e.ID), true)
	switch {
	case len(c.faults) > 0:
		return "id"
	case g.edgeOrder(e.ID) != i:
		return "id:twice"
	case g.node(e.From) == nil:
		return "from:unknown_node"
	case g.node(e.To) == nil:
		return "to:unknown_node"
	}
	for _, t := range e.When {
		if _, number := micro(t.Value); t.Attribute == "" || !known(t.Op) || ordering(t.Op) && !number {
			return "when"
		}
	}
	return ""
}

// cycle names a node that leads to itself (turn-plan section 1).
func (g *graphSetup) cycle() string {
	seen := make([]int, len(g.nodes)) // 0 = not yet, 1 = on the way, 2 = leads to no cycle
	var visit func(i int) bool
	visit = func(i int) bool {
		if seen[i] != 0 {
			return seen[i] == 1
		}
		seen[i] = 1
		for k := range g.edges {
			if g.edges[k].From == g.nodes[i].Node.ID && visit(g.index(g.edges[k].To)) {
				return true
			}
		}
		for k := range g.nodes {
			if g.nodes[k].Node.FallbackOf == g.nodes[i].Node.ID && visit(k) {
				return true
			}
		}
		seen[i] = 2
		return false
	}
	for i := range g.nodes {
		if visit(i) {
			return "nodes." + string(g.nodes[i].Node.ID) + ":cycle"
		}
	}
	return ""
}

func ordering(o graph.Op) bool {
	return o == graph.OpLess || o == graph.OpAtMost || o == graph.OpMore || o == graph.OpAtLeast
}

func known(o graph.Op) bool { return ordering(o) || o == graph.OpEqual || o == graph.OpNotEqual }

// matches says whether all conditions hold of an item.
func matches(when []graph.Test, it *item) bool {
	for i := range when {
		if !holds(&when[i], it) {
			return false
		}
	}
	return true
}

// holds evaluates one condition. What is not there equals nothing, and is in no order.
func holds(t *graph.Test, it *item) bool {
	value, there := it.attribute(t.Attribute)
	a, left := micro(value)
	b, right := micro(t.Value)
	switch t.Op {
	case graph.OpEqual:
		return there && (value == t.Value || left && right && a == b)
	case graph.OpNotEqual:
		return !there || value != t.Value && !(left && right && a == b)
	case graph.OpLess:
		return there && left && right && a < b
	case graph.OpAtMost:
		return there && left && right && a <= b
	case graph.OpMore:
		return there && left && right && a > b
	case graph.OpAtLeast:
		return there && left && right && a >= b
	}
	return false
}

// attribute gives what an item says of itself. Its kind is its type.
func (it *item) attribute(name string) (string, bool) {
	for i := range it.attributes {
		if it.attributes[i].Name == name {
			return it.attributes[i].Value, true
		}
	}
	if name == "kind" {
		return it.typ, true
	}
	return "", false
}

// micro reads a decimal of at most twelve digits before and six behind the point, in
// millionths.
func micro(s string) (int64, bool) {
	s, minus := strings.CutPrefix(s, "-")
	whole, part, dot := strings.Cut(s, ".")
	if whole == "" || len(whole) > 12 || len(part) > 6 || dot && part == "" {
		return 0, false
	}
	var n int64
	for _, d := range []byte(whole + part) {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	for range 6 - len(part) {
		n *= 10
	}
	if minus {
		n = -n
	}
	return n, true
}

// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// sound refuses what is no graph: circles, edges whose ends do not know the same events,
// nodes that nothing leads to or from, and branches that cannot stand in.
func (w *work) sound() {
	w.circles()
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		w.types(e)
		w.tests(e)
	}
	for i := range w.declared.nodes {
		w.dangles(&w.declared.nodes[i])
		w.branch(&w.declared.nodes[i])
		w.choices(&w.declared.nodes[i])
	}
}

// circles finds edges that lead back to where they come from (turn-plan section 1). A branch
// that stands in for a node lies behind it.
func (w *work) circles() {
	const onTheWay, done = 1, 2
	state := map[eventabi.NodeID]int{}
	var way []eventabi.NodeID
	var visit func(id eventabi.NodeID, path string)
	visit = func(id eventabi.NodeID, path string) {
		switch state[id] {
		case done:
			return
		case onTheWay:
			var names []string
			for _, n := range way[slices.Index(way, id):] {
				names = append(names, string(n))
			}
			v := w.given[path]
			w.fault(v.source, path, CodeCircle, quote(v.text), "is %s, which closes a circle: %s > %s; a graph has none: leave one of these edges out", v.text, strings.Join(names, " > "), id)
			return
		}
		state[id] = onTheWay
		way = append(way, id)
		for i := range w.declared.edges {
			if e := &w.declared.edges[i]; e.From == id && e.To != id {
				visit(e.To, join("edges", string(e.ID))+".to")
			}
		}
		for i := range w.declared.nodes {
			if n := &w.declared.nodes[i]; n.FallbackOf == id {
				visit(n.ID, join("nodes", string(n.ID))+".fallback_of")
			}
		}
		way = way[:len(way)-1]
		state[id] = done
	}
	for i := range w.declared.nodes {
		visit(w.declared.nodes[i].ID, "")
	}
}

// gives are the types of events that a node gives. What a merge or select node gives is what
// goes into it.
func (w *work) gives(id eventabi.NodeID, seen map[eventabi.NodeID]bool) (out []string) {
	n := w.declared.node(string(id))
	if n == nil || seen[id] {
		return nil
	}
	if !w.passes(string(id)) {
		return slices.Clone(n.Outputs)
	}
	seen[id] = true
	for i := range w.declared.edges {
		if e := &w.declared.edges[i]; e.To == id {
			out = append(out, w.along(e, seen)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// along are the types of events that come along an edge, whatever its end takes.
func (w *work) along(e *graph.Edge, seen map[eventabi.NodeID]bool) []string {
	list := w.gives(e.From, seen)
	if len(e.Events) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(t string) bool { return !slices.Contains(e.Events, t) })
}

// types holds the ends of an edge to each other (F-003).
func (w *work) types(e *graph.Edge) {
	path := join("edges", string(e.ID))
	to := w.declared.node(string(e.To))
	if slices.Contains(w.declared.unknown, e.From) || slices.Contains(w.declared.unknown, e.To) {
		return
	}
	gives := w.gives(e.From, map[eventabi.NodeID]bool{})
	takes := to.Inputs
	anything := w.passes(string(e.To)) || to.Role == graph.RoleDeadLetter
	events := w.given[path+".events"]
	for _, name := range e.Events {
		switch {
		case !slices.Contains(gives, name):
			w.fault(events.source, path+".events", CodeNoEvent, quote(name), "names %s, which %s does not give%s", quote(name), e.From, didYouMean(name, gives))
		case !anything && !slices.Contains(takes, name):
			w.fault(events.source, path+".events", CodeNoEvent, quote(name), "names %s, which %s does not take%s", quote(name), e.To, didYouMean(name, takes))
		}
	}
	if anything || len(gives) == 0 || len(e.Events) > 0 || slices.ContainsFunc(gives, func(t string) bool { return slices.Contains(takes, t) }) {
		return
	}
	v := w.given[path+".to"]
	if len(takes) == 0 {
		w.fault(v.source, path+".to", CodeTypes, quote(v.text), "is %s, a node of the type %s, which takes nothing; end the edge elsewhere", e.To, to.Type)
		return
	}
	w.fault(v.source, path+".to", CodeTypes, quote(v.text), "is %s, which takes %s, but %s gives %s; put a node between them that makes one of the other",
		e.To, strings.Join(takes, ", "), e.From, strings.Join(gives, ", "))
}

// tests holds the conditions of an edge to what can be compared, and to where they are
// looked at.
func (w *work) tests(e *graph.Edge) {
	path := join("edges", string(e.ID))
	when := w.given[path+".when"]
	for _, t := range e.When {
		switch t.Op {
		case graph.OpLess, graph.OpAtMost, graph.OpMore, graph.OpAtLeast:
			if !decimalNumber(t.Value) {
				w.fault(when.source, path+".when", CodeCondition, quote(t.Value), "compares %s with %s, which is no number with at most six places; %s orders numbers only: use == or !=", t.Attribute, quote(t.Value), t.Op)
			}
		case graph.OpEqual, graph.OpNotEqual:
		}
	}
	from := w.declared.node(string(e.From))
	if len(e.When) > 0 && !between(from) && from.Role != graph.RoleRecogniser && from.Role != graph.RoleSegmenter {
		w.fault(when.source, path+".when", CodeCannotRun, "", "stands on an edge out of %s, a node of the type %s, where nothing is asked; conditions stand behind stt, segmenter, select, merge and the nodes among texts", e.From, from.Type)
	}
	if to := w.declared.node(string(e.To)); len(e.When) > 0 && beside(to) && !w.declared.inSound(to) {
		w.fault(when.source, path+".when", CodeCannotRun, "", "stands on an edge to %s, which works beside the turn and reads everything; leave it out", e.To)
	}
	if rank, ok := w.given[path+".rank"]; ok && from.Role != graph.RoleSelect {
		w.warn(rank.source, path+".rank", CodeIdleRank, rank.text, "is %s, but %s is no select node: its edges are not tried in an order; leave it out", rank.text, e.From)
	}
}

// decimalNumber says whether a text is a number that conditions can order.
func decimalNumber(text string) bool {
	if _, err := strconv.ParseFloat(text, 64); err != nil || strings.IndexFunc(text, func(r rune) bool { return !(r >= '0' && r <= '9' || r == '.' || r == '-') }) >= 0 {
		return false
	}
	const places, digits = 6, 12
	whole, frac, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	return whole != "" && len(whole) <= digits && len(frac) <= places
}

// dangles refuses a node that nothing leads to, and one whose events go nowhere.
func (w *work) dangles(n *GraphNode) {
	path := join("nodes", string(n.ID))
	v := w.given[path+".type"]
	in := w.touches("to", n.ID)
	out := w.touches("from", n.ID)
	takes := n.Role != graph.RoleCaller && n.Role != graph.RoleResponder && n.Role != graph.RoleDeadLetter
	takes = takes && n.FallbackOf == ""
	gives := n.Role != graph.RoleSpeaker && n.Role != graph.RoleDetector && n.Role != graph.RoleResponder && n.Role != graph.RoleDeadLetter && (!beside(n) || w.declared.inSound(n)) &&
		(len(n.Outputs) > 0 || w.passes(string(n.ID)))
	switch {
	case takes && !in && gives && !out:
		w.fault(v.source, path, CodeDangling, "", "has no edge to it and none from it, so it does nothing; join it to the graph, or leave it out")
	case takes && !in:
		w.fault(v.source, path, CodeDangling, "", "has no edge to it, so nothing comes to it; lead one there, or leave the node out")
	case gives && !out:
		w.fault(v.source, path, CodeDangling, "", "has no edge from it, so what it gives goes nowhere; lead one on, or leave the node out")
	}
}

// touches says whether an edge names a node at one of its ends, be it one with a fault.
func (w *work) touches(end string, id eventabi.NodeID) bool {
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		if end == "to" && e.To == id || end == "from" && e.From == id {
			return true
		}
	}
	for p, v := range w.given {
		if section, rest := head(p); section == "edges" && fieldOf(rest) == end && v.text == string(id) {
			return true
		}
	}
	return false
}

// branch holds a fallback branch to the node that it stands in for.
func (w *work) branch(n *GraphNode) {
	of := w.declared.node(string(n.FallbackOf))
	if n.FallbackOf == "" || of == nil {
		return
	}
	path := join("nodes", string(n.ID)) + ".fallback_of"
	v := w.given[path]
	engine := of.Role == graph.RoleModel || of.Role == graph.RoleSynthesiser
	sound := w.declared.inSound(of) && beside(n)
	if n.Role != of.Role || of.Role != graph.RoleWork && !engine || (beside(n) || beside(of)) && !sound {
		w.fault(v.source, path, CodeFallback, quote(v.text), "is %s: a node of the type %s cannot stand in for one of the type %s; llm stands in for llm, tts for tts, a registered type that works in a turn for another, and one in the caller's or the agent's sound for another there",
			of.ID, n.Type, of.Type)
		return
	}
	for _, t := range of.Inputs {
		if !slices.Contains(n.Inputs, t) {
			w.fault(v.source, path, CodeTypes, quote(v.text), "is %s, which takes %s, but this one takes %s; give it a type that takes the same", of.ID, strings.Join(of.Inputs, ", "), strings.Join(n.Inputs, ", "))
			return
		}
	}
	for i := range w.declared.nodes {
		if other := &w.declared.nodes[i]; other.ID < n.ID && other.FallbackOf == n.FallbackOf && slices.ContainsFunc(other.FallbackOn, func(t graph.Trigger) bool { return slices.Contains(n.FallbackOn, t) }) {
			w.fault(v.source, path, CodeFallback, quote(v.text), "is %s, for which %s stands in at the same triggers; give each its own with fallback_on", of.ID, other.ID)
			return
		}
	}
}

// choices looks at the edges of a select node in the order in which it tries them.
func (w *work) choices(n *GraphNode) {
	if n.Role != graph.RoleSelect {
		return
	}
	var outs []*graph.Edge
	for i := range w.declared.edges {
		if e := &w.declared.edges[i]; e.From == n.ID {
			outs = append(outs, e)
		}
	}
	slices.SortStableFunc(outs, func(a, b *graph.Edge) int {
		if a.Rank != b.Rank {
			return int(a.Rank - b.Rank)
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	for i, e := range outs {
		if len(e.When) > 0 || len(e.Events) > 0 {
			continue
		}
		if i < len(outs)-1 {
			path := join("edges", string(outs[i+1].ID))
			w.fault(w.given[path+".from"].source, path, CodeUnreached, "", "is never tried: %s stands before it and has no condition, so everything goes there; give %s a larger rank", e.ID, e.ID)
		}
		return
	}
	if len(outs) > 0 {
		path := join("nodes", string(n.ID))
		w.warn(w.given[path+".type"].source, path, CodeNoDefault, "", "has a condition on each edge from it: what fits none goes to the dead letters; add an edge without one, with the largest rank")
	}
}

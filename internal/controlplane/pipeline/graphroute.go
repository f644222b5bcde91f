// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"maps"
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// outsideGraph says of an edge of the voice graph that it lies outside every graph: its
// ends are no nodes.
func outsideGraph(id string) bool {
	return id == string(turn.EdgeTextClient) || id == string(turn.EdgeTelemetry)
}

// ofRoute says of a field of an edge that it says what goes along the edge, or nothing, and
// is no part of its buffer.
func ofRoute(field string) bool {
	name, _ := head(field)
	switch name {
	case "from", "to", "events", "when", "rank", "labels", "comment":
		return true
	}
	return false
}

// withoutRoute takes from what was set of an edge what is no part of its buffer.
func (s settings) withoutRoute() settings {
	maps.DeleteFunc(s, func(field string, _ setting) bool { return ofRoute(field) })
	return s
}

// routes takes the edges of the declared graph.
func (w *work) routes() {
	groups := w.given.groups("edges")
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		given, path := groups[id], join("edges", id)
		if outsideGraph(id) {
			continue
		}
		w.routeLayers(path, given)
		from, hasFrom := given["from"]
		to, hasTo := given["to"]
		if !hasFrom || !hasTo || w.declared.node(from.text) == nil || w.declared.node(to.text) == nil {
			continue // which is told by the edge's own work, or of the node
		}
		e := graph.Edge{ID: eventabi.EdgeID(id), From: eventabi.NodeID(from.text), To: eventabi.NodeID(to.text), Events: given["events"].list, Rank: given["rank"].number()}
		for _, text := range given["when"].list {
			if t, err := parseTest(text); err == nil { // it was written by this package
				e.When = append(e.When, t)
			}
		}
		w.declared.edges = append(w.declared.edges, e)
	}
}

// routeLayers refuses what only the spec says of an edge: where it runs, and what along it.
func (w *work) routeLayers(path string, given settings) {
	for _, field := range given.sorted() {
		v := given[field]
		if v.source.Layer.rank() > Spec.rank() && ofRoute(field) {
			w.fault(v.source, path+"."+field, CodeNotALayer, "", "comes from the layer %s, but where an edge runs and what goes along it only the spec says; layers above it set its buffer", v.source.Layer)
		}
	}
}

// passes says of a node that it gives on what it takes.
func (w *work) passes(id string) bool {
	n := w.declared.node(id)
	return n != nil && (n.Role == graph.RoleMerge || n.Role == graph.RoleSelect)
}

// scopes finds how long a merge or select node lives where nobody said it: with what
// feeds it.
func (w *work) scopes() {
	for range w.declared.nodes { // a chain of them settles from its beginning
		moved := false
		for i := range w.declared.nodes {
			n := &w.declared.nodes[i]
			if _, said := w.values[join("nodes", string(n.ID))+".scope"]; said || !w.passes(string(n.ID)) {
				continue
			}
			scope := graph.ScopeSession
			for _, e := range w.declared.edges {
				if e.To == n.ID && w.declared.node(string(e.From)).Scope != graph.ScopeSession {
					scope = graph.ScopeTurn
				}
			}
			moved = moved || n.Scope != scope
			n.Scope = scope
		}
		if !moved {
			return
		}
	}
}

// fallbacks gives each fallback branch a node that is there.
func (w *work) fallbacks() {
	for i := range w.declared.nodes {
		n := &w.declared.nodes[i]
		if n.FallbackOf == "" {
			continue
		}
		path := join("nodes", string(n.ID)) + ".fallback_of"
		v := w.values[path]
		switch of := w.declared.node(string(n.FallbackOf)); {
		case of == nil: // which is told of that node
			n.FallbackOf, n.FallbackOn = "", nil
		case of == n:
			w.fault(v.source, path, CodeFallback, quote(v.text), "is the node itself; name the one that it stands in for")
			n.FallbackOf, n.FallbackOn = "", nil
		}
	}
}

// preludeOf marks the nodes that work ahead of turns: those that the spec lists, or else the
// detector, the recogniser and what of the session stands in front of them.
func (w *work) preludeOf(x *expander) {
	if x.preludes == 0 {
		for i := range w.declared.nodes {
			if n := &w.declared.nodes[i]; n.Role == graph.RoleDetector || n.Role == graph.RoleRecogniser {
				w.markPrelude(n)
			}
		}
		return
	}
	v := setting{kind: listSetting, list: x.prelude, source: x.preludeAt}
	w.values["prelude"] = v
	for _, id := range x.prelude {
		n := w.declared.node(id)
		if n == nil {
			continue
		}
		n.Prelude = true
		if n.Scope != graph.ScopeSession {
			w.fault(v.source, "prelude", CodePreludeScope, quote(id), "names %s, a node of the %s; ahead of turns only nodes of the session work: leave it out", quote(id), n.Scope)
		}
	}
}

// markPrelude marks a node and what of the session feeds it, but for the caller.
func (w *work) markPrelude(n *GraphNode) {
	if n.Prelude || n.Role == graph.RoleCaller || n.Scope != graph.ScopeSession {
		return
	}
	n.Prelude = true
	for _, e := range w.declared.edges {
		if e.To == n.ID {
			w.markPrelude(w.declared.node(string(e.From)))
		}
	}
}

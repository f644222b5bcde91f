// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// GraphNode is a node of a declared graph, and what it is configured with.
type GraphNode struct {
	graph.Node
	// Config is what its type is told, an object of JSON; nil = nothing.
	Config json.RawMessage
	// Limits are those of its hooks, milliseconds; 0 = the contract's.
	Limits NodeLimits
	// Silences says of a node in somebody's sound that a frame which it does not give back is
	// silence; otherwise it goes on as it came.
	Silences bool
	// Module is the module that holds it, as name@version; empty = the document itself.
	Module string
}

// NodeLimits are how long the hooks of a node may take, milliseconds; 0 = the default.
type NodeLimits struct{ EventMS, InitMS, StartMS, CancelMS, StopMS int64 }

// declared builds the graph that the documents declare; nil = they declare none.
type declared struct {
	nodes []GraphNode // sorted by id
	edges []graph.Edge
	// unknown are nodes whose type has refused their config: what they take and give is not known.
	unknown []eventabi.NodeID
	// heard are the nodes in the caller's sound, ahead of those who listen; spoken those in the
	// agent's, behind those who speak.
	heard, spoken []eventabi.NodeID
}

// node finds a node.
func (d *declared) node(id string) *GraphNode {
	if d == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(d.nodes, id, func(n GraphNode, id string) int { return strings.Compare(string(n.ID), id) })
	if !ok {
		return nil
	}
	return &d.nodes[i]
}

// graph takes the graph that the documents declare.
func (w *work) graph() {
	nodes := w.given.groups("nodes")
	if len(nodes) == 0 {
		w.noGraph()
		return
	}
	x := w.expand()
	nodes = w.given.groups("nodes")
	for path, v := range w.given {
		if section, _ := head(path); section == "nodes" {
			w.values[path] = v
		}
	}
	w.declared = &declared{}
	if len(nodes) > MaxGraphNodes || x.count > MaxGraphNodes {
		w.fault(firstSource(w.given.below("nodes")), "nodes", CodeTooManyNodes, strconv.Itoa(x.count), "are %d with those of modules; a graph has at most %d", x.count, MaxGraphNodes)
		return
	}
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		path := join("nodes", id)
		w.values.settle(path + ".config")
		b := nodeWork{work: w, id: id, path: path, given: w.values.below(path)}
		if n, ok := b.build(); ok {
			n.Module = x.origin[id]
			w.declared.nodes = append(w.declared.nodes, n)
		}
	}
	if len(w.given.groups("edges")) > controlplane.MaxEdges {
		return // which edges tells; looking at each would take as long as the file is
	}
	w.routes()
	w.scopes()
	w.fallbacks()
	w.declared.findSound()
	w.preludeOf(x)
	w.sound()
	w.runs()
	w.kernel()
}

// noGraph refuses what has a meaning only in a declared graph.
func (w *work) noGraph() {
	for _, path := range w.given.sorted() {
		section, rest := head(path)
		_, field := head(rest)
		switch {
		case section == "modules":
			delete(w.given, path)
		case section == "prelude", section == "edges" && (field == "events" || field == "when" || field == "rank"):
			w.fault(w.given[path].source, path, CodeNoGraph, "", "has no meaning without nodes: the voice graph has its own; declare the graph, or leave it out")
		}
	}
}

// nodeWork builds one node. Fields are those below the node.
type nodeWork struct {
	*work
	id, path string
	given    settings
	node     GraphNode
}

func (b *nodeWork) fault(at Source, field, code, value, format string, args ...any) {
	b.work.fault(at, strings.TrimSuffix(b.path+"."+field, "."), code, value, format, args...)
}

func (b *nodeWork) first() Source {
	if v, ok := b.work.given[b.path]; ok {
		return v.source
	}
	return firstSource(b.given)
}

// build finds what a node is.
func (b *nodeWork) build() (GraphNode, bool) {
	b.node.ID = eventabi.NodeID(b.id)
	b.layersOf()
	t, ok := b.given["type"]
	if !ok {
		if !b.refused(b.path + ".type") {
			b.missing(b.first(), b.path+".type", "; say what the node is: one of %s", strings.Join(b.normalizer.TypeNames(), ", "))
		}
		return b.node, false
	}
	b.node.Type = t.text
	if _, ok := b.given["config"]; ok || len(b.given.below("config")) > 0 {
		b.node.Config = openJSON(b.given, "config")
	}
	number := func(field string) int64 { return b.given["limits."+field].number() }
	b.node.Limits = NodeLimits{number("event_ms"), number("init_ms"), number("start_ms"), number("cancel_ms"), number("stop_ms")}
	b.node.BudgetMS = b.node.Limits.EventMS
	b.node.Silences = b.given["unanswered"].text == "silence"
	if builtin, ok := nodeType(t.text); ok {
		b.builtin(&builtin)
	} else if slices.Contains(b.normalizer.KindTypes(), t.text) {
		b.registered()
	} else {
		names := b.normalizer.TypeNames()
		b.fault(t.source, "type", CodeNodeType, quote(t.text), "is %s, which is no type of nodes here%s", quote(t.text), didYouMean(t.text, names))
		return b.node, false
	}
	b.routing()
	return b.node, true
}

// layersOf refuses what only the spec says of a node: what it is. The layers above change
// what it is told, and how long it may take.
func (b *nodeWork) layersOf() {
	for _, field := range b.given.sorted() {
		v := b.given[field]
		name, _ := head(field)
		if v.source.Layer.rank() <= Spec.rank() || name == "config" || name == "limits" || v.kind == emptySetting {
			continue
		}
		b.fault(v.source, field, CodeNotALayer, "", "comes from the layer %s, but what a node is only the spec says; layers above it set config and limits", v.source.Layer)
	}
}

// builtin takes a node of a type that the runtime has itself.
func (b *nodeWork) builtin(t *NodeType) {
	b.node.Role, b.node.Scope = t.Role, t.Scope
	b.node.Inputs, b.node.Outputs = slices.Clone(t.Inputs), slices.Clone(t.Outputs)
	if v, ok := b.given["version"]; ok {
		b.fault(v.source, "version", CodeNodeVersion, quote(v.text), "is %s, but %s is the runtime's own and comes with it; leave the version out", quote(v.text), t.Name)
	}
	if v, ok := b.given["scope"]; ok {
		if t.Scope != "" && v.text != string(t.Scope) {
			b.fault(v.source, "scope", CodeScope, quote(v.text), "is %s, but a node of the type %s is one of the %s; leave it out", v.text, t.Name, t.Scope)
		}
		b.node.Scope = graph.Scope(v.text)
	}
	for _, field := range b.given.below("limits").sorted() {
		v := b.given["limits."+field]
		b.fault(v.source, "limits."+field, CodeNodeField, v.text, "is %s, but a node of the type %s is the runtime's own, whose times are in budgets; leave it out", v.text, t.Name)
	}
	b.config(t)
}

// registered takes a node of a type that the program registers.
func (b *nodeWork) registered() {
	b.node.Role = graph.RoleWork
	d, err := b.normalizer.kinds.Describe(b.node.Type, b.node.Config)
	if err != nil {
		b.described(err)
		b.work.declared.unknown = append(b.work.declared.unknown, b.node.ID)
		return
	}
	b.node.Version, b.node.Scope = d.Version, d.Scope
	b.node.Inputs, b.node.Outputs = d.Inputs, d.Outputs
	if v, ok := b.given["version"]; ok && v.text != d.Version {
		b.fault(v.source, "version", CodeNodeVersion, quote(v.text), "is %s, but this program has %s %s of %s; pin that one, or build a program with the other", quote(v.text), b.node.Type, d.Version, d.Package)
	}
	if v, ok := b.given["scope"]; ok && v.text != string(d.Scope) {
		b.fault(v.source, "scope", CodeScope, quote(v.text), "is %s, but %s declares that it is one of the %s; leave it out", v.text, b.node.Type, d.Scope)
	}
}

// described places what a type says of a config: at the field that a message names first,
// or else at the config or the node.
func (b *nodeWork) described(err error) {
	for _, one := range flatErrors(err) {
		text := one.Error()
		field, source := "config", b.given["config"].source
		if below := b.given.below("config"); len(below) > 0 {
			source = firstSource(below)
			best := len(text)
			for p, v := range below {
				name, _ := head(p)
				if at := namedAt(text, name); at >= 0 && at < best {
					best, field, source = at, "config."+p, v.source
				}
			}
		}
		if source.File == "" {
			field, source = "type", b.given["type"].source
		}
		b.fault(source, field, CodeConfig, "", "is refused by %s: %s", b.node.Type, text)
	}
}

// namedAt finds a name of a field in a message: a word that a colon, a space or a quote ends.
func namedAt(text, name string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], name)
		if at < 0 || name == "" {
			return -1
		}
		at += from
		end := at + len(name)
		before := at == 0 || !wordByte(text[at-1])
		if before && (end == len(text) || !wordByte(text[end])) {
			return at
		}
		from = end
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// flatErrors takes joined errors apart.
func flatErrors(err error) (list []error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			list = append(list, flatErrors(one)...)
		}
		return list
	}
	return []error{err}
}

// routing takes what only some types have: a merge rule, and being a fallback.
func (b *nodeWork) routing() {
	v, ok := b.given["merge"]
	switch {
	case ok && b.node.Role != graph.RoleMerge:
		b.fault(v.source, "merge", CodeNodeField, quote(v.text), "is %s, but only a node of the type merge joins what comes in; leave it out", v.text)
	case ok:
		b.node.Merge = graph.MergeRule(v.text)
	case b.node.Role == graph.RoleMerge:
		b.node.Merge = graph.MergeSequence
	}
	of, stands := b.given["fallback_of"]
	on, when := b.given["fallback_on"]
	switch {
	case stands:
		b.node.FallbackOf = eventabi.NodeID(of.text)
		b.node.FallbackOn = []graph.Trigger{graph.OnTimeout, graph.OnError, graph.OnBudget}
		if when {
			b.node.FallbackOn = nil
			for _, t := range on.list {
				b.node.FallbackOn = append(b.node.FallbackOn, graph.Trigger(t))
			}
		}
	case when && !b.refused(b.path+".fallback_of"):
		b.fault(on.source, "fallback_on", CodeFallback, "", "says when the node stands in, but not for which one; give fallback_of")
	}
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// graphSetup is the graph that a session has declared, and what the session needs to know of
// it. All its methods answer for nil, the session that declared none.
type graphSetup struct {
	nodes    []GraphNode // in the order in which they came
	edges    []graph.Edge
	overfull bool

	compiled  *graph.Graph
	exec      graph.Run // of the live turn
	log       graph.Log
	says      []content // memory of the live run
	zones     []zone    // by node
	leads     []bool    // what a node gives can come to a model or a synthesiser
	screens   bool      // there are work nodes among the words
	sound     []side    // by node: whose sound it stands in
	items     int64     // of the turns before
	print     string    // the fingerprint
	ear       eventabi.NodeID
	cutter    eventabi.NodeID
	model     eventabi.NodeID // the first one: it answers where no words lead to a model
	voice     eventabi.NodeID // the first synthesiser
	responder int             // of nodes, -1 = none
	letters   int             // of nodes, -1 = none
}

// The bounds of a graph.
const (
	maxGraphNodes = 64
	maxGraphEdges = 256
)

// graphNode takes a node of the graph while the session is being set up.
func (m *Machine) graphNode(in *GraphNode) {
	if m.state != controlplane.SessionConnecting {
		m.refuse("graph_late", in.kind(), "")
		return
	}
	g := m.declared()
	if len(g.nodes) >= maxGraphNodes {
		g.overfull = true
		m.refuse("graph_limit", in.kind(), "")
		return
	}
	g.nodes = append(g.nodes, in.kept())
}

// graphEdge takes an edge of the graph.
func (m *Machine) graphEdge(in *GraphEdge) {
	if m.state != controlplane.SessionConnecting {
		m.refuse("graph_late", in.kind(), "")
		return
	}
	g := m.declared()
	if len(g.edges) >= maxGraphEdges {
		g.overfull = true
		m.refuse("graph_limit", in.kind(), "")
		return
	}
	g.edges = append(g.edges, in.kept())
}

func (m *Machine) declared() *graphSetup {
	if m.graph == nil {
		m.graph = &graphSetup{responder: -1, letters: -1}
	}
	return m.graph
}

// node gives a node by its id, nil when there is none.
func (g *graphSetup) node(id eventabi.NodeID) *GraphNode {
	if i := g.index(id); i >= 0 {
		return &g.nodes[i]
	}
	return nil
}

func (g *graphSetup) index(id eventabi.NodeID) int {
	if g == nil {
		return -1
	}
	return slices.IndexFunc(g.nodes, func(n GraphNode) bool { return n.Node.ID == id })
}

// providers lists those that serve a node and nothing else, nil when it has none of its own.
func (g *graphSetup) providers(id eventabi.NodeID) []string {
	n := g.node(id)
	if n == nil || n.Provider == "" {
		return nil
	}
	return candidates(n.Provider, n.Second)
}

// bindings are the providers of nodes as the plans have them.
func (g *graphSetup) bindings() (list []turn.NodeBinding) {
	if g == nil {
		return nil
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.Provider == "" {
			continue
		}
		modality := callTTS
		if n.Node.Role == graph.RoleModel {
			modality = callLLM
		}
		list = append(list, turn.NodeBinding{
			Node: string(n.Node.ID), Modality: modality.String(), Candidates: candidates(n.Provider, n.Second),
		})
	}
	return list
}

// reference is the graph as the plans name it. The fingerprint is part of it, so two graphs
// never share a plan hash, whatever they are called (turn-plan section 2).
func (g *graphSetup) reference(name string) string {
	if g == nil {
		return name
	}
	return name + "@" + g.print
}

// budget is what a node has for one item.
func (g *graphSetup) budget(n *GraphNode, plan *controlplane.ResolvedTurnPlan) timebase.Span {
	if n.Node.BudgetMS > 0 {
		return timebase.MS(n.Node.BudgetMS)
	}
	return timebase.MS(plan.Budgets.NodeBudgetMSDefault)
}

// compile makes the graph of what was declared. It gives the reason with which the bootstrap
// is refused, empty when there is none.
func (g *graphSetup) compile() string {
	if g.overfull {
		return "invalid_graph:too_large"
	}
	def := graph.Definition{Edges: g.edges}
	for i := range g.nodes {
		n := &g.nodes[i].Node
		if n.BudgetMS > maxSettingMS {
			return "invalid_graph:nodes." + string(n.ID) + ".budget_ms"
		}
		def.Nodes = append(def.Nodes, *n)
	}
	compiled, faults := graph.Compile(def)
	for i := range faults {
		if f := &faults[i]; f.Severity == graph.Error {
			return "invalid_graph:" + f.Path + ":" + string(f.Code)
		}
	}
	g.compiled = compiled
	g.table()
	g.print = g.fingerprint()
	return g.survey()
}

// CheckGraph says why a session could not run the graph of these inputs, as the reason of its
// refusal has it; empty when it could.
func CheckGraph(list []Input) string {
	m := New()
	m.fx = &Effects{}
	for _, in := range list {
		switch in := in.(type) { //nolint:gochecksumtype // the others declare no graph
		case *GraphNode:
			m.graphNode(in)
		case *GraphEdge:
			m.graphEdge(in)
		}
	}
	if m.graph == nil {
		return ""
	}
	return m.graph.compile()
}

// stageOf is what a turn waits for while a node works.
func (m *Machine) stageOf(id eventabi.NodeID) stage {
	i := m.graph.index(id)
	if i < 0 {
		return nodeStage(id)
	}
	switch m.graph.zones[i] {
	case zoneWords:
		return stageWords
	case zoneModel:
		return stageReply
	case zoneReply, zoneVoice:
		return stageSound
	case zoneNone:
	}
	return stageNone
}

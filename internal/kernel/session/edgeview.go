// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// EdgeInfo is what an edge obeys and where that came from, for those who look on.
type EdgeInfo struct {
	From, To string
	Side     bool // the turn can do without it
	Policy   controlplane.EdgeBufferPolicy
	Flow     controlplane.FlowControl
	// Layers names the layer of each value by its path in the plan: flow_control, and
	// edge_buffer_policies with the edge's id (see [controlplane.Origin]).
	Layers controlplane.Table[string]
}

// EdgeInfo tells what an edge obeys; false when it was never used.
func (m *Machine) EdgeInfo(id eventabi.EdgeID) (EdgeInfo, bool) {
	n, ok := m.edges.board.Find(string(id))
	if !ok {
		return EdgeInfo{}, false
	}
	ends := m.edges.board.Ends(n)
	policy, control, _ := m.plans.resolver.Edge(id)
	info := EdgeInfo{From: ends.From, To: ends.To, Side: ends.Side, Policy: policy, Flow: control, Layers: m.plans.resolver.FlowLayers()}
	for _, e := range turn.VoiceGraph() {
		if e.ID == id {
			info.From, info.To = string(e.From), string(e.To)
		}
	}
	return info, true
}

// Depth tells what lies in an edge, for those who look on; false when it was never used.
func (m *Machine) Depth(id eventabi.EdgeID) (flow.Depth, bool) {
	n, ok := m.edges.board.Find(string(id))
	if !ok {
		return flow.Depth{}, false
	}
	return m.edges.board.Edge(n).Depth(m.now), true
}

// EdgeStats visits the edges that were used, in the order of their first use.
func (m *Machine) EdgeStats(visit func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth)) {
	for n := range m.edges.board.Len() {
		e := m.edges.board.Edge(n)
		visit(eventabi.EdgeID(m.edges.board.Ends(n).ID), e.Stats(), e.Depth(m.now))
	}
}

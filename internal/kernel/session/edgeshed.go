// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
)

// shedWork says of an edge, by kind of work, that the host's load has it shed and that
// this was told.
type shedWork [gate.WorkControl + 1]bool

// workOn says what kind of work an item on an edge is, in the order in which a host that
// is overloaded gives work up (flow section 7): metrics, and what the turn can do without.
// What may not be shed is part of the conversation.
func (m *Machine) workOn(n int, it *flow.Item) gate.Work {
	switch {
	case it.Lane == flow.Telemetry:
		return gate.WorkTelemetry
	case it.Lane == flow.Data && m.edges.board.Ends(n).Side && !it.Kind.Protected():
		return gate.WorkLowPriority
	}
	return gate.WorkLiveTurn
}

// shedOffer has an edge drop an item on arrival, because the host's load asks for it. The
// drops are counted and noticed by the edge; that they begin is a decision at the
// scheduling point edge_enqueue (failure class F1), told once until the load lets go.
func (m *Machine) shedOffer(n int, it flow.Item, w gate.Work) flow.Verdict {
	v := m.edges.board.Edge(n).Refuse(m.now, it, flow.Shed, &m.edges.log)
	if v != flow.Refused || m.edges.shed[n][w] {
		return v
	}
	m.edges.shed[n][w] = true
	ends := m.edges.board.Ends(n)
	signal := m.emit(eventabi.SignalShed, eventabi.EmitterAdmission, "", w.Reason())
	signal.EdgeID, signal.TargetLane = eventabi.EdgeID(ends.ID), laneName(it.Lane)
	body := m.fx.body(64)
	body.str("point", string(controlplane.OutcomeEdgeEnqueue))
	if ends.Key != "" {
		body.str("fairness_key", ends.Key)
	}
	body.str("admission_policy_snapshot", m.plans.snapshots.Provenance().AdmissionPolicy)
	signal.Payload = body.done()
	m.decide(signal, controlplane.OutcomeShed, controlplane.PhaseSchedulingPoint, controlplane.OutcomeEdgeEnqueue, "")
	return v
}

// edgesEased forgets what was told of work that the load does not shed any more.
func (m *Machine) edgesEased() {
	for n := range m.edges.shed {
		for w := range m.edges.shed[n] {
			m.edges.shed[n][w] = m.edges.shed[n][w] && m.load.Sheds(gate.Work(w))
		}
	}
}

// emptyEdges lets go of everything that lies on edges when the session ends.
func (m *Machine) emptyEdges() {
	for n := range m.edges.board.Len() {
		e := m.edges.board.Edge(n)
		if v := m.edges.kinds[n]; v == edgeVAD || v == edgeSTT { // who listens stops listening: nothing is lost
			e.Consume(m.now, 0, m.heard, &m.edges.log)
		}
		e.Empty(m.now, flow.Fenced, &m.edges.log)
	}
	m.edges.board.Announce(&m.edges.log)
	m.report()
	m.edges.parked, m.edges.words = m.edges.parked[:0], m.edges.words[:0]
}

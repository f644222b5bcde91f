// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Validate reports what is wrong with whose policy it is, each a SettingError; the policy
// itself is the plan's to judge.
func (in *NodePolicy) Validate() error {
	c := settingsCheck{prefix: "node_execution_policies." + string(in.Node) + "."}
	c.id("node", string(in.Node), true)
	c.within("concurrency_limit", in.Policy.ConcurrencyLimit, controlplane.MaxTasks)
	c.layers(in.Layers)
	return errors.Join(c.faults...)
}

// nodePolicy takes a node's policy while the session is being set up.
func (m *Machine) nodePolicy(in *NodePolicy) {
	if m.state != controlplane.SessionConnecting || len(m.edges.nodes) >= maxNodePolicies {
		m.refuse("node_policy_late", in.kind(), "")
		return
	}
	for i := range m.edges.nodes {
		if m.edges.nodes[i].Node == in.Node { // the later one stands
			m.edges.nodes[i] = *in
			return
		}
	}
	m.edges.nodes = append(m.edges.nodes, *in)
}

// FairnessKey is the key under which a node's tasks are scheduled: its policy's, else that
// of an edge which it takes from, else none, which stands for the session (flow section 7).
func FairnessKey(node eventabi.NodeID, nodes []NodePolicy, edges []EdgePolicy) string {
	for i := range nodes {
		if nodes[i].Node == node && nodes[i].Policy.FairnessKey != "" {
			return nodes[i].Policy.FairnessKey
		}
	}
	feeds := nodeEdge(node)
	for i := range edges {
		e := &edges[i]
		if e.Policy.FairnessKey != "" && (e.Edge == feeds && feeds != "" || e.To == string(node)) {
			return e.Policy.FairnessKey
		}
	}
	return ""
}

// nodeEdge is the edge of the voice graph that a node of it takes from.
func nodeEdge(node eventabi.NodeID) eventabi.EdgeID {
	switch node {
	case nodeEndpointer:
		return turn.EdgeTransportVAD
	case nodeSTT:
		return turn.EdgeTransportSTT
	case nodeLLM:
		return turn.EdgeSTTLLM
	case nodeTTS:
		return turn.EdgeLLMTTS
	}
	return ""
}

// node is the node of the voice graph that makes a call.
func (k callKind) node() eventabi.NodeID {
	return [...]eventabi.NodeID{nodeSTT, nodeLLM, nodeTTS}[k]
}

// at is the node that makes a call: of the session's graph, else of the voice graph.
func (c *call) at() eventabi.NodeID {
	if c.node != "" {
		return c.node
	}
	return c.kind.node()
}

// unscheduled: the execution pool did not take an attempt. That is a decision to shed at
// the scheduling point node_dispatch (flow section 7, failure class F1). Work of the turn
// is tried again where policy and time allow; else it is as if its node had failed: the
// plan's action follows, or the end of the turn. Another provider would help nothing. Of an
// utterance the words that were heard stand.
func (m *Machine) unscheduled(in *Unscheduled) {
	reason := controlplane.ShedReason(in.Reason)
	if !slices.Contains(controlplane.ShedReasons(), reason) {
		m.refuse("unscheduled_malformed", in.kind(), turnOf(in.Invocation))
		return
	}
	c := m.call(in.Invocation)
	if c == nil || c.attempt != in.Attempt && in.Attempt != 0 || c.idle() || c.chunks > 0 {
		m.late(in, turnOf(in.Invocation))
		return
	}
	m.shedDispatch(c, reason)
	if c.cancelled {
		m.removeCall(c.id)
		return
	}
	closed := reason == controlplane.ShedPoolClosed
	if wait, ok := m.retryAfter(c, &InvocationEnd{Retryable: !closed}); ok {
		m.tryAgain(c, wait)
		return
	}
	if c.kind == callSTT {
		number := c.utterance
		m.removeCall(c.id)
		if u := m.utterance(number); u != nil {
			u.shed = true
		}
		m.recogniserFailed(number)
		return
	}
	c.parked = true
	c.budget.Close()
	node := c.at()
	m.raise(trouble{
		name: string(node), reason: unscheduledNode(node), awaits: m.stageOf(node), call: c.id,
		lost: true, shed: true, abort: controlplane.AbortNodeFailure,
	})
}

// unscheduledNode is the reason of what follows from work that was not scheduled.
func unscheduledNode(node eventabi.NodeID) string { return "node_unscheduled:" + string(node) }

// shedDispatch tells that a call was not scheduled, with what the decision rests on.
func (m *Machine) shedDispatch(c *call, reason controlplane.ShedReason) {
	node := c.at()
	signal := m.emit(eventabi.SignalShed, eventabi.EmitterAdmission, c.turn, string(reason))
	signal.NodeID, signal.ProviderInvocationID = node, c.id
	body := m.fx.body(128)
	body.str("point", string(controlplane.OutcomeNodeDispatch))
	body.str("fairness_key", m.fairnessKey(node))
	body.int("attempt", c.attempt)
	body.str("admission_policy_snapshot", m.plans.snapshots.Provenance().AdmissionPolicy)
	signal.Payload = body.done()
	m.decide(signal, controlplane.OutcomeShed, controlplane.PhaseSchedulingPoint, controlplane.OutcomeNodeDispatch, c.turn)
}

// fairnessKey is the key of a node's tasks, the session's id where there is no other.
func (m *Machine) fairnessKey(node eventabi.NodeID) string {
	if key := FairnessKey(node, m.edges.nodes, m.edges.set); key != "" {
		return key
	}
	return string(m.identity.session)
}

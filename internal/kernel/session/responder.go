// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// apologise asks for a turn in which the graph's responder speaks, after one that ended badly
// (nodes-providers-transports section 2): the aborted turn keeps its single terminal. Nobody
// apologises where the caller has ended the turn, where somebody speaks or waits for a turn
// already, or for an apology.
func (m *Machine) apologise(cause turn.Cause, reason controlplane.AbortReason) {
	if m.graph.responder < 0 || cause == turn.CauseCommit || m.turn.apology != "" || !apologised(reason) {
		return
	}
	if m.closing() || m.barge.wanted || len(m.proposals)+len(m.queue) > 0 || m.open() != nil {
		return
	}
	m.addProposal(proposal{apology: m.turn.id, bare: true, epoch: m.authority.Epoch, at: m.now})
}

// apologised says whether a turn's end is one that its caller did not bring about, and after
// which the session can go on.
func apologised(reason controlplane.AbortReason) bool {
	switch reason {
	case controlplane.AbortNodeFailure, controlplane.AbortProviderFailure, controlplane.AbortBudgetExhausted,
		controlplane.AbortEdgeOverflow, controlplane.AbortSyncUnrecoverable:
		return true
	case controlplane.AbortCancelled, controlplane.AbortAuthorityLoss, controlplane.AbortEvidenceUnavailable,
		controlplane.AbortTransportDisconnect, controlplane.AbortRuntimeInternalError, controlplane.AbortPolicyTerminated:
	}
	return false
}

// sayApology makes the responder's line the reply of its turn. It asks no model and passes no
// node: one of them is what has failed.
func (m *Machine) sayApology() {
	line := &m.graph.nodes[m.graph.responder].Line
	m.turn.asked = true
	m.arrive(graph.Spoken{Text: line.Handle, Runes: line.Runes}, m.graph.voice)
	m.turn.output.reply.End()
	m.finished()
}

// arrive puts a piece into the reply, for a synthesiser to say it; false when there is no room
// for it.
func (m *Machine) arrive(s graph.Spoken, voice eventabi.NodeID) bool {
	t := &m.turn
	if t.output.reply.Ended() || t.output.reply.Len() >= graph.MaxSegments {
		return false
	}
	t.run.voices = append(t.run.voices, voice)
	m.fx.add(&Place{Turn: t.id, Segment: int64(t.output.reply.Len()), Text: s.Text})
	return m.addSegment(s)
}

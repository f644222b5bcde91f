// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// authority is the lease, and what was said of inputs that did not have it.
type authority struct {
	gate.Authority
	staleRun bool // the last caller frame was refused: one reject per run is enough
}

// stale refuses an input whose epoch is not the lease's: T12, a diagnostic decision
// that moves nothing. It outranks every other fate of the input.
func (m *Machine) stale(e eventabi.Epoch, point controlplane.OutcomeScope, in Input) bool {
	if m.authority.Current(e) {
		return false
	}
	m.counters.StaleEpoch++
	if callerAudio(in) {
		if m.authority.staleRun {
			return true
		}
		m.authority.staleRun = true
	}
	signal := m.emit(eventabi.SignalStaleEpochReject, eventabi.EmitterAuthority, "", string(m.authority.Reason(e)))
	m.decide(signal, controlplane.OutcomeStaleEpochReject, controlplane.PhaseSchedulingPoint, point, "")
	return true
}

func callerAudio(in Input) bool {
	_, frame := in.(*AudioIn)
	_, gap := in.(*AudioGap)
	return frame || gap
}

// leaseChanged takes what the lease authority decided. A live turn was planned under
// the old epoch: it ends as T8, and nothing of the old epoch leaves egress.
func (m *Machine) leaseChanged(in *LeaseChange) {
	move := m.authority.Take(in.Epoch, in.Revoked)
	switch move {
	case gate.LeaseKept:
		return
	case gate.LeaseBehind:
		m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in)
		return
	case gate.LeaseRotated, gate.LeaseRevoked:
	}
	m.arbiter.Raise(turn.CauseAuthority, controlplane.AbortAuthorityLoss)
	if !m.arbiter.Pending(turn.CauseAuthority) {
		m.fenceStale()
	}
	if move == gate.LeaseRevoked {
		if !m.arbiter.Live() && m.state == controlplane.SessionActive && len(m.proposals) == 0 {
			m.emitDeauthorized("", controlplane.PhasePreTurn, controlplane.OutcomeSession)
		}
		m.drain.wanted = "authority_loss"
	}
}

// fenceStale stops what closed turns still have at egress when authority moves on: it is
// output of an old epoch, each refused at its dequeue.
func (m *Machine) fenceStale() {
	for _, out := range m.outputs {
		if out.audible() && !m.authority.Revoked {
			signal := m.emit(eventabi.SignalStaleEpochReject, eventabi.EmitterAuthority, out.turn, string(controlplane.AuthorityStaleEpoch))
			m.decide(signal, controlplane.OutcomeStaleEpochReject, controlplane.PhaseSchedulingPoint, controlplane.OutcomeEdgeDequeue, out.turn)
		}
	}
	m.fenceOutputs()
}

// emitDeauthorized says that authority is gone, for the session or for its live turn.
func (m *Machine) emitDeauthorized(id eventabi.TurnID, phase controlplane.OutcomePhase, scope controlplane.OutcomeScope) {
	signal := m.emit(eventabi.SignalDeauthorizedDrain, eventabi.EmitterAuthority, id, string(m.authority.Withdrawn()))
	m.decide(signal, controlplane.OutcomeDeauthorizedDrain, phase, scope, id)
}

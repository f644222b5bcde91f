// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// authority is what the session holds of its lease.
type authority struct {
	epoch    eventabi.Epoch
	revoked  bool
	staleRun bool // the last caller frame was refused: one reject per run is enough
}

// current says whether an epoch is the lease's. Zero means that ingress left it to the
// session's binding (authority-state section 2, "Enrichment").
func (a *authority) current(e eventabi.Epoch) bool {
	return !a.revoked && (e == 0 || e == a.epoch)
}

func (a *authority) reason(e eventabi.Epoch) controlplane.AuthorityReason {
	switch {
	case a.revoked:
		return controlplane.AuthorityDeauthorized
	case e > a.epoch:
		return controlplane.AuthorityEpochAhead
	}
	return controlplane.AuthorityStaleEpoch
}

// stale refuses an input whose epoch is not the lease's: T12, a diagnostic decision
// that moves nothing. It outranks every other fate of the input.
func (m *Machine) stale(e eventabi.Epoch, point controlplane.OutcomeScope, in Input) bool {
	if m.authority.current(e) {
		return false
	}
	m.counters.StaleEpoch++
	if callerAudio(in) {
		if m.authority.staleRun {
			return true
		}
		m.authority.staleRun = true
	}
	signal := m.emit(eventabi.SignalStaleEpochReject, eventabi.EmitterAuthority, "", string(m.authority.reason(e)))
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
	if !in.Revoked && in.Epoch <= m.authority.epoch {
		if in.Epoch < m.authority.epoch {
			m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in)
		}
		return // a renewal keeps the epoch
	}
	if m.authority.revoked {
		return // authority does not come back
	}
	m.arbiter.Raise(turn.CauseAuthority, controlplane.AbortAuthorityLoss)
	if in.Revoked {
		m.authority.revoked = true
	} else {
		m.authority.epoch = in.Epoch
	}
	if !m.arbiter.Pending(turn.CauseAuthority) {
		m.fenceStale()
	}
	if in.Revoked {
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
		if out.audible() && !m.authority.revoked {
			signal := m.emit(eventabi.SignalStaleEpochReject, eventabi.EmitterAuthority, out.turn, string(controlplane.AuthorityStaleEpoch))
			m.decide(signal, controlplane.OutcomeStaleEpochReject, controlplane.PhaseSchedulingPoint, controlplane.OutcomeEdgeDequeue, out.turn)
		}
	}
	m.fenceOutputs()
}

// emitDeauthorized says that authority is gone.
func (m *Machine) emitDeauthorized(id eventabi.TurnID, phase controlplane.OutcomePhase, scope controlplane.OutcomeScope) {
	scoped := id
	if phase == controlplane.PhasePreTurn {
		scoped = "" // the turn does not exist for anybody outside
	}
	reason := controlplane.AuthorityStaleEpoch // the lease has gone on to another epoch
	if m.authority.revoked {
		reason = controlplane.AuthorityDeauthorized
	}
	signal := m.emit(eventabi.SignalDeauthorizedDrain, eventabi.EmitterAuthority, scoped, string(reason))
	m.decide(signal, controlplane.OutcomeDeauthorizedDrain, phase, scope, id)
}

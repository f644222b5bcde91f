// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// arbitrate ends the live turn if anything says so, by the precedence of lifecycle
// section 4. It reports whether anything moved.
func (m *Machine) arbitrate() bool {
	cause, reason, ok := m.arbiter.Resolve()
	if !ok || m.arbiter.State() != controlplane.TurnActive {
		return false
	}
	var lost [8]turn.Cause
	losers := m.arbiter.Losers(lost[:0], cause)
	id := m.turn.id
	order := m.cancelling
	m.cancelling = cancelOrder{}
	switch cause {
	case turn.CauseAuthority:
		m.emitDeauthorized(id, controlplane.PhaseActiveTurn, controlplane.OutcomeTurn)
		m.fenceOutputs()
		m.cancelTurnCalls(id, string(controlplane.CancelAuthorityLoss))
	case turn.CauseCancel:
		m.acceptCancel(order)
	case turn.CauseEvidence, turn.CauseDisconnect:
		m.fenceOutputs()
		m.cancelTurnCalls(id, callReason(cause))
	case turn.CauseBudget:
		m.announce(&m.turn.spent, turn.OutcomeTerminate)
		m.cancelTurnCalls(id, callReason(cause))
		m.endAudio(m.turn.output)
	case turn.CauseFailure:
		m.cancelTurnCalls(id, callReason(cause))
		m.endAudio(m.turn.output)
	case turn.CauseCommit, turn.CauseNone:
	}
	for _, l := range losers {
		m.fx.add(&Superseded{Turn: id, Lost: l.String(), Winner: cause.String()})
	}
	m.terminate(cause, reason)
	return true
}

// callReason is the cause code with which a turn's calls are cancelled.
func callReason(c turn.Cause) string {
	switch c {
	case turn.CauseBudget:
		return string(controlplane.CancelTimeout)
	case turn.CauseFailure:
		return string(controlplane.CancelProviderError)
	case turn.CauseDisconnect:
		return string(controlplane.CancelDisconnect)
	case turn.CauseNone, turn.CauseAuthority, turn.CauseCancel, turn.CauseEvidence, turn.CauseCommit:
	}
	return string(controlplane.CancelPolicy)
}

// acceptCancel is the sequence of lifecycle section 7: the signals, the fence, what
// was unfinished, the hooks, the calls. The terminal follows.
func (m *Machine) acceptCancel(order cancelOrder) {
	id := m.turn.id
	m.turn.cancelled = m.now
	m.silence(order, id)
	if order.barge {
		m.fx.add(&Hook{Turn: id, Hook: HookBargeIn})
	}
	m.fx.add(&Hook{Turn: id, Hook: HookCancel})
	m.cancelTurnCalls(id, string(order.reason))
	if order.scope == eventabi.CancelSession {
		m.stopPrelude(order.reason)
	}
}

// terminate emits the one terminal and the one close, and the evidence.
func (m *Machine) terminate(cause turn.Cause, reason controlplane.AbortReason) {
	t := &m.turn
	outcome, why := string(eventabi.SignalAbort), string(reason)
	if cause == turn.CauseCommit {
		outcome, why = string(eventabi.SignalCommit), "completed"
		m.emit(eventabi.SignalCommit, eventabi.EmitterArbiter, t.id, "")
		m.move(t.id, controlplane.TriggerCommit)
		m.counters.Commits++
	} else {
		m.emit(eventabi.SignalAbort, eventabi.EmitterArbiter, t.id, string(reason))
		m.move(t.id, controlplane.TriggerAbort)
		m.counters.Aborts++
	}
	m.emit(eventabi.SignalClose, eventabi.EmitterArbiter, t.id, "")
	m.move(t.id, controlplane.TriggerClose)
	t.budget.Stop()
	m.giveUpRest(t.output.generation)
	m.edges.board.Announce(&m.edges.log)
	m.report()
	m.fx.closed(Evidence{
		Turn: t.id, Index: t.index, PlanID: t.plan.ResolvedTurnPlanID, PlanHash: t.plan.PlanHash,
		EpochOpen: t.plan.AuthorityEpoch, EpochTerminal: m.authority.Epoch,
		Outcome: outcome, Reason: why,
		Proposed: t.proposed, Opened: t.opened, EndOfSpeech: t.endOfSpeech, FirstOutput: t.firstOutput,
		Cancelled: t.cancelled, Fenced: t.fenced, Closed: m.now, Rejected: t.rejected,
	})
	m.arbiter.Rest()
	m.forgetOutputs()
	m.keepWords()
	t.run = nil
	if m.graph != nil {
		m.apologise(cause, reason)
	}
}

// keepWords: an aborted turn keeps the caller's words, whether they are final yet or
// not (nodes-providers-transports section 4a).
func (m *Machine) keepWords() {
	t := &m.turn
	if t.utterance == 0 {
		m.recordTyped()
		return
	}
	u := m.utterance(t.utterance)
	if u == nil {
		return
	}
	if u.final {
		m.recordUser(u)
		return
	}
	if !u.ended { // opened at speech start and ended before the caller did
		u.turn = ""
		t.utterance = 0
	}
}

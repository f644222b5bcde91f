// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// entry is what quotas, the host's capacity and its load have to say of who comes.
type entry struct {
	quotas   gate.Quotas
	counts   gate.Counts
	asked    bool          // somebody wants to know whether the session may begin
	host     *gate.Verdict // what the host says against the session itself
	fault    string        // a quota that cannot be enforced came before the bootstrap
	degraded *gate.Verdict // by which the session was let in with reduced fidelity
}

// quotaSet puts a quota in force. One that cannot be enforced leaves the one before it in
// force; before the bootstrap there is none, and the session is refused: what was to be
// bounded must not run without a bound.
func (m *Machine) quotaSet(in *Quota) {
	var fault *gate.QuotaError
	if errors.As(in.Quota.Validate(controlplane.AdaptiveActions()), &fault) {
		code := "invalid_quota:" + fault.Field
		if m.state == controlplane.SessionConnecting {
			m.entry.fault = code
		}
		m.refuse(code, in.kind(), "")
		return
	}
	m.entry.quotas.Set(in.Quota)
}

// admissionAsked takes the host's word; when the session has begun it comes too late.
func (m *Machine) admissionAsked(in *Admission) {
	if m.state != controlplane.SessionConnecting {
		m.refuse("session_admitted", in.kind(), "")
		return
	}
	m.entry.asked, m.entry.host = true, nil
	v := gate.Admission(in.Outcome, in.Reason)
	if v.Outcome == controlplane.OutcomeDefer {
		v.RetryAfterMS = in.RetryAfterMS
	}
	if !v.Passes() {
		m.entry.host = &v
	}
}

// sessionVerdict says whether the session may begin: the host's word first, then the
// quotas that are asked about when a session starts.
func (m *Machine) sessionVerdict() gate.Verdict {
	if m.entry.host != nil {
		return *m.entry.host
	}
	return m.entry.quotas.Verdict(gate.SessionStart, &m.entry.counts, m.yield())
}

// sessionScope is what a decision about a session concerned: the tenant, where a quota of
// the tenant decided (event-abi section 7).
func sessionScope(v gate.Verdict) controlplane.OutcomeScope {
	if v.Scope == gate.ScopeTenant {
		return controlplane.OutcomeTenant
	}
	return controlplane.OutcomeSession
}

// sessionLetIn says that the session may begin, where that was asked.
func (m *Machine) sessionLetIn(v gate.Verdict) {
	if m.entry.asked || m.entry.quotas.Any() {
		m.admitBy(v, sessionScope(v), "")
	}
	if v.Degrades() {
		m.entry.degraded = &v
	}
}

// quotaVerdict holds the recorded counts against the quotas that are asked about when a
// turn starts. The length of the utterance is the session's own to know.
func (m *Machine) quotaVerdict(p proposal) gate.Verdict {
	if !m.entry.quotas.Any() {
		return gate.Verdict{}
	}
	*m.entry.counts.At(gate.ScopeTurn, gate.AudioSeconds) = m.utteranceSeconds(p)
	return m.entry.quotas.Verdict(gate.TurnStart, &m.entry.counts, m.yield())
}

// yield is what of its fidelity the session can give up: what its plans allow and its graph
// can do.
func (m *Machine) yield() gate.Yield {
	switch {
	case !slices.Contains(m.plans.actions, controlplane.ActionDegrade):
		return gate.YieldNothing
	case m.ladder.Has(turn.TextOnly):
		return gate.YieldVoice
	}
	return gate.YieldFidelity
}

// utteranceSeconds is for how long the recogniser has been given a proposal's utterance,
// in whole seconds; what was typed has no length.
func (m *Machine) utteranceSeconds(p proposal) int64 {
	u := m.utterance(p.utterance)
	if u == nil {
		return 0
	}
	end := m.now
	if u.ended {
		end = u.endedAt
	}
	return end.Sub(u.openedAt).MS() / timebase.Second.MS()
}

// refuseBy tells a refusal, with what it was decided from, and gives its signal.
func (m *Machine) refuseBy(v gate.Verdict, scope controlplane.OutcomeScope, id eventabi.TurnID) *eventabi.Envelope {
	signal := m.emit(v.Signal(), v.Emitter(), "", v.Reason)
	signal.Payload = decidedFrom(v)
	m.decide(signal, v.Outcome, controlplane.PhasePreTurn, scope, id)
	return signal
}

// admitBy tells an admission; one with reduced fidelity has its reason.
func (m *Machine) admitBy(v gate.Verdict, scope controlplane.OutcomeScope, id eventabi.TurnID) {
	reason := string(controlplane.AuthorityAuthorized)
	if v.Degrades() {
		reason = v.Reason
	}
	signal := m.emit(eventabi.SignalAdmit, eventabi.EmitterAdmission, "", reason)
	signal.Payload = decidedFrom(v)
	m.decide(signal, controlplane.OutcomeAdmit, controlplane.PhasePreTurn, scope, id)
}

// decidedFrom is the payload of a decision: the count and its bound, and when to come again
// (authority-state section 7: a throttle is a defer whose payload has retry_after_ms).
func decidedFrom(v gate.Verdict) []byte {
	if v.Max == 0 && v.RetryAfterMS == 0 {
		return nil
	}
	var body object
	if v.Max != 0 {
		body.str("scope", string(v.Scope))
		body.int("used", v.Used)
		body.int("max", v.Max)
	}
	if v.RetryAfterMS != 0 {
		body.int("retry_after_ms", v.RetryAfterMS)
	}
	return body.done()
}

// openDegraded takes a step of the ladder before anything is asked of a provider, where a
// quota of the turn's start or of the session's asks for that: the first step, and of what
// speaking costs text instead of speech. A step includes those before it.
func (m *Machine) openDegraded(v gate.Verdict) {
	if !v.Degrades() {
		if m.entry.degraded == nil {
			return
		}
		v = *m.entry.degraded
	}
	spares := func(s turn.Step) bool { return s == turn.TextOnly || !gate.Spoken(v.Limit) }
	if step, ok := m.ladder.Next(m.turn.fidelity, spares); ok {
		m.degrade(step, eventabi.EmitterBudget, v.Reason)
	}
}

// loadChanged follows the host's load. Queued proposals are turned away, and what edges
// shed goes as it comes. A live turn and control are not touched at any level (flow section
// 7, "Overload order").
func (m *Machine) loadChanged(in *Load) {
	m.load = min(in.Level, gate.LevelLowPriority)
	m.edgesEased()
	if m.load.Sheds(gate.WorkQueuedProposal) {
		for _, p := range m.queue {
			m.turnAway(p, gate.WorkQueuedProposal.Reason())
		}
		m.queue = m.queue[:0]
	}
}

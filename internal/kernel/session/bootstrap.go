// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// bootstrap opens the session or ends it before it began (lifecycle section 1).
func (m *Machine) bootstrap(in *Bootstrap) {
	if m.state != controlplane.SessionConnecting {
		m.refuse(controlplane.CodeInvalidSessionTransition, in.kind(), "")
		return
	}
	m.identity.session = in.Session
	m.identity.tenant = in.Tenant
	m.identity.pipeline = in.Pipeline
	m.identity.transport = in.Transport
	if in.Transport == "" {
		m.identity.transport = noTransport
	}
	m.clock.Calibrate(timebase.Anchor{At: m.now, WallMS: in.WallMS})
	m.authority.Epoch = in.Epoch
	why := m.unusable(in)
	made := m.edges.settings()
	if why == "" {
		why = m.unusableEdge(made)
	}
	if why == "" && m.graph != nil {
		why = m.graph.compile()
	}
	if why != "" {
		m.end("bootstrap_refused:" + why)
		return
	}
	m.settings = in.Settings.withDefaults()
	m.policy = in.Settings.Policy.WithDefaults()
	m.wished = in.Settings.wished()
	m.identity.keys.limit = int(m.settings.DedupeKeys)
	m.plans.open(in, &m.settings, made, m.graph)
	m.fallback = in.Fallback
	m.ladder = m.voiceLadder()
	v := m.sessionVerdict()
	if !v.Passes() {
		m.refuseBy(v, sessionScope(v), "")
		m.end("session_refused:" + v.Reason)
		return
	}
	m.link.state = controlplane.ConnectionConnected
	m.change(controlplane.SessionActive, "bootstrap")
	m.emit(eventabi.SignalConnected, eventabi.EmitterConnection, "", "")
	m.sessionLetIn(v)
}

func (s Settings) withDefaults() Settings {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&s.TurnHardCapMS, defaultTurnHardCapMS)
	set(&s.DrainMS, defaultDrainMS)
	set(&s.DisconnectMS, defaultDisconnectMS)
	set(&s.StallMS, defaultStallMS)
	set(&s.SilenceMS, defaultSilenceMS)
	set(&s.MaxUtteranceMS, defaultMaxUtteranceMS)
	set(&s.DedupeKeys, defaultDedupeKeys)
	// The profile's path budget goes with the profile's time for a call: a path is never
	// shorter than one call on it, unless somebody says so.
	if s.PathBudgetMS == 0 && s.InvocationMS > turn.DefaultPathMS {
		s.PathBudgetMS = s.InvocationMS
	}
	if s.StaleOutcome == "" {
		s.StaleOutcome = string(eventabi.SignalDefer)
	}
	return s
}

// change takes a declared edge of the session's machine.
func (m *Machine) change(to controlplane.SessionState, reason string) {
	m.fx.add(&SessionChange{From: m.state, To: to, Reason: reason})
	m.state = to
}

// drain is what the session knows of its end.
type drain struct {
	wanted   string // reason of a drain to begin at the end of this pass
	reason   string
	deadline timebase.Instant
	fault    string // the session cannot go on: it ends with this pass
	degraded bool
}

// closing says that the session has begun to end: nothing starts any more.
func (m *Machine) closing() bool {
	return m.state != controlplane.SessionActive || m.drain.wanted != "" || m.drain.fault != ""
}

// closeRequest asks for the end. There is no edge from DRAINING for it: a second one is
// refused, evidenced, and changes nothing (lifecycle section 1).
func (m *Machine) closeRequest(in *CloseRequest) {
	if m.state == controlplane.SessionDraining {
		m.refuse(controlplane.CodeInvalidSessionTransition, in.kind(), "")
		return
	}
	m.beginDrain(in.Reason)
}

// beginDrain asks for ACTIVE -> DRAINING. A session that never became active ends at
// once. Asking again changes nothing.
func (m *Machine) beginDrain(reason string) {
	if reason == "" {
		reason = "close_requested"
	}
	switch m.state {
	case controlplane.SessionConnecting:
		m.end(reason)
	case controlplane.SessionActive:
		if m.drain.wanted == "" {
			m.drain.wanted = reason
		}
	case controlplane.SessionDraining, controlplane.SessionEnded:
	}
}

// conclude ends the pass: it enters DRAINING when that was asked for, and ENDED when
// the last turn is closed and egress is quiet, or the drain deadline is over.
func (m *Machine) conclude() {
	if m.drain.fault != "" {
		m.endBroken()
		return
	}
	if m.state == controlplane.SessionActive && m.drain.wanted != "" {
		m.drain.reason = m.drain.wanted
		m.drain.deadline = m.now.Add(timebase.MS(m.settings.DrainMS))
		m.change(controlplane.SessionDraining, m.drain.reason)
		m.turnAllAway()
		m.finishListening()
		m.settle() // the end of the utterance may be the end of an early turn
	}
	if m.link.over && !m.arbiter.Live() {
		m.fenceOutputs()
		m.barge = bargeIn{} // nothing is left that it could cut
	}
	m.settleConditions()
	m.settleHold()
	m.settleClocks()
	m.sweep()
	m.forgetOutputs()
	m.dispatch()
	if m.state != controlplane.SessionDraining {
		return
	}
	if m.now >= m.drain.deadline {
		m.forceEnd()
		return
	}
	if !m.arbiter.Live() && !m.audible() && !m.listening() {
		m.end(m.drain.reason)
	}
}

// forceEnd ends a drain whose time is over: what still runs is cancelled with the
// session's scope, so that a live turn gets its terminal first.
func (m *Machine) forceEnd() {
	if m.arbiter.Live() {
		m.barge = bargeIn{}
		m.order(cancelOrder{scope: eventabi.CancelSession, reason: controlplane.CancelTimeout, force: true})
		m.arbitrate()
	}
	m.end(m.drain.reason + ":drain_deadline")
}

// end is the last thing a session does.
func (m *Machine) end(reason string) {
	if m.audible() {
		m.fenceOutputs()
	}
	m.cancelCalls(string(controlplane.CancelPolicy), func(*call) bool { return true })
	m.calls = m.calls[:0]
	for i := range m.utterances { // the words heard so far stand
		m.recordUser(&m.utterances[i])
	}
	m.emptyEdges()
	m.utterances = m.utterances[:0]
	m.outputs = m.outputs[:0]
	m.proposals, m.queue = m.proposals[:0], m.queue[:0]
	m.interruption, m.barge, m.holds = interruption{}, bargeIn{}, 0
	m.fences.Add(eventabi.CancelSession, "", m.now)
	m.fence(&Fence{Session: true})
	if m.state != controlplane.SessionConnecting { // connected is a session's first signal
		m.emit(eventabi.SignalEnded, eventabi.EmitterConnection, "", reason)
	}
	m.link.state = controlplane.ConnectionEnded
	m.change(controlplane.SessionEnded, reason)
	m.fx.add(&Ended{Reason: reason})
}

// runtimeFault ends a session that cannot go on, with this pass. For a live turn it is
// one of the causes of the arbitration point.
func (m *Machine) runtimeFault(in *RuntimeFault) {
	m.arbiter.Raise(turn.CauseFailure, controlplane.AbortRuntimeInternalError)
	m.drain.degraded = true
	if m.drain.fault == "" {
		m.drain.fault = string(controlplane.AbortRuntimeInternalError) + ":" + in.Reason
	}
}

func (m *Machine) endBroken() {
	if m.state == controlplane.SessionEnded {
		return
	}
	if m.state == controlplane.SessionActive {
		m.change(controlplane.SessionDraining, string(controlplane.AbortRuntimeInternalError))
	}
	m.end(m.drain.fault)
}

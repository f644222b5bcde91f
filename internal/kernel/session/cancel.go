// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// cancelOrder is an accepted cancel of a turn or of the session.
type cancelOrder struct {
	scope  eventabi.CancelScope
	reason controlplane.CancelReason
	barge  bool // it is a barge-in: the signal goes first, and its hook
	stop   bool // it is a stop: the signal goes first
	force  bool
}

// everything says that the order silences all that is to be heard, not one turn alone.
func (o *cancelOrder) everything() bool {
	return o.barge || o.stop || o.scope == eventabi.CancelSession
}

// join widens an order by one that was accepted at the same arbitration point. Its
// reason stays.
func (o *cancelOrder) join(other cancelOrder) {
	if other.scope == eventabi.CancelSession {
		o.scope = other.scope
	}
	o.barge, o.stop, o.force = o.barge || other.barge, o.stop || other.stop, o.force || other.force
}

// cancel takes a cancel from a client or from the control plane.
func (m *Machine) cancel(in *Cancel) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		m.followFence(in.Fenced)
		return
	}
	reason := controlplane.CancelReason(in.Reason)
	if reason == "" {
		reason = controlplane.CancelUser
	}
	if !slices.Contains(cancelReasons(), reason) {
		m.refuse("unknown_cancel_reason", in.kind(), in.Turn)
		m.followFence(in.Fenced)
		return
	}
	switch in.Scope {
	case eventabi.CancelSession:
		m.cancelSession(reason)
	case eventabi.CancelTurn:
		m.cancelTurn(in, reason)
	case eventabi.CancelNode:
		m.cancelNode(in, reason)
	case eventabi.CancelInvocation:
		m.cancelInvocation(in, reason)
	default:
		m.refuse("unknown_scope", in.kind(), in.Turn)
	}
	m.followFence(in.Fenced)
}

// cancelReasons lists the cause codes (lifecycle section 8).
func cancelReasons() []controlplane.CancelReason {
	return []controlplane.CancelReason{
		controlplane.CancelBargeIn, controlplane.CancelTimeout, controlplane.CancelUser, controlplane.CancelProviderError,
		controlplane.CancelAuthorityLoss, controlplane.CancelDisconnect, controlplane.CancelPolicy,
	}
}

// cancelSession stops every turn, the prelude's work and all egress; the session drains.
func (m *Machine) cancelSession(reason controlplane.CancelReason) {
	order := cancelOrder{scope: eventabi.CancelSession, reason: reason, force: true}
	if !m.order(order) {
		m.silence(order, m.lastAudible())
		m.stopPrelude(reason)
	}
	m.beginDrain("session_cancelled")
}

// stopPrelude cancels what listens. The words heard so far stand.
func (m *Machine) stopPrelude(reason controlplane.CancelReason) {
	m.interruption.judge.Close()
	m.cancelCalls(string(reason), func(*call) bool { return true })
	for i := range m.utterances {
		u := &m.utterances[i]
		u.judging, u.final, u.ended, u.voiced = false, true, true, false
	}
}

// cancelTurn cancels one turn: the live one, or what is left of the playback of one
// that has closed. Other turns are untouched.
func (m *Machine) cancelTurn(in *Cancel, reason controlplane.CancelReason) {
	id := in.Turn
	if id == "" {
		id = m.scopeTurn()
	}
	if id == "" {
		id = m.lastAudible()
	}
	live := id != "" && id == m.scopeTurn()
	out := m.outputOf(id)
	switch {
	case in.Turn != "" && out == nil && in.Turn != m.turn.id:
		m.refuse("unknown_turn", in.kind(), in.Turn)
	case !live && (out == nil || !out.audible()):
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
	case !in.Force && in.Fenced == 0 && m.protectedOf(out) > 0:
		m.refuse("uninterruptible", in.kind(), in.Turn)
	default:
		order := cancelOrder{scope: eventabi.CancelTurn, reason: reason, force: in.Force}
		if !live || !m.order(order) {
			m.silence(order, id)
		}
	}
}

// stop ends the current output without implying a new turn. One that is meant for a turn
// that is over has come too late, and meets no other.
func (m *Machine) stop(in *Stop) {
	switch {
	case m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in):
	case !m.speaking(), in.Turn != "" && !m.lasts(in.Turn):
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
	case !in.Force && in.Fenced == 0 && m.protected():
		m.refuse("uninterruptible", in.kind(), "")
	default:
		m.stopAll(cancelOrder{scope: eventabi.CancelTurn, reason: controlplane.CancelUser, stop: true, force: in.Force})
	}
	m.followFence(in.Fenced)
}

// lasts says that a turn is live, or still to be heard.
func (m *Machine) lasts(id eventabi.TurnID) bool {
	out := m.outputOf(id)
	return id == m.scopeTurn() || out != nil && out.audible()
}

// stopAll carries out a cancel that leaves nothing to be heard.
func (m *Machine) stopAll(order cancelOrder) {
	if !m.order(order) && m.audible() {
		m.silence(order, m.lastAudible())
	}
}

// order makes a cancel one of the causes of this arbitration point, where it may lose
// to authority; false when no turn is live: then it acts at once.
func (m *Machine) order(order cancelOrder) bool {
	if m.arbiter.State() != controlplane.TurnActive {
		return false
	}
	if m.arbiter.Pending(turn.CauseCancel) {
		m.cancelling.join(order)
	} else {
		m.cancelling = order
	}
	m.arbiter.Raise(turn.CauseCancel, controlplane.AbortCancelled)
	return true
}

// followFence settles a generation that the shell fenced ahead of a cancel and that no
// decision of this pass will fence: the wire is silent already, and a cancel that was
// refused must not leave the session waiting for playback that cannot go on.
func (m *Machine) followFence(generation uint32) {
	for _, out := range m.outputs {
		if generation == 0 || out.generation != generation || out.cancelled || out.completed {
			continue
		}
		order := cancelOrder{scope: eventabi.CancelTurn, reason: controlplane.CancelUser}
		if out.turn != m.scopeTurn() {
			m.silence(order, out.turn)
		} else if !m.arbiter.Pending(turn.CauseCancel) {
			m.order(order)
		}
		return
	}
}

func (m *Machine) lastAudible() eventabi.TurnID {
	for i := len(m.outputs) - 1; i >= 0; i-- {
		if m.outputs[i].audible() {
			return m.outputs[i].turn
		}
	}
	return ""
}

// silence announces a cancel and fences what it covers: the turn's own output or, for a
// barge-in, a stop and a session's cancel, everything that is to be heard. Each fence
// has its cancel on record.
func (m *Machine) silence(order cancelOrder, id eventabi.TurnID) {
	m.announceCancel(order, id)
	if order.barge {
		m.standBehind()
	}
	if !order.everything() {
		if out := m.outputOf(id); out != nil {
			m.fenceOutput(out)
		}
		return
	}
	for _, out := range m.outputs {
		if order.scope == eventabi.CancelTurn && out.turn != id && out.audible() {
			m.announceCancel(cancelOrder{scope: eventabi.CancelTurn, reason: order.reason, force: order.force}, out.turn)
		}
	}
	m.fenceOutputs()
}

// announceCancel emits barge_in or stop, and the cancel itself with the media time
// that was played, so that the conversation can be cut to what was heard. Protected
// output that is cut all the same is on record (lifecycle section 7.1).
func (m *Machine) announceCancel(order cancelOrder, id eventabi.TurnID) {
	out := m.outputOf(id)
	if order.scope == eventabi.CancelSession {
		id = ""
	}
	if order.barge {
		m.emit(eventabi.SignalBargeIn, eventabi.EmitterCancellation, id, "")
	}
	if order.stop {
		m.emit(eventabi.SignalStop, eventabi.EmitterCancellation, id, "")
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, id, string(order.reason))
	signal.Scope = order.scope
	if out == nil {
		return
	}
	body := m.fx.body(64)
	body.int("played_through_samples", int64(out.played))
	body.int("played_through_ms", out.played.MS())
	if m.protectedOf(out) > 0 {
		body.int("protected_ms_cut", m.protectedOf(out).MS())
	}
	signal.Payload = body.done()
}

// cancelNode cancels one node and what only it feeds: the synthesiser has no other
// input than the model (lifecycle section 8). What egress accepted stays.
func (m *Machine) cancelNode(in *Cancel, reason controlplane.CancelReason) {
	var stops func(c *call) bool
	switch in.Node {
	case "stt":
		stops = func(c *call) bool { return c.kind == callSTT }
	case "llm":
		stops = func(c *call) bool { return c.kind == callLLM }
	case "tts":
		stops = func(c *call) bool { return c.kind == callTTS }
	default:
		if m.graph == nil || !m.cancelWork(in, reason) {
			m.refuse("unknown_node", in.kind(), in.Turn)
		}
		return
	}
	if in.Turn != "" && in.Turn != m.scopeTurn() {
		m.refuse("unknown_turn", in.kind(), in.Turn)
		return
	}
	if !slices.ContainsFunc(m.calls, func(c call) bool { return !c.cancelled && stops(&c) }) {
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
		return
	}
	if in.Node != "stt" && !in.Force && m.protectedOf(m.turn.output) > 0 {
		m.refuse("uninterruptible", in.kind(), in.Turn)
		return
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, m.scopeTurn(), string(reason))
	signal.Scope = eventabi.CancelNode
	signal.NodeID = in.Node
	m.cancelCalls(string(reason), stops)
	if in.Node == "stt" {
		m.withoutRecogniser()
		return
	}
	m.withoutRest(reason, controlplane.AbortNodeFailure)
}

// withoutRecogniser settles the utterances whose recognition was cancelled.
func (m *Machine) withoutRecogniser() {
	for _, u := range slices.Clone(m.utterances) {
		if c := m.call(u.stt); !u.final && (c == nil || c.cancelled) {
			m.recogniserFailed(u.number)
		}
	}
}

// cancelInvocation cancels one provider call with its attempts.
func (m *Machine) cancelInvocation(in *Cancel, reason controlplane.CancelReason) {
	c := m.call(in.Invocation)
	if c == nil || c.cancelled {
		m.refuse("unknown_invocation", in.kind(), in.Turn)
		return
	}
	if c.kind != callSTT && !in.Force && m.protectedOf(m.turn.output) > 0 {
		m.refuse("uninterruptible", in.kind(), in.Turn)
		return
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, c.turn, string(reason))
	signal.Scope = eventabi.CancelInvocation
	signal.ProviderInvocationID = c.id
	m.withdraw(c, reason)
}

func (m *Machine) scopeTurn() eventabi.TurnID {
	if m.arbiter.State() == controlplane.TurnActive {
		return m.turn.id
	}
	return ""
}

// withdraw cancels a call and settles what becomes of its turn: it goes on with what
// there is, or ends through T10 when there is nothing.
func (m *Machine) withdraw(c *call, reason controlplane.CancelReason) {
	id, kind, number := c.id, c.kind, c.utterance
	m.cancelCalls(string(reason), func(c *call) bool { return c.id == id })
	switch {
	case kind == callSTT:
		m.recogniserFailed(number)
	case kind == callTTS || m.turn.output.reply.Len() == 0:
		m.withoutRest(reason, controlplane.AbortProviderFailure)
	default: // the segments that the model has written are spoken
		m.modelEnded()
	}
}

// withoutRest ends the reply of the live turn with what was spoken so far; without a
// sound the turn ends through T10.
func (m *Machine) withoutRest(reason controlplane.CancelReason, abort controlplane.AbortReason) {
	if m.arbiter.State() != controlplane.TurnActive {
		return
	}
	if m.turn.firstOutput == 0 {
		m.arbiter.Raise(turn.CauseFailure, abort)
		return
	}
	m.stopRun()
	m.turn.output.reply.Truncate()
	m.giveUpRest(m.turn.output.generation)
	m.cancelTurnCalls(m.turn.id, string(reason))
	m.finished()
}

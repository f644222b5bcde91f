// SPDX-License-Identifier: Apache-2.0

package session

import (
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

// cancel takes a cancel from a client or from the control plane.
func (m *Machine) cancel(in *Cancel) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	reason := controlplane.CancelReason(in.Reason)
	if reason == "" {
		reason = controlplane.CancelUser
	}
	switch in.Scope {
	case eventabi.CancelSession:
		m.stopScope(cancelOrder{scope: in.Scope, reason: reason, force: true})
		m.beginDrain("session_cancelled")
	case eventabi.CancelTurn:
		m.cancelTurn(in, reason)
	case eventabi.CancelNode:
		m.cancelNode(in, reason)
	case eventabi.CancelInvocation:
		m.cancelInvocation(in, reason)
	default:
		m.refuse("unknown_scope", in.kind(), in.Turn)
	}
}

func (m *Machine) cancelTurn(in *Cancel, reason controlplane.CancelReason) {
	if in.Turn != "" && in.Turn != m.turn.id && m.outputOf(in.Turn) == nil {
		m.refuse("unknown_turn", in.kind(), in.Turn)
		return
	}
	if !m.speaking() {
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
		return
	}
	if !in.Force && in.Fenced == 0 && m.protected() {
		m.refuse("uninterruptible", in.kind(), in.Turn)
		return
	}
	m.stopScope(cancelOrder{scope: eventabi.CancelTurn, reason: reason, force: in.Force})
}

// stop ends the current output without implying a new turn.
func (m *Machine) stop(in *Stop) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) || m.duplicate(in.Key, in) {
		return
	}
	if !m.speaking() {
		m.refuse("nothing_to_cancel", in.kind(), "")
		return
	}
	if !in.Force && in.Fenced == 0 && m.protected() {
		m.refuse("uninterruptible", in.kind(), "")
		return
	}
	m.stopScope(cancelOrder{scope: eventabi.CancelTurn, reason: controlplane.CancelUser, stop: true, force: in.Force})
}

// stopScope accepts a cancel of the turn or the session. For a live turn the cancel is
// one of the causes of this arbitration point and may lose to authority; where only
// playback remains it acts at once.
func (m *Machine) stopScope(order cancelOrder) {
	if m.arbiter.State() == controlplane.TurnActive {
		if !m.arbiter.Pending(turn.CauseCancel) {
			m.cancelling = order
		}
		m.arbiter.Raise(turn.CauseCancel, controlplane.AbortCancelled)
		return
	}
	if !m.audible() {
		return
	}
	id := m.lastAudible()
	m.announceCancel(order, id)
	m.fenceOutputs(string(order.reason))
}

func (m *Machine) lastAudible() eventabi.TurnID {
	for i := len(m.outputs) - 1; i >= 0; i-- {
		if m.outputs[i].audible() {
			return m.outputs[i].turn
		}
	}
	return ""
}

// announceCancel emits barge_in or stop, and the cancel itself with the media time
// that was played, so that the conversation can be cut to what was heard.
func (m *Machine) announceCancel(order cancelOrder, id eventabi.TurnID) {
	if order.barge {
		m.emit(eventabi.SignalBargeIn, eventabi.EmitterCancellation, id, "")
	}
	if order.stop {
		m.emit(eventabi.SignalStop, eventabi.EmitterCancellation, id, "")
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, id, string(order.reason))
	signal.Scope = order.scope
	var body object
	if out := m.outputOf(id); out != nil {
		body.int("played_through_samples", int64(out.played))
		body.int("played_through_ms", out.played.MS())
		signal.Payload = body.done()
	}
}

// fence stops a scope at the last write.
func (m *Machine) fence(f *Fence) {
	m.fenced = true
	m.fx.add(f)
}

// fenceOutputs fences and flushes everything that is still to be heard.
func (m *Machine) fenceOutputs(string) {
	for _, out := range m.outputs {
		m.fenceOutput(out)
	}
}

// fenceOutput fences one turn's output. What was accepted and is unfinished is
// reported as playback_cancelled, once.
func (m *Machine) fenceOutput(out *output) {
	if out.cancelled || out.completed && out.accepted > 0 {
		return
	}
	audible := out.audible()
	out.cancelled, out.completed = true, false
	m.fences.Add(eventabi.CancelTurn, string(out.turn), m.now)
	m.fence(&Fence{Turn: out.turn, Generation: out.generation})
	if out.turn == m.turn.id {
		m.turn.fenced = m.now
	}
	if audible {
		signal := m.emit(eventabi.SignalPlaybackCancelled, eventabi.EmitterEgress, out.turn, "")
		var body object
		body.int("played_through_samples", int64(out.played))
		signal.Payload = body.done()
	}
	m.recordHeard(out, true)
}

// cancelNode cancels one node and what only it feeds. What was produced before stays.
func (m *Machine) cancelNode(in *Cancel, reason controlplane.CancelReason) {
	var kind callKind
	switch in.Node {
	case "stt":
		kind = callSTT
	case "llm":
		kind = callLLM
	case "tts":
		kind = callTTS
	default:
		m.refuse("unknown_node", in.kind(), in.Turn)
		return
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, m.scopeTurn(), string(reason))
	signal.Scope = eventabi.CancelNode
	signal.NodeID = in.Node
	for i := range m.calls {
		if m.calls[i].kind == kind && !m.calls[i].cancelled {
			m.withdraw(&m.calls[i], reason)
			return
		}
	}
	if kind == callTTS && m.arbiter.State() == controlplane.TurnActive {
		m.withoutRest()
	}
}

// cancelInvocation cancels one provider call with its attempts.
func (m *Machine) cancelInvocation(in *Cancel, reason controlplane.CancelReason) {
	c := m.call(in.Invocation)
	if c == nil || c.cancelled {
		m.refuse("unknown_invocation", in.kind(), in.Turn)
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
	kind, number := c.kind, c.utterance
	if c.retryAt != 0 {
		m.removeCall(c.id)
	} else {
		m.cancelCall(c, string(reason))
	}
	if kind == callSTT {
		m.recogniserFailed(number)
		return
	}
	if m.arbiter.State() != controlplane.TurnActive {
		return
	}
	if kind == callLLM && m.turn.output.reply.Len() == 0 || kind == callTTS && m.turn.output.accepted == 0 {
		m.arbiter.Raise(turn.CauseFailure, controlplane.AbortProviderFailure)
		return
	}
	if kind == callTTS {
		m.withoutRest()
		return
	}
	m.turn.output.reply.End()
	m.finished()
}

// withoutRest ends the reply with what was spoken so far.
func (m *Machine) withoutRest() {
	reply := &m.turn.output.reply
	reply.Finish()
	reply.Truncate()
	for i := range m.calls {
		if m.calls[i].kind == callLLM && m.calls[i].turn == m.turn.id {
			m.cancelCall(&m.calls[i], string(controlplane.CancelPolicy))
		}
	}
	m.finished()
}

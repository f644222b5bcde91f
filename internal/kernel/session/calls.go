// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// call is a provider call that has not ended: one id, attempts with rising numbers,
// one outcome an attempt.
type call struct {
	id        eventabi.InvocationID
	kind      callKind
	turn      eventabi.TurnID
	utterance int64 // stt
	segment   int   // tts
	attempt   int64
	chunks    int64            // results so far
	deadline  timebase.Instant // provider timeout
	retryAt   timebase.Instant // waiting to be tried again, 0 = running
	cancelled bool
	cause     eventabi.EventID // cancelled: the event that did it
	grace     timebase.Instant // cancelled: when it is given up
}

type callKind uint8

const (
	callSTT callKind = iota
	callLLM
	callTTS
)

func (k callKind) String() string { return [...]string{"stt", "llm", "tts"}[k] }

func (m *Machine) call(id eventabi.InvocationID) *call {
	for i := range m.calls {
		if m.calls[i].id == id {
			return &m.calls[i]
		}
	}
	return nil
}

func (m *Machine) removeCall(id eventabi.InvocationID) {
	for i := range m.calls {
		if m.calls[i].id == id {
			m.calls = append(m.calls[:i], m.calls[i+1:]...)
			return
		}
	}
}

// invocationTimeout is the provider invocation timeout of the plan: for streams the
// time to the first chunk and then between chunks, for a recogniser from the end of
// the utterance to its final (flow section 8).
func (m *Machine) invocationTimeout() timebase.Span {
	ms := m.settings.InvocationMS
	if ms == 0 {
		ms = 1000
	}
	return timebase.MS(ms)
}

func (m *Machine) attempts() int64 {
	return m.turn.plan.ProviderPlans[0].MaxAttemptsPerProvider
}

// newCall registers a call of the live turn; false when there are too many.
func (m *Machine) newCall(kind callKind, segment int, attempt int64) (*call, bool) {
	if len(m.calls) >= maxCalls {
		m.arbiter.Raise(turn.CauseFailure, controlplane.AbortRuntimeInternalError)
		return nil, false
	}
	m.turn.calls++
	m.calls = append(m.calls, call{
		id:       eventabi.InvocationID(string(m.turn.id) + "-" + kind.String() + "-" + strconv.FormatInt(m.turn.calls, 10)),
		kind:     kind,
		turn:     m.turn.id,
		segment:  segment,
		attempt:  attempt,
		deadline: m.now.Add(m.invocationTimeout()),
	})
	return &m.calls[len(m.calls)-1], true
}

func (m *Machine) generate(attempt int64) {
	if c, ok := m.newCall(callLLM, 0, attempt); ok {
		m.startCall(c)
	}
}

// startCall asks the shell to run a call's current attempt.
func (m *Machine) startCall(c *call) {
	c.retryAt = 0
	c.deadline = m.now.Add(m.invocationTimeout())
	timeout := m.invocationTimeout().MS()
	switch c.kind {
	case callLLM:
		m.fx.add(&Generate{Invocation: c.id, Turn: c.turn, Attempt: c.attempt, TimeoutMS: timeout})
	case callTTS:
		m.fx.add(&Say{
			Invocation: c.id, Turn: c.turn, Generation: m.turn.output.generation,
			Attempt: c.attempt, TimeoutMS: timeout, Text: m.turn.output.reply.At(c.segment).Text,
		})
	case callSTT:
	}
}

// cancelCall cancels a call. It stays known until it ends or its grace is over, so
// that what it still sends is recognised as late.
func (m *Machine) cancelCall(c *call, reason string) {
	if c.cancelled {
		return
	}
	c.cancelled = true
	c.cause = m.cause
	if c.cause == "" {
		c.cause = m.identity.eventID()
	}
	c.grace = m.now.Add(cancelGrace)
	m.fx.add(&CancelCall{Invocation: c.id, Reason: reason})
}

// cancelCalls cancels the calls that belong. One that waits for its next attempt is
// just forgotten: nothing of it is running.
func (m *Machine) cancelCalls(reason string, belongs func(c *call) bool) {
	kept := m.calls[:0]
	for i := range m.calls {
		c := m.calls[i]
		if belongs(&c) {
			if c.retryAt != 0 {
				continue
			}
			m.cancelCall(&c, reason)
		}
		kept = append(kept, c)
	}
	m.calls = kept
}

// cancelTurnCalls cancels the turn-scoped calls of a turn. Its recogniser finishes:
// an aborted turn keeps the caller's words.
func (m *Machine) cancelTurnCalls(id eventabi.TurnID, reason string) {
	m.cancelCalls(reason, func(c *call) bool { return c.turn == id && c.kind != callSTT })
}

// invocationEnd takes the outcome of an attempt.
func (m *Machine) invocationEnd(in *InvocationEnd) {
	c := m.call(in.Invocation)
	if c == nil || c.attempt != in.Attempt && in.Attempt != 0 || c.retryAt != 0 {
		m.late(in, turnOf(in.Invocation))
		return
	}
	if c.cancelled {
		m.removeCall(c.id)
		return
	}
	if in.Class != "success" {
		m.callFailed(c, in, false)
		return
	}
	kind, utteranceNumber := c.kind, c.utterance
	m.removeCall(c.id)
	switch kind {
	case callSTT:
		m.recogniserEnded(utteranceNumber)
	case callLLM:
		m.turn.output.reply.End()
		m.sayNext()
		m.finished()
	case callTTS:
		m.turn.output.reply.Finish()
		m.sayNext()
		m.finished()
	}
}

// recogniserEnded: without a final transcript the last interim one stands. An utterance
// whose recogniser ends first is over when its speech is, not before.
func (m *Machine) recogniserEnded(number int64) {
	if u := m.utterance(number); u != nil && !u.final {
		m.finalText(u)
	}
}

// callFailed decides what a failed attempt leads to: another attempt where policy and
// time allow, else the end of what needed it (turn-plan section 10). running says that
// the attempt did not end by itself: it is cancelled.
func (m *Machine) callFailed(c *call, in *InvocationEnd, running bool) {
	signal := m.emit(eventabi.SignalProviderError, eventabi.EmitterInvocation, c.turn, errorReason(in.Class, in.Reason))
	signal.ProviderInvocationID = c.id
	if wait, ok := m.retryAfter(c, in); ok {
		if running {
			m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
		}
		c.attempt++
		c.retryAt = m.now.Add(wait)
		c.deadline = timebase.Never
		return
	}
	kind, number := c.kind, c.utterance
	if running {
		m.cancelCall(c, string(controlplane.CancelTimeout))
	} else {
		m.removeCall(c.id)
	}
	if kind == callSTT {
		m.recogniserFailed(number)
		return
	}
	m.arbiter.Raise(turn.CauseFailure, controlplane.AbortProviderFailure)
}

// retryAfter says whether a call is tried again, and when: the same candidate, for a
// retryable outcome of which nothing was used, and only if backoff and timeout fit what
// is left of the turn. A recogniser's audio is gone: it is not tried again.
func (m *Machine) retryAfter(c *call, in *InvocationEnd) (timebase.Span, bool) {
	if c.kind == callSTT || !in.Retryable || c.chunks > 0 || c.attempt >= m.attempts() {
		return 0, false
	}
	backoff := timebase.MS(min(max(in.BackoffMS, 0), maxSettingMS))
	wait := max(backoff, timebase.MS(min(int64(backoffMS)<<(c.attempt-1), backoffCapMS)))
	return wait, wait+m.invocationTimeout() <= m.turn.budget.Remaining(m.now)
}

// errorReason folds a provider's outcome into the taxonomy's codes
// (nodes-providers-transports section 4). An outcome without a class is a failure of
// the infrastructure.
func errorReason(class, reason string) string {
	switch class {
	case "timeout":
		return "provider_timeout"
	case "overload":
		return "provider_overload"
	case "":
		class = "infrastructure_failure"
	}
	if reason == "" {
		return class
	}
	return class + ":" + reason
}

// recogniserFailed: the words heard so far stand. A turn that got none cannot go on;
// ask sees to that when the utterance is over.
func (m *Machine) recogniserFailed(number int64) {
	if u := m.utterance(number); u != nil && !u.final {
		u.failed = true
		m.finalText(u)
	}
}

// expireCalls fires timeouts, retries and the end of grace.
func (m *Machine) expireCalls() {
	for c := m.dueCall(); c != nil; c = m.dueCall() {
		switch {
		case c.cancelled:
			m.fx.add(&Detach{Invocation: c.id})
			m.drain.degraded = true
			m.removeCall(c.id)
		case c.retryAt != 0:
			m.startCall(c)
		case m.answered(c): // all but its last word
			m.cancelCall(c, string(controlplane.CancelTimeout))
		default:
			m.callFailed(c, &InvocationEnd{Class: "timeout", Retryable: true}, true)
		}
	}
}

// dueCall gives a call that time acts on now, nil when there is none.
func (m *Machine) dueCall() *call {
	for i := range m.calls {
		if m.now >= m.calls[i].due() {
			return &m.calls[i]
		}
	}
	return nil
}

// due is when time alone does something to the call.
func (c *call) due() timebase.Instant {
	switch {
	case c.cancelled:
		return c.grace
	case c.retryAt != 0:
		return c.retryAt
	}
	return c.deadline
}

// answered says that a recogniser's final transcript has come: its timeout runs from
// the end of the utterance to the final (flow section 8), and no further.
func (m *Machine) answered(c *call) bool {
	if c.kind != callSTT {
		return false
	}
	u := m.utterance(c.utterance)
	return u == nil || u.final
}

// cancelAck notes that a provider confirmed a cancel.
func (m *Machine) cancelAck(in *CancelAck) {
	c := m.call(in.Invocation)
	if c == nil || !c.cancelled {
		m.late(in, turnOf(in.Invocation))
		return
	}
	signal := m.emit(eventabi.SignalCancelAck, eventabi.EmitterCancellation, c.turn, "")
	signal.Scope = eventabi.CancelInvocation
	signal.ProviderInvocationID = c.id
	signal.CausalParentID = c.cause
	m.removeCall(c.id)
}

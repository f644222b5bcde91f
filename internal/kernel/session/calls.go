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
	c.cause = m.identity.eventID()
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
		m.late(in, "")
		return
	}
	if c.cancelled {
		m.removeCall(c.id)
		return
	}
	if in.Class != "success" {
		m.callFailed(c, in.Class, in.Reason, in.Retryable, in.BackoffMS)
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
// time allow, else the end of what needed it (turn-plan section 10).
func (m *Machine) callFailed(c *call, class, reason string, retryable bool, backoff int64) {
	if u := m.utterance(c.utterance); c.kind == callSTT && (u == nil || u.final) {
		m.removeCall(c.id) // its words are in already; how it ends matters to nobody
		return
	}
	signal := m.emit(eventabi.SignalProviderError, eventabi.EmitterInvocation, c.turn, errorReason(class, reason))
	signal.ProviderInvocationID = c.id
	if c.kind == callSTT {
		number := c.utterance
		m.removeCall(c.id)
		m.recogniserFailed(number)
		return
	}
	if retryable && c.chunks == 0 && c.attempt < m.attempts() {
		wait := max(timebase.MS(backoff), timebase.MS(min(int64(backoffMS)<<(c.attempt-1), backoffCapMS)))
		if wait+m.invocationTimeout() <= m.turn.budget.Remaining(m.now) || m.turn.firstOutput != 0 {
			c.attempt++
			c.retryAt = m.now.Add(wait)
			c.deadline = timebase.Never
			return
		}
	}
	m.removeCall(c.id)
	m.arbiter.Raise(turn.CauseFailure, controlplane.AbortProviderFailure)
}

// errorReason folds a provider's outcome into the taxonomy's codes
// (nodes-providers-transports section 4).
func errorReason(class, reason string) string {
	switch class {
	case "timeout":
		return "provider_timeout"
	case "overload":
		return "provider_overload"
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
	for i := 0; i < len(m.calls); i++ {
		c := &m.calls[i]
		switch {
		case c.cancelled:
			if m.now < c.grace {
				continue
			}
			m.fx.add(&Detach{Invocation: c.id})
			m.drain.degraded = true
			m.removeCall(c.id)
			i--
		case c.retryAt != 0:
			if m.now >= c.retryAt {
				m.startCall(c)
			}
		case m.now >= c.deadline:
			m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
			before := len(m.calls)
			m.callFailed(c, "timeout", "", true, 0)
			i -= before - len(m.calls)
		}
	}
}

// cancelAck notes that a provider confirmed a cancel.
func (m *Machine) cancelAck(in *CancelAck) {
	c := m.call(in.Invocation)
	if c == nil || !c.cancelled {
		m.late(in, "")
		return
	}
	signal := m.emit(eventabi.SignalCancelAck, eventabi.EmitterCancellation, c.turn, "")
	signal.Scope = eventabi.CancelInvocation
	signal.ProviderInvocationID = c.id
	signal.CausalParentID = c.cause
	m.removeCall(c.id)
}

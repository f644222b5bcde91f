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
	node      eventabi.NodeID // of the session's graph, empty without one
	utterance int64           // stt
	segment   int             // tts
	attempt   int64
	candidate int64            // which of the plan's ordered candidates, 0 = the preferred one
	tries     int64            // attempts with this candidate
	chunks    int64            // results so far
	tools     int64            // llm: tools that it has called
	base      int64            // llm: where its first segment stands in the reply
	pieces    int64            // llm: segments so far, where they go through a graph
	budget    turn.Allowance   // provider timeout
	retryAt   timebase.Instant // waiting to be tried again, 0 = running
	parked    bool             // the attempt failed, and what follows is decided in this pass
	hung      bool             // parked: the attempt did not end by itself
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

// callKinds is their number; the plan lists the provider plans in this order.
const callKinds = 3

func (k callKind) String() string { return [...]string{"stt", "llm", "tts"}[k] }

// idle says that no attempt of the call is running: what comes of it is late.
func (c *call) idle() bool { return c.retryAt != 0 || c.parked }

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
		ms = turn.DefaultInvocationMS
	}
	return timebase.MS(ms)
}

func (m *Machine) attempts() int64 {
	return m.turn.plan.ProviderPlans[0].MaxAttemptsPerProvider
}

// newCall registers a call of the live turn; false when there are too many.
func (m *Machine) newCall(kind callKind, segment int, attempt int64, node eventabi.NodeID) (*call, bool) {
	if len(m.calls) >= maxCalls {
		m.arbiter.Raise(turn.CauseFailure, controlplane.AbortRuntimeInternalError)
		return nil, false
	}
	m.turn.calls++
	m.calls = append(m.calls, call{
		id:        eventabi.InvocationID(string(m.turn.id) + "-" + kind.String() + "-" + strconv.FormatInt(m.turn.calls, 10)),
		kind:      kind,
		turn:      m.turn.id,
		node:      node,
		segment:   segment,
		attempt:   attempt,
		candidate: m.servedBy(kind, node),
		tries:     1,
	})
	return &m.calls[len(m.calls)-1], true
}

func (m *Machine) generate(attempt int64) {
	if c, ok := m.newCall(callLLM, 0, attempt, m.modelAsked()); ok {
		m.startCall(c)
	}
}

// startCall asks the shell to run a call's current attempt. The provider is told how long
// it has: its own time, or what is left of the turn's where that is less, and the warning is
// about that. The kernel itself waits for the own time only, because at the end of the
// turn's it is the turn that decides what follows.
func (m *Machine) startCall(c *call) {
	c.retryAt, c.parked, c.hung = 0, false, false
	c.budget = turn.Allow(m.now, m.invocationTimeout())
	m.nest(c)
	timeout := max(1, min(c.budget.Limit(), m.turn.budget.Remaining(m.now)).MS())
	switch c.kind {
	case callLLM:
		c.base = int64(m.turn.output.reply.Len())
		m.fx.add(&Generate{
			Invocation: c.id, Turn: c.turn, Attempt: c.attempt, TimeoutMS: timeout, Candidate: c.candidate,
			Instructions: m.turn.instructions, Written: m.turn.output.reply.Muted(),
			Segment: c.base, NoTools: m.turn.tools.number >= maxToolRounds, Node: c.node,
		})
	case callTTS:
		m.fx.add(&Say{
			Invocation: c.id, Turn: c.turn, Generation: m.turn.output.generation, Attempt: c.attempt,
			TimeoutMS: timeout, Text: m.turn.output.reply.At(c.segment).Text, Candidate: c.candidate,
			Voice: m.turn.voice, Language: m.turn.language, Node: c.node,
		})
	case callSTT:
	}
}

// nest has a call of the turn warn at 80 % of what it has: of its own time, or of what the
// turn leaves it where that is less (flow section 8). A turn that has nothing left tells
// that itself.
func (m *Machine) nest(c *call) {
	if c.kind == callSTT || c.turn != m.turn.id || c.budget.Limit() == 0 {
		return
	}
	if left := m.turn.budget.Remaining(m.now); left > 0 {
		c.budget.Warn(c.budget.Used(m.now) + min(left, c.budget.Limit()))
	}
}

// nestAll does so for all calls, when the turn draws upon another account.
func (m *Machine) nestAll() {
	for i := range m.calls {
		m.nest(&m.calls[i])
	}
}

// renew lets a call's time run anew, because it has brought something.
func (m *Machine) renew(c *call) {
	c.budget.Renew(m.now)
	m.nest(c)
}

// cancelCall cancels a call. It stays known until it ends or its grace is over, so
// that what it still sends is recognised as late.
func (m *Machine) cancelCall(c *call, reason string) {
	if c.cancelled {
		return
	}
	m.abandonCall(c)
	m.fx.add(&CancelCall{Invocation: c.id, Reason: reason})
}

// abandonCall waits for a call to end, no longer than its grace.
func (m *Machine) abandonCall(c *call) {
	c.cancelled, c.parked = true, false
	c.cause = m.cause
	if c.cause == "" {
		c.cause = m.identity.eventID()
	}
	c.grace = m.now.Add(cancelGrace)
}

// cancelCalls cancels the calls that belong. One of which nothing is running is just
// forgotten; one whose provider has been told already is not told twice.
func (m *Machine) cancelCalls(reason string, belongs func(c *call) bool) {
	kept := m.calls[:0]
	for i := range m.calls {
		c := m.calls[i]
		if belongs(&c) {
			switch {
			case c.parked && c.hung:
				m.abandonCall(&c)
			case c.idle():
				continue
			default:
				m.cancelCall(&c, reason)
			}
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
	if c == nil || c.attempt != in.Attempt && in.Attempt != 0 || c.idle() {
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
	kind, utteranceNumber, segment, called := c.kind, c.utterance, c.segment, c.tools > 0
	m.removeCall(c.id)
	switch {
	case kind == callSTT:
		m.recogniserEnded(utteranceNumber)
	case kind == callLLM && called:
		m.modelCalled()
	case kind == callLLM:
		m.modelEnded()
	case kind == callTTS:
		m.turn.output.reply.Finish()
		m.unheard(segment)
		m.sayNext()
		m.finished()
	}
}

// modelEnded: nothing more comes from the model; what is under way in the graph still does.
func (m *Machine) modelEnded() {
	if m.turn.run != nil {
		m.replyWritten()
		return
	}
	m.turn.output.reply.End()
	m.sayNext()
	m.finished()
}

// recogniserEnded: without a final transcript the last interim one stands. An utterance
// whose recogniser ends first is over when its speech is, not before.
func (m *Machine) recogniserEnded(number int64) {
	if u := m.utterance(number); u != nil && !u.final {
		m.finalText(u)
	}
}

// callFailed takes the failure of an attempt: another one follows where policy and time
// allow, else what needed the call cannot go on as planned (turn-plan section 10).
// running says that the attempt did not end by itself: it is cancelled.
func (m *Machine) callFailed(c *call, in *InvocationEnd, running bool) {
	reason := errorReason(in.Class, in.Reason)
	signal := m.emit(eventabi.SignalProviderError, eventabi.EmitterInvocation, c.turn, reason)
	signal.ProviderInvocationID = c.id
	if wait, ok := m.retryAfter(c, in); ok {
		if running {
			m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
		}
		m.tryAgain(c, wait)
		return
	}
	if c.kind == callSTT {
		m.recogniserGone(c, in.Class, reason, running)
		return
	}
	c.parked, c.hung = true, running
	c.budget.Close()
	if running {
		m.fx.add(&CancelCall{Invocation: c.id, Reason: string(controlplane.CancelTimeout)})
	}
	m.failed(c, in.Class, reason)
}

// tryAgain waits for the next attempt of a call.
func (m *Machine) tryAgain(c *call, wait timebase.Span) {
	c.attempt++
	c.tries++
	c.retryAt = m.now.Add(wait)
	c.budget.Close()
}

// recogniserGone: the words heard so far stand, and the next utterance is given to the
// next candidate. The audio of this one is gone.
func (m *Machine) recogniserGone(c *call, class, reason string, running bool) {
	number := c.utterance
	m.switchRecogniser(c, class, reason)
	if running {
		m.cancelCall(c, string(controlplane.CancelTimeout))
	} else {
		m.removeCall(c.id)
	}
	m.recogniserFailed(number)
}

// retryAfter says whether a call is tried again, and when: the same candidate, for a
// retryable outcome of which nothing was used, and only if backoff and timeout fit what
// is left. A recogniser's audio is gone: it is not tried again.
func (m *Machine) retryAfter(c *call, in *InvocationEnd) (timebase.Span, bool) {
	if c.kind == callSTT || !in.Retryable || c.chunks > 0 || c.tries >= m.attempts() || !m.allows(controlplane.ActionRetry) {
		return 0, false
	}
	backoff := timebase.MS(min(max(in.BackoffMS, 0), maxSettingMS))
	wait := max(backoff, timebase.MS(min(int64(backoffMS)<<(c.tries-1), backoffCapMS)))
	return wait, m.fits(wait + m.invocationTimeout())
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

// expireCalls fires warnings, timeouts, retries and the end of grace.
func (m *Machine) expireCalls() {
	for c := m.dueCall(); c != nil; c = m.dueCall() {
		switch {
		case c.cancelled:
			m.fx.add(&Detach{Invocation: c.id})
			m.drain.degraded = true
			m.removeCall(c.id)
		case c.retryAt != 0:
			m.startCall(c)
		case c.budget.Due(m.now) == turn.BudgetWarning:
			m.callSlow(c)
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
	return c.budget.Deadline()
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

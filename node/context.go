// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"sync/atomic"

	"github.com/parley-voice/parley/api/eventabi"
)

// Context is an instance's view of the session. The host fills it once, before Init;
// a handle that the host does not offer does nothing, so no handle is ever nil.
type Context struct {
	Session eventabi.SessionID
	Turn    eventabi.TurnID // empty in session scope
	Node    eventabi.NodeID

	Cancel    *CancelToken
	Budget    Budget
	Timebase  Timebase
	State     State
	Telemetry Telemetry
	// Determinism is always there in turn scope. In session scope it may be nil; if it
	// is there it promises nothing about the replay of a turn.
	Determinism Determinism

	// Out takes what the node emits. It is the host's; nodes call Emit.
	Out func(ev *Event)
	// Hold keeps the event at hand open. It is the host's; nodes call Later.
	Hold func() (done func())
}

// Emit hands an event to whatever follows the node in the graph. What a node emits
// after its scope was cancelled is late and may be discarded.
func (c *Context) Emit(ev *Event) {
	if c.Out != nil {
		c.Out(ev)
	}
}

// Later, called in OnEvent, lets the node answer the event after OnEvent has returned: the
// event stays in hand, and what is emitted counts as made of it, until done is called, once
// and from any goroutine. The node is given no other event meanwhile, and its budget goes on;
// one that is not done within the hard limit of OnEvent is taken for one that hangs. Nobody
// waits for a node beside the turns: there, done does nothing.
func (c *Context) Later() (done func()) {
	if c.Hold == nil {
		return func() {}
	}
	return c.Hold()
}

// Budget tells how much of the budget is left.
type Budget interface {
	// RemainingMS is the time left, in milliseconds, of the turn or, while an event is
	// handled, of the node's own budget where that is less (flow section 8). 0 = none is
	// left; negative = no budget applies.
	RemainingMS() int64
}

// Timebase is the node's clock.
type Timebase interface {
	// Now is the session's monotonic instant.
	Now() Instant
	// WakeAt asks for an event TypeTimer at an instant. A later call replaces the
	// earlier; Never takes it back.
	WakeAt(at Instant)
}

// State is the node's access to state by class. Values belong to the state: they are
// copied in and out.
type State interface {
	Get(class StateClass, key string) ([]byte, bool)
	Put(class StateClass, key string, value []byte) error
	// Conversation is the session's conversation record, oldest item first: for the
	// assistant only what was heard (nodes-providers-transports section 4a).
	Conversation() []Message
}

// Message is one item of the conversation.
type Message struct {
	Role        string // "system", "user", "assistant", "tool_call", "tool_result"
	Text        string // of a tool_call its arguments, as JSON; of a tool_result the output
	Interrupted bool
	Call        string // of tools: what ties a result to its call
	Name        string // of tools
	Failed      bool   // tool_result: Text says why
}

// Telemetry takes counts and never waits.
type Telemetry interface {
	Count(name string, n int64)
}

// Determinism is a node's source of chance within a turn.
type Determinism interface {
	Seed() int64
	// Uint64 draws from the generator that the seed began.
	Uint64() uint64
}

// CancelToken tells a node, at any time and on any goroutine, that its scope is over.
type CancelToken struct {
	ctx    context.Context
	stop   context.CancelFunc
	cancel atomic.Pointer[Cancel]
}

// NewCancelToken makes the token of one instance below a parent context.
func NewCancelToken(parent context.Context) *CancelToken {
	ctx, stop := context.WithCancel(parent)
	return &CancelToken{ctx: ctx, stop: stop}
}

// Context ends when the scope is cancelled: for calls that take one.
func (t *CancelToken) Context() context.Context { return t.ctx }

// Done is closed when the scope is cancelled.
func (t *CancelToken) Done() <-chan struct{} { return t.ctx.Done() }

// Cancelled says whether the scope is over, and by which cancel; the zero Cancel when
// the instance merely stopped.
func (t *CancelToken) Cancelled() (Cancel, bool) {
	if c := t.cancel.Load(); c != nil {
		return *c, true
	}
	return Cancel{}, t.ctx.Err() != nil
}

// Trip cancels the scope. It is the host's; the first cancel stays.
func (t *CancelToken) Trip(c Cancel) {
	t.cancel.CompareAndSwap(nil, &c)
	t.stop()
}

// Release ends the token without a cancel: the instance has stopped.
func (t *CancelToken) Release() { t.stop() }

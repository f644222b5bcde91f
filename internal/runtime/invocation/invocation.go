// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/provider"
)

// Settings is what a Controller is built from. All fields are required but Parent.
type Settings struct {
	Exec     nodehost.Executor
	Session  eventabi.SessionID
	Pipeline eventabi.PipelineVersion
	Epoch    func() eventabi.Epoch
	Parent   context.Context // ends with the session; nil = never
	// Ended is told the end of every attempt, once, on any goroutine.
	Ended func(e End)
	// Alive is told that a call streams: at its first content, and then at most every
	// 250 ms.
	Alive func(id eventabi.InvocationID, attempt int64)
	// Called is told of each call of a tool, in its place in the stream; index counts those of
	// the attempt from 0. nil = nobody runs tools.
	Called func(id eventabi.InvocationID, attempt, index int64, t provider.ToolCall)
}

// Request is one attempt of one logical call.
type Request struct {
	Invocation eventabi.InvocationID
	Turn       eventabi.TurnID // empty for the prelude's
	Attempt    int64
	Timeout    time.Duration // to the first result, as the adapter is told
	Idle       time.Duration // between results; the backstop's measure
	Candidate  int64         // which of the modality's adapters it is for
	Provider   provider.Descriptor
	InputBytes int64  // of what a language model is given to read
	NoTools    bool   // a language model may call no tool this time
	Over       func() // called once when the attempt has ended, before that is reported; nil = nobody
}

// End is how an attempt ended, with what it measured.
type End struct {
	Request
	Outcome   provider.Outcome
	Cancelled bool // it was told to stop
	Detached  bool // it was given up; what it still sends is discarded
	First     timebase.Span
	Duration  timebase.Span
	Chunks    int64
	Bytes     int64
	Late      int64 // chunks held back so far
	// Usage is what the engine said it used, when it came to its own end.
	Usage provider.Usage
	// Unscheduled says why the execution pool did not take the attempt; empty = it did.
	Unscheduled controlplane.ShedReason
}

// tokenBytes is how many bytes make a token of a language model, about: four characters
// of English.
const tokenBytes = 4

// Tokens is what a language model read and wrote. Where the engine does not say, or was
// stopped before it could, it is estimated from the length of the texts.
func (e *End) Tokens() int64 {
	if said := e.Usage.InputTokens + e.Usage.OutputTokens; said > 0 {
		return int64(said)
	}
	return (e.InputBytes + e.Bytes + tokenBytes - 1) / tokenBytes
}

// Controller runs the calls of one session.
type Controller struct {
	settings Settings
	mu       sync.Mutex
	calls    map[eventabi.InvocationID]*Call
	closed   bool
	late     int64
}

// New builds a controller without calls.
func New(s Settings) *Controller {
	if s.Parent == nil {
		s.Parent = context.Background()
	}
	return &Controller{settings: s, calls: map[eventabi.InvocationID]*Call{}}
}

// Begin registers an attempt. An earlier attempt of the call that still runs is given
// up. It returns nil when the controller is closed.
func (c *Controller) Begin(r Request) *Call {
	c.Detach(r.Invocation)
	ctx, stop := context.WithCancel(c.settings.Parent)
	call := &Call{
		request:    r,
		controller: c,
		ctx:        ctx,
		stop:       stop,
		checker:    provider.NewStreamChecker(r.Provider.Modality),
		began:      c.settings.Exec.Now(),
	}
	call.due = call.began
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.calls[r.Invocation] = call
	}
	c.mu.Unlock()
	if closed {
		stop()
		return nil
	}
	return call
}

// Call finds the running attempt of a call, nil when there is none.
func (c *Controller) Call(id eventabi.InvocationID) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// Cancel tells a call to stop. Its end is reported when the adapter has returned.
func (c *Controller) Cancel(id eventabi.InvocationID) {
	if call := c.Call(id); call != nil {
		call.cancel()
	}
}

// Detach gives a call up: it is reported as ended, and nothing of it passes any more.
func (c *Controller) Detach(id eventabi.InvocationID) {
	if call := c.Call(id); call != nil {
		call.letGo()
		call.end(cancelled("detached"), true)
	}
}

// Close gives every call up and takes no more.
func (c *Controller) Close() {
	c.mu.Lock()
	c.closed = true
	ids := make([]eventabi.InvocationID, 0, len(c.calls))
	for id := range c.calls {
		ids = append(ids, id)
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.Detach(id)
	}
}

// Late counts the chunks that were held back because they came after the end of their
// call, or while it was being given up.
func (c *Controller) Late() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.late
}

func (c *Controller) forget(call *Call) {
	c.mu.Lock()
	if c.calls[call.request.Invocation] == call {
		delete(c.calls, call.request.Invocation)
	}
	c.mu.Unlock()
}

// identity is the call as the contract wants it (nodes-providers-transports section 4).
func (call *Call) identity() provider.Call {
	r, s := &call.request, &call.controller.settings
	id := string(r.Invocation)
	attempt := strconv.FormatInt(r.Attempt, 10)
	return provider.Call{
		SessionID:       string(s.Session),
		TurnID:          string(r.Turn),
		PipelineVersion: string(s.Pipeline),
		EventID:         id + "." + attempt,
		InvocationID:    id,
		ProviderID:      r.Provider.ID,
		Modality:        r.Provider.Modality,
		Attempt:         int(r.Attempt),
		AuthorityEpoch:  int64(s.Epoch()),
		IdempotencyKey:  string(s.Session) + "." + id + "." + attempt,
		Timeout:         r.Timeout,
	}
}

func cancelled(reason string) provider.Outcome {
	return provider.Outcome{Class: provider.OutcomeCancelled, Reason: reason}
}

func panicked(value any) provider.Outcome {
	return provider.Outcome{
		Class:  provider.OutcomeInfrastructureFailure,
		Reason: "provider_panic",
		Detail: fmt.Sprint("the adapter panicked: ", value),
	}
}

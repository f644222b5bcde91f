// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Harness is the host of one instance in a test: time is virtual, one hook runs at a time, and
// what the node emits is collected. A hook that fails, panics or does not return in its time
// fails the test.
type Harness struct {
	t       testing.TB
	node    node.Node
	context *node.Context
	bubble  bool // it runs inside a synctest bubble
	running bool
	gone    bool // the host has given the instance up
	talk    []node.Message

	mu      sync.Mutex
	now     node.Instant
	wake    node.Instant
	ends    node.Instant // of the budget
	state   map[string][]byte
	used    map[node.StateClass]bool
	emitted []node.Event
	looked  int // emitted events that were looked at
	trace   []string
	counts  map[string]int64
	drawn   uint64
	open    int           // uses of Later that are not done
	closed  chan struct{} // when the last one is
}

// The identity that a harness gives.
const (
	Session eventabi.SessionID = "session-1"
	Turn    eventabi.TurnID    = "turn-1"
	NodeID  eventabi.NodeID    = "node-1"
	Seed                       = 1
)

// hangs is when a hook that does not return is given up where time is real.
const hangs = time.Minute

// New hosts a node: in a turn or outside, as it declares. No hook has run.
func New(tb testing.TB, n node.Node) *Harness {
	tb.Helper()
	h := &Harness{
		t: tb, node: n, wake: node.Never, ends: node.Never, drawn: Seed,
		state: map[string][]byte{}, used: map[node.StateClass]bool{}, counts: map[string]int64{},
	}
	h.context = &node.Context{
		Session:   Session,
		Node:      NodeID,
		Cancel:    node.NewCancelToken(tb.Context()),
		Budget:    (*budget)(h),
		Timebase:  (*clock)(h),
		State:     (*state)(h),
		Telemetry: (*telemetry)(h),
		Out:       h.collect,
		Hold:      h.hold,
	}
	if n.Declaration().Scope == node.ScopeTurn {
		h.context.Turn = Turn
		h.context.Determinism = (*chance)(h)
	}
	return h
}

// Converse sets the conversation that the node sees.
func (h *Harness) Converse(messages ...node.Message) { h.talk = messages }

// Context is what the hooks are given.
func (h *Harness) Context() *node.Context { return h.context }

// Start runs Init and Start.
func (h *Harness) Start() {
	h.t.Helper()
	h.hook("init", node.DefaultInit, func() error { return h.node.Init(h.context) })
	h.hook("start", node.DefaultStart, func() error { return h.node.Start(h.context) })
	h.running = true
}

// Event gives the node one event at the present instant. It starts the node if the test
// has not. The event is lent: when the hook has returned, it is written over.
func (h *Harness) Event(ev node.Event) {
	h.t.Helper()
	if !h.running {
		h.Start()
	}
	lent := h.lend(ev)
	h.hook("on_event "+string(ev.Type), node.DefaultEventHard, func() error {
		if err := h.node.OnEvent(h.context, lent); err != nil {
			return err
		}
		scribble(lent)
		h.await()
		return nil
	})
}

// hold keeps the event at hand open.
func (h *Harness) hold() (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open++; h.open == 1 {
		h.closed = make(chan struct{})
	}
	closed := h.closed
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.open--; h.open == 0 {
			close(closed)
		}
	})
}

// await waits until the event at hand is done. The hook's limit counts on.
func (h *Harness) await() {
	h.mu.Lock()
	open, closed := h.open, h.closed
	h.mu.Unlock()
	if open > 0 {
		select {
		case <-closed:
		case <-h.context.Cancel.Done():
		}
	}
}

// lend gives a copy of an event that is the host's own.
func (h *Harness) lend(ev node.Event) *node.Event {
	ev.PCM = slices.Clone(ev.PCM)
	ev.Attributes = slices.Clone(ev.Attributes)
	ev.At = (*clock)(h).Now()
	return &ev
}

// overwritten is what stands in an event that the host has taken back.
const overwritten = "[this event was lent, and the host has taken it back]"

func scribble(ev *node.Event) {
	for i := range ev.PCM {
		ev.PCM[i] = -1
	}
	for i := range ev.Attributes {
		ev.Attributes[i] = node.Attribute{Name: overwritten, Value: overwritten}
	}
	ev.Text, ev.Sample, ev.Index = overwritten, -1, -1
}

// Advance lets time pass; the timer event comes when it is due.
func (h *Harness) Advance(d time.Duration) {
	h.t.Helper()
	c := (*clock)(h)
	for end := c.Now() + node.Instant(d); ; {
		due := c.due(end)
		h.pass(c, min(due, end))
		if due > end {
			return
		}
		if h.gone {
			continue
		}
		h.Event(node.Event{Kind: eventabi.KindControl, Type: node.TypeTimer, Class: eventabi.ClassMetadata})
	}
}

// pass moves the clock, and in a bubble the time of everybody else with it.
func (h *Harness) pass(c *clock, to node.Instant) {
	if d := to - c.Now(); h.bubble && d > 0 {
		time.Sleep(time.Duration(d))
		synctest.Wait()
	}
	h.mu.Lock()
	h.now = max(h.now, to)
	h.mu.Unlock()
}

// Budget gives the node a budget that shrinks as time passes; negative = none, as at the
// beginning.
func (h *Harness) Budget(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ends = h.now + node.Instant(d); d < 0 {
		h.ends = node.Never
	}
}

// BargeIn runs OnBargeIn, where the node has it.
func (h *Harness) BargeIn() {
	h.t.Helper()
	if b, ok := h.node.(node.BargeInHandler); ok {
		h.hook("on_barge_in", node.DefaultCancel, func() error { return b.OnBargeIn(h.context) })
	}
}

// Cancel trips the token and runs OnCancel.
func (h *Harness) Cancel(c node.Cancel) {
	h.t.Helper()
	h.context.Cancel.Trip(c)
	h.hook("on_cancel", node.DefaultCancel, func() error { return h.node.OnCancel(h.context, c) })
}

// Exhaust runs OnBudgetExhausted, where the node has it.
func (h *Harness) Exhaust(outcome node.BudgetOutcome) {
	h.t.Helper()
	if b, ok := h.node.(node.BudgetHandler); ok {
		h.hook("on_budget_exhausted", node.DefaultBudget, func() error { return b.OnBudgetExhausted(h.context, outcome) })
	}
}

// TimeOut gives the instance up, as the host does with one whose hook has passed its limit: the
// token is tripped, no hook runs any more but Stop, and what is emitted is late.
func (h *Harness) TimeOut() {
	h.gone = true
	h.note("hook_timeout")
	h.context.Cancel.Trip(node.Cancel{Reason: "node_failure"})
	h.settle()
}

// Stop runs Stop and ends the token.
func (h *Harness) Stop() {
	h.t.Helper()
	h.hook("stop", node.DefaultStop, func() error { return h.node.Stop(h.context) })
	h.context.Cancel.Release()
	h.settle()
}

// NextTurn hosts the instance of the next turn: what the state keeps beyond a turn is there.
func (h *Harness) NextTurn(n node.Node) *Harness {
	next := New(h.t, n)
	next.bubble, next.talk, next.now = h.bubble, h.talk, h.now
	if next.context.Turn != "" {
		next.context.Turn = h.context.Turn + "+"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, v := range h.state {
		if class, _, _ := cutKey(k); class != node.StateTurn {
			next.state[k] = v
		}
	}
	return next
}

// Put sets a value of the state before the node looks at it.
func (h *Harness) Put(class node.StateClass, key, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state[stateKey(class, key)] = []byte(value)
}

// Get gives a value of the state.
func (h *Harness) Get(class node.StateClass, key string) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.state[stateKey(class, key)]
	return string(v), ok
}

// Emitted gives everything that was emitted so far, with its samples.
func (h *Harness) Emitted() []node.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.emitted)
}

// Types gives the types of what was emitted, for assertions of order.
func (h *Harness) Types() (list []node.Type) {
	for _, ev := range h.Emitted() {
		list = append(list, ev.Type)
	}
	return list
}

// Trace gives what happened, in order: each hook by its name, on_event with the event's type,
// and each event that was emitted as "emit" and its Line.
func (h *Harness) Trace() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.trace)
}

// Count gives a counter of the node's telemetry.
func (h *Harness) Count(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[name]
}

func (h *Harness) note(what string) {
	h.mu.Lock()
	h.trace = append(h.trace, what)
	h.mu.Unlock()
}

// settle waits for what the node does on goroutines of its own, as far as that waits for
// nothing but time. Outside a bubble nobody can tell.
func (h *Harness) settle() {
	if h.bubble {
		synctest.Wait()
	}
}

// hook runs a hook within its limit. Where time is real, only one that hangs is told.
func (h *Harness) hook(name string, limit time.Duration, f func() error) {
	h.t.Helper()
	if h.gone && name != "stop" {
		h.t.Fatalf("%s: the host has given the instance up: no hook runs any more", name)
	}
	h.note(name)
	if !h.bubble {
		limit = hangs
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the hook has ended its goroutine")
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			}
			done <- err
		}()
		err = f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		if err != nil {
			h.t.Fatalf("%s: %v", name, err)
		}
	case <-timer.C:
		h.t.Fatalf("%s: hook_timeout: it has not returned within %v", name, limit)
	}
	h.settle()
}

// collect copies what is lent.
func (h *Harness) collect(ev *node.Event) {
	kept := *ev
	kept.PCM = slices.Clone(ev.PCM)
	kept.Attributes = slices.Clone(ev.Attributes)
	h.mu.Lock()
	h.emitted = append(h.emitted, kept)
	h.trace = append(h.trace, "emit "+Line(&kept))
	h.mu.Unlock()
}

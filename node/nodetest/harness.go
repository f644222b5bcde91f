// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Harness is the host of one instance in a test: time is virtual, hooks run on the
// test's goroutine, and what the node emits is collected. A hook that returns an error
// fails the test.
type Harness struct {
	t       testing.TB
	node    node.Node
	context *node.Context
	now     node.Instant
	wake    node.Instant
	state   map[string][]byte
	talk    []node.Message
	running bool

	mu      sync.Mutex
	emitted []node.Event
	counts  map[string]int64
	drawn   uint64
}

// The identity that a harness gives.
const (
	Session eventabi.SessionID = "session-1"
	Turn    eventabi.TurnID    = "turn-1"
	NodeID  eventabi.NodeID    = "node-1"
	Seed                       = 1
)

// New hosts a node: in a turn or outside, as it declares. No hook has run.
func New(tb testing.TB, n node.Node) *Harness {
	tb.Helper()
	h := &Harness{t: tb, node: n, wake: node.Never, state: map[string][]byte{}, counts: map[string]int64{}, drawn: Seed}
	h.context = &node.Context{
		Session:   Session,
		Node:      NodeID,
		Cancel:    node.NewCancelToken(tb.Context()),
		Budget:    budget{},
		Timebase:  (*clock)(h),
		State:     (*state)(h),
		Telemetry: (*telemetry)(h),
		Out:       h.collect,
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
	h.must("init", h.node.Init(h.context))
	h.must("start", h.node.Start(h.context))
	h.running = true
}

// Event gives the node one event at the present instant. It starts the node if the test
// has not.
func (h *Harness) Event(ev node.Event) {
	h.t.Helper()
	if !h.running {
		h.Start()
	}
	ev.At = h.now
	h.must("on_event "+string(ev.Type), h.node.OnEvent(h.context, &ev))
}

// Advance lets time pass; the timer event comes when it is due.
func (h *Harness) Advance(d time.Duration) {
	h.t.Helper()
	end := h.now + node.Instant(d)
	for h.wake <= end {
		h.now = max(h.now, h.wake)
		h.wake = node.Never
		h.Event(node.Event{Kind: eventabi.KindControl, Type: node.TypeTimer, Class: eventabi.ClassMetadata})
	}
	h.now = end
}

// BargeIn runs OnBargeIn, where the node has it.
func (h *Harness) BargeIn() {
	h.t.Helper()
	if b, ok := h.node.(node.BargeInHandler); ok {
		h.must("on_barge_in", b.OnBargeIn(h.context))
	}
}

// Cancel trips the token and runs OnCancel.
func (h *Harness) Cancel(c node.Cancel) {
	h.t.Helper()
	h.context.Cancel.Trip(c)
	h.must("on_cancel", h.node.OnCancel(h.context, c))
}

// Exhaust runs OnBudgetExhausted, where the node has it.
func (h *Harness) Exhaust(outcome node.BudgetOutcome) {
	h.t.Helper()
	if b, ok := h.node.(node.BudgetHandler); ok {
		h.must("on_budget_exhausted", b.OnBudgetExhausted(h.context, outcome))
	}
}

// Stop runs Stop and ends the token.
func (h *Harness) Stop() {
	h.t.Helper()
	h.must("stop", h.node.Stop(h.context))
	h.context.Cancel.Release()
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

// Count gives a counter of the node's telemetry.
func (h *Harness) Count(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[name]
}

func (h *Harness) must(hook string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", hook, err)
	}
}

// collect copies what is lent.
func (h *Harness) collect(ev *node.Event) {
	kept := *ev
	kept.PCM = slices.Clone(ev.PCM)
	h.mu.Lock()
	h.emitted = append(h.emitted, kept)
	h.mu.Unlock()
}

type clock Harness

func (c *clock) Now() node.Instant      { return c.now }
func (c *clock) WakeAt(at node.Instant) { c.wake = at }

type budget struct{}

func (budget) RemainingMS() int64 { return -1 }

type state Harness

func (s *state) key(class node.StateClass, key string) (string, error) {
	if class == node.StateTurn && s.context.Turn == "" {
		return "", errors.New("outside a turn there is no turn-ephemeral state")
	}
	return string(class) + "/" + key, nil
}

func (s *state) Get(class node.StateClass, key string) ([]byte, bool) {
	k, err := s.key(class, key)
	v, ok := s.state[k]
	return slices.Clone(v), ok && err == nil
}

func (s *state) Put(class node.StateClass, key string, value []byte) error {
	k, err := s.key(class, key)
	if err == nil {
		s.state[k] = slices.Clone(value)
	}
	return err
}

func (s *state) Conversation() []node.Message { return slices.Clone(s.talk) }

type telemetry Harness

func (t *telemetry) Count(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[name] += n
}

// chance is a fixed sequence (Knuth's MMIX generator).
type chance Harness

func (c *chance) Seed() int64 { return Seed }

func (c *chance) Uint64() uint64 {
	c.drawn = c.drawn*6364136223846793005 + 1442695040888963407
	return c.drawn
}

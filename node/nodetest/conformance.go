// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Suite is what Test needs to know of a node.
type Suite struct {
	// New makes an instance; it is called for each part.
	New func(t *testing.T) node.Node
	// Events are inputs that make the node emit something, in order. Advance lies between
	// any two of them.
	Events  []node.Event
	Advance time.Duration
	// Conversation is what the node sees of it.
	Conversation []node.Message
	// Settle waits for what the node still does on goroutines of its own; nil when it has
	// none.
	Settle func(h *Harness)
}

// Test holds a node to the contract.
func Test(t *testing.T, s Suite) {
	t.Helper()
	t.Run("declaration", s.declaration)
	t.Run("hook_order", s.hookOrder)
	t.Run("outputs", s.outputs)
	t.Run("cancel", s.cancel)
	t.Run("context", s.contextUse)
	t.Run("no_leak_between_turns", s.leak)
}

// run gives an instance the events up to n.
func (s Suite) run(t *testing.T, n int) *Harness {
	t.Helper()
	h := New(t, s.New(t))
	h.Converse(s.Conversation...)
	h.Start()
	for _, ev := range s.Events[:n] {
		h.Event(ev)
		h.Advance(s.Advance)
	}
	s.settle(h)
	return h
}

func (s Suite) settle(h *Harness) {
	if s.Settle != nil {
		s.Settle(h)
	}
}

func (s Suite) declaration(t *testing.T) {
	n := s.New(t)
	if err := node.Check(n); err != nil {
		t.Error(err)
	}
	if a, b := n.Declaration(), n.Declaration(); !reflect.DeepEqual(a, b) {
		t.Errorf("two declarations differ: %+v and %+v", a, b)
	}
	for _, ev := range s.Events {
		if !slices.Contains(n.Declaration().Inputs, ev.Type) {
			t.Errorf("the suite gives %q, which is not among the inputs %q", ev.Type, n.Declaration().Inputs)
		}
	}
}

// hookOrder: init, start, events, stop; a second stop does nothing and is no fault.
func (s Suite) hookOrder(t *testing.T) {
	h := New(t, s.New(t))
	h.Converse(s.Conversation...)
	h.Start()
	if n := len(h.Emitted()); n > 0 {
		t.Errorf("%d events were emitted before the first input", n)
	}
	for _, ev := range s.Events {
		h.Event(ev)
		h.Advance(s.Advance)
	}
	s.settle(h)
	h.Stop()
	before := len(h.Emitted())
	h.Stop()
	s.settle(h)
	if n := len(h.Emitted()) - before; n > 0 {
		t.Errorf("%d events were emitted after stop", n)
	}
}

// outputs: something comes out, of the declared types, with kind, class and call.
func (s Suite) outputs(t *testing.T) {
	h := s.run(t, len(s.Events))
	defer h.Stop()
	list := h.Emitted()
	if len(list) == 0 {
		t.Fatal("the events of the suite made the node emit nothing")
	}
	declared := h.node.Declaration().Outputs
	for _, ev := range list {
		if !slices.Contains(declared, ev.Type) {
			t.Errorf("%q was emitted and is not declared: %q", ev.Type, declared)
		}
		if ev.Kind == "" {
			t.Errorf("%q was emitted without a kind", ev.Type)
		}
		switch ev.Class {
		case eventabi.ClassAudioRaw, eventabi.ClassTextRaw, eventabi.ClassPII, eventabi.ClassPHI, eventabi.ClassDerivedSummary, eventabi.ClassMetadata:
		default:
			t.Errorf("%q was emitted with payload class %q", ev.Type, ev.Class)
		}
	}
}

// cancel: at any point of the events the hooks return, within the grace of 75 ms, and a
// node of mode hard in turn scope is silent from then on.
func (s Suite) cancel(t *testing.T) {
	for n := range len(s.Events) + 1 {
		t.Run(fmt.Sprint("after_", n), func(t *testing.T) {
			h := s.run(t, n)
			began := time.Now()
			h.BargeIn()
			h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
			if took := time.Since(began); took > time.Second {
				t.Errorf("the hooks took %v; the grace is %v", took, node.DefaultCancel)
			}
			d := h.node.Declaration()
			s.settle(h)
			before := len(h.Emitted())
			h.Advance(time.Second)
			s.settle(h)
			if late := len(h.Emitted()) - before; late > 0 && d.Mode != node.CancelSoft && d.Scope == node.ScopeTurn {
				t.Errorf("%d events were emitted after the cancel", late)
			}
			h.Stop()
		})
	}
}

// contextUse: an exhausted budget is taken, and a context that is over is no panic.
func (s Suite) contextUse(t *testing.T) {
	h := s.run(t, len(s.Events)/2)
	h.Exhaust(node.BudgetTerminate)
	h.context.Cancel.Trip(node.Cancel{Scope: eventabi.CancelTurn})
	for _, ev := range s.Events[len(s.Events)/2:] {
		ev.At = h.now
		_ = h.node.OnEvent(h.context, &ev) // an error is in order here
	}
	s.settle(h)
	h.Stop()
}

// leak: what an instance does depends on nothing that another one did, also when that
// one was cut off in the middle.
func (s Suite) leak(t *testing.T) {
	clean := s.run(t, len(s.Events))
	clean.Stop()
	cut := s.run(t, len(s.Events)/2)
	cut.Cancel(node.Cancel{Scope: eventabi.CancelTurn})
	cut.Stop()
	next := s.run(t, len(s.Events))
	next.Stop()
	a, b := clean.Emitted(), next.Emitted()
	if len(a) != len(b) {
		t.Fatalf("%d events from a clean instance, %d from one that followed another", len(a), len(b))
	}
	for i := range a {
		if !reflect.DeepEqual(a[i], b[i]) {
			t.Errorf("event %d differs: %+v and %+v", i, a[i], b[i])
		}
	}
}

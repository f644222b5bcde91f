// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/node"
)

// Suite is what Test needs to know of a node.
type Suite struct {
	// New makes an instance; it is called for each part. Without it Kind and Config do.
	New    func(t *testing.T) node.Node
	Kind   node.Kind
	Config string // JSON, as a spec has it; empty = none
	// Events are inputs that make the node emit something, in order; none = the Samples of its
	// declared inputs. Advance lies between any two of them.
	Events  []node.Event
	Advance time.Duration
	// Conversation is what the node sees of it.
	Conversation []node.Message
	// Settle waits for what the node still does on goroutines of its own; nil when it has
	// none, and in a bubble, where that is known.
	Settle func(h *Harness)
	// Bubble has each part run in a synctest bubble: hooks have their limits, own goroutines are
	// waited for, and what the wall clock says is found out. A node that talks to processes or
	// over a network has no bubble.
	Bubble bool
	// Reclassifies are outputs whose payload class the node changes on purpose.
	Reclassifies []node.Type
	// Sink: the node may emit nothing.
	Sink bool
	// Nondeterministic: equal events need not give equal outputs, and the node says so.
	Nondeterministic bool
}

// Conform holds the nodes of a kind to the contract, with a config as a spec has it, in a
// bubble. What the suite cannot guess, more says.
func Conform(t *testing.T, kind node.Kind, config string, more ...func(s *Suite)) {
	t.Helper()
	s := Suite{Kind: kind, Config: config, Bubble: true}
	for _, say := range more {
		say(&s)
	}
	Test(t, s)
}

// Test holds a node to the contract (nodes-providers-transports section 9, node/custom/v1).
func Test(t *testing.T, s Suite) {
	t.Helper()
	if s.New == nil {
		s.New = s.make
	}
	if s.Events == nil {
		s.Events = Samples(s.New(t).Declaration().Inputs)
	}
	s.part(t, "declaration", s.declaration)
	s.part(t, "config", s.config)
	s.part(t, "hook_order", s.hookOrder)
	s.part(t, "outputs", s.outputs)
	s.part(t, "payload_class", s.payloadClass)
	t.Run("cancel", func(t *testing.T) {
		for n := range len(s.Events) + 1 {
			s.part(t, fmt.Sprint("after_", n), func(t *testing.T) {
				t.Helper()
				s.cancel(t, n)
			})
		}
	})
	s.part(t, "stop", s.stop)
	s.part(t, "context", s.contextUse)
	s.part(t, "lent", s.lent)
	s.part(t, "no_leak_between_turns", s.leak)
	if inSound(s.New(t).Declaration()) {
		s.part(t, "sound", s.sound)
	}
	if !s.Nondeterministic {
		t.Run("time_and_chance", s.timeAndChance)
	}
}

// part runs a part, in a bubble where the suite wants one.
func (s Suite) part(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		if s.Bubble {
			synctest.Test(t, f)
		} else {
			f(t)
		}
	})
}

func (s Suite) make(t *testing.T) node.Node {
	t.Helper()
	n, err := s.Kind.New(s.raw())
	if err != nil {
		t.Fatalf("the kind makes no node of %s: %v", s.Config, err)
	}
	return n
}

func (s Suite) raw() json.RawMessage {
	if s.Config == "" {
		return nil
	}
	return json.RawMessage(s.Config)
}

// host is the harness of a new instance.
func (s Suite) host(t *testing.T) *Harness {
	t.Helper()
	h := New(t, s.New(t))
	h.bubble = s.Bubble
	h.Converse(s.Conversation...)
	return h
}

// feed starts an instance and gives it events.
func (s Suite) feed(h *Harness, events []node.Event) {
	h.t.Helper()
	h.Start()
	for i := range events {
		h.Event(events[i])
		h.Advance(s.Advance)
	}
	s.settle(h)
}

// run gives a new instance the events up to n.
func (s Suite) run(t *testing.T, n int) *Harness {
	t.Helper()
	h := s.host(t)
	s.feed(h, s.Events[:n])
	return h
}

func (s Suite) settle(h *Harness) {
	if h.settle(); s.Settle != nil {
		s.Settle(h)
	}
}

// sameEvents compares what two instances emitted.
func sameEvents(t *testing.T, what string, a, b []node.Event) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("%s: %d events, and %d", what, len(a), len(b))
		return
	}
	for i := range a {
		if x, y := fmt.Sprintf("%+v", show(a[i])), fmt.Sprintf("%+v", show(b[i])); x != y {
			t.Errorf("%s: event %d differs: %s and %s", what, i, x, y)
		}
	}
}

// show is an event without its pointers.
func show(ev node.Event) any {
	var sync node.Sync
	if ev.Sync != nil {
		sync = *ev.Sync
	}
	ev.Sync = nil
	return struct {
		node.Event
		Together node.Sync
	}{ev, sync}
}

// turnBound says that nothing of the node may go out once its turn is cancelled.
func turnBound(d node.Declaration) bool {
	return d.Mode != node.CancelSoft && d.Scope == node.ScopeTurn
}

// ofKindsOf says whether an event is of a kind of which some input was.
func ofKindsOf(inputs []node.Event, ev *node.Event) bool {
	return slices.ContainsFunc(inputs, func(in node.Event) bool { return in.Kind == ev.Kind })
}

// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// declaration: it is complete, always the same, and what the kind says beforehand.
func (s Suite) declaration(t *testing.T) {
	n := s.New(t)
	if err := node.Check(n); err != nil {
		t.Error(err)
	}
	d := n.Declaration()
	if again := n.Declaration(); !reflect.DeepEqual(d, again) {
		t.Errorf("two declarations differ: %+v and %+v", d, again)
	}
	for _, ev := range s.Events {
		if !slices.Contains(d.Inputs, ev.Type) {
			t.Errorf("the suite gives %q, which is not among the inputs %q", ev.Type, d.Inputs)
		}
	}
	if s.Kind == nil {
		return
	}
	if said, err := s.Kind.Describe(s.raw()); err != nil || !reflect.DeepEqual(said, d) {
		t.Errorf("the kind describes %+v (%v), its node declares %+v", said, err, d)
	}
}

// config: a field that does not exist, and what is no object, are refused before a session
// begins, and by name.
func (s Suite) config(t *testing.T) {
	if s.Kind == nil {
		return
	}
	const unknown = "no_such_field_of_this_node"
	members := map[string]json.RawMessage{}
	if s.Config != "" {
		if err := json.Unmarshal([]byte(s.Config), &members); err != nil {
			t.Fatalf("the suite's config is no object: %v", err)
		}
	}
	members[unknown] = json.RawMessage("1")
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Kind.Describe(raw); err == nil || !strings.Contains(err.Error(), unknown) {
		t.Errorf("Describe does not refuse the field %s: %v", unknown, err)
	}
	if _, err := s.Kind.New(raw); err == nil {
		t.Errorf("New does not refuse the field %s", unknown)
	}
	if _, err := s.Kind.Describe(json.RawMessage(`[7]`)); err == nil {
		t.Error("Describe takes a list for a config")
	}
}

// hookOrder: init, start, events, stop; nothing is emitted before the first event and after
// the stop, and a second stop does nothing and is no fault.
func (s Suite) hookOrder(t *testing.T) {
	h := s.host(t)
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
	s.settle(h)
	before := len(h.Emitted())
	h.Stop()
	h.Advance(time.Minute)
	s.settle(h)
	if n := len(h.Emitted()) - before; n > 0 {
		t.Errorf("%d events were emitted after stop", n)
	}
}

// outputs: something comes out, of the declared types, with kind and class.
func (s Suite) outputs(t *testing.T) {
	h := s.run(t, len(s.Events))
	h.Stop()
	s.settle(h)
	list := h.Emitted()
	declared := h.node.Declaration().Outputs
	if len(list) == 0 && len(declared) > 0 && !s.Sink {
		t.Fatal("the events of the suite made the node emit nothing")
	}
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

// payloadClass: what came with a class that few may see does not go on with another one, unless
// the node changes it on purpose. What is of another kind than every input, such as a control
// event made of sound, has a class of its own.
func (s Suite) payloadClass(t *testing.T) {
	events := slices.Clone(s.Events)
	for i := range events {
		if events[i].Kind != eventabi.KindControl {
			events[i].Class = eventabi.ClassPHI
		}
	}
	h := s.host(t)
	s.feed(h, events)
	h.Stop()
	s.settle(h)
	for _, ev := range h.Emitted() {
		if ev.Kind != eventabi.KindControl && ofKindsOf(events, &ev) && ev.Class != eventabi.ClassPHI && !slices.Contains(s.Reclassifies, ev.Type) {
			t.Errorf("%q goes on as %s; what it was made of came as %s", ev.Type, ev.Class, eventabi.ClassPHI)
		}
	}
}

// cancel: at any point of the events the hooks return within the grace, and a node of mode
// hard in turn scope is silent from then on.
func (s Suite) cancel(t *testing.T, n int) {
	h := s.run(t, n)
	h.BargeIn()
	h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	s.settle(h)
	before := len(h.Emitted())
	h.Advance(time.Minute)
	s.settle(h)
	if late := len(h.Emitted()) - before; late > 0 && turnBound(h.node.Declaration()) {
		t.Errorf("%d events were emitted after the cancel", late)
	}
	h.Stop()
}

// stop: it comes in order also when there was no event, when the turn was cancelled before the
// first one, and twice.
func (s Suite) stop(t *testing.T) {
	h := s.run(t, 0)
	h.Stop()
	h.Stop()
	h = s.run(t, 0)
	h.BargeIn()
	h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	h.Stop()
	h.Stop()
	s.settle(h)
	if n := len(h.Emitted()); n > 0 && turnBound(h.node.Declaration()) {
		t.Errorf("%d events were emitted of none", n)
	}
}

// contextUse: only declared state is used; an exhausted budget is taken, and a context that is
// over is no panic.
func (s Suite) contextUse(t *testing.T) {
	h := s.run(t, len(s.Events)/2)
	h.Budget(0)
	h.Exhaust(node.BudgetTerminate)
	h.context.Cancel.Trip(node.Cancel{Scope: eventabi.CancelTurn})
	for _, ev := range s.Events[len(s.Events)/2:] {
		_ = h.node.OnEvent(h.context, h.lend(ev)) // an error is in order here, and what is emitted is late
	}
	s.settle(h)
	h.Stop()
	whole := s.run(t, len(s.Events))
	whole.Stop()
	declared := h.node.Declaration().State
	for _, class := range []node.StateClass{node.StateTurn, node.StateHot, node.StateDurable} {
		if (h.used[class] || whole.used[class]) && !slices.Contains(declared, class) {
			t.Errorf("state of class %s is used and not declared: %q", class, declared)
		}
	}
}

// lent: the node keeps nothing of an event that it was lent, and does not change one whose
// content it was lent.
func (s Suite) lent(t *testing.T) {
	h := s.host(t)
	h.Start()
	for _, ev := range s.Events {
		lent := h.lend(ev)
		pcm, attributes := lent.PCM, lent.Attributes
		h.hook("on_event "+string(ev.Type), node.DefaultEventHard, func() error { return h.node.OnEvent(h.context, lent) })
		if !slices.Equal(attributes, ev.Attributes) {
			t.Errorf("%q: the attributes of the event that was lent became %v", ev.Type, attributes)
		}
		if !slices.Equal(pcm, ev.PCM) {
			t.Errorf("%q: the samples of the event that was lent were changed", ev.Type)
		}
		scribble(lent)
		h.Advance(s.Advance)
	}
	s.settle(h)
	h.Advance(time.Minute)
	h.Stop()
	s.settle(h)
	for _, ev := range h.Emitted() {
		if strings.Contains(ev.Text, overwritten) || len(ev.PCM) > 0 && !slices.ContainsFunc(ev.PCM, func(v int16) bool { return v != -1 }) ||
			slices.ContainsFunc(ev.Attributes, func(a node.Attribute) bool { return a.Name == overwritten }) {
			t.Errorf("%q was made of an event that the host had taken back", Line(&ev))
		}
	}
}

// leak: what an instance does depends on nothing that another one did, also when that one was
// cut off in the middle.
func (s Suite) leak(t *testing.T) {
	clean := s.run(t, len(s.Events))
	clean.Stop()
	cut := s.run(t, len(s.Events)/2)
	cut.BargeIn()
	cut.Cancel(node.Cancel{Scope: eventabi.CancelTurn})
	cut.Stop()
	next := s.run(t, len(s.Events))
	next.Stop()
	s.settle(next)
	if s.Nondeterministic {
		if a, b := len(clean.Emitted()), len(next.Emitted()); a != b {
			t.Errorf("%d events from a clean instance, %d from one that followed another", a, b)
		}
		return
	}
	sameEvents(t, "a clean instance, and one that followed another", clean.Emitted(), next.Emitted())
}

// timeAndChance: equal events at equal instants of the session give equal outputs, whatever the
// wall clock says meanwhile, and whatever is drawn elsewhere.
func (s Suite) timeAndChance(t *testing.T) {
	const pause = 26*time.Hour + 61*time.Second + 7*time.Millisecond
	outputs := make([][]node.Event, 3)
	for i := range outputs {
		s.part(t, []string{"once", "again", "on_another_day"}[i], func(t *testing.T) {
			t.Helper()
			h := s.host(t)
			h.Start()
			for k := range s.Events {
				if s.Bubble && i == len(outputs)-1 {
					time.Sleep(pause) // of the wall; the session's clock stands
					synctest.Wait()
				}
				h.Event(s.Events[k])
				h.Advance(s.Advance)
			}
			s.settle(h)
			h.Stop()
			outputs[i] = h.Emitted()
		})
	}
	sameEvents(t, "two equal runs", outputs[0], outputs[1])
	if s.Bubble {
		sameEvents(t, "two runs on different days", outputs[0], outputs[2])
	}
}

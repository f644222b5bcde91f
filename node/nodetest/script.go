// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Step is one thing that happens to a node in a script.
type Step func(h *Harness)

// Play hosts a node and has things happen to it, one after the other, in a synctest bubble:
// where the node waits, time passes at once, also that of its own goroutines and timers. In
// the end the node is stopped, if the script has not done so. A node that talks to processes
// or over a network cannot be played: give it a Harness of its own.
func Play(t *testing.T, n node.Node, steps ...Step) (played *Harness) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		h := New(t, n)
		h.bubble = true
		for _, step := range steps {
			step(h)
		}
		if h.running && !h.gone && !slices.Contains(h.trace, "stop") {
			h.Stop()
		}
		played = h
	})
	return played
}

// Give gives the node events, at the same instant.
func Give(events ...node.Event) Step {
	return func(h *Harness) {
		h.t.Helper()
		for i := range events {
			h.Event(events[i])
		}
	}
}

// Wait lets time pass.
func Wait(d time.Duration) Step {
	return func(h *Harness) {
		h.t.Helper()
		h.Advance(d)
	}
}

// Talk sets the conversation that the node sees from here on.
func Talk(messages ...node.Message) Step {
	return func(h *Harness) { h.Converse(messages...) }
}

// Keep sets a value of the state.
func Keep(class node.StateClass, key, value string) Step {
	return func(h *Harness) { h.Put(class, key, value) }
}

// WithBudget gives the node a budget from here on.
func WithBudget(d time.Duration) Step {
	return func(h *Harness) { h.Budget(d) }
}

// Interrupt is a barge-in: OnBargeIn, and then the cancel of the turn.
func Interrupt() Step {
	return func(h *Harness) {
		h.t.Helper()
		h.BargeIn()
		h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
	}
}

// CancelTurn cancels the turn for a reason.
func CancelTurn(reason string) Step {
	return func(h *Harness) {
		h.t.Helper()
		h.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: reason})
	}
}

// Exhausted says that a budget is gone, and what follows.
func Exhausted(outcome node.BudgetOutcome) Step {
	return func(h *Harness) {
		h.t.Helper()
		h.Exhaust(outcome)
	}
}

// TimedOut gives the instance up.
func TimedOut() Step { return func(h *Harness) { h.TimeOut() } }

// Stopped stops the node.
func Stopped() Step {
	return func(h *Harness) {
		h.t.Helper()
		h.Stop()
	}
}

// Expect compares what was emitted since the last Expect, in order, with the lines that Line
// writes of it.
func Expect(lines ...string) Step {
	return func(h *Harness) {
		h.t.Helper()
		h.mu.Lock()
		var got []string
		for i := range h.emitted[h.looked:] {
			got = append(got, Line(&h.emitted[h.looked+i]))
		}
		h.looked = len(h.emitted)
		h.mu.Unlock()
		if !slices.Equal(got, lines) {
			h.t.Errorf("emitted\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
		}
	}
}

// Line writes an event as a test's expectations have it: its type; what it says, in quotes; its
// samples and their position; its attributes.
func Line(ev *node.Event) string {
	line := string(ev.Type)
	if ev.Text != "" {
		line += fmt.Sprintf(" %q", ev.Text)
	}
	if len(ev.PCM) > 0 {
		line += fmt.Sprintf(" %d@%d", len(ev.PCM), ev.Sample)
	}
	for _, a := range ev.Attributes {
		line += fmt.Sprintf(" %s=%s", a.Name, a.Value)
	}
	return line
}

// Segment is a speakable piece of a reply, as it comes from the segmenter.
func Segment(index int64, text string) node.Event {
	return node.Event{Kind: eventabi.KindText, Type: node.TypeSegment, Class: eventabi.ClassTextRaw, Invocation: "call-1", Index: index, Text: text}
}

// Transcript is what a recogniser has heard so far, or in the end.
func Transcript(revision int64, text string, final bool) node.Event {
	return node.Event{Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassTextRaw, Invocation: "call-1", Index: revision, Text: text, Final: final}
}

// Frame is one frame of audio, all of whose samples have one value.
func Frame(index int, sample int16) node.Event {
	pcm := make([]int16, node.FrameSamples)
	for i := range pcm {
		pcm[i] = sample
	}
	return node.Event{
		Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, Invocation: "call-1",
		Index: int64(index), Sample: int64(index * node.FrameSamples), PCM: pcm,
	}
}

// Samples makes up events of the types that a node takes, in an order in which they could come.
func Samples(types []node.Type) (events []node.Event) {
	text := func(t node.Type, s string) node.Event {
		return node.Event{Kind: eventabi.KindText, Type: t, Class: eventabi.ClassTextRaw, Invocation: "call-1", Text: s}
	}
	of := func(t node.Type) []node.Event {
		switch t {
		case node.TypeTimer:
			return nil // comes by itself
		case node.TypeAudioChunk:
			var list []node.Event
			for i := range 30 {
				list = append(list, Frame(i, []int16{0, 5000, 0}[i/10]))
			}
			return list
		case node.TypeTranscript:
			return []node.Event{Transcript(0, "what is", false), Transcript(1, "What is the weather in Paris?", true)}
		case node.TypeTextDelta:
			return []node.Event{text(t, "It is raining "), text(t, "in Paris. And it is "), text(t, "cold.")}
		case node.TypeSegment:
			return []node.Event{Segment(0, "It is raining in Paris. "), Segment(1, "And it is cold.")}
		case node.TypeTextStart, node.TypeTextEnd:
			return []node.Event{text(t, "")}
		case node.TypeAudioEnd, node.TypeVoiceOn, node.TypeVoiceOff, node.TypeEndOfUtterance, node.TypeListen, node.TypeFinalize, node.TypeRespond, node.TypeTaken:
			return []node.Event{{Kind: eventabi.KindControl, Type: t, Class: eventabi.ClassMetadata, Invocation: "call-1"}}
		}
		return []node.Event{text(t, "It is raining in Paris.")}
	}
	order := []node.Type{
		node.TypeVoiceOn, node.TypeListen, node.TypeAudioChunk, node.TypeAudioEnd, node.TypeVoiceOff, node.TypeEndOfUtterance, node.TypeFinalize,
		node.TypeTranscript, node.TypeRespond, node.TypeTextStart, node.TypeTextDelta, node.TypeSegment, node.TypeTaken, node.TypeTextEnd,
	}
	for _, t := range slices.Concat(order, types) {
		if slices.Contains(types, t) && !slices.ContainsFunc(events, func(ev node.Event) bool { return ev.Type == t }) {
			events = append(events, of(t)...)
		}
	}
	return events
}

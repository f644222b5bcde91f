// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/transport"
)

// edgePolicy is the profile's policy with a strategy, and room for so many items.
func edgePolicy(id, from, to string, strategy controlplane.BufferStrategy, items int64) session.EdgePolicy {
	p := turn.ProfileEdge(strategy)
	p.MaxQueueItems, p.MaxQueueMS, p.MaxLatencyContributionMS = items, 60_000, 60_000
	p.Watermarks = controlplane.EdgeWatermarks{QueueMS: &controlplane.Watermark{High: 50_000, Low: 1000}}
	p.DefaultingSource = controlplane.DefaultedExplicit
	return session.EdgePolicy{Edge: eventabi.EdgeID(id), From: from, To: to, Policy: p}
}

// The client reads along: partial results as they come, what was understood, and the
// agent's words as they begin to be heard.
func TestClientReadsAlong(t *testing.T) {
	r := newRig("s1")
	virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	var final []string
	for _, x := range r.line.texts {
		if x.Final {
			final = append(final, string(x.From)+" "+x.Of+": "+strings.TrimSpace(x.Text))
		}
	}
	want := []string{
		"caller u1-stt: tell me a story",
		"agent t1: Once upon a time there was a lighthouse.",
		"agent t1: The keeper climbed its steps every evening.",
	}
	if !slices.Equal(final, want) {
		t.Errorf("the client read %q\n%s", final, r.log)
	}
	if first := r.line.texts[0]; first.Final || first.From != transport.TextCaller {
		t.Errorf("the first text is %+v, want a partial result", first)
	}
}

// A client that reads two texts and no more: partial results are superseded on its edge,
// final ones wait for it, and nobody else waits.
func TestClientThatStopsReading(t *testing.T) {
	r := newRig("s1")
	r.line.window = 2
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	if len(r.line.texts) != 2 {
		t.Errorf("%d texts were written to a client that takes 2", len(r.line.texts))
	}
	if n := len(r.line.voiced("t1")); n != spoken(story) {
		t.Errorf("%d samples were heard, want %d: the sound waits for the reader", n, spoken(story))
	}
	if st := s.Stats(); st.Kernel.Commits != 1 {
		t.Errorf("stats %+v", st)
	}
}

// scribe is a tap that keeps what it is given, and may fail.
type scribe struct {
	node.NoOp
	heard []string
	fail  int // at the event of this number, 0 = never
}

func (n *scribe) Declaration() node.Declaration {
	return node.Declaration{
		Type: "scribe", Package: "test", Version: "v1",
		Inputs: []node.Type{node.TypeTranscript, node.TypeSegment}, Outputs: []node.Type{node.TypeTranscript},
		Streaming: node.StreamIncremental, Scope: node.ScopeSession, Class: node.Preemptible, Mode: node.CancelHard,
	}
}

func (n *scribe) OnEvent(ctx *node.Context, ev *node.Event) error {
	n.heard = append(n.heard, string(ev.Type)+": "+strings.TrimSpace(ev.Text))
	if len(n.heard) == n.fail {
		return errors.New("out of ink")
	}
	ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: node.TypeTranscript, Class: ev.Class, Text: strings.ToUpper(ev.Text), Final: ev.Final})
	return nil
}

// A tap has both sides of the conversation, in the order of what happened, from two edges;
// what it emits goes on to the next tap, by an edge of its own.
func TestTaps(t *testing.T) {
	r := newRig("s1")
	first, second := &scribe{}, &scribe{}
	r.settings.Edges = []session.EdgePolicy{
		edgePolicy("notes-caller", session.FromCallerText, "notes", controlplane.StrategyLatestOnly, 8),
		edgePolicy("notes-agent", session.FromAgentText, "notes", controlplane.StrategyDrop, 8),
		edgePolicy("shout", "notes", "echo", controlplane.StrategyMerge, 8),
	}
	r.settings.Taps = []Tap{
		{ID: "notes", Node: func() (node.Node, error) { return first, nil }},
		{ID: "echo", Node: func() (node.Node, error) { return second, nil }},
	}
	virtually(t, r, speaking([2]int64{1000, 2000}), 12000, nil)
	n := len(first.heard)
	want := []string{
		"transcript: tell me a story",
		"segment: Once upon a time there was a lighthouse.",
		"segment: The keeper climbed its steps every evening.",
	}
	if n < 3 || !slices.Equal(first.heard[n-3:], want) {
		t.Errorf("the tap heard %q", first.heard)
	}
	if len(second.heard) != n || second.heard[n-1] != "transcript: "+strings.ToUpper("The keeper climbed its steps every evening.") {
		t.Errorf("the second tap heard %q", second.heard)
	}
}

// A tap that fails costs its own instance: the conversation goes on, the edge to it is cut
// off when it can hold no more final words, and the session says what it lost (F-134,
// F-137).
func TestTapThatFails(t *testing.T) {
	r := newRig("s1")
	tap := &scribe{fail: 1}
	r.settings.Edges = []session.EdgePolicy{edgePolicy("notes", session.FromAgentText, "notes", controlplane.StrategyDrop, 1)}
	r.settings.Taps = []Tap{{ID: "notes", Node: func() (node.Node, error) { return tap, nil }}}
	r.llm.Replies = []string{strings.Repeat("And then the light went round again. ", 4)}
	s := virtually(t, r, speaking([2]int64{1000, 2000}), 20000, nil)
	st := s.Stats()
	if st.Kernel.Commits != 1 || !st.Degraded || st.NodeFailures != 1 {
		t.Errorf("stats %+v\n%s", st, r.log)
	}
	if len(tap.heard) != 1 || r.log.count("emit degrade", "capability_lost:notes") != 1 {
		t.Errorf("the tap heard %q\n%s", tap.heard, r.log)
	}
}

// An edge that cannot be run with, and a tap without a name or a node, are refused before
// anything starts.
func TestBadEdgesAndTaps(t *testing.T) {
	r := newRig("s1")
	bad := edgePolicy("tts-transport", "", "", controlplane.StrategyMerge, 8)
	r.settings.Edges = []session.EdgePolicy{bad, edgePolicy("x", "", "client", controlplane.StrategyDrop, 8)}
	r.settings.Taps = []Tap{{}, {ID: "a", Node: func() (node.Node, error) { return &scribe{}, nil }}, {ID: "a"}}
	err := r.settings.Validate()
	for _, part := range []string{
		"edges[0]", "tts-transport.strategy", "edges[1]", "x.from", "x.to",
		"taps[0].id", "taps[0].node", "taps[2].id", "taps[2].node",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}

// deafFor is a detector that hears nothing of what comes for a while, because its host
// never runs it: the ring is the edge, and the kernel keeps the books.
func TestDetectorThatLagsIsSkippedAhead(t *testing.T) {
	s := newStill()
	r := newRig("s1")
	gate := make(chan struct{})
	r.settings.Endpointer = func() (node.Node, error) { return &stuck{gate: gate}, nil }
	r.settings.Connect = r.line.connect
	x := s.open(t, r)
	frame := make([]int16, transport.FrameSamples)
	x.Ingress().Audio(-1, frame)
	s.until(t, "the detector is stuck in its first frame", func() bool { return x.graph.reader.Seen() > 0 })
	for range 199 { // four seconds; the edge holds one
		x.Ingress().Audio(-1, frame)
		s.pass(20e6)
	}
	if n := r.log.count("skip edge=transport-vad"); n == 0 {
		t.Errorf("nothing was skipped\n%s", r.log)
	}
	if at := x.graph.reader.Seen(); at < timebase.SampleRate*3-transport.FrameSamples {
		t.Errorf("the detector goes on at %d, want a second behind the present at most", at)
	}
	close(gate)
	s.until(t, "the detector catches up", func() bool { return x.graph.reader.Available() == 0 })
	x.Ingress().Audio(-1, frame)
	s.pass(20e6)
	if r.log.count("emit drop_notice") != 1 || r.log.count("emit discontinuity") != 1 {
		t.Errorf("the gap is not told once\n%s", r.log)
	}
	s.close(t, x)
}

// stuck is an endpointer that waits in its first event.
type stuck struct {
	node.NoOp
	gate chan struct{}
}

func (n *stuck) Declaration() node.Declaration {
	d := (&scribe{}).Declaration()
	d.Type, d.Inputs, d.Outputs = "stuck", []node.Type{node.TypeAudioChunk}, []node.Type{node.TypeVoiceOn}
	return d
}

func (n *stuck) OnEvent(*node.Context, *node.Event) error {
	<-n.gate
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/noisegate"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/transport"
)

// soundNode is a node in the caller's sound.
func soundNode(name string, inline bool, event func(ctx *node.Context, ev *node.Event) error) node.Kind {
	types := []node.Type{node.TypeAudioChunk}
	return node.KindFunc(func(json.RawMessage) (node.Node, error) {
		return &node.Func{About: node.Declaration{
			Type: name, Package: "test", Inputs: types, Outputs: types, Scope: node.ScopeSession, Inline: inline,
		}.WithDefaults(), Event: event}, nil
	})
}

// halved gives a frame back at half its level.
func halved(ctx *node.Context, ev *node.Event) error {
	out := *ev
	out.PCM = make([]int16, len(ev.PCM))
	for i, v := range ev.PCM {
		out.PCM[i] = v / 2
	}
	ctx.Emit(&out)
	return nil
}

// attentive is a recogniser that keeps what it hears.
type attentive struct {
	provider.STT
	mu    sync.Mutex
	heard []int16
}

type attentiveStream struct {
	provider.STTStream
	of *attentive
}

func (a *attentive) Open(ctx context.Context, c provider.Call, config provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	s, err := a.STT.Open(ctx, c, config, sink)
	return &attentiveStream{s, a}, err
}

func (s *attentiveStream) Write(pcm []int16) error {
	s.of.mu.Lock()
	s.of.heard = append(s.of.heard, pcm...)
	s.of.mu.Unlock()
	return s.STTStream.Write(pcm)
}

// levels are the levels that were heard, each once, in the order in which they came.
func (a *attentive) levels() []int16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Compact(slices.Clone(a.heard))
}

// withSound puts nodes between the caller and those who listen: a chain that feeds both.
func withSound(tb testing.TB, r *rig, kinds map[string]node.Kind, chain ...string) *attentive {
	tb.Helper()
	reg := &node.Registry{}
	for name, k := range kinds {
		if err := reg.Register(name, k); err != nil {
			tb.Fatal(err)
		}
	}
	r.settings.Kinds = reg
	g := drawn("vad=detector", "ear>mind", "mind>cutter", "cutter>mouth")
	types := []string{string(node.TypeAudioChunk)}
	from := eventabi.NodeID("caller")
	g.Definition.Edges = g.Definition.Edges[1:] // caller>ear
	edge := func(a, b eventabi.NodeID) {
		g.Definition.Edges = append(g.Definition.Edges, kernelgraph.Edge{ID: eventabi.EdgeID(a + "-" + b), From: a, To: b})
	}
	for _, id := range chain {
		g.Definition.Nodes = append(g.Definition.Nodes, kernelgraph.Node{
			ID: eventabi.NodeID(id), Type: id, Role: kernelgraph.RoleWork, Scope: kernelgraph.ScopeSession, Inputs: types, Outputs: types,
		})
		edge(from, eventabi.NodeID(id))
		from = eventabi.NodeID(id)
	}
	edge(from, "vad")
	edge(from, "ear")
	r.settings.Graph = g
	if err := g.Check(reg); err != nil {
		tb.Fatal(err)
	}
	a := &attentive{STT: r.settings.Providers.STT}
	r.settings.Providers.STT = a
	return a
}

// spare gives a node of the graph one that stands in for it.
func spare(g *Graph, of, id eventabi.NodeID) {
	n := *g.node(of)
	n.ID, n.Type, n.FallbackOf = id, string(id), of
	n.FallbackOn = []kernelgraph.Trigger{kernelgraph.OnError, kernelgraph.OnTimeout}
	g.Definition.Nodes = append(g.Definition.Nodes, n)
	for _, e := range slices.Clone(g.Definition.Edges) {
		if e.From == of {
			e.ID, e.From = eventabi.EdgeID(string(id)+"-"+string(e.To)), id
			g.Definition.Edges = append(g.Definition.Edges, e)
		}
	}
}

// What a node gives is what the detector and the recogniser hear, at its place: two that halve
// make a quarter, and the turn is the same.
func TestSoundGoesThroughNodes(t *testing.T) {
	r := newRig("sound")
	heard := withSound(t, r, map[string]node.Kind{"soft": soundNode("soft", false, halved), "softer": soundNode("softer", false, halved)}, "soft", "softer")
	p := &parrot{machine: session.New(), t: t}
	r.settings.Recorder = p
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if got := heard.levels(); !slices.Equal(got, []int16{0, 1250, 0}) {
		t.Errorf("the recogniser heard levels %d, of a caller at 5000\n%s", got, r.log)
	}
	if n := r.log.count("emit commit turn=t1"); n != 1 || s.Stats().NodeFailures != 0 || s.Stats().SamplesLost != 0 {
		t.Errorf("%d commits, %+v\n%s", n, s.Stats(), r.log)
	}
	if p.digest.Sum() != s.Stats().Digest {
		t.Errorf("the replay of %d decisions has another digest", p.decisions)
	}
}

// A gate that keeps speech from the detector keeps the session quiet.
func TestSoundIsWhatTheDetectorHears(t *testing.T) {
	r := newRig("sound")
	silent := func(ctx *node.Context, ev *node.Event) error {
		out := *ev
		out.PCM = make([]int16, len(ev.PCM))
		ctx.Emit(&out)
		return nil
	}
	withSound(t, r, map[string]node.Kind{"mute": soundNode("mute", true, silent)}, "mute")
	virtually(t, r, speaking([2]int64{500, 1500}), 5000, nil)
	if n := r.log.count("voice_on"); n != 0 {
		t.Errorf("the detector heard speech that the node had silenced\n%s", r.log)
	}
}

// A node that panics, or returns an error, costs itself: its branch stands in for it, or the sound
// goes by, and each is a decision that a replay comes to as well.
func TestFailedNodeInSoundCostsItself(t *testing.T) {
	for _, c := range []struct {
		name, told string
		spare      bool
		event      func(ctx *node.Context, ev *node.Event) error
		levels     []int16
	}{
		{"panic", "emit degrade turn= reason=capability_lost:frail", false, func(*node.Context, *node.Event) error { panic("of a test") }, []int16{0, 5000, 0}},
		{"error", "emit fallback turn= reason=node_failed:frail", true, func(*node.Context, *node.Event) error { return errors.New("of a test") }, []int16{0, 2500, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig("sound")
			heard := withSound(t, r, map[string]node.Kind{"frail": soundNode("frail", false, c.event), "other": soundNode("other", false, halved)}, "frail")
			if c.spare {
				spare(r.settings.Graph, "frail", "other")
			}
			p := &parrot{machine: session.New(), t: t}
			r.settings.Recorder = p
			s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
			if got := heard.levels(); !slices.Equal(got, c.levels) {
				t.Errorf("the recogniser heard levels %d, want %d\n%s", got, c.levels, r.log)
			}
			if r.log.count(c.told) != 1 || r.log.count("detour node=frail") != 1 || r.log.count("emit commit turn=t1") != 1 || s.Stats().NodeFailures != 1 {
				t.Errorf("it went otherwise\n%s", r.log)
			}
			if p.digest.Sum() != s.Stats().Digest {
				t.Errorf("the replay of %d decisions has another digest", p.decisions)
			}
		})
	}
}

// Where a graph says so, what a node does not give back is silence: from one that keeps a frame to
// itself as from one that has failed.
func TestUnansweredFrameIsSilence(t *testing.T) {
	for _, c := range []struct {
		name   string
		silent bool
		levels []int16
	}{{"pass", false, []int16{0, 2500, 5000, 0}}, {"silence", true, []int16{0, 2500, 0}}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig("sound")
			heard := withSound(t, r, map[string]node.Kind{"some": soundNode("some", false, func(ctx *node.Context, ev *node.Event) error {
				if ev.Sample >= 16000 { // a second
					return errors.New("of a test")
				}
				return halved(ctx, ev)
			})}, "some")
			if c.silent {
				r.settings.Graph.Silences = []eventabi.NodeID{"some"}
			}
			virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
			if got := heard.levels(); !slices.Equal(got, c.levels) || r.log.count("detour node=some") != 1 {
				t.Errorf("the recogniser heard levels %d, want %d\n%s", got, c.levels, r.log)
			}
		})
	}
}

// What is no frame that the node has is not heard: one of another length, of another place, or of
// another type. The frame goes on as it came, and nothing behind it moves.
func TestMisfitsInSoundAreNotHeard(t *testing.T) {
	r := newRig("sound")
	heard := withSound(t, r, map[string]node.Kind{"odd": soundNode("odd", false, func(ctx *node.Context, ev *node.Event) error {
		ctx.Emit(&node.Event{Type: node.TypeTranscript, Sample: ev.Sample, Text: "no sound"})
		ctx.Emit(&node.Event{Type: node.TypeAudioChunk, Sample: ev.Sample + 7, PCM: ev.PCM})
		ctx.Emit(&node.Event{Type: node.TypeAudioChunk, Sample: ev.Sample, PCM: append([]int16{9}, ev.PCM...)})
		return halved(ctx, ev) // too late: the frame has gone on
	})}, "odd")
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if got := heard.levels(); !slices.Equal(got, []int16{0, 5000, 0}) {
		t.Errorf("the recogniser heard levels %d", got)
	}
	if out := s.graph.sound.ear.Head(); out != s.ring.Head() {
		t.Errorf("%d of %d samples went on", out, s.ring.Head())
	}
}

// A stand-in that fails as well is passed by, and one that cannot be made is like one that failed.
func TestStandInsInSoundFailToo(t *testing.T) {
	r := newRig("sound")
	broken := func(*node.Context, *node.Event) error { return errors.New("of a test") }
	heard := withSound(t, r, map[string]node.Kind{
		"frail": soundNode("frail", false, broken), "other": soundNode("other", false, broken),
		"third": node.KindFunc(func(json.RawMessage) (node.Node, error) { return nil, errors.New("no such thing today") }),
	}, "frail")
	spare(r.settings.Graph, "frail", "other")
	spare(r.settings.Graph, "other", "third")
	virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if got := heard.levels(); !slices.Equal(got, []int16{0, 5000, 0}) || r.log.count("detour") != 3 || r.log.count("emit commit turn=t1") != 1 {
		t.Errorf("the recogniser heard levels %d\n%s", got, r.log)
	}
}

// A node that hangs holds a frame up for its limit and no longer, is told of once a run, and is
// given up when its hook has passed its time; the caller is heard, answered, and can cut in.
func TestHangingNodeInSoundIsPassedBy(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("sound")
		r.stt.Wait, r.llm.Wait, r.tts.Wait = true, true, true
		release := make(chan struct{})
		heard := withSound(t, r, map[string]node.Kind{"stuck": soundNode("stuck", false, func(ctx *node.Context, ev *node.Event) error {
			if ev.Sample >= 8000 { // half a second
				<-release
			}
			return halved(ctx, ev)
		})}, "stuck")
		r.llm.Replies = append(r.llm.Replies, "Well.")
		s := open(t, h, r)
		speak(s, speaking([2]int64{1000, 2000}, [2]int64{4000, 5000}), 9*time.Second)
		close(release)
		s.Close("test_over")
		<-s.Done()
		inOrder(t, r.log, "emit budget_exhausted turn= reason=node_budget", "turn_open turn=t1", "emit barge_in", "emit degrade turn= reason=capability_lost:stuck",
			"detour node=stuck", "turn_open turn=t2")
		if got := heard.levels(); !slices.Equal(got, []int16{0, 5000, 0, 5000, 0}) {
			t.Errorf("the recogniser heard levels %d\n%s", got, r.log)
		}
		if n := r.log.count("emit budget_exhausted", "node_budget"); n != 1 {
			t.Errorf("%d times told of one run\n%s", n, r.log)
		}
	})
}

// The last frames before the caller's sound stops do not wait for a next one, and neither does what
// did not come: whoever listens has all of it when the limit is over.
func TestLastFramesGoOnByThemselves(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("sound")
		release := make(chan struct{})
		withSound(t, r, map[string]node.Kind{"stuck": soundNode("stuck", true, func(*node.Context, *node.Event) error {
			<-release
			return nil
		})}, "stuck")
		s := open(t, h, r)
		speak(s, speaking(), 200*time.Millisecond)
		s.Ingress().Gap(transport.Gap{Missing: 500, Reason: transport.GapLost})
		head := s.ring.Head()
		time.Sleep(60 * time.Millisecond) // the limit is 50
		if got := s.graph.sound.ear.Head(); got != head || head < 3500 {
			t.Errorf("%d of %d samples went on", got, head)
		}
		if heard, _ := s.graph.positions(); heard != head {
			t.Errorf("the endpointer has heard %d of %d", heard, head)
		}
		close(release)
		s.Close("test_over")
		<-s.Done()
	})
}

// A node that is too slow for some frames gets the others, in their order; what it gives too late
// is not heard twice, and no sample is missing or moved.
func TestSlowNodeInSoundKeepsTheOrder(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("sound")
		n := 0
		withSound(t, r, map[string]node.Kind{"slow": soundNode("slow", false, func(ctx *node.Context, ev *node.Event) error {
			if n++; n%5 == 0 {
				time.Sleep(120 * time.Millisecond)
			}
			ctx.Emit(ev)
			return nil
		})}, "slow")
		r.settings.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(loud{}, vad.EndpointerConfig{}) }
		s := open(t, h, r)
		reader := s.graph.sound.ear.Listen(0)
		frame := make([]int16, 320)
		var at int64
		var got []int16
		piece := make([]int16, 4096)
		take := func() {
			for {
				k, _ := reader.Read(piece, -1)
				if k == 0 {
					return
				}
				got = append(got, piece[:k]...)
			}
		}
		for range 200 {
			for i := range frame {
				frame[i] = int16(at % 30000)
				at++
			}
			s.Ingress().Audio(-1, frame)
			time.Sleep(20 * time.Millisecond)
			take()
		}
		time.Sleep(time.Second)
		take()
		if int64(len(got)) != at {
			t.Errorf("%d samples of %d went on", len(got), at)
		}
		for i, v := range got {
			if v != int16(i%30000) {
				t.Fatalf("sample %d is %d", i, v)
			}
		}
		reader.Close()
		s.Close("test_over")
		<-s.Done()
	})
}

// BenchmarkCallerFrame is a caller frame from the transport to the endpointer, on the owner: with
// no node in its way, with one that does nothing, with two, and with the noise gate.
func BenchmarkCallerFrame(b *testing.B) {
	idle := node.KindFunc(func(json.RawMessage) (node.Node, error) {
		return node.Sound(node.Declaration{Type: "still", Package: "test", Inline: true}, func(*node.Context, []int16) error { return nil }), nil
	})
	kinds := map[string]node.Kind{"one": idle, "two": idle, "gate": noisegate.Kind()}
	for _, chain := range [][]string{nil, {"one"}, {"one", "two"}, {"gate"}} {
		b.Run(strings.Join(append([]string{"nodes"}, chain...), "_"), func(b *testing.B) {
			s := newStill()
			r := newRig("s1")
			if chain != nil {
				withSound(b, r, kinds, chain...)
			}
			r.settings.Observer = nil
			r.settings.Endpointer = func() (node.Node, error) { return vad.NewEndpointNode(quick{}, vad.EndpointerConfig{}) }
			r.settings.Connect = (&deaf{}).connect
			x := s.open(b, r)
			frame := make([]int16, node.FrameSamples)
			step := func() {
				x.Ingress().Audio(-1, frame)
				s.pass(20 * time.Millisecond)
				for s.pool.Running() > 0 || x.graph.reader.At() < x.ring.Head() {
					runtime.Gosched()
				}
			}
			for range 50 {
				step()
			}
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.StopTimer()
			s.close(b, x)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
)

// withVoice puts nodes between the synthesiser and the speaker, one behind the other.
func withVoice(tb testing.TB, r *rig, kinds map[string]node.Kind, chain ...string) {
	tb.Helper()
	reg := &node.Registry{}
	for name, k := range kinds {
		if err := reg.Register(name, k); err != nil {
			tb.Fatal(err)
		}
	}
	r.settings.Kinds = reg
	g := drawn("", "ear>mind", "mind>cutter", "cutter>mouth")
	g.Definition.Edges = slices.DeleteFunc(g.Definition.Edges, func(e kernelgraph.Edge) bool { return e.To == "speaker" })
	types := []string{string(node.TypeAudioChunk)}
	from := eventabi.NodeID("mouth")
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
	edge(from, "speaker")
	r.settings.Graph = g
	if err := g.Check(reg); err != nil {
		tb.Fatal(err)
	}
}

// plainly is what is heard of the first turn without any node.
func plainly(t *testing.T) []int16 {
	t.Helper()
	r := newRig("voice")
	virtually(t, r, speaking([2]int64{500, 1500}), 30000, nil)
	pcm := r.line.voiced("t1")
	if len(pcm) < 8000 {
		t.Fatalf("%d samples were heard\n%s", len(pcm), r.log)
	}
	return pcm
}

// lowered is sound at a part of its level, as halved makes it.
func lowered(pcm []int16, by int16) []int16 {
	out := slices.Clone(pcm)
	for i := range out {
		for d := by; d > 1; d /= 2 {
			out[i] /= 2
		}
	}
	return out
}

// What a node gives is what is heard of the agent, at its place, whether the node lives in the
// process, in another or in a sandbox; and the decisions are those of a call without it, which a
// replay comes to without any node.
func TestVoiceGoesThroughNodes(t *testing.T) {
	plain := plainly(t)
	soft := soundNode("soft", false, halved)
	for name, c := range map[string]struct {
		kinds map[string]node.Kind
		chain []string
		want  []int16
	}{
		"one":      {map[string]node.Kind{"soft": soft}, []string{"soft"}, lowered(plain, 2)},
		"two":      {map[string]node.Kind{"soft": soft, "softer": soundNode("softer", true, halved)}, []string{"soft", "softer"}, lowered(plain, 4)},
		"external": {map[string]node.Kind{"x": outside(t, "soft")}, []string{"x"}, lowered(plain, 2)},
		"wasm":     {map[string]node.Kind{"x": sandboxed(t)}, []string{"x"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig("voice")
			withVoice(t, r, c.kinds, c.chain...)
			p := &parrot{machine: session.New(), t: t}
			r.settings.Recorder = p
			s := virtually(t, r, speaking([2]int64{500, 1500}), 30000, nil)
			got := r.line.voiced("t1")
			if c.want != nil && !slices.Equal(got, c.want) || len(got) != len(plain) {
				t.Errorf("%d samples were heard, of %d, or others than wanted\n%s", len(got), len(plain), r.log)
			}
			if st := s.Stats(); st.NodeFailures != 0 || r.log.count("node_spent") != 0 || r.log.count("emit commit turn=t1") != 1 {
				t.Errorf("%+v\n%s", st, r.log)
			}
			if p.digest.Sum() != s.Stats().Digest {
				t.Errorf("the replay of %d decisions has another digest", p.decisions)
			}
		})
	}
}

// A node that fails costs itself: its branch stands in for it, or the sound goes on as it came, or as
// silence where the graph says so. The turn is not touched.
func TestFailedNodeInVoiceCostsItself(t *testing.T) {
	plain := plainly(t)
	const whole = 1600 // samples until it fails
	for _, c := range []struct {
		name, told    string
		spare, silent bool
		event         func(ctx *node.Context, ev *node.Event) error
		rest          []int16
	}{
		{"panic", "emit degrade turn= reason=capability_lost:frail", false, false, func(*node.Context, *node.Event) error { panic("of a test") }, plain},
		{"branch", "emit fallback turn= reason=node_failed:frail", true, false, func(*node.Context, *node.Event) error { return errors.New("of a test") }, lowered(plain, 4)},
		{"silence", "emit degrade turn= reason=capability_lost:frail", false, true, func(*node.Context, *node.Event) error { return errors.New("of a test") }, make([]int16, len(plain))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig("voice")
			quarter := func(ctx *node.Context, ev *node.Event) error {
				out := *ev
				out.PCM = lowered(ev.PCM, 4)
				ctx.Emit(&out)
				return nil
			}
			withVoice(t, r, map[string]node.Kind{
				"frail": soundNode("frail", false, func(ctx *node.Context, ev *node.Event) error {
					if ev.Sample >= whole {
						return c.event(ctx, ev)
					}
					return halved(ctx, ev)
				}),
				"other": soundNode("other", false, quarter),
			}, "frail")
			if c.spare {
				spare(r.settings.Graph, "frail", "other")
			}
			if c.silent {
				r.settings.Graph.Silences = []eventabi.NodeID{"frail"}
			}
			p := &parrot{machine: session.New(), t: t}
			r.settings.Recorder = p
			s := virtually(t, r, speaking([2]int64{500, 1500}), 30000, nil)
			got := r.line.voiced("t1")
			if len(got) != len(plain) || !slices.Equal(got[:whole], lowered(plain, 2)[:whole]) || !slices.Equal(got[len(got)/2:], c.rest[len(got)/2:]) {
				t.Errorf("%d of %d samples, or others than wanted\n%s", len(got), len(plain), r.log)
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

// What is no frame that the node has is not heard, and one that it keeps back is not waited for: the
// frame goes on as it came.
func TestMisfitsInVoiceAreNotHeard(t *testing.T) {
	plain := plainly(t)
	r := newRig("voice")
	withVoice(t, r, map[string]node.Kind{"odd": soundNode("odd", false, func(ctx *node.Context, ev *node.Event) error {
		ctx.Emit(&node.Event{Type: node.TypeTranscript, Sample: ev.Sample, Text: "no sound"})
		ctx.Emit(&node.Event{Type: node.TypeAudioChunk, Sample: ev.Sample + 7, PCM: lowered(ev.PCM, 2)})
		ctx.Emit(&node.Event{Type: node.TypeAudioChunk, Sample: ev.Sample, PCM: append([]int16{9}, ev.PCM...)})
		return nil
	})}, "odd")
	virtually(t, r, speaking([2]int64{500, 1500}), 30000, nil)
	if got := r.line.voiced("t1"); !slices.Equal(got, plain) || r.log.count("emit commit turn=t1") != 1 {
		t.Errorf("%d samples, of %d\n%s", len(got), len(plain), r.log)
	}
}

// A node that answers when its hook has returned is waited for, within its limit.
func TestVoiceWaitsForLaterAnswers(t *testing.T) {
	plain := plainly(t)
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("voice")
		r.stt.Wait, r.llm.Wait, r.tts.Wait = true, true, true
		withVoice(t, r, map[string]node.Kind{"later": soundNode("later", false, func(ctx *node.Context, ev *node.Event) error {
			out := *ev
			out.PCM = lowered(ev.PCM, 2)
			answer := ctx.Later()
			go func() {
				time.Sleep(time.Millisecond)
				ctx.Emit(&out)
				answer()
			}()
			return nil
		})}, "later")
		s := open(t, h, r)
		speak(s, speaking([2]int64{500, 1500}), 12*time.Second)
		s.Close("test_over")
		<-s.Done()
		got := r.line.voiced("t1")
		if len(got) < 8000 || !slices.Equal(got, lowered(plain, 2)[:len(got)]) {
			t.Errorf("%d samples, or others than wanted\n%s", len(got), r.log)
		}
	})
}

// A node that hangs holds a chunk up for its limit and no longer, and is told of once a run. The agent
// goes on being heard, the caller can cut in, and the nodes hear of that; the one that cannot is given
// up then.
func TestHangingNodeInVoiceIsPassedBy(t *testing.T) {
	hosted(t, func(t *testing.T, h *Host) {
		r := newRig("voice")
		r.stt.Wait, r.llm.Wait, r.tts.Wait = true, true, true
		release := make(chan struct{})
		var cut atomic.Int64
		withVoice(t, r, map[string]node.Kind{
			"stuck": soundNode("stuck", false, func(ctx *node.Context, ev *node.Event) error {
				if ev.Sample >= 3200 { // 200 ms
					<-release
				}
				return halved(ctx, ev)
			}),
			"told": toldOfBargeIn(&cut),
		}, "stuck", "told")
		s := open(t, h, r)
		speak(s, speaking([2]int64{500, 1500}, [2]int64{4500, 5500}), 12*time.Second)
		close(release)
		s.Close("test_over")
		<-s.Done()
		inOrder(t, r.log, "turn_open turn=t1", "emit budget_exhausted turn= reason=node_budget", "emit barge_in", "emit degrade turn= reason=capability_lost:stuck", "turn_open turn=t2")
		if r.log.count("emit budget_exhausted", "node_budget") != 1 || r.log.count("detour node=stuck") != 1 || cut.Load() != 1 {
			t.Errorf("%d times told of the barge-in\n%s", cut.Load(), r.log)
		}
		if n := s.Stats().FramesAfterFence; n != 0 {
			t.Errorf("%d frames after a fence", n)
		}
		if got := r.line.voiced("t1"); len(got) < 16000 {
			t.Errorf("%d samples of the first turn were heard\n%s", len(got), r.log)
		}
	})
}

// toldOfBargeIn is a node in the sound that counts how often the caller cuts in.
func toldOfBargeIn(n *atomic.Int64) node.Kind {
	return node.KindFunc(func(json.RawMessage) (node.Node, error) {
		types := []node.Type{node.TypeAudioChunk}
		about := node.Declaration{Type: "told", Package: "test", Inputs: types, Outputs: types, Scope: node.ScopeSession}.WithDefaults()
		return &countsBargeIns{Func: node.Func{About: about, Event: func(ctx *node.Context, ev *node.Event) error {
			ctx.Emit(ev)
			return nil
		}}, n: n}, nil
	})
}

type countsBargeIns struct {
	node.Func
	n *atomic.Int64
}

func (c *countsBargeIns) OnBargeIn(*node.Context) error {
	c.n.Add(1)
	return nil
}

// A process that dies in the middle of a reply takes its node with it, and the reply goes on.
func TestProcessInVoiceDies(t *testing.T) {
	h, err := New(Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig("voice")
	withVoice(t, r, map[string]node.Kind{"mortal": outside(t, "mortal")}, "mortal")
	s := open(t, h, r)
	c := speaking([2]int64{500, 1500})
	for end := time.Now().Add(time.Minute); r.log.count("emit commit turn=t1") == 0 || r.log.count("emit degrade", "capability_lost:mortal") == 0 || len(r.line.voiced("t1")) < 8000; {
		if time.Now().After(end) {
			t.Fatalf("not within a minute\n%s", r.log)
		}
		s.Ingress().Audio(-1, c.next())
		time.Sleep(20 * time.Millisecond)
	}
	s.Close("test_over")
	<-s.Done()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
}

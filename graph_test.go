// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider/providertest"
)

// filter is a kind of node that puts a mild word in place of a rude one.
func filter(config json.RawMessage) (node.Node, error) {
	var c struct{ Rude, Mild string }
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	types := []node.Type{node.TypeTranscript, node.TypeSegment}
	return &node.Func{
		About: node.Declaration{
			Type: "profanity_filter", Package: "test", Version: "v1", Inputs: types, Outputs: types,
			Streaming: node.StreamFinal, Scope: node.ScopeTurn, Class: node.Preemptible,
		},
		Event: func(ctx *node.Context, ev *node.Event) error {
			out := *ev
			out.Text = strings.ReplaceAll(ev.Text, c.Rude, c.Mild)
			out.Attributes = append(out.Attributes, node.Attribute{Name: "cleaned", Value: fmt.Sprint(out.Text != ev.Text)})
			ctx.Emit(&out)
			return nil
		},
	}, nil
}

func filters(t *testing.T) *node.Registry {
	t.Helper()
	r := &node.Registry{}
	if err := r.Register("profanity_filter", node.KindFunc(filter)); err != nil {
		t.Fatal(err)
	}
	return r
}

// filtered is a graph: what the caller says passes the filter, and whoever was rude is answered
// by the stern model; what the models say passes the filter as well.
func filtered(stern *providertest.FakeLLM, mild string) *parley.Graph {
	types := []string{"transcript", "segment"}
	config := json.RawMessage(`{"rude":"damn","mild":"` + mild + `"}`)
	g := &parley.Graph{
		Configs: map[eventabi.NodeID]json.RawMessage{"ears": config, "tongue": config},
		Models:  map[eventabi.NodeID]parley.ModelBinding{"stern": {LLM: stern}},
	}
	for _, n := range []parley.GraphNode{
		{ID: "stt", Type: "stt", Role: "recogniser"},
		{ID: "ears", Type: "profanity_filter", Role: "work", Inputs: types, Outputs: types},
		{ID: "by_tone", Type: "select", Role: "select"},
		{ID: "stern", Type: "llm", Role: "model"},
		{ID: "friendly", Type: "llm", Role: "model"},
		{ID: "segmenter", Type: "segmenter", Role: "segmenter"},
		{ID: "tongue", Type: "profanity_filter", Role: "work", Inputs: types, Outputs: types},
		{ID: "tts", Type: "tts", Role: "synthesiser"},
	} {
		n.Scope = "turn"
		g.Definition.Nodes = append(g.Definition.Nodes, n)
	}
	for i, e := range [][2]eventabi.NodeID{
		{"stt", "ears"}, {"ears", "by_tone"}, {"by_tone", "stern"}, {"by_tone", "friendly"}, {"stern", "segmenter"}, {"friendly", "segmenter"},
		{"segmenter", "tongue"}, {"tongue", "tts"},
	} {
		edge := parley.GraphEdge{ID: eventabi.EdgeID(e[0] + "-" + e[1]), From: e[0], To: e[1], Rank: int64(i)}
		if e[1] == "stern" {
			edge.When = []parley.GraphTest{{Attribute: "cleaned", Op: "==", Value: "true"}}
		}
		g.Definition.Edges = append(g.Definition.Edges, edge)
	}
	return g
}

// A program's own graph holds a conversation: a filter of its own on both ways, a select over
// two models. Its recording replays, decision for decision.
func TestGraph(t *testing.T) {
	c := config()
	c.LLM = &providertest.FakeLLM{Replies: []string{"It is a damn fine day."}}
	c.Nodes = filters(t)
	stern := &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "stern"}, Replies: []string{"Mind your words."}}
	c.Graph = filtered(stern, "very")
	v, err := parley.NewVirtual(c, time.UnixMilli(1_790_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r")
	caller := &typist{}
	s, err := v.Start(t.Context(), parley.Call{ID: "s1", Transport: caller, TextKey: 1, Record: dir})
	if err != nil {
		t.Fatal(err)
	}
	said := []string{"hello there", "where is my damn parcel"}
	v.Every(15*time.Second, func() bool {
		if len(said) == 0 {
			s.Close("test_over")
			return false
		}
		caller.in.Text(said[0], eventabi.IdempotencyKey(said[0]))
		said = said[1:]
		return true
	})
	if err := v.Run(t.Context(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	talk := s.Conversation()
	if got := talk.HeardText("t1"); got != "It is a very fine day." {
		t.Errorf("heard %q", got)
	}
	if got := talk.HeardText("t2"); got != "Mind your words." {
		t.Errorf("the rude one heard %q", got)
	}
	if all := talk.Utterances(); len(all) != 4 || all[2].Text != "where is my very parcel" {
		t.Errorf("the conversation is %+v", all)
	}
	report, err := replay.Run(dir, time.Now)
	if err != nil || report.Divergence != nil || report.Decisions == 0 {
		t.Errorf("the recording does not replay: %v %+v", err, report.Divergence)
	}
}

// F-015, F-016: calls that are pinned to different versions of a pipeline go on side by side,
// many of each. Nothing of one is seen in another: no plan, no word, no decision.
func TestGraphVersionsSideBySide(t *testing.T) {
	c := config()
	c.LLM = &providertest.FakeLLM{Replies: []string{"A damn fine day."}}
	c.Nodes = filters(t)
	stern := &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "stern"}, Replies: []string{"Damn words are damn."}}
	versions := []struct {
		name, mild string
		graph      *parley.Graph
	}{{"v1", "very", filtered(stern, "very")}, {"v2", "quite", filtered(stern, "quite")}, {"v3", "damn", nil}}
	v, err := parley.NewVirtual(c, time.UnixMilli(1_790_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	const calls = 1000
	type call struct {
		version int
		caller  *typist
		session *parley.Session
	}
	var all []*call
	for i := range calls {
		x := &call{version: i % len(versions), caller: &typist{}}
		all = append(all, x)
		id := fmt.Sprintf("s%d", i)
		x.session, err = v.Start(t.Context(), parley.Call{
			ID: id, Transport: x.caller, TextKey: uint64(i + 1), Pipeline: versions[x.version].name, Graph: versions[x.version].graph,
			Observe: func(n *parley.Notice) {
				emit, ok := n.Record.(*session.Emit)
				if !ok {
					return
				}
				e := &emit.Envelope
				if string(e.SessionID) != id || string(e.PipelineVersion) != versions[x.version].name {
					t.Errorf("%s of %s observes a signal of %s, %s", id, versions[x.version].name, e.SessionID, e.PipelineVersion)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		x.caller.in.Text(fmt.Sprintf("call %d", i), "k")
	}
	v.Every(20*time.Second, func() bool {
		for _, x := range all {
			x.session.Close("test_over")
		}
		return false
	})
	if err := v.Run(t.Context(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	for i, x := range all {
		want := "A " + versions[x.version].mild + " fine day."
		if got := x.session.Conversation().HeardText("t1"); got != want {
			t.Fatalf("call %d of %s heard %q, not %q", i, versions[x.version].name, got, want)
		}
		talk := x.session.Conversation().Utterances()
		if len(talk) != 2 || talk[0].Text != fmt.Sprintf("call %d", i) {
			t.Fatalf("call %d has the conversation %+v", i, talk)
		}
	}
}

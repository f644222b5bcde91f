// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

// textNode is a work node of a graph that makes texts of texts.
func textNode(name string, event func(ctx *node.Context, ev *node.Event) error) node.Kind {
	types := []node.Type{node.TypeTranscript, node.TypeSegment}
	return node.KindFunc(func(json.RawMessage) (node.Node, error) {
		return &node.Func{About: node.Declaration{
			Type: name, Package: "test", Version: "v1", Inputs: types, Outputs: types, Streaming: node.StreamFinal,
			Scope: node.ScopeTurn, Class: node.Preemptible,
		}, Event: event}, nil
	})
}

// give passes an event on with another text.
func give(ctx *node.Context, ev *node.Event, text string) error {
	out := *ev
	out.Text = text
	ctx.Emit(&out)
	return nil
}

func registry(t *testing.T, list map[string]func(ctx *node.Context, ev *node.Event) error) *node.Registry {
	t.Helper()
	r := &node.Registry{}
	for name, event := range list {
		if err := r.Register(name, textNode(name, event)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// drawn is a graph from one line for each edge, "from>to", over the nodes of the voice graph and
// some more: "id" of the work node of that type, or "id=role".
func drawn(nodes string, edges ...string) *Graph {
	g := &Graph{}
	types := []string{string(node.TypeTranscript), string(node.TypeSegment)}
	for _, f := range strings.Fields("caller=caller speaker=speaker ear=recogniser mind=model cutter=segmenter mouth=synthesiser " + nodes) {
		id, role, special := strings.Cut(f, "=")
		n := kernelgraph.Node{ID: eventabi.NodeID(id), Type: id, Role: kernelgraph.Role(role), Scope: kernelgraph.ScopeTurn}
		if !special {
			n.Role, n.Inputs, n.Outputs = kernelgraph.RoleWork, types, types
		}
		g.Definition.Nodes = append(g.Definition.Nodes, n)
	}
	for _, e := range append([]string{"caller>ear", "mouth>speaker"}, edges...) {
		from, to, _ := strings.Cut(e, ">")
		g.Definition.Edges = append(g.Definition.Edges, kernelgraph.Edge{
			ID: eventabi.EdgeID(from + "-" + to), From: eventabi.NodeID(from), To: eventabi.NodeID(to),
		})
	}
	return g
}

// heedful is a model that remembers what it was asked.
type heedful struct {
	*providertest.FakeLLM
	mu      sync.Mutex
	prompts []provider.Prompt
}

func (a *heedful) Generate(ctx context.Context, c provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
	a.mu.Lock()
	a.prompts = append(a.prompts, p)
	a.mu.Unlock()
	return a.FakeLLM.Generate(ctx, c, p, sink)
}

func (a *heedful) all() []provider.Prompt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.prompts
}

// spoke is a synthesiser that remembers what it said.
type spoke struct {
	*providertest.FakeTTS
	mu   sync.Mutex
	said []provider.Speech
}

func (s *spoke) Synthesize(ctx context.Context, c provider.Call, speech provider.Speech, sink provider.Sink) provider.Outcome {
	s.mu.Lock()
	s.said = append(s.said, speech)
	s.mu.Unlock()
	return s.FakeTTS.Synthesize(ctx, c, speech, sink)
}

func (s *spoke) all() []provider.Speech {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

// The caller's words and the reply pass through nodes: what they make of them is what the model
// is asked, what is spoken and what the conversation keeps.
func TestGraphNodesChangeWordsAndReply(t *testing.T) {
	r := newRig("graph")
	mind := &heedful{FakeLLM: r.llm}
	r.settings.Providers.LLM = mind
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{
		"polite": func(ctx *node.Context, ev *node.Event) error { return give(ctx, ev, ev.Text+" please") },
		"loudly": func(ctx *node.Context, ev *node.Event) error {
			if strings.Contains(ev.Text, "keeper") {
				return nil
			}
			return give(ctx, ev, strings.ToUpper(ev.Text))
		},
	})
	r.settings.Graph = drawn("polite loudly", "ear>polite", "polite>mind", "mind>cutter", "cutter>loudly", "loudly>mouth")
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	talk := s.Conversation().Utterances()
	if len(talk) != 2 || talk[0].Text != "tell me a story please" || talk[1].Generated != "ONCE UPON A TIME THERE WAS A LIGHTHOUSE. " {
		t.Errorf("the conversation is %+v\n%s", talk, r.log)
	}
	prompts := mind.all()
	if len(prompts) != 1 || prompts[0].Messages[1].Text != "tell me a story please" {
		t.Errorf("the model was asked %+v", prompts)
	}
	if n := r.log.count("emit commit turn=t1"); n != 1 {
		t.Errorf("%d commits\n%s", n, r.log)
	}
}

// Models of a graph have bindings of their own: provider, system prompt. A select takes the one
// that fits the words.
func TestGraphModelsHaveTheirOwnBindings(t *testing.T) {
	r := newRig("graph")
	mind, mouth := &heedful{FakeLLM: r.llm}, &spoke{FakeTTS: r.tts}
	r.settings.Providers.LLM, r.settings.Providers.TTS = mind, mouth
	german := &heedful{FakeLLM: &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "geist"}, Replies: []string{"Es war einmal."}}}
	bass := &spoke{FakeTTS: &providertest.FakeTTS{Behaviour: providertest.Behaviour{ID: "bass"}}}
	r.settings.Language = "de"
	r.settings.Graph = drawn("geist=model low=synthesiser gate=select", "ear>gate", "gate>geist", "gate>mind", "geist>cutter", "mind>cutter", "cutter>low", "low>speaker")
	r.settings.Graph.Definition.Edges[3].When = []kernelgraph.Test{{Attribute: "language", Op: kernelgraph.OpEqual, Value: "de"}}
	r.settings.Graph.Models = map[eventabi.NodeID]ModelBinding{"geist": {LLM: german, SystemPrompt: "Sprich Deutsch."}}
	r.settings.Graph.Voices = map[eventabi.NodeID]VoiceBinding{"low": {TTS: bass, Voice: "deep"}}
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if len(mind.all()) != 0 || len(german.all()) != 1 || german.all()[0].Messages[0].Text != "Sprich Deutsch." {
		t.Errorf("asked %d and %d times: %+v\n%s", len(mind.all()), len(german.all()), german.all(), r.log)
	}
	if said := bass.all(); len(said) != 1 || said[0].Voice != "deep" || len(mouth.all()) != 0 {
		t.Errorf("said %+v", said)
	}
	if got := s.Conversation().HeardText("t1"); got != "Es war einmal." {
		t.Errorf("heard %q\n%s", got, r.log)
	}
}

// A node that panics has its branch; one that fails without a branch ends the turn, and the
// responder apologises. Words that came through no node are shown to no model.
func TestGraphNodeFailures(t *testing.T) {
	r := newRig("graph")
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{
		"fragile": func(_ *node.Context, ev *node.Event) error {
			if ev.Type == node.TypeSegment {
				panic("of a test")
			}
			return nil
		},
		"spare":  func(ctx *node.Context, ev *node.Event) error { return give(ctx, ev, "Spare.") },
		"broken": func(_ *node.Context, ev *node.Event) error { return errors.New("of a test") },
	})
	r.settings.Graph = drawn("fragile spare", "ear>mind", "mind>cutter", "cutter>fragile", "fragile>mouth", "spare>mouth")
	for i := range r.settings.Graph.Definition.Nodes {
		if n := &r.settings.Graph.Definition.Nodes[i]; n.ID == "spare" {
			n.FallbackOf, n.FallbackOn = "fragile", []kernelgraph.Trigger{kernelgraph.OnError}
		}
	}
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if got := s.Conversation().ReplyText("t1"); got != "Spare.Spare." || s.Stats().NodeFailures != 1 {
		t.Errorf("said %q with %d failures\n%s", got, s.Stats().NodeFailures, r.log)
	}

	r = newRig("graph")
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{
		"broken": func(*node.Context, *node.Event) error { return errors.New("of a test") },
	})
	r.settings.Graph = drawn("broken sorry=responder letters=dead_letter", "ear>broken", "broken>mind", "mind>cutter", "cutter>mouth")
	for i := range r.settings.Graph.Definition.Nodes {
		if n := &r.settings.Graph.Definition.Nodes[i]; n.ID == "letters" {
			n.Type = builtinDeadLetter
		}
	}
	r.settings.Graph.Lines = map[eventabi.NodeID]string{"sorry": "Sorry, something went wrong."}
	s = virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if r.log.count("emit abort turn=t1 reason=node_timeout_or_failure") != 1 || r.log.count("emit commit turn=t2") != 1 {
		t.Errorf("the turns end otherwise\n%s", r.log)
	}
	if got := s.Conversation().HeardText("t2"); got != "Sorry, something went wrong." || s.Stats().Kernel.DeadLetters != 1 {
		t.Errorf("heard %q, %d dead letters\n%s", got, s.Stats().Kernel.DeadLetters, r.log)
	}
	for _, m := range s.Conversation().Prompt() {
		if m.Role == string(session.ItemUser) {
			t.Errorf("a model would be shown %q", m.Text)
		}
	}
}

// later is a node that answers when its hook has returned.
func later(ctx *node.Context, ev *node.Event) error {
	text, kind, done := ev.Text, ev.Type, ctx.Later()
	index := ev.Index
	go func() {
		defer done()
		time.Sleep(2 * time.Millisecond)
		for _, part := range []string{strings.ToUpper(text), "And so on. "} {
			ctx.Emit(&node.Event{Kind: eventabi.KindText, Type: kind, Class: eventabi.ClassTextRaw, Index: index, Text: part})
		}
	}()
	return nil
}

// A node may answer when its hook has returned: what it gives until it is done is of the item
// that it was handed. In virtual time nothing else happens meanwhile.
func TestGraphNodeAnswersLater(t *testing.T) {
	r := newRig("graph")
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{"slow": later})
	r.settings.Graph = drawn("slow", "ear>mind", "mind>cutter", "cutter>slow", "slow>mouth")
	s := virtually(t, r, speaking([2]int64{500, 1500}), 9000, nil)
	if got := s.Conversation().ReplyText("t1"); !strings.HasPrefix(got, "ONCE UPON A TIME THERE WAS A LIGHTHOUSE. And so on. ") || !strings.HasSuffix(got, "And so on. ") {
		t.Errorf("said %q\n%s", got, r.log)
	}
	if n := r.log.count("refused"); n != 0 {
		t.Errorf("%d refusals\n%s", n, r.log)
	}
}

// With real goroutines as well; and one that is never done is taken for one that hangs.
func TestGraphNodeIsNeverDone(t *testing.T) {
	r := newRig("graph")
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{
		"slow":  later,
		"never": func(ctx *node.Context, _ *node.Event) error { ctx.Later(); return nil },
		"spare": func(ctx *node.Context, ev *node.Event) error { return give(ctx, ev, ev.Text) },
	})
	r.settings.Graph = drawn("slow never spare", "ear>never", "never>mind", "spare>mind", "mind>cutter", "cutter>slow", "slow>mouth")
	for i := range r.settings.Graph.Definition.Nodes {
		switch n := &r.settings.Graph.Definition.Nodes[i]; n.ID {
		case "never":
			n.BudgetMS = 20000
		case "spare":
			n.FallbackOf, n.FallbackOn = "never", []kernelgraph.Trigger{kernelgraph.OnTimeout}
		}
	}
	r.settings.Limits = node.Limits{EventHard: 2 * time.Second}
	r.settings.Bootstrap.Settings.TurnBudgetMS = 30000
	h, err := New(Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	s.Ingress().Text("hello", "")
	for deadline := time.Now().Add(60 * time.Second); r.log.count("emit commit turn=t1") == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the turn does not end\n%s", r.log)
		}
	}
	if r.log.count("emit fallback turn=t1 reason=node_budget:never") != 1 {
		t.Errorf("the branch is not told\n%s", r.log)
	}
	if got := s.Conversation().ReplyText("t1"); !strings.Contains(got, "And so on. ") {
		t.Errorf("said %q\n%s", got, r.log)
	}
	s.Close("test_over")
	<-s.Done()
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Real goroutines: a node that hangs is left behind when its budget is over, its branch goes on,
// and nothing of it outlives the session.
func TestGraphNodeHangs(t *testing.T) {
	r := newRig("graph")
	free := make(chan struct{})
	r.settings.Kinds = registry(t, map[string]func(*node.Context, *node.Event) error{
		"stuck": func(*node.Context, *node.Event) error { <-free; return nil },
		"spare": func(ctx *node.Context, ev *node.Event) error { return give(ctx, ev, ev.Text) },
	})
	r.settings.Graph = drawn("stuck spare", "ear>stuck", "stuck>mind", "spare>mind", "mind>cutter", "cutter>mouth")
	for i := range r.settings.Graph.Definition.Nodes {
		switch n := &r.settings.Graph.Definition.Nodes[i]; n.ID {
		case "stuck":
			n.BudgetMS = 50
		case "spare":
			n.FallbackOf, n.FallbackOn = "stuck", []kernelgraph.Trigger{kernelgraph.OnBudget}
		}
	}
	r.settings.Bootstrap.Settings.TurnBudgetMS = 30000
	h, err := New(Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Open(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	s.Ingress().Text("hello", "")
	for deadline := time.Now().Add(60 * time.Second); r.log.count("emit commit turn=t1") == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the turn does not end\n%s", r.log)
		}
	}
	if r.log.count("emit fallback turn=t1 reason=node_budget:stuck") != 1 {
		t.Errorf("the branch is not told\n%s", r.log)
	}
	close(free)
	s.Close("test_over")
	<-s.Done()
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What keeps a graph from being run is told at once, with field, value and remedy.
func TestGraphCheck(t *testing.T) {
	g := drawn("nobody sorry=responder", "ear>mind", "mind>nobody", "cutter>mouth")
	g.Models = map[eventabi.NodeID]ModelBinding{"mind": {LLM: &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: ""}}}}
	err := g.Check(&node.Registry{})
	for _, part := range []string{"nodes.nobody.node_type", "nodes.sorry.line"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in\n%v", part, err)
		}
	}
	if err := drawn("", "ear>mind", "mind>cutter", "cutter>mouth").Check(nil); err != nil {
		t.Errorf("the voice graph itself: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/examples/callsummariser"
	"github.com/parley-voice/parley/examples/gain"
	"github.com/parley-voice/parley/examples/languagerouter"
	"github.com/parley-voice/parley/examples/profanityfilter"
	"github.com/parley-voice/parley/examples/shout"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/compliance"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/provider/scripted"
)

// joined adds nodes to a graph, and a chain of edges for each line "a > b > c".
func joined(g *parley.Graph, chains ...string) {
	for _, chain := range chains {
		ids := strings.Split(chain, " > ")
		for i, to := range ids[1:] {
			g.Definition.Edges = append(g.Definition.Edges, parley.GraphEdge{
				ID: eventabi.EdgeID(ids[i] + "-" + to), From: eventabi.NodeID(ids[i]), To: eventabi.NodeID(to), Rank: int64(len(g.Definition.Edges)),
			})
		}
	}
}

// built are the nodes of a voice graph that the runtime runs itself.
func built() *parley.Graph {
	g := &parley.Graph{Configs: map[eventabi.NodeID]json.RawMessage{}}
	for _, n := range []parley.GraphNode{
		{ID: "caller", Type: "caller", Role: "caller"},
		{ID: "stt", Type: "stt", Role: "recogniser"},
		{ID: "llm", Type: "llm", Role: "model"},
		{ID: "segmenter", Type: "segmenter", Role: "segmenter"},
		{ID: "tts", Type: "tts", Role: "synthesiser"},
		{ID: "speaker", Type: "speaker", Role: "speaker"},
	} {
		n.Scope = "turn"
		g.Definition.Nodes = append(g.Definition.Nodes, n)
	}
	joined(g, "caller > stt", "tts > speaker")
	return g
}

// work adds a node of a registered type.
func work(g *parley.Graph, id, kind, scope string, inputs, outputs []string) {
	n := parley.GraphNode{ID: eventabi.NodeID(id), Type: kind, Role: "work", Inputs: inputs, Outputs: outputs}
	n.Scope = "turn"
	if scope != "" {
		n.Scope = "session"
	}
	g.Definition.Nodes = append(g.Definition.Nodes, n)
}

// texted has a caller type, a text every ten seconds, and gives the session behind the call.
func texted(t *testing.T, c parley.Config, texts ...string) *parley.Session {
	t.Helper()
	v, err := parley.NewVirtual(c, time.UnixMilli(1_790_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	caller := &typist{}
	s, err := v.Start(t.Context(), parley.Call{ID: "s1", Transport: caller, TextKey: 1})
	if err != nil {
		t.Fatal(err)
	}
	v.Every(10*time.Second, func() bool {
		if len(texts) == 0 {
			s.Close("test_over")
			return false
		}
		caller.in.Text(texts[0], eventabi.IdempotencyKey(texts[0]))
		texts = texts[1:]
		return true
	})
	if err := v.Run(t.Context(), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	return s
}

// The nodes of examples and of the runtime in one graph: the caller's language chooses the model,
// what it says passes three filters and is said softer, and somebody beside the turns takes notes.
func TestExamplesInOneGraph(t *testing.T) {
	var notes bytes.Buffer
	r := &node.Registry{}
	for name, kind := range map[string]node.Kind{
		shoutType: shout.Kind(), profanityfilter.Type: profanityfilter.Kind(), languagerouter.Type: languagerouter.Kind(),
		callsummariser.Type: callsummariser.Kind(slog.New(slog.NewTextHandler(&notes, nil))), compliance.Type: compliance.Kind(),
		"gain": gain.Kind(),
	} {
		if err := r.Register(name, kind); err != nil {
			t.Fatal(err)
		}
	}
	words, texts := []string{"transcript"}, []string{"transcript", "segment"}
	all := []string{"transcript", "segment", "text_end"}
	g := built()
	g.Configs["rules"] = json.RawMessage(`{"rules":[{"name":"w","words":["secret"],"action":"mask"}]}`)
	g.Models = map[eventabi.NodeID]parley.ModelBinding{
		"german": {LLM: &providertest.FakeLLM{Behaviour: providertest.Behaviour{ID: "german"}, Replies: []string{"Guten Tag, damn secret."}}},
	}
	g.Definition.Nodes = append(g.Definition.Nodes,
		parley.GraphNode{ID: "by_language", Type: "select", Role: "select", Scope: "turn"},
		parley.GraphNode{ID: "german", Type: "llm", Role: "model", Scope: "turn"})
	work(g, "router", languagerouter.Type, "", words, words)
	work(g, "clean", profanityfilter.Type, "", texts, texts)
	work(g, "rules", compliance.Type, "", all, all)
	work(g, "loud", shoutType, "", texts, texts)
	work(g, "notes", callsummariser.Type, "session", texts, nil)
	work(g, "softer", "gain", "session", []string{"audio_chunk"}, []string{"audio_chunk"})
	g.Configs["softer"] = json.RawMessage(`{"db":-6}`)
	g.Definition.Edges = slices.DeleteFunc(g.Definition.Edges, func(e parley.GraphEdge) bool { return e.To == "speaker" })
	joined(g, "stt > router > by_language", "by_language > german > segmenter", "by_language > llm > segmenter",
		"segmenter > clean > rules > loud > tts > softer > speaker", "stt > notes", "segmenter > notes")
	for i := range g.Definition.Edges {
		if e := &g.Definition.Edges[i]; e.ID == "by_language-german" {
			e.When = []parley.GraphTest{{Attribute: "language", Op: "==", Value: "de"}}
		}
	}
	c := config()
	c.LLM = &providertest.FakeLLM{Replies: []string{"Hello there."}}
	c.Graph, c.Nodes = g, r
	s := texted(t, c, "what is the weather", "ich möchte bitte einen Tisch")
	if a, b := s.Conversation().HeardText("t1"), s.Conversation().HeardText("t2"); a != "HELLO THERE! " || b != "GUTEN TAG, BEEP ******! " {
		t.Errorf("heard %q and %q", a, b)
	}
	if st := s.Stats(); st.Faults != 0 || st.Kernel.Commits != 2 {
		t.Errorf("stats %+v", st)
	}
	if !strings.Contains(notes.String(), "user_turns") || !strings.Contains(notes.String(), "weather") {
		t.Errorf("the notes are %q", notes.String())
	}
}

const shoutType = "shout"

// A model that calls a tool in a graph: what it says before and behind the call passes the
// graph's nodes, and it is asked again when that is through.
func TestToolsInAGraph(t *testing.T) {
	r := &node.Registry{}
	if err := r.Register(shoutType, shout.Kind()); err != nil {
		t.Fatal(err)
	}
	g := built()
	work(g, "loud", shoutType, "", []string{"segment"}, []string{"segment"})
	joined(g, "stt > llm > segmenter > loud > tts")
	c := config()
	responder, err := scripted.New(scripted.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.LLM, c.Graph, c.Nodes = responder, g, r
	runs := 0
	c.Tools = []parley.Tool{{
		Name: "get_weather", Description: "The weather of a place.", Parameters: []byte(`{"type":"object","properties":{"text":{"type":"string"}}}`),
		Run: func(context.Context, string) (string, error) { runs++; return "rain", nil },
	}}
	s := texted(t, c, "how is the weather in Paris")
	if heard := s.Conversation().HeardText("t1"); runs != 1 || !strings.Contains(heard, "I AM CALLING THE TOOL GET WEATHER! ") || !strings.HasSuffix(heard, "RAIN! ") {
		t.Errorf("the tool ran %d times, heard %q", runs, heard)
	}
}

// What no node could process comes to a node of the program's own: where and why, and nothing
// of what was said.
func TestDeadLettersGoToANodeOfYourOwn(t *testing.T) {
	var mu sync.Mutex
	var letters []node.Event
	r := filters(t)
	if err := r.Register("letterbox", node.KindFunc(func(json.RawMessage) (node.Node, error) {
		about := node.Declaration{Type: "letterbox", Package: "test", Inputs: []node.Type{"dead_letter"}}
		return &node.Func{About: about.WithDefaults(), Event: func(_ *node.Context, ev *node.Event) error {
			mu.Lock()
			defer mu.Unlock()
			kept := *ev
			kept.Attributes = append([]node.Attribute(nil), ev.Attributes...)
			letters = append(letters, kept)
			return nil
		}}, nil
	})); err != nil {
		t.Fatal(err)
	}
	g := built()
	g.Definition.Nodes = append(g.Definition.Nodes,
		parley.GraphNode{ID: "by_tone", Type: "select", Role: "select", Scope: "turn"},
		parley.GraphNode{ID: "lost", Type: "letterbox", Role: "dead_letter", Scope: "turn", Inputs: []string{"dead_letter"}})
	g.Configs["ears"] = json.RawMessage(`{"rude":"damn","mild":"very"}`)
	work(g, "ears", "profanity_filter", "", []string{"transcript", "segment"}, []string{"transcript", "segment"})
	joined(g, "stt > ears > by_tone > llm > segmenter > tts")
	for i := range g.Definition.Edges {
		if e := &g.Definition.Edges[i]; e.From == "by_tone" {
			e.When = []parley.GraphTest{{Attribute: "cleaned", Op: "==", Value: "false"}}
		}
	}
	c := config()
	c.Graph, c.Nodes = g, r
	s := texted(t, c, "hello there", "where is my damn parcel")
	mu.Lock()
	defer mu.Unlock()
	if len(letters) != 1 || letters[0].Text != "" || letters[0].Attribute("node") != "by_tone" || letters[0].Attribute("reason") != "no_route" {
		t.Errorf("the letters are %+v", letters)
	}
	if n := s.Stats().Kernel.DeadLetters; n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package mcptool_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/provider/scripted"
	"github.com/parley-voice/parley/tool/mcptool"
	"github.com/parley-voice/parley/tool/mcptool/mcptooltest"
	"github.com/parley-voice/parley/transport"
)

// caller is a transport whose caller types and speaks, and who counts what it hears.
type caller struct {
	in transport.Ingress

	mu     sync.Mutex
	frames int
	fences int
}

func (*caller) Kind() transport.Kind                 { return "caller" }
func (*caller) Capabilities() transport.Capabilities { return transport.Capabilities{Text: true} }
func (*caller) Close(string) error                   { return nil }

func (c *caller) Open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	c.in = in
	return c, nil
}

func (c *caller) WriteFrame(*transport.Frame) error {
	c.mu.Lock()
	c.frames++
	c.mu.Unlock()
	return nil
}

func (c *caller) Fence(transport.Fence) {
	c.mu.Lock()
	c.fences++
	c.mu.Unlock()
}

func (c *caller) count() (frames, fences int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames, c.fences
}

// speak says something loud, at the pace of speech, and is quiet again.
func (c *caller) speak(d time.Duration) {
	loudness := int16(5000)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for at := time.Duration(0); at < d+1500*time.Millisecond; at += 20 * time.Millisecond {
		if at >= d {
			loudness = 0
		}
		pcm := make([]int16, node.FrameSamples)
		for i := range pcm {
			pcm[i] = loudness
		}
		<-tick.C
		c.in.Audio(-1, pcm)
	}
}

// loud hears speech where samples are loud.
type loud struct{}

func (loud) Probability(frame *[vad.FrameSamples]int16) float32 {
	if frame[0] > 1000 {
		return 0.9
	}
	return 0.05
}
func (loud) Reset() {}

// run starts a runtime whose model has a server's tools, and a call to it.
func run(t *testing.T, s *mcptool.Server, llm provider.LLM) (*caller, *parley.Session) {
	t.Helper()
	config := parley.Config{
		STT: &providertest.FakeSTT{Utterances: []providertest.Utterance{providertest.Say("wait a moment please", 4000)}},
		LLM: llm, TTS: &providertest.FakeTTS{},
		Endpointer:      func() (node.Node, error) { return vad.NewEndpointNode(loud{}, vad.EndpointerConfig{}) },
		Segmenter:       func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
		ProviderTimeout: patience, TurnBudget: patience, ToolTimeout: patience,
		MoreTools: func() (list []parley.Tool) {
			for _, x := range s.Tools() {
				list = append(list, parley.Tool{
					Name: x.Name, Description: x.Description, Parameters: x.Parameters,
					Run: func(ctx context.Context, arguments string) (string, error) {
						call, _ := parley.ToolCallOf(ctx)
						return x.Call(ctx, call.ID, arguments)
					},
				})
			}
			return list
		},
	}
	r, err := parley.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{}
	call, err := r.Start(t.Context(), parley.Call{Transport: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		call.Close("test_over")
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer stop()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c, call
}

// A conversation in which the model calls a tool of an MCP server, over both ways: the result
// is spoken, and the call came with its key.
func TestConversation(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"stdio", "http"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := mcptooltest.New(t)
			c := mcptool.Config{Command: w.Command}
			if way == "http" {
				c.Command, c.URL = nil, w.StartHTTP(t, "")
			}
			s := connect(t, c)
			w.Open(t)
			responder, err := scripted.New(scripted.Config{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			line, call := run(t, s, responder)
			line.in.Text("please book a table at the desk", "")
			await(t, "the answer is heard", func() bool {
				return strings.Contains(call.Conversation().HeardText("t1"), "The tool desk book table says: the table is booked.")
			})
			var id string
			for _, u := range call.Conversation().Utterances() {
				if u.Tool == "desk_book_table" {
					id = u.Call
				}
			}
			if j := w.Journal(); id == "" || !slices.Contains(j, "book "+id+" please book a table at the desk") {
				t.Errorf("call %q, the server has %q", id, j)
			}
		})
	}
}

// The caller speaks into the answer while the tool runs: the sound stops, the tool goes on, its
// result is in the record once, and the model is told of it.
func TestBargeInWhileAToolRuns(t *testing.T) {
	t.Parallel()
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{Command: w.Command, Timeout: patience})
	var mu sync.Mutex
	var prompts []provider.Prompt
	llm := &providertest.FakeLLM{}
	first := func(p provider.Prompt) bool { return len(p.Messages) == 1 }
	llm.Calls = func(p provider.Prompt) []provider.ToolCall {
		mu.Lock()
		prompts = append(prompts, p)
		mu.Unlock()
		if first(p) {
			return []provider.ToolCall{{Name: "desk_book_table", Arguments: `{"text":"for two"}`}}
		}
		return nil
	}
	llm.Reply = func(p provider.Prompt) string {
		if first(p) {
			return strings.Repeat("I am booking your table now, and that takes a while. ", 20)
		}
		return "As you wish."
	}
	line, call := run(t, s, llm)
	line.in.Text("book a table", "")
	await(t, "the tool runs, and the caller hears", func() bool {
		frames, _ := line.count()
		return frames > 0 && len(w.Journal()) == 2
	})
	line.speak(time.Second)
	await(t, "the interruption is answered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(prompts) == 2
	})
	if _, fences := line.count(); fences == 0 {
		t.Error("the sound was not fenced")
	}
	w.Open(t)
	await(t, "the result is in the record", func() bool {
		for _, u := range call.Conversation().Utterances() {
			if u.Text == "the table is booked" {
				return true
			}
		}
		return false
	})
	await(t, "the second answer is over", func() bool { return call.Stats().Kernel.Commits >= 1 })
	line.in.Text("is it booked", "")
	await(t, "the model is asked a third time", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(prompts) == 3
	})
	mu.Lock()
	defer mu.Unlock()
	told := 0
	for _, m := range prompts[2].Messages {
		if m.Role == provider.RoleToolResult && m.Text == "the table is booked" && !m.Failed {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the model is told %d times: %+v", told, prompts[2].Messages)
	}
	if j := strings.Join(w.Journal(), "\n"); strings.Count(j, "book call_") != 1 || !strings.HasSuffix(j, "\nbooked") {
		t.Errorf("the server has\n%s", j)
	}
}

// The server dies in the middle of a call: the model is told so, the session goes on, and the
// tools are there again later.
func TestServerDiesInAConversation(t *testing.T) {
	t.Parallel()
	w := mcptooltest.New(t)
	s := connect(t, mcptool.Config{Command: w.Command})
	responder, err := scripted.New(scripted.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	line, call := run(t, s, responder)
	line.in.Text("crash the desk", "")
	await(t, "the failure is heard", func() bool {
		return strings.Contains(call.Conversation().HeardText("t1"), "The tool desk crash failed")
	})
	await(t, "it is back", func() bool { return s.Err() == nil && len(w.Journal()) == 2 })
	w.Open(t)
	await(t, "the turn is over", func() bool { return call.Stats().Kernel.Commits == 1 })
	line.in.Text("book a table at the desk", "")
	await(t, "the answer is heard", func() bool {
		return strings.Contains(call.Conversation().HeardText("t2"), "the table is booked")
	})
	if st := call.Stats(); st.Faults != 0 || st.ToolPanics != 0 {
		t.Errorf("stats %+v", st)
	}
}

// SPDX-License-Identifier: Apache-2.0

package parley_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/provider/scripted"
	"github.com/parley-voice/parley/transport"
)

// typist is a transport whose caller types.
type typist struct{ in transport.Ingress }

func (*typist) Kind() transport.Kind                 { return "typist" }
func (*typist) Capabilities() transport.Capabilities { return transport.Capabilities{Text: true} }
func (*typist) WriteFrame(*transport.Frame) error    { return nil }
func (*typist) Fence(transport.Fence)                {}
func (*typist) Close(string) error                   { return nil }

func (c *typist) Open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	c.in = in
	return c, nil
}

// A tool of the program, called by the scripted responder: all of it without a key.
func TestTools(t *testing.T) {
	c := config()
	responder, err := scripted.New(scripted.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.LLM = responder
	var asked, id string
	c.Tools = []parley.Tool{{
		Name: "get_weather", Description: "The weather of a place.",
		Parameters: []byte(`{"type":"object","properties":{"text":{"type":"string"}}}`),
		Run: func(ctx context.Context, arguments string) (string, error) {
			call, _ := parley.ToolCallOf(ctx)
			asked, id = arguments, call.ID
			return "rain", nil
		},
	}}
	v, err := parley.NewVirtual(c, time.UnixMilli(1_790_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	caller := &typist{}
	s, err := v.Start(t.Context(), parley.Call{ID: "s1", Transport: caller, TextKey: 1})
	if err != nil {
		t.Fatal(err)
	}
	caller.in.Text("how is the weather in Paris", eventabi.IdempotencyKey("k"))
	v.Every(20*time.Second, func() bool {
		s.Close("test_over")
		return false
	})
	if err := v.Run(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if asked != `{"text":"how is the weather in Paris"}` || !strings.HasPrefix(id, "call_") {
		t.Errorf("the tool was given %q as %q", asked, id)
	}
	if heard := s.Conversation().HeardText("t1"); !strings.HasSuffix(heard, "I am calling the tool get weather. The tool get weather says: rain.") {
		t.Errorf("heard %q", heard)
	}
}

func TestToolsValidate(t *testing.T) {
	c := config()
	c.Tools = []parley.Tool{{Name: "no good"}, {Name: "a"}}
	c.ToolTimeout = -time.Second
	err := c.Validate()
	for _, part := range []string{"parley: tools[0]: tool.name", `parley: tools[1].run: none is given for "a"`, "tool_timeout: -1s"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not reported in\n%v", part, err)
		}
	}
}

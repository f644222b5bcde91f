// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/provider"
)

func toolPrompt() provider.Prompt {
	return provider.Prompt{
		Messages: []provider.Message{{Role: provider.RoleUser, Text: "How is the weather in Paris?"}},
		Tools: []provider.Tool{
			{Name: "get_weather", Description: "The weather of a city.", Parameters: []byte(`{"type":"object","properties":{"city":{"type":"string"}}}`)},
			{Name: "get_time"},
		},
		Temperature: -1,
	}
}

// toolDelta is a piece of a call as servers stream it.
func toolDelta(index, id, name, arguments string) string {
	fields := []string{}
	add := func(key, raw string) { fields = append(fields, `"`+key+`":`+raw) }
	if index != "" {
		add("index", index)
	}
	if id != "" {
		add("id", `"`+id+`"`)
		add("type", `"function"`)
	}
	function := map[string]string{}
	if name != "" {
		function["name"] = name
	}
	if arguments != "" {
		function["arguments"] = arguments
	}
	b, _ := json.Marshal(function)
	add("function", string(b))
	return `{"choices":[{"index":0,"delta":{"tool_calls":[{` + strings.Join(fields, ",") + `}]},"finish_reason":null}]}`
}

func TestToolCalls(t *testing.T) {
	type tc = provider.ToolCall
	for name, row := range map[string]struct {
		events []string
		want   []tc
		text   string
		reason string // of a failure
	}{
		"one in pieces": {[]string{
			delta("Let me look. "), toolDelta("0", "call_1", "get_weather", ""), toolDelta("0", "", "", `{"city":`), toolDelta("0", "", "", `"Paris"}`), finish("tool_calls"),
		}, []tc{{Name: "get_weather", Arguments: `{"city":"Paris"}`}}, "Let me look. ", ""},
		"two at once": {[]string{
			toolDelta("0", "call_1", "get_weather", `{"a":`), toolDelta("1", "call_2", "get_time", ""), toolDelta("0", "", "", `1}`), finish("tool_calls"),
		}, []tc{{Name: "get_weather", Arguments: `{"a":1}`}, {Name: "get_time", Arguments: "{}"}}, "", ""},
		"whole, one number for all": {[]string{
			toolDelta("0", "call_1", "get_weather", `{"a":1}`), toolDelta("0", "call_2", "get_time", `{}`), finish("stop"),
		}, []tc{{Name: "get_weather", Arguments: `{"a":1}`}, {Name: "get_time", Arguments: "{}"}}, "", ""},
		"without numbers and ids": {[]string{
			toolDelta("", "", "get_weather", `{"a":`), toolDelta("", "", "", `1}`), toolDelta("", "", "get_time", `{}`), finish("tool_calls"),
		}, []tc{{Name: "get_weather", Arguments: `{"a":1}`}, {Name: "get_time", Arguments: "{}"}}, "", ""},
		"arguments as an object": {[]string{
			`{"choices":[{"index":0,"delta":{"tool_calls":[{"function":{"name":"get_time","arguments":{"a":1}}}]},"finish_reason":"tool_calls"}]}`,
		}, []tc{{Name: "get_time", Arguments: `{"a":1}`}}, "", ""},
		"the name comes behind the id": {[]string{
			toolDelta("0", "call_1", "", ""), toolDelta("0", "call_1", "get_time", `{}`), finish("tool_calls"),
		}, []tc{{Name: "get_time", Arguments: "{}"}}, "", ""},
		"arguments that are no JSON": {[]string{toolDelta("0", "call_1", "get_time", `{"a`), finish("length")}, []tc{{Name: "get_time", Arguments: `{"a`}}, "", ""},
		"broken off":                 {[]string{toolDelta("0", "call_1", "get_time", `{}`)}, nil, "", "stream_truncated"},
		"no name":                    {[]string{toolDelta("0", "call_1", "", `{}`), finish("tool_calls")}, nil, "", "malformed_tool_call"},
		"a piece of nothing":         {[]string{toolDelta("0", "", "", `{}`), finish("tool_calls")}, nil, "", "malformed_tool_call"},
		"far too long":               {[]string{toolDelta("0", "call_1", "get_time", strings.Repeat("x", provider.MaxToolContent+1)), finish("tool_calls")}, nil, "", "malformed_tool_call"},
		"filtered":                   {[]string{toolDelta("0", "call_1", "get_time", `{}`), finish("content_filter")}, nil, "", "content_filter"},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			events := row.events
			if name != "broken off" {
				events = append(events, "[DONE]")
			}
			sse(w, events...)
		})
		var got []tc
		text := ""
		o := c.Generate(t.Context(), call(), toolPrompt(), func(k provider.Chunk) {
			text += k.Text
			if k.Kind == provider.ChunkToolCall {
				got = append(got, k.Tool)
			}
		})
		if !reflect.DeepEqual(got, row.want) || text != row.text || o.Reason != row.reason {
			t.Errorf("%s: %+v, %q, %+v", name, got, text, o)
		}
	}
}

// A server that does not stream sends its calls whole.
func TestToolCallsOfAWholeAnswer(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"get_time","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`)
	})
	calls := 0
	o := c.Generate(t.Context(), call(), toolPrompt(), func(k provider.Chunk) {
		if k.Kind == provider.ChunkToolCall && k.Tool.Name == "get_time" {
			calls++
		}
	})
	if o.Class != provider.OutcomeSuccess || calls != 1 {
		t.Errorf("%d calls, %+v", calls, o)
	}
}

// A model that may call none and calls all the same has answered nothing.
func TestToolCallsThatWereNotOffered(t *testing.T) {
	for _, p := range []provider.Prompt{prompt(), func() provider.Prompt { p := toolPrompt(); p.NoCalls = true; return p }()} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			sse(w, toolDelta("0", "call_1", "get_time", "{}"), finish("tool_calls"), "[DONE]")
		})
		if r := generate(t.Context(), t, c, p); r.outcome.Reason != "unexpected_tool_call" {
			t.Errorf("%+v", r)
		}
	}
}

func TestToolsOnTheWire(t *testing.T) {
	var body map[string]any
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&body)
		sse(w, delta("ok"), finish("stop"), "[DONE]")
	})
	p := toolPrompt()
	p.NoCalls = true
	p.Messages = append(p.Messages,
		provider.Message{Role: provider.RoleAssistant, Text: "Let me look."},
		provider.Message{Role: provider.RoleToolCall, Call: "c1", Name: "get_weather", Text: `{"city":"Paris"}`},
		provider.Message{Role: provider.RoleToolCall, Call: "c2", Name: "get_time", Text: "{}"},
		provider.Message{Role: provider.RoleToolResult, Call: "c1", Name: "get_weather", Text: "rain"},
		provider.Message{Role: provider.RoleToolResult, Call: "c2", Name: "get_time", Text: "no clock", Failed: true},
		provider.Message{Role: provider.RoleToolCall, Call: "c3", Name: "get_time", Text: "{}"},
		provider.Message{Role: provider.RoleToolResult, Call: "c3", Name: "get_time", Text: "noon"},
	)
	if r := generate(t.Context(), t, c, p); r.outcome.Class != provider.OutcomeSuccess {
		t.Fatalf("%+v", r)
	}
	const want = `{"messages":[` +
		`{"content":"How is the weather in Paris?","role":"user"},` +
		`{"content":"Let me look.","role":"assistant","tool_calls":[` +
		`{"function":{"arguments":"{\"city\":\"Paris\"}","name":"get_weather"},"id":"c1","type":"function"},` +
		`{"function":{"arguments":"{}","name":"get_time"},"id":"c2","type":"function"}]},` +
		`{"content":"rain","role":"tool","tool_call_id":"c1"},` +
		`{"content":"error: no clock","role":"tool","tool_call_id":"c2"},` +
		`{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"get_time"},"id":"c3","type":"function"}]},` +
		`{"content":"noon","role":"tool","tool_call_id":"c3"}],` +
		`"model":"m1","stream":true,"stream_options":{"include_usage":true},"tool_choice":"none","tools":[` +
		`{"function":{"description":"The weather of a city.","name":"get_weather","parameters":{"properties":{"city":{"type":"string"}},"type":"object"}},"type":"function"},` +
		`{"function":{"name":"get_time","parameters":{"properties":{},"type":"object"}},"type":"function"}]}`
	if sent, _ := json.Marshal(body); string(sent) != want {
		t.Errorf("sent %s\nwant %s", sent, want)
	}
}

// Whatever a server sends of calls, the answer keeps to the stream discipline.
func FuzzToolDeltas(f *testing.F) {
	for _, seed := range []string{
		`[{"index":0,"id":"a","function":{"name":"x","arguments":"{}"}}]`,
		`[{"index":-1,"function":{"arguments":null}},{"id":"a"},{"function":{"name":"y","arguments":[1]}}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		checker := provider.NewStreamChecker(provider.ModalityLLM)
		r := reply{tools: true, finish: "tool_calls", out: provider.NewEmitter(func(c provider.Chunk) {
			if err := checker.Check(c); err != nil {
				t.Error(err)
			}
		})}
		var list []callDelta
		if json.Unmarshal(raw, &list) != nil {
			return
		}
		if o, bad := r.toolCalls(list); bad {
			r.out.Fail(o)
		} else {
			r.done()
		}
		if err := checker.Finish(); err != nil {
			t.Error(err)
		}
	})
}

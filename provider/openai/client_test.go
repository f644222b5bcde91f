// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "sk-very-secret-0123456789"

func call() provider.Call {
	return provider.Call{
		SessionID: "s1", TurnID: "t1", PipelineVersion: "p1", EventID: "e1", InvocationID: "i1", ProviderID: ID,
		Modality: provider.ModalityLLM, Attempt: 1, AuthorityEpoch: 1, IdempotencyKey: "k1", Timeout: time.Second,
	}
}

func prompt() provider.Prompt {
	return provider.Prompt{
		Messages: []provider.Message{
			{Role: provider.RoleSystem, Text: "Be brief."},
			{Role: provider.RoleUser, Text: "Tell me \"a story\"."},
		},
		MaxTokens: 90, Temperature: -1,
	}
}

// serve starts a server whose chat answers by handle, and a client of it.
func serve(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", handle)
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"nomic-embed-text"},{"id":"small-chat"}]}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := New(t.Context(), Config{BaseURL: server.URL, Model: "m1", APIKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// result is what one call delivered.
type result struct {
	deltas  []string
	usage   provider.Usage
	outcome provider.Outcome
}

// generate makes one call and holds it to the stream discipline and to secrecy.
func generate(ctx context.Context, t *testing.T, c *Client, p provider.Prompt) result {
	t.Helper()
	var r result
	checker := provider.NewStreamChecker(provider.ModalityLLM)
	r.outcome = c.Generate(ctx, call(), p, func(k provider.Chunk) {
		if err := checker.Check(k); err != nil {
			t.Error(err)
		}
		if k.Kind == provider.ChunkTextDelta {
			r.deltas = append(r.deltas, k.Text)
		}
		if k.Kind == provider.ChunkFinal {
			r.usage = k.Usage
		}
	})
	if err := checker.Finish(); err != nil || checker.Outcome() != r.outcome {
		t.Errorf("%v; returned %+v, streamed %+v", err, r.outcome, checker.Outcome())
	}
	if strings.Contains(fmt.Sprintf("%+v", r.outcome), secret) {
		t.Errorf("the key is in %+v", r.outcome)
	}
	return r
}

// sse writes events, each flushed by itself.
func sse(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		_, _ = io.WriteString(w, "data: "+e+"\n\n")
		w.(http.Flusher).Flush()
	}
}

func delta(text string) string {
	b, _ := json.Marshal(text)
	return `{"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":` + string(b) + `},"finish_reason":null}],"usage":null}`
}

func finish(reason string) string {
	return `{"choices":[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]}`
}

func TestStreamsAReply(t *testing.T) {
	var got *http.Request
	var body map[string]any
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_ = json.NewDecoder(r.Body).Decode(&body)
		_, _ = io.WriteString(w, ": a comment while the model thinks\n\n")
		sse(w,
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`,
			delta("Once "), delta("upon ☀ a time"), `{"choices":[{"index":1,"delta":{"content":"another choice"}}]}`,
			finish("stop"), `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":3}}}`, "[DONE]")
	})
	r := generate(t.Context(), t, c, prompt())
	if r.outcome.Class != provider.OutcomeSuccess || strings.Join(r.deltas, "|") != "Once |upon ☀ a time" {
		t.Fatalf("%+v", r)
	}
	if r.usage.InputTokens != 7 || r.usage.CachedTokens != 3 || r.usage.OutputTokens != 4 {
		t.Errorf("usage %+v", r.usage)
	}
	if got.Header.Get("Authorization") != "Bearer "+secret || got.Header.Get("Accept") != "text/event-stream" {
		t.Errorf("headers %v", got.Header)
	}
	want := `{"max_tokens":90,"messages":[{"content":"Be brief.","role":"system"},{"content":"Tell me \"a story\".","role":"user"}],` +
		`"model":"m1","stream":true,"stream_options":{"include_usage":true}}`
	if sent, _ := json.Marshal(body); string(sent) != want {
		t.Errorf("sent %s\nwant %s", sent, want)
	}
}

func TestBodyOptions(t *testing.T) {
	c := &Client{config: Config{Model: "m", MaxTokensField: "max_completion_tokens", OmitUsage: true}}
	b, err := c.body(provider.Prompt{Messages: []provider.Message{{Role: provider.RoleUser, Text: "x"}}, MaxTokens: 5, Temperature: 0})
	if err != nil || string(b) != `{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"max_completion_tokens":5,"temperature":0}` {
		t.Errorf("%s %v", b, err)
	}
}

// Each way in which an answer of status 200 ends.
func TestStreamEnds(t *testing.T) {
	const ok, infra, blocked, overload = provider.OutcomeSuccess, provider.OutcomeInfrastructureFailure, provider.OutcomeBlocked, provider.OutcomeOverload
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		class  provider.OutcomeClass
		reason string
		text   string
	}{
		{"length", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a"), finish("length"), "[DONE]") }, ok, "", "a"},
		{"no finish reason", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a"), "[DONE]") }, ok, "", "a"},
		{"no end mark", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a"), finish("stop")) }, ok, "", "a"},
		{"end mark without its line end", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, delta("a"))
			_, _ = io.WriteString(w, "data: [DONE]")
		}, ok, "", "a"},
		{"carriage returns and tight fields", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "data:"+delta("a")+"\r\n\r\ndata:"+delta("b")+"\r\rdata:[DONE]\r\n\r\n")
		}, ok, "", "ab"},
		{"not streamed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}`)
		}, ok, "", "whole"},
		{"content filter", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a"), finish("content_filter"), "[DONE]") }, blocked, "content_filter", "a"},
		{"refusal", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, `{"choices":[{"index":0,"delta":{"refusal":"I will not"}}]}`, "[DONE]")
		}, blocked, "refusal", ""},
		{"tool call", func(w http.ResponseWriter, _ *http.Request) { sse(w, finish("tool_calls"), "[DONE]") }, infra, "unexpected_tool_call", ""},
		{"truncated between events", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a")) }, infra, "stream_truncated", "a"},
		{"truncated inside an event", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, delta("a"))
			_, _ = io.WriteString(w, `data: {"choices":[{"ind`)
		}, infra, "stream_truncated", "a"},
		{"empty answer", func(http.ResponseWriter, *http.Request) {}, infra, "stream_truncated", ""},
		{"disconnect", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, delta("a"))
			panic(http.ErrAbortHandler)
		}, infra, "disconnected", "a"},
		{"disconnect before an answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, infra, "connect_failed", ""},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { sse(w, delta("a"), "{not json", delta("b")) }, infra, "malformed_response", "a"},
		{"wrong types", func(w http.ResponseWriter, _ *http.Request) { sse(w, `{"choices":"none"}`) }, infra, "malformed_response", ""},
		{"json of another kind", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"status":"ok"}`)
		}, infra, "malformed_response", ""},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html><p>data</p></html>\n") }, infra, "stream_truncated", ""},
		{"endless line", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "data: "+strings.Repeat("x", lineMax+1))
		}, infra, "malformed_response", ""},
		{"endless stream", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, ": "+strings.Repeat("x", 9000)+"\n"); err != nil {
					return
				}
			}
		}, infra, "malformed_response", ""},
		{"error event", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, delta("a"), `{"error":{"message":"`+secret+`","type":"server_error","code":null}}`)
		}, infra, "server_error", "a"},
		{"named error event", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "event: error\ndata: {}\n\n") }, infra, "server_error", ""},
		{"rate limit inside the stream", func(w http.ResponseWriter, _ *http.Request) {
			sse(w, `{"error":{"code":"rate_limit_exceeded"}}`)
		}, overload, "rate_limited", ""},
		{"policy inside the stream", func(w http.ResponseWriter, _ *http.Request) { sse(w, `{"error":{"code":"content_filter"}}`) }, blocked, "content_policy", ""},
		{"error as text", func(w http.ResponseWriter, _ *http.Request) { sse(w, `{"error":"out of memory"}`) }, infra, "server_error", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := generate(t.Context(), t, serve(t, c.handle), prompt())
			if r.outcome.Class != c.class || r.outcome.Reason != c.reason || strings.Join(r.deltas, "") != c.text {
				t.Errorf("%+v; want %s %s after %q", r, c.class, c.reason, c.text)
			}
		})
	}
}

// Each status maps to a class (nodes-providers-transports section 4).
func TestStatusOutcomes(t *testing.T) {
	const infra, timeout, overload, blocked = provider.OutcomeInfrastructureFailure, provider.OutcomeTimeout, provider.OutcomeOverload, provider.OutcomeBlocked
	for _, c := range []struct {
		status int
		header map[string]string
		body   string
		want   provider.Outcome
	}{
		{429, map[string]string{"Retry-After": "2"}, `{"error":{"code":"rate_limit_exceeded"}}`, provider.Outcome{Class: overload, Reason: "rate_limited", Retryable: true, Backoff: 2 * time.Second}},
		{429, map[string]string{"Retry-After-Ms": "350", "Retry-After": "1"}, "", provider.Outcome{Class: overload, Reason: "rate_limited", Retryable: true, Backoff: 350 * time.Millisecond}},
		{429, map[string]string{"Retry-After": "Wed, 21 Oct 2026 07:28:05 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", provider.Outcome{Class: overload, Reason: "rate_limited", Retryable: true, Backoff: 5 * time.Second}},
		{429, map[string]string{"Retry-After": "-7"}, "", provider.Outcome{Class: overload, Reason: "rate_limited", Retryable: true}},
		{429, map[string]string{"Retry-After": "9223372036854775807"}, "", provider.Outcome{Class: overload, Reason: "rate_limited", Retryable: true, Backoff: time.Hour}},
		{429, nil, `{"error":{"type":"insufficient_quota"}}`, provider.Outcome{Class: overload, Reason: "quota_exhausted"}},
		{408, nil, "", provider.Outcome{Class: timeout, Reason: "server_timeout", Retryable: true}},
		{504, nil, "", provider.Outcome{Class: timeout, Reason: "server_timeout", Retryable: true}},
		{500, nil, "", provider.Outcome{Class: infra, Reason: "server_error", Retryable: true}},
		{503, nil, "<html>", provider.Outcome{Class: infra, Reason: "server_error", Retryable: true}},
		{400, nil, `{"error":{"code":"content_policy_violation"}}`, provider.Outcome{Class: blocked, Reason: "content_policy"}},
		{400, nil, `{"error":{"code":"content_filter"}}`, provider.Outcome{Class: blocked, Reason: "content_policy"}},
		{400, nil, `{"error":{"code":"context_length_exceeded"}}`, provider.Outcome{Class: infra, Reason: "context_length_exceeded"}},
		{400, nil, `{"error":"model is required"}`, provider.Outcome{Class: infra, Reason: "bad_request"}},
		{422, nil, `{"detail":[]}`, provider.Outcome{Class: infra, Reason: "bad_request"}},
		{401, nil, `{"error":{"message":"Incorrect API key: ` + secret + `","code":"invalid_api_key"}}`, provider.Outcome{Class: infra, Reason: "unauthorized"}},
		{403, nil, "", provider.Outcome{Class: infra, Reason: "unauthorized"}},
		{404, nil, `{"error":{"code":"` + secret + `"}}`, provider.Outcome{Class: infra, Reason: "not_found"}},
		{307, map[string]string{"Location": "http://127.0.0.1:1/steal"}, "", provider.Outcome{Class: infra, Reason: "unexpected_redirect"}},
	} {
		t.Run(fmt.Sprint(c.status, c.want.Reason, c.want.Backoff), func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			got := generate(t.Context(), t, client, prompt()).outcome
			if got.StatusCode != c.status || !strings.Contains(got.Detail, fmt.Sprint(c.status)) {
				t.Errorf("status %d, detail %q", got.StatusCode, got.Detail)
			}
			got.StatusCode, got.Detail = 0, ""
			if got != c.want {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestSlowFirstByteIsATimeout(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if o := generate(ctx, t, c, prompt()).outcome; o.Class != provider.OutcomeTimeout || !o.Retryable {
		t.Errorf("%+v", o)
	}
}

func TestStallInTheMiddleIsATimeout(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sse(w, delta("a"))
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r := generate(ctx, t, c, prompt()); r.outcome.Class != provider.OutcomeTimeout {
		t.Errorf("%+v", r)
	}
}

func TestCancelInTheMiddle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		_, _ = io.Copy(io.Discard, r.Body)
		sse(w, delta("a"))
		<-r.Context().Done()
	})
	n := 0
	o := c.Generate(ctx, call(), prompt(), func(k provider.Chunk) {
		if k.Kind == provider.ChunkTextDelta {
			n++
			cancel()
		}
	})
	<-gone // the server sees the end of the request
	if o.Class != provider.OutcomeCancelled || n != 1 {
		t.Errorf("%+v after %d deltas", o, n)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c, err := New(t.Context(), Config{BaseURL: "http://" + addr, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if o := generate(t.Context(), t, c, prompt()).outcome; o.Reason != "connection_refused" || !o.Retryable {
		t.Errorf("%+v", o)
	}
}

func TestNotEncrypted(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c, err := New(t.Context(), Config{BaseURL: strings.Replace(server.URL, "http:", "https:", 1), Model: "m", APIKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	if o := generate(t.Context(), t, c, prompt()).outcome; o.Class != provider.OutcomeInfrastructureFailure || o.Reason == "" {
		t.Errorf("%+v", o)
	}
}

func TestInvalidRequestsDoNotReachTheServer(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	if o := generate(t.Context(), t, c, provider.Prompt{}).outcome; o.Reason != provider.ReasonInvalidRequest {
		t.Errorf("%+v", o)
	}
}

// The connection is free for the next call once a reply has ended.
func TestConnectionIsReused(t *testing.T) {
	var from []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.RemoteAddr)
		sse(w, delta("a"), finish("stop"), "[DONE]")
	})
	for range 3 {
		generate(t.Context(), t, c, prompt())
	}
	if len(from) != 3 || from[0] != from[1] || from[1] != from[2] {
		t.Errorf("connections %v", from)
	}
}

// A server that keeps the connection open after its end mark does not keep the call.
func TestEndMarkEndsTheCall(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		sse(w, delta("a"), finish("stop"), "[DONE]")
		<-r.Context().Done()
	})
	if o := generate(t.Context(), t, c, prompt()).outcome; o.Class != provider.OutcomeSuccess {
		t.Errorf("%+v", o)
	}
}

func TestAsksForAModel(t *testing.T) {
	c := serve(t, http.NotFound)
	asked, err := New(t.Context(), Config{BaseURL: c.config.BaseURL + "/v1/"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asked.Close() }()
	if d := asked.Descriptor(); d.Model != "small-chat" || !d.Capabilities.Offline || d.ID != ID || d.Modality != provider.ModalityLLM {
		t.Errorf("%+v", d)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"text-embedding-3"}]}`)
	}))
	defer server.Close()
	if _, err := New(t.Context(), Config{BaseURL: server.URL}); err == nil || !strings.Contains(err.Error(), EnvModel) {
		t.Errorf("a server without a model that can chat gave %v", err)
	}
}

func TestModelsFailures(t *testing.T) {
	for body, want := range map[string]string{
		`[]`:                                  "not a list of models",
		`{"object":"list"}`:                   "not a list of models",
		`{"object":"models","data":[]}`:       "not a list of models",
		`{"object":"list","data":[{}]}`:       "data[0].id: is empty",
		`<html>`:                              "not a list of models",
		`{"object":"list","data":[{"id":1}]}`: "not a list of models",
	} {
		if _, err := readModels(strings.NewReader(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
	defer server.Close()
	_, err := New(t.Context(), Config{BaseURL: server.URL, APIKey: secret})
	if o := provider.OutcomeOf(err); o.Reason != "unauthorized" || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}

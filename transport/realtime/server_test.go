// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

// The session begins with the first event that needs it, and by itself where none comes;
// what the first session.update sets is part of the offer.
func TestBegins(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	url := serve(t, realtime.Config{Voices: map[string]string{"alloy": "slt"}, Idle: time.Minute}, host)
	c := dial(t, url+"?model=gpt-realtime", nil)
	created := c.await("session.created")
	if at(created, "session", "model") != "gpt-realtime" || at(created, "session", "type") != "realtime" {
		t.Errorf("session is %v", created["session"])
	}
	if at(created, "session", "audio", "input", "turn_detection", "interrupt_response") != true {
		t.Error("a client that looks whether speech interrupts finds nothing")
	}
	if n := len(host.Offers()); n != 0 {
		t.Fatalf("%d offers before any event", n)
	}
	c.send(event{"type": "session.update", "event_id": "u", "session": event{
		"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind.", "tracing": "auto", "tool_choice": "required",
		"audio": event{
			"input": event{
				"format": event{"type": "audio/pcm", "rate": 24000}, "noise_reduction": nil,
				"turn_detection": event{"type": "semantic_vad", "interrupt_response": false, "create_response": false, "eagerness": "low"},
			},
			"output": event{"voice": "alloy", "speed": 1},
		},
	}})
	updated := c.await("session.updated")
	for _, w := range []struct {
		path []any
		want any
	}{
		{[]any{"instructions"}, "Be kind."},
		{[]any{"tracing"}, "auto"},
		{[]any{"tool_choice"}, "required"},
		{[]any{"id"}, at(created, "session", "id")},
		{[]any{"audio", "output", "voice"}, "alloy"},
		{[]any{"audio", "input", "turn_detection", "eagerness"}, "low"},
		{[]any{"audio", "input", "turn_detection", "create_response"}, false},
	} {
		if got := at(updated["session"], w.path...); got != w.want {
			t.Errorf("session %v is %v; want %v", w.path, got, w.want)
		}
	}
	s := host.Next()
	w := s.Offer().Wishes
	if *w.Instructions != "Be kind." || *w.Voice != "slt" || w.TurnEnd != transport.TurnEndVAD || *w.Answer || *w.Interrupt {
		t.Errorf("wishes are %+v", w)
	}

	c.send(event{"type": "session.update", "session": event{"type": "realtime", "instructions": "Be kind.", "tracing": nil}})
	c.send(event{"type": "session.update", "session": event{"type": "realtime", "instructions": "Be brief."}})
	got := transporttest.Await[transport.Wishes](s, nil)
	if got.Instructions == nil || *got.Instructions != "Be brief." || got.TurnEnd != "" || got.Voice != nil {
		t.Errorf("a change is handed on as %+v", got)
	}
	c.send(event{"type": "session.update", "event_id": "late", "session": event{"type": "realtime", "audio": event{
		"input": event{"turn_detection": event{"type": "server_vad", "interrupt_response": true}},
	}}})
	if e := c.await("error"); at(e, "error", "param") != "session.audio.input.turn_detection.interrupt_response" || at(e, "error", "event_id") != "late" {
		t.Errorf("error is %v", e)
	}
}

func TestBeginsByItself(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	dial(t, serve(t, realtime.Config{Idle: 10 * time.Millisecond}, host), nil)
	host.Next()
}

// Browsers cannot set headers: their token is a subprotocol.
func TestTokenOfABrowser(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, realtime.Config{Idle: time.Millisecond}, host),
		http.Header{"Protocols": {"realtime", "openai-insecure-api-key.ek_" + transporttest.Token, "openai-agents-sdk.0.20.0"}})
	if c.socket.Subprotocol() != "realtime" {
		t.Errorf("the subprotocol is %q", c.socket.Subprotocol())
	}
	host.Next()
}

func TestRefused(t *testing.T) {
	refuse := &transport.RefusedError{Code: transport.RefusedCapacity, Reason: "full"}
	for name, test := range map[string]struct {
		config realtime.Config
		host   transporttest.Config
		query  string
		code   string
		kind   string
		close  websocket.StatusCode
	}{
		"token":   {code: "invalid_api_key", kind: "invalid_request_error", close: 4401},
		"early":   {config: realtime.Config{Check: func(context.Context, transport.Offer) error { return refuse }}, code: "capacity", kind: "rate_limit_exceeded", close: 4429},
		"full":    {host: transporttest.Config{Authenticate: func(transport.Offer) (transport.Bootstrap, error) { return transport.Bootstrap{}, refuse }}, code: "capacity", kind: "rate_limit_exceeded", close: 4429},
		"unknown": {host: transporttest.Config{Authenticate: func(transport.Offer) (transport.Bootstrap, error) { return transport.Bootstrap{}, context.Canceled }}, code: "internal_error", kind: "server_error", close: 4500},
		"call":    {query: "?call_id=x", code: "invalid_request", kind: "invalid_request_error", close: 4400},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Idle = 10 * time.Millisecond
			host := transporttest.NewHost(t, test.host)
			c := dial(t, serve(t, test.config, host)+test.query, http.Header{"Authorization": {"Bearer wrong"}})
			e := c.await("error")
			if at(e, "error", "code") != test.code || at(e, "error", "type") != test.kind {
				t.Errorf("error is %v", e["error"])
			}
			if strings.Contains(at(e, "error", "message").(string), "wrong") {
				t.Error("the token is in the message")
			}
			for c.next() != nil {
			}
			if got := websocket.CloseStatus(c.closed); got != test.close {
				t.Errorf("closed with %v", got)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	for _, test := range []struct{ send, code, param string }{
		{`{`, "invalid_json", ""},
		{`[]`, "invalid_type", ""},
		{`{"event_id":"e"}`, "missing_required_parameter", "type"},
		{`{"event_id":"e","type":"nonsense"}`, "invalid_value", "type"},
		{`{"event_id":"e","type":7}`, "invalid_type", "type"},
		{`{"event_id":"e","type":"session.update"}`, "missing_required_parameter", "session"},
		{`{"event_id":"e","type":"session.update","session":[]}`, "invalid_type", "session"},
		{`{"event_id":"e","type":"session.update","session":{"type":"transcription"}}`, "invalid_value", "session.type"},
		{`{"event_id":"e","type":"session.update","session":{"colour":"red"}}`, "unknown_parameter", "session.colour"},
		{`{"event_id":"e","type":"session.update","session":{"instructions":7}}`, "invalid_type", "session.instructions"},
		{`{"event_id":"e","type":"session.update","session":{"output_modalities":["smell"]}}`, "invalid_value", "session.output_modalities"},
		{`{"event_id":"e","type":"session.update","session":{"tools":[{"type":"mcp","server_url":"x"}]}}`, "unsupported_parameter", "session.tools[0].type"},
		{`{"event_id":"e","type":"session.update","session":{"tools":[{"type":"function"}]}}`, "invalid_value", "session.tools[0].name"},
		{`{"event_id":"e","type":"session.update","session":{"tool_choice":{"type":"mcp","server_label":"s"}}}`, "unsupported_parameter", "session.tool_choice"},
		{`{"event_id":"e","type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/mp3"}}}}}`, "invalid_value", "session.audio.input.format.type"},
		{`{"event_id":"e","type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/pcm","rate":7}}}}}`, "invalid_value", "session.audio.input.format.rate"},
		{`{"event_id":"e","type":"session.update","session":{"audio":{"input":{"turn_detection":{"type":"psychic"}}}}}`, "invalid_value", "session.audio.input.turn_detection.type"},
		{`{"event_id":"e","type":"session.update","session":{"audio":{"output":{"voice":7}}}}`, "invalid_type", "session.audio.output.voice"},
		{`{"event_id":"e","type":"input_audio_buffer.append"}`, "missing_required_parameter", "audio"},
		{`{"event_id":"e","type":"input_audio_buffer.append","audio":"***"}`, "invalid_value", "audio"},
		{`{"event_id":"e","type":"input_audio_buffer.append","audio":"AAAA"}`, "invalid_value", "audio"},
		{`{"event_id":"e","type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_audio","audio":""}]}}`, "unsupported_parameter", "item.content[0].type"},
		{`{"event_id":"e","type":"conversation.item.create","item":{"type":"message","role":"user","content":[]}}`, "invalid_type", "item.content"},
		{`{"event_id":"e","type":"conversation.item.create","item":{"type":"message","role":"priest","content":[{"type":"input_text","text":"x"}]}}`, "invalid_value", "item.role"},
		{`{"event_id":"e","type":"conversation.item.create","item":{"type":"mcp_approval_response","approve":true}}`, "unsupported_parameter", "item.type"},
		{`{"event_id":"e","type":"conversation.item.create","item":{"type":"function_call_output","call_id":"x","output":"y"}}`, "invalid_tool_call_id", "item.call_id"},
		{`{"event_id":"e","type":"conversation.item.create","previous_item_id":"x","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}}`, "item_not_found", "previous_item_id"},
		{`{"event_id":"e","type":"conversation.item.retrieve"}`, "missing_required_parameter", "item_id"},
		{`{"event_id":"e","type":"conversation.item.delete","item_id":"x"}`, "item_not_found", "item_id"},
		{`{"event_id":"e","type":"conversation.item.truncate","item_id":"x","audio_end_ms":1}`, "item_not_found", "item_id"},
		{`{"event_id":"e","type":"conversation.item.truncate","item_id":"x","audio_end_ms":-1}`, "invalid_value", "audio_end_ms"},
		{`{"event_id":"e","type":"conversation.item.truncate","item_id":"x"}`, "missing_required_parameter", "audio_end_ms"},
		{`{"event_id":"e","type":"response.create","response":{"conversation":"none"}}`, "unsupported_parameter", "response.conversation"},
		{`{"event_id":"e","type":"response.create","response":{"input":[]}}`, "unsupported_parameter", "response.input"},
	} {
		c.write([]byte(test.send))
		e := c.await("error")
		param, _ := at(e, "error", "param").(string)
		if at(e, "error", "code") != test.code || param != test.param {
			t.Errorf("%s:\n  got %v", test.send, e["error"])
		}
		if want := strings.Contains(test.send, `"event_id":"e"`); (at(e, "error", "event_id") == "e") != want {
			t.Errorf("%s: the error names the event %v", test.send, at(e, "error", "event_id"))
		}
	}
	if got := s.Calls(); len(got) != 0 {
		t.Errorf("faulty events have reached the session: %v", got)
	}
}

// A client that sends nothing but garbage is let go.
func TestGarbage(t *testing.T) {
	c, _ := start(t, event{"type": "realtime"})
	for range 100 {
		c.write([]byte("garbage"))
	}
	for c.next() != nil {
	}
	if got := websocket.CloseStatus(c.closed); got != websocket.StatusPolicyViolation {
		t.Errorf("closed with %v", got)
	}
}

func TestEnds(t *testing.T) {
	t.Run("the session ends", func(t *testing.T) {
		c, s := start(t, event{"type": "realtime"})
		speak(s, "t1", 1, "A story.", 3200)
		s.Close("drained")
		done := c.await("response.done")
		if at(done, "response", "status") != "cancelled" {
			t.Errorf("status is %v", at(done, "response", "status"))
		}
		if c.next() != nil || websocket.CloseStatus(c.closed) != websocket.StatusNormalClosure {
			t.Errorf("closed with %v", c.closed)
		}
	})
	t.Run("the client leaves", func(t *testing.T) {
		c, s := start(t, event{"type": "realtime"})
		c.socket.Close(websocket.StatusNormalClosure, "")
		transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLeft })
		s.AwaitDone()
	})
	t.Run("the wire breaks", func(t *testing.T) {
		c, s := start(t, event{"type": "realtime"})
		_ = c.socket.CloseNow()
		transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkGone })
		s.Close("transport_disconnect_or_stall")
	})
	t.Run("an event is too large", func(t *testing.T) {
		c, s := start(t, event{"type": "realtime"})
		c.write(make([]byte, realtime.DefaultEventBytes+1))
		transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkGone })
		for c.next() != nil {
		}
		if got := websocket.CloseStatus(c.closed); got != websocket.StatusMessageTooBig {
			t.Errorf("closed with %v", c.closed)
		}
	})
}

// Pages of another site may not connect.
func TestOrigins(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	url := serve(t, realtime.Config{Origins: []string{"ok.example"}}, host)
	for origin, want := range map[string]bool{"https://ok.example": true, "https://bad.example": false} {
		socket, answer, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
		if err == nil {
			_ = socket.CloseNow()
		} else if answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", origin, answer.StatusCode)
		}
	}
}

func TestConfig(t *testing.T) {
	c := realtime.Config{Idle: -1, Begin: time.Hour, EventBytes: -1, Items: -1}
	err := c.Validate()
	for _, want := range []string{"idle", "begin", "event_bytes", "items"} {
		if err == nil || !strings.Contains(err.Error(), "realtime: "+want+":") {
			t.Errorf("no fault of %s in: %v", want, err)
		}
	}
	if _, err := realtime.New(realtime.Config{}, nil); err == nil {
		t.Error("a server without a host")
	}
}

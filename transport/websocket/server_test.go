// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// TestConfigReportsAllFaults shows that each field is named.
func TestConfigReportsAllFaults(t *testing.T) {
	_, err := websocket.New(websocket.Config{Origins: []string{"*"}, Pong: -1, Grace: time.Hour, Audio: -1, Log: 600}, nil)
	for _, want := range []string{"origins[0]", "pong", "grace", "audio", "log", "host"} {
		if err == nil || !strings.Contains(err.Error(), "websocket: "+want+":") {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

// TestTokenFromAllItsPlaces shows the four places of a token, and that the hello's counts
// first.
func TestTokenFromAllItsPlaces(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	bearer := http.Header{"Authorization": {"Bearer " + transporttest.Token}}
	for name, c := range map[string]struct {
		options coder.DialOptions
		query   string
		hello   string
	}{
		"hello":       {coder.DialOptions{}, "?token=wrong", transporttest.Token},
		"header":      {coder.DialOptions{HTTPHeader: bearer}, "?token=wrong", ""},
		"subprotocol": {coder.DialOptions{Subprotocols: []string{wire.TokenPrefix + transporttest.Token, wire.Subprotocol}}, "", ""},
		"query":       {coder.DialOptions{}, "?token=" + transporttest.Token, ""},
	} {
		client := w.dial(&c.options, c.query)
		client.say(&wire.Hello{Token: c.hello})
		if welcome := await[*wire.Welcome](client, nil); welcome.Session == "" || welcome.Epoch != 1 {
			t.Errorf("%s: %+v", name, welcome)
		}
		if got := client.ws.Subprotocol(); got != wire.Subprotocol {
			t.Errorf("%s: subprotocol %q", name, got)
		}
	}
	for _, o := range w.host.Offers() {
		if o.Kind != websocket.Kind || o.Token != transporttest.Token || o.Remote == "" {
			t.Errorf("offer %+v", o)
		}
	}
}

// TestRefusals shows what a client hears that is turned away, and that nothing begins.
func TestRefusals(t *testing.T) {
	capacity := &transport.RefusedError{Code: transport.RefusedCapacity, Reason: "full", RetryAfter: 2 * time.Second}
	for name, c := range map[string]struct {
		say  string
		host transporttest.Config
		code string
		end  coder.StatusCode
		want string // in the message
	}{
		"token":    {`{"type":"hello","token":"x"}`, transporttest.Config{}, "token_invalid", 4401, ""},
		"no token": {`{"type":"hello"}`, transporttest.Config{}, "token_invalid", 4401, ""},
		"codec":    {`{"type":"hello","audio":{"out":["mp3/44100"]}}`, transporttest.Config{}, "unsupported_codec", 4400, "audio.out"},
		"rate":     {`{"type":"hello","audio":{"in":["pcm_s16le/96000"]}}`, transporttest.Config{}, "unsupported_codec", 4400, "audio.in"},
		"opus out": {`{"type":"hello","audio":{"out":["opus/48000"]}}`, transporttest.Config{}, "unsupported_codec", 4400, "audio.out"},
		"encoding": {`{"type":"hello","encoding":"cbor"}`, transporttest.Config{}, "invalid_request", 4400, `use one of ["json" "binary"]`},
		"first":    {`{"type":"text","text":"hi"}`, transporttest.Config{}, "invalid_request", 4400, "first message is hello"},
		"garbage":  {`}{`, transporttest.Config{}, "invalid_request", 4400, "no JSON object"},
		"unknown":  {`{"type":"hello","token":"` + transporttest.Token + `","resume":{"session":"s"}}`, transporttest.Config{}, "unknown_session", 4404, ""},
		"resume":   {`{"type":"hello","token":"x","resume":{"session":"s"}}`, transporttest.Config{}, "token_invalid", 4401, ""},
		"capacity": {`{"type":"hello"}`, transporttest.Config{Authenticate: func(transport.Offer) (transport.Bootstrap, error) {
			return transport.Bootstrap{}, fmt.Errorf("at the door: %w", capacity)
		}}, "capacity", 4429, "full"},
		"broken host": {`{"type":"hello"}`, transporttest.Config{Authenticate: func(transport.Offer) (transport.Bootstrap, error) {
			return transport.Bootstrap{}, http.ErrAbortHandler
		}}, "internal_error", 4500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, websocket.Config{}, c.host)
			client := w.dial(nil, "")
			client.write(coder.MessageText, []byte(c.say))
			refused, end := client.refusedWith()
			if refused.Code != c.code || end != c.end || !strings.Contains(refused.Message, c.want) {
				t.Errorf("%+v, closed with %d; want %s, %d and %q", refused, end, c.code, c.end, c.want)
			}
			if c.code == "unsupported_codec" && len(refused.Supported) < 10 {
				t.Errorf("supported: %q", refused.Supported)
			}
			if c.code == "capacity" && refused.RetryAfterMS != 2000 {
				t.Errorf("retry after %d ms", refused.RetryAfterMS)
			}
			if n := len(w.host.Sessions()); n > 0 {
				t.Errorf("%d sessions began", n)
			}
		})
	}
}

// TestHandshakeIsRefused shows what is turned away before there is a WebSocket.
func TestHandshakeIsRefused(t *testing.T) {
	w := newWorld(t, websocket.Config{Origins: []string{"app.example.com"}}, transporttest.Config{})
	from := func(origin string) *coder.DialOptions {
		return &coder.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}}
	}
	for name, c := range map[string]struct {
		options *coder.DialOptions
		status  string // empty = let in
	}{
		"no subprotocol":      {&coder.DialOptions{Subprotocols: []string{}}, "400"},
		"another subprotocol": {&coder.DialOptions{Subprotocols: []string{"parley.v9", wire.TokenPrefix + "x"}}, "400"},
		"another origin":      {from("https://evil.example.org"), "403"},
		"null origin":         {from("null"), "403"},
		"allowed origin":      {from("https://app.example.com"), ""},
		"own origin":          {from("http" + strings.TrimSuffix(strings.TrimPrefix(w.url, "ws"), "/v1/ws")), ""},
		"no origin":           {nil, ""},
	} {
		_, err := w.try(c.options, "")
		if (err == nil) != (c.status == "") || err != nil && !strings.Contains(err.Error(), c.status) {
			t.Errorf("%s: %v; want %q", name, err, c.status)
		}
	}
}

// TestNoHello shows that a connection that says nothing is closed, and that there are never
// more of them than may be.
func TestNoHello(t *testing.T) {
	w := newWorld(t, websocket.Config{Hello: 300 * time.Millisecond, Pending: 1}, transporttest.Config{})
	silent := w.dial(nil, "")
	if _, err := w.try(nil, ""); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a second one that says nothing: %v", err)
	}
	silent.awaitClosed()
	w.eventually(func() bool { return w.server.Stats().Pending == 0 })
	w.enter(wire.Hello{})
}

// eventually waits for the server to have counted something.
func (w *world) eventually(is func() bool) {
	w.t.Helper()
	for began := time.Now(); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > patience {
			w.t.Fatalf("waited in vain; %+v", w.server.Stats())
		}
	}
}

// TestOfferAndWelcome shows what a hello becomes, and what a client is told.
func TestOfferAndWelcome(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	no, voice := false, "amy"
	_, s, welcome := w.enter(wire.Hello{
		Session: "mine", Acks: &no,
		Audio: &wire.Offered{In: []wire.Format{"flac/1", "g711_ulaw/8000"}, Out: []wire.Format{"pcm_s16le/24000"}},
		Wishes: &wire.Wishes{Voice: &voice, TurnEnd: "client", Answer: &no, Tools: []wire.Tool{
			{Name: "price", Description: "of an article", Parameters: json.RawMessage(`{"type":"object"}`)},
		}},
	})
	want := transport.Wishes{Voice: &voice, TurnEnd: transport.TurnEndClient, Answer: &no, Tools: []transport.Tool{
		{Name: "price", Description: "of an article", Parameters: []byte(`{"type":"object"}`)},
	}}
	if o := s.Offer(); !reflect.DeepEqual(o.Wishes, want) || o.Session != "mine" || o.Capabilities.Ack != transport.AckEstimate {
		t.Errorf("offer %+v", o)
	}
	if welcome.Session != "mine" || welcome.Acks || welcome.Audio != (wire.Agreed{In: "g711_ulaw/8000", Out: "pcm_s16le/24000", FrameMS: 20}) {
		t.Errorf("welcome %+v", welcome)
	}
	if welcome.Limits.Faults != websocket.DefaultFaults || welcome.KeepaliveMS != 15000 || welcome.Compression != "none" {
		t.Errorf("welcome %+v", welcome)
	}
	if c := w.server.Capabilities(); c.Ack != transport.AckClient || !c.Resumes || !c.BuffersOutput {
		t.Errorf("capabilities %+v", c)
	}
}

// TestClientMessages shows what each message of a client becomes.
func TestClientMessages(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{Stays: true})
	c, s, _ := w.enter(wire.Hello{})
	instructions := "Be brief."
	for _, m := range []string{
		`{"type":"text","text":"hello","key":"k1"}`,
		`{"type":"cancel","turn":"t1","reason":"user_cancel","force":true,"epoch":1,"key":"k3"}`,
		`{"type":"stop","key":"k4"}`,
		`{"type":"mute","on":true}`,
		`{"type":"control","kind":"dtmf","digit":"5","duration_ms":120,"key":"k6"}`,
		`{"type":"context","role":"system","text":"Ada calls.","key":"k7"}`,
		`{"type":"respond","key":"k8"}`,
		`{"type":"configure","wishes":{"instructions":"Be brief.","tools":[]}}`,
		`{"type":"tool_result","id":"call-1","output":"3","failed":true}`,
		`{"type":"bye"}`,
	} {
		c.write(coder.MessageText, []byte(m))
	}
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLeft })
	var got []any
	for _, call := range s.Calls() {
		got = append(got, call.What)
	}
	want := []any{
		transporttest.Text{Text: "hello", Key: "k1"},
		transporttest.Cancel{Request: transport.Request{Turn: "t1", Reason: "user_cancel", Force: true, Epoch: 1, Key: "k3"}},
		transporttest.Stop{Request: transport.Request{Key: "k4"}},
		transporttest.Muted{On: true},
		transport.Control{Kind: "dtmf", Digit: "5", DurationMS: 120, Key: "k6"},
		transport.Context{Role: transport.ContextSystem, Text: "Ada calls.", Key: "k7"},
		transporttest.Respond{Key: "k8"},
		transport.Wishes{Instructions: &instructions, Tools: []transport.Tool{}},
		transport.ToolResult{ID: "call-1", Output: "3", Failed: true},
		transport.LinkLeft,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("came\n%s", s.Transcript())
	}
	c.say(&wire.Ping{ID: 7})
	if pong := await[*wire.Pong](c, nil); pong.ID != 7 || pong.TimeMS == 0 {
		t.Errorf("%+v", pong)
	}
}

// TestServerMessages shows what the runtime's words become.
func TestServerMessages(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{Metrics: true})
	link := s.Link()
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	link.(transport.TextSink).WriteText(transport.Text{From: transport.TextAgent, Of: "t1", Text: "Hi", Final: true})
	link.(transport.SpeechSink).WriteSpeech(transport.Speech{Began: true, Sample: 320})
	link.(transport.ToolSink).WriteToolCall(transport.ToolCall{ID: "c1", Turn: "t1", Name: "price", Arguments: "{}"})
	link.(transport.MetricSink).WriteMetric(&eventabi.Envelope{EventID: "e5", Payload: json.RawMessage(`{"name":"x"}`)})
	await[*wire.Metric](c, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	var kinds []string
	for i, m := range c.said {
		kinds = append(kinds, strings.TrimPrefix(fmt.Sprintf("%T %d", m, c.seqs[i]), "*wire."))
	}
	want := []string{"Welcome 0", "Signal 1", "Transcript 2", "Speech 3", "ToolCall 4", "Metric 0"}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("heard %q; want %q", kinds, want)
	}
	if signal := c.said[1].(*wire.Signal).Signal; signal.Signal != eventabi.SignalTurnOpen || signal.TurnID != "t1" {
		t.Errorf("%+v", signal)
	}
}

// TestEnd shows that a session's end is said, and closes the connection with 1000.
func TestEnd(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	s.Close("client_left")
	if code := c.awaitClosed(); code != wire.CloseEnded {
		t.Errorf("closed with %d", code)
	}
	if ended := await[*wire.Ended](c, nil); ended.Reason != "client_left" {
		t.Errorf("%+v", ended)
	}
	w.eventually(func() bool { return w.server.Stats().Sessions == 0 })
}

// TestClientLeaves shows that a close frame with 1000 is a goodbye.
func TestClientLeaves(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	_ = c.ws.Close(coder.StatusNormalClosure, "")
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLeft })
	s.AwaitDone()
}

// renewing is a host whose sessions can be renewed.
type renewing struct {
	*transporttest.Host
	tokens chan string
}

func (r renewing) Renew(_ context.Context, id eventabi.SessionID, token string) error {
	r.tokens <- string(id) + " " + token
	if token == "stale" {
		return &transport.RefusedError{Code: transport.RefusedExpired}
	}
	return nil
}

// TestRenew shows that a fresh token reaches the host, and that a bad one is told.
func TestRenew(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, _, _ := w.enter(wire.Hello{})
	c.say(&wire.Renew{Token: "fresh", Keyed: wire.Keyed{Key: "k0"}})
	await(c, func(e *wire.Error) bool { return e.Code == wire.FaultRefused && e.Key == "k0" })

	host := renewing{transporttest.NewHost(t, transporttest.Config{}), make(chan string, 2)}
	server, err := websocket.New(websocket.Config{}, host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	t.Cleanup(func() {
		host.Close()
		web.Close()
	})
	other := &world{t: t, server: server, host: host.Host, url: "ws" + strings.TrimPrefix(web.URL, "http")}
	c, _, _ = other.enter(wire.Hello{Session: "mine"})
	c.say(&wire.Renew{Token: "fresh", Keyed: wire.Keyed{Key: "k1"}})
	c.say(&wire.Renew{Token: "stale", Keyed: wire.Keyed{Key: "k2"}})
	await(c, func(m *wire.Taken) bool { return m.Key == "k1" })
	await(c, func(e *wire.Error) bool {
		return e.Code == wire.FaultRefused && e.Key == "k2" && e.Message == "token_expired"
	})
	if got := <-host.tokens; got != "mine fresh" {
		t.Errorf("renewed %q", got)
	}
}

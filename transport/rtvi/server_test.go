// SPDX-License-Identifier: Apache-2.0

package rtvi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/rtvi"
	"github.com/parley-voice/parley/transport/transporttest"
)

// post asks the connect endpoint.
func post(t *testing.T, url, token, body string) (int, event) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"connect", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return answer.StatusCode, e
}

// The connect endpoint leads to the WebSocket, and what its body wishes is part of the offer.
func TestConnect(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	url := serve(t, rtvi.Config{}, host)
	status, e := post(t, url, transporttest.Token, `{"transport":"websocket","body":{"instructions":"Be kind.","language":"en-GB",
		"tools":[{"name":"clock","description":"The time","parameters":{"type":"object"}}],"audio_out_sample_rate":16000}}`)
	to, _ := e["wsUrl"].(string)
	if status != http.StatusOK || e["token"] != transporttest.Token || len(e) != 2 || !strings.HasPrefix(to, "ws"+strings.TrimPrefix(url, "http")+"ws?") {
		t.Fatalf("%d %v", status, e)
	}
	socket, answer, err := websocket.Dial(t.Context(), to+"&token="+transporttest.Token, nil)
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.CloseNow() }()
	kind, data := wire{binary: true}.message(event{"type": "client-ready", "data": event{"version": "2.1.0"}})
	if err := socket.Write(t.Context(), kind, data); err != nil {
		t.Fatal(err)
	}
	w := host.Next().Offer().Wishes
	if *w.Instructions != "Be kind." || *w.Language != "en-GB" || w.Voice != nil || len(w.Tools) != 1 || w.Tools[0].Name != "clock" {
		t.Errorf("wishes are %+v", w)
	}
}

func TestConnectRefused(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	refuse := &transport.RefusedError{Code: transport.RefusedToken, Reason: "for the test"}
	url := serve(t, rtvi.Config{URL: "https://voice.example/parley", Check: func(_ context.Context, o transport.Offer) error {
		if o.Token != transporttest.Token {
			return refuse
		}
		return nil
	}}, host)
	for name, test := range map[string]struct {
		token, body string
		status      int
		says        string
	}{
		"token":  {"wrong", "", http.StatusUnauthorized, "token_invalid"},
		"json":   {transporttest.Token, "{", http.StatusBadRequest, "JSON object"},
		"rate":   {transporttest.Token, `{"audio_out_sample_rate":1}`, http.StatusBadRequest, "audio_out_sample_rate"},
		"tool":   {transporttest.Token, `{"tools":[{}]}`, http.StatusBadRequest, "tools"},
		"length": {transporttest.Token, `{"x":"` + strings.Repeat("x", 1<<15) + `"}`, http.StatusBadRequest, "body"},
	} {
		t.Run(name, func(t *testing.T) {
			status, e := post(t, url, test.token, test.body)
			if text, _ := e["detail"].(string); status != test.status || !strings.Contains(text, test.says) {
				t.Errorf("%d %v", status, e)
			}
		})
	}
	if _, e := post(t, url, transporttest.Token, ""); e["wsUrl"] != "wss://voice.example/parley/v1/rtvi/ws" {
		t.Errorf("it leads to %v", e["wsUrl"])
	}
}

// A client is told why it gets no session, in the message that it knows and the code of the
// close frame.
func TestRefused(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{Authenticate: func(transport.Offer) (transport.Bootstrap, error) {
		return transport.Bootstrap{}, &transport.RefusedError{Code: transport.RefusedCapacity, Reason: "full"}
	}})
	c := dial(t, serve(t, rtvi.Config{}, host), true, "")
	c.send(event{"type": "client-ready", "id": "1", "data": event{"version": "2.1.0"}})
	if e := c.await("error"); at(e, "data", "fatal") != true || at(e, "data", "error") != "capacity: full" {
		t.Errorf("error is %v", e)
	}
	for c.next() != nil {
	}
	if code := websocket.CloseStatus(c.closed); code != 4429 {
		t.Errorf("the close code is %d", code)
	}
}

// A client that says nothing is let go.
func TestNotReady(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, rtvi.Config{Ready: 50 * time.Millisecond}, host), true, "")
	if e := c.next(); e != nil || websocket.CloseStatus(c.closed) != websocket.StatusPolicyViolation {
		t.Errorf("%v came, and the end is %v", e, c.closed)
	}
}

// Of protocol versions: that of the client's major is spoken, others are warned.
func TestVersions(t *testing.T) {
	for version, want := range map[string]struct{ speaks, warns any }{
		"2.1.0": {"2.2.0", nil},
		"1.3.0": {"1.3.0", nil},
		"3.0.0": {"2.2.0", true},
		"":      {"2.2.0", true},
	} {
		t.Run(version, func(t *testing.T) {
			host := transporttest.NewHost(t, transporttest.Config{})
			c := dial(t, serve(t, rtvi.Config{Version: "v1"}, host), true, "")
			c.send(event{"type": "client-ready", "id": "r", "data": event{"version": version}})
			e := c.await("bot-ready")
			if e["id"] != "r" || at(e, "data", "version") != want.speaks || at(e, "data", "about", "library_version") != "v1" {
				t.Errorf("bot-ready is %v", e)
			}
			if want.warns != nil {
				if e := c.await("error-response"); e["id"] != "r" {
					t.Errorf("the warning is %v", e)
				}
			}
		})
	}
}

// A turn, as a client is told of it, and another one that cuts it short.
func TestTurns(t *testing.T) {
	c, s := start(t, true, "")
	s.Speech(transport.Speech{Began: true})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "tell me", Final: false})
	s.Speech(transport.Speech{})
	s.Emit(eventabi.SignalEndOfUtterance, "", "endpoint")
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "tell me a story", Final: true})
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "Once upon a time. "})
	s.Play("t1", 1, transporttest.Tone(1, 100*time.Millisecond))
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "There was."})
	wantKinds(t, c.until("audio"), "user-started-speaking", "user-input", "user-transcription", "user-stopped-speaking", "user-input",
		"user-transcription", "user-llm-text", "bot-llm-started", "bot-llm-text", "bot-transcription", "bot-output", "bot-tts-text",
		"bot-tts-started", "bot-started-speaking", "audio")
	from := len(c.seen)
	s.Speech(transport.Speech{Began: true})
	s.Fence("t1", 1)
	s.Play("t1", 1, transporttest.Tone(1, 100*time.Millisecond))
	s.Emit(eventabi.SignalBargeIn, "t1", "")
	s.Emit(eventabi.SignalPlaybackCancelled, "t1", "")
	s.Emit(eventabi.SignalAbort, "t1", "cancelled")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalEndOfUtterance, "", "endpoint")
	s.Emit(eventabi.SignalTurnOpen, "t2", "")
	c.await("bot-llm-started")
	wantKinds(t, kinds(c.seen[from:]), "audio", "bot-llm-text", "bot-transcription", "bot-output", "bot-tts-text",
		"user-started-speaking", "bot-interrupted", "interruption", "bot-llm-stopped", "bot-tts-stopped", "bot-stopped-speaking",
		"user-stopped-speaking", "bot-llm-started")
	for _, e := range c.seen {
		if e["type"] == "bot-output" && at(e, "data", "spoken_status") == "completed" {
			t.Error("a piece that was cut off is told as spoken")
		}
	}
	s.Emit(eventabi.SignalOutputAccepted, "t2", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t2", Text: "It is noon."})
	s.Play("t2", 2, transporttest.Tone(2, 100*time.Millisecond))
	s.Emit(eventabi.SignalCommit, "t2", "")
	s.Emit(eventabi.SignalClose, "t2", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t2", "")
	wantKinds(t, c.until("bot-stopped-speaking"), "bot-llm-text", "bot-transcription", "bot-output", "bot-tts-text", "bot-tts-started",
		"bot-started-speaking", "audio", "bot-output", "bot-llm-stopped", "bot-tts-stopped", "bot-stopped-speaking")
	last := event{}
	for _, e := range c.seen {
		if e["type"] == "bot-output" {
			last = e
		}
	}
	if at(last, "data", "spoken_status") != "completed" || at(last, "data", "spoken_progress", "accumulated_text") != "It is noon." {
		t.Errorf("the last bot-output is %v", last)
	}
}

// A cough while the bot speaks is no user-started-speaking.
func TestCough(t *testing.T) {
	c, s := start(t, true, "")
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Speech(transport.Speech{Began: true})
	s.Speech(transport.Speech{})
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	for _, kind := range c.until("bot-llm-stopped") {
		if kind == "user-started-speaking" {
			t.Error("a cough is told as speech")
		}
	}
}

// Who is turned away at a full server, or put off, is told that there will be no answer.
func TestNoAnswer(t *testing.T) {
	c, s := start(t, true, "")
	for _, signal := range []eventabi.Signal{eventabi.SignalReject, eventabi.SignalDefer} {
		s.Emit(signal, "", "capacity:processors")
		e := c.await("error")
		if text, _ := at(e, "data", "error").(string); !strings.Contains(text, "capacity:processors") || at(e, "data", "fatal") != false {
			t.Errorf("%s: the client is told %v", signal, e)
		}
	}
}

// Each stretch of sound is led by silence, at the client's rate; no frame behind it is.
func TestLead(t *testing.T) {
	c, s := start(t, true, "&audio_out_sample_rate=16000")
	s.Play("t1", 1, transporttest.Tone(1, 60*time.Millisecond))
	const lead, frame = 2 * 1280, 2 * 320
	for i, want := range []int{lead + frame, frame, frame} {
		e := c.await("audio")
		sound := e["sound"].([]byte)
		if e["rate"] != 16000 || i == 0 && (len(sound) != want || !bytes.Equal(sound[:lead], make([]byte, lead))) {
			t.Fatalf("sound %d has %d bytes at %v Hz; want %d", i, len(sound), e["rate"], want)
		}
	}
}

// What is typed answers at once: what is being said is cancelled first. An answer that is to
// be written is, and the next one spoken again.
func TestTyped(t *testing.T) {
	c, s := start(t, true, "")
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Play("t1", 1, transporttest.Tone(1, 40*time.Millisecond))
	c.await("audio")
	c.send(event{"type": "send-text", "id": "9", "data": event{"content": "What time is it?", "options": event{"audio_response": false}}})
	transporttest.Await[transporttest.Text](s, nil)
	var order []string
	for _, call := range s.Calls() {
		switch what := call.What.(type) {
		case transporttest.Cancel:
			order = append(order, "cancel")
		case transport.Wishes:
			order = append(order, map[bool]string{true: "written", false: "spoken"}[*what.TextOnly])
		case transporttest.Text:
			order = append(order, what.Text)
		}
	}
	if got := strings.Join(order, ", "); got != "cancel, written, What time is it?" {
		t.Errorf("the session was told: %s", got)
	}
	if e := c.await("user-input"); at(e, "data", "msg_id") != "9" || at(e, "data", "input_type") != "chat" {
		t.Errorf("user-input is %v", e)
	}
	s.Emit(eventabi.SignalTurnOpen, "t2", "")
	transporttest.Await(s, func(w transport.Wishes) bool { return w.TextOnly != nil && !*w.TextOnly })
	c.send(event{"type": "append-to-context", "id": "10", "data": event{
		"role": "assistant", "content": []event{{"type": "text", "text": "Noon."}}, "run_immediately": true,
	}})
	c.await("append-to-context-result")
	if got := transporttest.Await[transport.Context](s, nil); got.Role != transport.ContextAssistant || got.Text != "Noon." {
		t.Errorf("context is %+v", got)
	}
	transporttest.Await[transporttest.Respond](s, nil)
}

// Native clients interrupt by a frame.
func TestInterruptionFrame(t *testing.T) {
	c, s := start(t, true, "")
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Play("t1", 1, transporttest.Tone(1, 40*time.Millisecond))
	c.await("audio")
	c.write(websocket.MessageBinary, field(nil, 5, nil))
	transporttest.Await[transporttest.Cancel](s, nil)
	c.write(websocket.MessageBinary, field(nil, 1, field(nil, 3, []byte("Hello."))))
	transporttest.Await(s, func(x transporttest.Text) bool { return x.Text == "Hello." })
}

// A client whose sound stops has switched its microphone off.
func TestMicrophoneOff(t *testing.T) {
	c, s := start(t, true, "")
	c.write(c.wire.audio(transporttest.Tone(1, 100*time.Millisecond)))
	transporttest.Await(s, func(m transporttest.Muted) bool { return m.On })
	c.write(c.wire.audio(transporttest.Tone(1, 100*time.Millisecond)))
	transporttest.Await(s, func(m transporttest.Muted) bool { return !m.On })
}

func TestTools(t *testing.T) {
	c, s := start(t, true, "")
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.ToolCall(transport.ToolCall{ID: "c1", Turn: "t1", Name: "clock", Arguments: `{"zone":"UTC"}`})
	e := c.await("llm-function-call-in-progress")
	if at(e, "data", "function_name") != "clock" || at(e, "data", "tool_call_id") != "c1" || at(e, "data", "arguments", "zone") != "UTC" {
		t.Errorf("the call is %v", e)
	}
	result := event{"function_name": "clock", "tool_call_id": "c1", "arguments": event{}, "result": event{"time": "noon"}}
	c.send(event{"type": "llm-function-call-result", "id": "5", "data": result})
	if got := transporttest.Await[transport.ToolResult](s, nil); got.ID != "c1" || got.Output != `{"time":"noon"}` {
		t.Errorf("the result is %+v", got)
	}
	if e := c.await("llm-function-call-stopped"); at(e, "data", "cancelled") != false {
		t.Errorf("its end is %v", e)
	}
	if e := c.ask("llm-function-call-result", result); e["type"] != "error-response" {
		t.Errorf("a second result is answered by %v", e)
	}
}

// What cannot be done is answered with the id, and nothing comes of it.
func TestFaults(t *testing.T) {
	c, s := start(t, false, "")
	for name, test := range map[string]struct {
		kind string
		data any
		says string
	}{
		"unknown":  {"dance", nil, "dance"},
		"empty":    {"send-text", event{"content": " "}, "content"},
		"type":     {"send-text", event{"content": 5}, "send-text"},
		"long":     {"send-text", event{"content": strings.Repeat("x", 1<<17)}, "content"},
		"role":     {"append-to-context", event{"role": "cook", "content": "x"}, "role"},
		"keys":     {"dtmf", event{"buttons": []string{"12"}}, "buttons"},
		"no keys":  {"dtmf", event{}, "buttons"},
		"rate":     {"raw-audio", event{"base64Audio": "AAAA", "sampleRate": 17, "numChannels": 1}, "rate"},
		"no rate":  {"raw-audio", event{"base64Audio": "AAAA"}, "sample rate"},
		"channels": {"raw-audio", event{"base64Audio": "AAAA", "sampleRate": 16000, "numChannels": 5}, "channels"},
		"base64":   {"raw-audio", event{"base64Audio": "*", "sampleRate": 16000, "numChannels": 1}, "base64"},
		"odd":      {"raw-audio", event{"base64Audio": "AA==", "sampleRate": 16000, "numChannels": 1}, "audio"},
		"nameless": {"client-message", event{}, "t"},
		"late":     {"client-message", event{"t": "eval-connect", "d": event{}}, "late"},
		"context":  {"client-message", event{"t": "eval-context", "d": event{"messages": []event{{"role": "x"}}}}, "message 1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.ask(test.kind, test.data)
			if text, _ := at(e, "data", "error").(string); e["type"] != "error-response" || !strings.Contains(text, test.says) {
				t.Errorf("it is answered by %v", e)
			}
		})
	}
	for _, call := range s.Calls() {
		switch call.What.(type) {
		case transporttest.Text, transport.Context, transport.Control:
			t.Errorf("%v came of it", call)
		}
	}
}

func TestTooManyFaults(t *testing.T) {
	c, _ := start(t, true, "")
	for range 200 {
		if c.socket.Write(t.Context(), websocket.MessageBinary, []byte{0xff}) != nil {
			break
		}
	}
	for c.next() != nil {
	}
	if code := websocket.CloseStatus(c.closed); code != websocket.StatusPolicyViolation {
		t.Errorf("the end is %v", c.closed)
	}
}

// The evaluation harness: what it asks of the connection comes first, and its sound in
// messages.
func TestEval(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, rtvi.Config{}, host), false, "&capture_bot_audio=true")
	c.send(event{"type": "client-message", "id": "eval-connect", "data": event{
		"t": "eval-connect", "d": event{"skip_tts": true, "capture_bot_audio": true, "capture_bot_images": false},
	}})
	c.ready()
	s := host.Next()
	if w := s.Offer().Wishes; w.TextOnly == nil || !*w.TextOnly {
		t.Errorf("wishes are %+v", w)
	}
	c.send(event{"type": "client-message", "id": "1", "data": event{"t": "eval-context", "d": event{"messages": []event{
		{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "I am Ada."},
	}}}})
	transporttest.Await(s, func(x transport.Context) bool { return x.Role == transport.ContextUser })
	c.send(event{"type": "client-message", "id": "2", "data": event{"t": "eval-configure", "d": event{"vad_user_speaking": true}}})
	c.send(event{"type": "client-message", "id": "3", "data": event{"t": "weather", "d": nil}})
	if e := c.await("server-response"); e["id"] != "3" || at(e, "data", "t") != "weather" {
		t.Errorf("the answer is %v", e)
	}
	transporttest.Await(s, func(x transport.Control) bool { return x.Kind == "weather" })
	s.Speech(transport.Speech{Began: true})
	c.await("vad-user-started-speaking")
	s.Play("t1", 1, transporttest.Tone(1, 40*time.Millisecond))
	if e := c.await("audio"); e["rate"] != 16000 || len(e["sound"].([]byte)) != 640 {
		t.Errorf("the sound is %v", e["rate"])
	}
	c.send(event{"type": "client-message", "id": "4", "data": event{"t": "eval-cancel", "d": event{}}})
	transporttest.Await[transporttest.Hangup](s, nil)
}

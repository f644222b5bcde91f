// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// TestSignature: the example that Twilio's own libraries are tested with.
func TestSignature(t *testing.T) {
	form := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Digits": {"1234"}, "From": {"+14158675309"},
		"To": {"+18005551212"}, "Caller": {"+14158675309"},
	}
	if got := string(sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form)); got != "RSOYDt4T1cUTdK1PDd93/VVr8B8=" {
		t.Errorf("signature %s", got)
	}
}

func secret(context.Context) (string, error) { return "12345", nil }

func public(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSignedStream: with a secret, a WebSocket needs a signature of its own address.
func TestSignedStream(t *testing.T) {
	_, host, address := serve(t, Config{Secret: secret, Public: public(t, "https://voice.example.com/base/")}, transporttest.Config{})
	header := http.Header{"X-Twilio-Signature": {string(sign("12345", "wss://voice.example.com/base/stream", nil))}}
	g := dial(t, address+"/stream", Twilio, header)
	g.start(transporttest.Token)
	host.Next().Close("enough")
	for _, signature := range []string{"", "x", string(sign("other", "wss://voice.example.com/base/stream", nil)), string(sign("12345", "wss://voice.example.com/base/other", nil))} {
		_, answer, err := websocket.Dial(t.Context(), address+"/stream", &websocket.DialOptions{HTTPHeader: http.Header{"X-Twilio-Signature": {signature}}})
		if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %v, %+v", signature, err, answer)
		}
	}
}

// TestNoSecret: a secret that cannot be had lets nobody in.
func TestNoSecret(t *testing.T) {
	for _, get := range []func(context.Context) (string, error){
		func(context.Context) (string, error) { return "", nil },
		func(context.Context) (string, error) { return "x", errors.New("away") },
	} {
		_, _, address := serve(t, Config{Secret: get}, transporttest.Config{})
		header := http.Header{"X-Twilio-Signature": {string(sign("", "ws://"+strings.TrimPrefix(address, "ws://")+"/", nil))}}
		if _, answer, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPHeader: header}); err == nil || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%v, %+v", err, answer)
		}
	}
}

// TestVoice: the webhook is answered with TwiML whose stream carries the token of the call.
func TestVoice(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	s, err := New(Config{Secret: secret, Public: public(t, "https://voice.example.com")}, host)
	if err != nil {
		t.Fatal(err)
	}
	var rang Ring
	issue := func(_ context.Context, r Ring) (string, error) {
		rang = r
		switch r.From {
		case "busy":
			return "", &transport.RefusedError{Code: transport.RefusedDraining}
		case "unknown":
			return "", errors.New("who?")
		}
		return `to"k&n`, nil
	}
	h, err := s.Voice(issue, "/twilio/stream", false)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(form url.Values, signature string) *http.Response {
		r := httptest.NewRequest(http.MethodPost, "https://inside:8080/twilio/voice?x=1", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", signature)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Result()
	}
	form := url.Values{"CallSid": {"CA1"}, "AccountSid": {"AC1"}, "From": {"+1555"}, "To": {"+1556"}}
	signed := func(f url.Values) string {
		return string(sign("12345", "https://voice.example.com/twilio/voice?x=1", f))
	}
	answer := ask(form, signed(form))
	var twiml struct {
		Stream struct {
			URL       string `xml:"url,attr"`
			Parameter struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"Parameter"`
		} `xml:"Connect>Stream"`
	}
	body, _ := io.ReadAll(answer.Body)
	if err := xml.Unmarshal(body, &twiml); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", answer.StatusCode, body, err)
	}
	if twiml.Stream.URL != "wss://voice.example.com/twilio/stream" || twiml.Stream.Parameter.Name != "token" || twiml.Stream.Parameter.Value != `to"k&n` {
		t.Errorf("%s", body)
	}
	if rang != (Ring{Call: "CA1", Account: "AC1", From: "+1555", To: "+1556"}) {
		t.Errorf("rang %+v", rang)
	}
	if answer := ask(form, "forged"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a forged request: %d", answer.StatusCode)
	}
	for from, reason := range map[string]string{"busy": "busy", "unknown": "rejected"} {
		form.Set("From", from)
		body, _ := io.ReadAll(ask(form, signed(form)).Body)
		if !strings.Contains(string(body), `<Reject reason="`+reason+`"/>`) {
			t.Errorf("%s: %s", from, body)
		}
	}
}

// TestVoiceNeedsASignature: without a secret whoever reaches the endpoint would get tokens.
func TestVoiceNeedsASignature(t *testing.T) {
	s, err := New(Config{}, transporttest.NewHost(t, transporttest.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(context.Context, Ring) (string, error) { return "t", nil }
	if _, err := s.Voice(issue, "/s", false); err == nil {
		t.Error("it was taken without a secret")
	}
	if _, err := s.Voice(nil, "s", true); err == nil || strings.Count(err.Error(), "telephony: ") != 2 {
		t.Errorf("%v; want two faults", err)
	}
	h, err := s.Voice(issue, "/s", true)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/voice", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", w.Code)
	}
}

// TestConfig: all faults at once.
func TestConfig(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	err := Config{
		Dialect: "smoke", Out: Format{Mulaw, 16000}, Calls: -1, Start: -1, Idle: -1, Message: 1, Faults: -1, MarkEvery: 30e6,
		Public: public(t, "voice.example.com"),
	}.Validate()
	for _, field := range []string{"dialect", "out", "calls", "start", "idle", "message", "faults", "mark_every", "public"} {
		if err == nil || !strings.Contains(err.Error(), "telephony: "+field+": ") {
			t.Errorf("%v: says nothing of %s", err, field)
		}
	}
	if _, err := New(Config{Calls: -1}, nil); err == nil || !strings.Contains(err.Error(), "host") {
		t.Errorf("%v", err)
	}
}

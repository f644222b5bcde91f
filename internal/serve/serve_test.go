// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/internal/settings"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/segmenter"
	"github.com/parley-voice/parley/node/vad"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
)

type quiet struct{}

func (quiet) Probability(*[vad.FrameSamples]int16) float32 { return 0 }
func (quiet) Reset()                                       {}

func runtime(t *testing.T) *parley.Runtime {
	t.Helper()
	r, err := parley.New(parley.Config{
		STT: &providertest.FakeSTT{}, TTS: &providertest.FakeTTS{}, MaxSessions: 8,
		LLM:        &providertest.FakeLLM{Replies: []string{"The lighthouse keeper counted every ship."}},
		Endpointer: func() (node.Node, error) { return vad.NewEndpointNode(quiet{}, vad.EndpointerConfig{}) },
		Segmenter:  func() (node.Node, error) { return segmenter.NewNode(segmenter.Default()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type world struct {
	*Server
	log lines
	url string
}

// serving is a server with the test's transport, on any port.
func serving(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := listening(t, change)
	if err := w.Start(runtime(t)); err != nil {
		t.Fatal(err)
	}
	return w
}

func listening(t *testing.T, change func(*Config)) *world {
	t.Helper()
	c := Default()
	c.Listen = "127.0.0.1:0"
	if change != nil {
		change(c)
	}
	w := &world{}
	s, err := New(c, Program{
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Build: "test",
		Mounts: []Mount{{Path: "/test", Kind: servetest.Kind, About: "tests", New: func(h transport.Host, _ MountOptions) (http.Handler, func(context.Context) error, error) {
			return servetest.New(h), nil, nil
		}}},
		Getenv: func(name string) string { return map[string]string{"OPERATOR": "a-secret-of-the-operator"}[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Server, w.url = s, strings.TrimSuffix(s.URL(), "/")
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(t.Context()), servetest.Patience)
		defer stop()
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func tokenMode(t *testing.T) func(*Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.pem")
	key, err := parley.NewTokenKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, key.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Auth.Mode, c.Auth.Keys, c.Auth.Operator = ModeToken, settings.Reference("file://"+path), "env://OPERATOR"
	}
}

func (w *world) ask(t *testing.T, method, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

func (w *world) dial(t *testing.T, query string, header ...string) *servetest.Client {
	t.Helper()
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	c, err := servetest.Dial(t.Context(), "ws"+strings.TrimPrefix(w.url, "http")+"/test"+query, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func until(t *testing.T, c *servetest.Client, prefix string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	text, _, err := c.Until(ctx, prefix)
	if err != nil {
		t.Fatalf("%q does not come: %v", prefix, err)
	}
	return text
}

func say(t *testing.T, c *servetest.Client, text string) {
	t.Helper()
	if err := c.Say(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// One conversation, from the first connection to the last word, and what the server tells
// of it meanwhile.
func TestConversation(t *testing.T) {
	w := serving(t, nil)
	c := w.dial(t, "?session=s-1&instructions=Be+brief")
	until(t, c, "signal connected")
	say(t, c, "tell me a story")
	if said := until(t, c, "agent "); !strings.Contains(said, "lighthouse") {
		t.Errorf("it said %q", said)
	}
	until(t, c, "signal playback_completed")
	code, body := w.ask(t, "GET", "/api/sessions/s-1")
	var st parley.SessionStatus
	if err := json.Unmarshal([]byte(body), &st); err != nil || code != 200 || st.State != parley.StateRunning || st.Turns != 1 || st.FramesOut == 0 || st.Tenant != "local" {
		t.Errorf("%d %s, %v", code, body, err)
	}
	_, metrics := w.ask(t, "GET", "/metrics")
	for _, want := range []string{
		`parley_sessions{state="running",tenant="local",transport="servetest"} 1`, "parley_frames_after_fence_total 0", "parley_ready 1",
		`parley_first_audio_seconds_count{transport="servetest"} 1`, `parley_turns_total{outcome="commit"} 1`, `parley_frame_lateness_seconds{quantile="0.99"}`,
		`parley_control_preempt_seconds{quantile="0.5"}`, `parley_admission_starts_total{outcome="admit"} 1`, "go_goroutines", `parley_pool_tasks{state="queued"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is not among the metrics", want)
		}
	}
	if code, body := w.ask(t, "POST", "/api/sessions/s-1/close"); code != 202 {
		t.Errorf("close: %d %s", code, body)
	}
	if reason := until(t, c, "close "); reason != "close closed_by_operator" {
		t.Errorf("it ended with %q", reason)
	}
	for end := time.Now().Add(servetest.Patience); !strings.Contains(body, `"ended"`); time.Sleep(time.Millisecond) {
		if code, body = w.ask(t, "GET", "/api/sessions/s-1"); code != 200 || time.Now().After(end) {
			t.Fatalf("%d %s", code, body)
		}
	}
	if code, _ := w.ask(t, "POST", "/api/sessions/s-1/close"); code != 409 {
		t.Errorf("closing it again: %d", code)
	}
	if log := w.log.String(); !strings.Contains(log, "session began") || !strings.Contains(log, "reason=closed_by_operator") || strings.Contains(log, "story") {
		t.Errorf("the log:\n%s", log)
	}
}

// A session that is revoked hears no more, and its tokens are void.
func TestRevoke(t *testing.T) {
	w := serving(t, tokenMode(t))
	text, _, err := w.tokens.Issue(parley.TokenClaims{Tenant: "acme", Session: "s-1", Transport: string(servetest.Kind)})
	if err != nil {
		t.Fatal(err)
	}
	c := w.dial(t, "", "Authorization", "Bearer "+text)
	until(t, c, "signal connected")
	say(t, c, "tell me a story")
	until(t, c, "signal playback_started")
	if code, body := w.ask(t, "POST", "/api/sessions/s-1/revoke", "Authorization", "Bearer a-secret-of-the-operator"); code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	until(t, c, "signal deauthorized_drain")
	until(t, c, "close ")
	if c := w.dial(t, "", "Authorization", "Bearer "+text); c.Refused != 403 && c.Refused != 401 {
		t.Errorf("its token again: %d %s", c.Refused, c.Answer)
	}
}

// Who may see what. A token of a session shows that session; a status token those of its
// tenant; the operator's everything. Nobody's token is in the log.
func TestStatusIsBound(t *testing.T) {
	w := serving(t, tokenMode(t))
	issue := func(tenant, session, kind string) string {
		t.Helper()
		text, _, err := w.tokens.Issue(parley.TokenClaims{Tenant: tenant, Session: eventabi.SessionID(session), Transport: kind})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var all []string
	for _, s := range [][2]string{{"acme", "a-1"}, {"acme", "a-2"}, {"umbrella", "u-1"}} {
		text := issue(s[0], s[1], string(servetest.Kind))
		all = append(all, text)
		until(t, w.dial(t, "", "Authorization", "Bearer "+text), "signal connected")
	}
	status := issue("acme", "none", StatusTransport)
	all = append(all, status)
	list := func(bearer string) string {
		code, body := w.ask(t, "GET", "/api/sessions", "Authorization", bearer)
		var out struct{ Sessions []parley.SessionStatus }
		if err := json.Unmarshal([]byte(body), &out); err != nil || code != 200 {
			return http.StatusText(code)
		}
		var ids []string
		for _, s := range out.Sessions {
			ids = append(ids, string(s.ID))
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	for bearer, want := range map[string]string{
		"Bearer " + all[0]: "a-1", "Bearer " + all[2]: "u-1", "Bearer " + status: "a-1 a-2", "Bearer a-secret-of-the-operator": "a-1 a-2 u-1",
		"": "Unauthorized", "Bearer ": "Unauthorized", "Bearer a-secret-of-the-operators": "Unauthorized", "Bearer " + all[0] + "x": "Unauthorized",
	} {
		if got := list(bearer); got != want {
			t.Errorf("%.20q sees %q, want %q", bearer, got, want)
		}
	}
	for _, row := range []struct {
		method, path, bearer string
		code                 int
	}{
		{"GET", "/api/sessions/u-1", all[0], 404},
		{"GET", "/api/sessions/a-2", all[0], 404},
		{"GET", "/api/sessions/a-2", status, 200},
		{"GET", "/api/sessions/x", "a-secret-of-the-operator", 404},
		{"POST", "/api/sessions/u-1/close", all[0], 404},
		{"POST", "/api/sessions/a-2/close", status, 403},
		{"POST", "/api/sessions/a-1/revoke", all[0], 403},
		{"POST", "/api/sessions/a-1/close", all[0], 202},
		{"GET", "/metrics", all[0], 401},
		{"GET", "/metrics", "", 401},
		{"GET", "/metrics", "a-secret-of-the-operator", 200},
		{"POST", "/api/token", "", 404},
		{"GET", "/healthz", "", 200},
		{"GET", "/readyz", "", 200},
		{"GET", "/api/nothing", "", 404},
		{"DELETE", "/api/sessions/a-1", "", 404},
	} {
		if code, body := w.ask(t, row.method, row.path, "Authorization", "Bearer "+row.bearer); code != row.code {
			t.Errorf("%s %s: %d %s, want %d", row.method, row.path, code, body, row.code)
		}
	}
	if c := w.dial(t, "", "Authorization", "Bearer "+status); c.Refused != 401 {
		t.Errorf("a status token begins a session: %d", c.Refused)
	}
	if c := w.dial(t, ""); c.Refused != 401 {
		t.Errorf("without a token: %d %s", c.Refused, c.Answer)
	}
	log := w.log.String()
	for _, secret := range append(all, "a-secret-of-the-operator") {
		for _, piece := range strings.Split(secret, ".") {
			if strings.Contains(log, piece) {
				t.Errorf("the log holds a piece of a secret: %s", piece)
			}
		}
	}
	if !strings.Contains(log, "session refused") {
		t.Errorf("no refusal in the log:\n%s", log)
	}
}

// The operator withdraws a token, a session or a tenant; a session that runs ends.
func TestRevocations(t *testing.T) {
	w := serving(t, tokenMode(t))
	const operator = "Bearer a-secret-of-the-operator"
	post := func(bearer, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/revocations", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", bearer)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode
	}
	for i, body := range []string{`{"jti":"t-0"}`, `{"tenant_id":"acme-1","session_id":"s-1"}`, `{"tenant_id":"acme-2"}`} {
		n := string(rune('0' + i))
		text, _, err := w.tokens.Issue(parley.TokenClaims{Tenant: "acme-" + n, Session: eventabi.SessionID("s-" + n), ID: "t-" + n, Transport: string(servetest.Kind)})
		if err != nil {
			t.Fatal(err)
		}
		c := w.dial(t, "", "Authorization", "Bearer "+text)
		until(t, c, "signal connected")
		if code := post("Bearer "+text, body); code != 401 {
			t.Errorf("%s by a client: %d", body, code)
		}
		if code := post(operator, body); code != 202 {
			t.Errorf("%s: %d", body, code)
		}
		until(t, c, "signal deauthorized_drain")
	}
	for _, body := range []string{"", "{}", `{"session_id":"s"}`, `{"jti":"a","tenant_id":"b"}`, `{"token":"x"}`, `[]`, `{"jti":"` + strings.Repeat("x", 1<<17) + `"}`} {
		if code := post(operator, body); code != 400 {
			t.Errorf("%.20s: %d", body, code)
		}
	}
}

// A request may be only so large and take only so long.
func TestRequestBounds(t *testing.T) {
	w := serving(t, func(c *Config) { c.HTTP.HeaderBytes, c.HTTP.HeaderTimeout = 2048, 100 })
	large, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	large.Header.Set("X-Large", strings.Repeat("x", 1<<14))
	if a, err := http.DefaultTransport.RoundTrip(large); err == nil { // else the server has closed before all of it was sent
		a.Body.Close()
		if a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a large header: %d", a.StatusCode)
		}
	}
	c, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(servetest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) { // else the server has closed
		t.Error("who never ends a header is waited for")
	}
}

// In development mode everybody on this machine gets a token, which works where tokens do;
// one that is wrong is refused all the same.
func TestDevelopmentToken(t *testing.T) {
	w := serving(t, nil)
	code, body := w.ask(t, "POST", "/api/token")
	var got tokenAnswer
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || got.Token == "" || got.Session == "" || !strings.Contains(got.Notice, "development") {
		t.Fatalf("%d %s", code, body)
	}
	c, err := w.tokens.Check(got.Token)
	if err != nil || c.Transport != "websocket" || c.Tenant != "local" || c.Session != got.Session {
		t.Errorf("it says %+v, %v", c, err)
	}
	if c := w.dial(t, "", "Authorization", "Bearer "+got.Token); c.Refused != 401 { // it is for another transport
		t.Errorf("the token of another transport: %d", c.Refused)
	}
	until(t, w.dial(t, "", "Authorization", "Bearer sk-anything"), "signal connected")
	if code, _ := w.ask(t, "GET", "/api/token"); code != 404 {
		t.Errorf("GET: %d", code)
	}
}

// Pages of other origins, and requests by names that are not this server's, are turned away
// before anybody looks at them.
func TestOrigins(t *testing.T) {
	w := serving(t, func(c *Config) { c.Origins, c.Hosts = []string{"https://app.example"}, []string{"voice.test"} })
	own := w.url
	for _, row := range []struct {
		header []string
		dial   int // of a WebSocket; 0 = it is let in
		post   int
	}{
		{nil, 0, 200},
		{[]string{"Origin", own}, 0, 200},
		{[]string{"Origin", "https://app.example"}, 0, 200},
		{[]string{"Origin", "http://app.example"}, 403, 403},
		{[]string{"Origin", "https://evil.example"}, 403, 403},
		{[]string{"Origin", "https://app.example.evil.example"}, 403, 403},
		{[]string{"Origin", "null"}, 403, 403},
		{[]string{"Origin", "file://"}, 403, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403, 403},
	} {
		if c := w.dial(t, "", row.header...); c.Refused != row.dial {
			t.Errorf("%v connects: %d %s", row.header, c.Refused, c.Answer)
		}
		if code, body := w.ask(t, "POST", "/api/token", row.header...); code != row.post {
			t.Errorf("%v asks: %d %s", row.header, code, body)
		}
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(own, "http://"), ":")
	for host, want := range map[string]int{
		"localhost": 200, "127.0.0.1:" + port: 200, "[::1]:1": 200, "voice.test": 200, "VOICE.TEST:80": 200, "evil.example": 421, "127.0.0.1.evil.example:" + port: 421, "localhost.evil.example": 421,
	} {
		if code, _ := w.ask(t, "GET", "/healthz", "Host", host); code != want {
			t.Errorf("called %s: %d, want %d", host, code, want)
		}
	}
	// A foreign page that owns a name which leads here is of one origin with itself.
	if code, _ := w.ask(t, "POST", "/api/token", "Host", "evil.example:"+port, "Origin", "http://evil.example:"+port); code != 421 {
		t.Errorf("rebinding: %d", code)
	}
	if _, metrics := w.ask(t, "GET", "/metrics"); !strings.Contains(metrics, `parley_requests_refused_total{reason="origin"}`) || !strings.Contains(metrics, `parley_requests_refused_total{reason="host"}`) {
		t.Error("who was turned away is not counted")
	}
}

// It is healthy as soon as it listens, ready when the engines are warm, and not any more
// from the moment it drains; new sessions are refused then, and the live one finishes.
func TestReadiness(t *testing.T) {
	w := listening(t, nil)
	if code, _ := w.ask(t, "GET", "/healthz"); code != 200 {
		t.Errorf("health while starting: %d", code)
	}
	if code, body := w.ask(t, "GET", "/readyz"); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("readiness while starting: %d %s", code, body)
	}
	if c := w.dial(t, ""); c.Refused != 503 || !strings.Contains(c.Answer, "starting") {
		t.Errorf("a client while starting: %d %s", c.Refused, c.Answer)
	}
	if code, _ := w.ask(t, "GET", "/api/sessions"); code != 503 {
		t.Errorf("sessions while starting: %d", code)
	}
	if err := w.Start(runtime(t)); err != nil {
		t.Fatal(err)
	}
	if code, body := w.ask(t, "GET", "/readyz"); code != 200 {
		t.Errorf("readiness: %d %s", code, body)
	}
	c := w.dial(t, "")
	until(t, c, "signal connected")
	say(t, c, "tell me a story")
	until(t, c, "signal playback_started")
	closed := make(chan error, 1)
	go func() { closed <- w.Close(t.Context()) }()
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(time.Millisecond) {
		code, body := w.ask(t, "GET", "/readyz")
		if code == 503 && strings.Contains(body, "draining") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not drain: %d %s", code, body)
		}
	}
	if c := w.dial(t, ""); c.Refused != 503 || !strings.Contains(c.Answer, "draining") {
		t.Errorf("a client while draining: %d %s", c.Refused, c.Answer)
	}
	until(t, c, "signal playback_completed") // it may finish
	if reason := until(t, c, "close "); reason != "close shutdown" {
		t.Errorf("it ended with %q", reason)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// When the time of a drain is over, or a second signal comes, sessions end by force.
func TestCloseByForce(t *testing.T) {
	w := serving(t, nil)
	c := w.dial(t, "")
	until(t, c, "signal connected")
	say(t, c, "tell me a story")
	until(t, c, "signal playback_started")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := w.Close(ctx); err != nil {
		t.Error(err)
	}
	until(t, c, "close ")
}

// Who opens connections and says nothing takes a bounded number, and theirs alone.
func TestConnectionsBounded(t *testing.T) {
	w := serving(t, func(c *Config) { c.HTTP.Connections = 2 })
	first, second := w.dial(t, ""), w.dial(t, "")
	until(t, first, "signal connected")
	until(t, second, "signal connected")
	if _, err := servetest.Dial(t.Context(), "ws"+strings.TrimPrefix(w.url, "http")+"/test", nil); err == nil {
		t.Error("a third connection is let in")
	}
	if w.overflow.Load() == 0 {
		t.Error("it is not counted")
	}
	first.Close()
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(time.Millisecond) {
		c, err := servetest.Dial(t.Context(), "ws"+strings.TrimPrefix(w.url, "http")+"/test", nil)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("a place that was given back is not taken")
		}
	}
}

// Nothing listens beyond loopback in development mode, whatever the address is called.
func TestLoopbackOnly(t *testing.T) {
	for listen, fine := range map[string]bool{
		"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, "127.8.9.1:7860": true, ":7860": false, "0.0.0.0:0": false, "[::]:0": false,
		"192.168.1.5:80": false, "example.com:80": false, "7860": false, "127.0.0.1": false, "127.0.0.1:http": false, "[fe80::1]:80": false,
	} {
		c := Default()
		c.Listen = listen
		if got := len(c.Problems()) == 0; got != fine {
			t.Errorf("%s: %v", listen, c.Problems())
		}
		c.Auth.Mode, c.Auth.Keys = ModeToken, "file://keys"
		if problems := c.Problems(); fine && len(problems) > 0 {
			t.Errorf("%s with tokens: %v", listen, problems)
		}
	}
	c := Default()
	c.Listen, c.Auth.Mode, c.Auth.Keys = "0.0.0.0:0", ModeToken, "file://keys"
	if problems := c.Problems(); len(problems) > 0 {
		t.Errorf("with tokens it may be said: %v", problems)
	}
}

// Contradictions are told at the field that is to change.
func TestProblems(t *testing.T) {
	c := Default()
	c.Auth.Mode, c.Origins, c.PublicURL, c.Session.Tenant = ModeToken, []string{"app.example", "ftp://x", "https://fine.example"}, "voice", "a b"
	var paths []string
	for _, p := range c.Problems() {
		paths = append(paths, p.Path)
	}
	if strings.Join(paths, " ") != "auth.keys origins origins public_url session.tenant" {
		t.Errorf("problems of %v", c.Problems())
	}
	c = Default()
	c.PublicURL = "https://voice.example"
	if p := c.Problems(); len(p) != 1 || p[0].Path != "public_url" {
		t.Errorf("development mode behind a proxy: %v", p)
	}
	for _, ref := range []settings.Reference{"env://NOTHING", "file:///nowhere/keys"} {
		c := Default()
		c.Auth.Keys = ref
		if _, err := New(c, Program{Getenv: func(string) string { return "" }}); err == nil || !strings.Contains(err.Error(), "auth.keys") {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for want, change := range map[string]func(*Config){
		"sip.listen":      func(c *Config) { c.SIP.Listen = "0.0.0.0:5060" },
		"sip.peers":       func(c *Config) { c.SIP.Peers = []string{"192.0.2.1"} },
		"sip.password":    func(c *Config) { c.SIP.User = "desk" },
		"sip.rtp_highest": func(c *Config) { c.SIP.Highest = 20000 },
		"livekit.url":     func(c *Config) { c.LiveKit.Rooms = []string{"lobby"} },
		"agent.llm":       func(c *Config) { c.Agent.LLM = "ftp://127.0.0.1/v1" },
		"livekit.api_secret": func(c *Config) {
			c.LiveKit.URL, c.LiveKit.Rooms, c.LiveKit.Key = "wss://live.example", []string{"lobby"}, "env://KEY"
		},
		"livekit.rooms": func(c *Config) {
			c.LiveKit.URL, c.LiveKit.Key, c.LiveKit.Secret = "wss://live.example", "env://KEY", "env://SECRET"
		},
		"livekit.identity": func(c *Config) {
			l := &c.LiveKit
			l.URL, l.Key, l.Secret, l.Rooms, l.Participant = "wss://live.example", "env://KEY", "env://SECRET", []string{"lobby"}, l.Identity
		},
	} {
		c := Default()
		change(c)
		if p := c.Problems(); len(p) != 1 || p[0].Path != want {
			t.Errorf("%s: %v", want, p)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{file, filepath.Join(file, "calls"), "calls\x00"} { // in which no session could be recorded
		c := Default()
		c.Session.Record = folder
		if _, err := New(c, Program{}); err == nil || !strings.Contains(err.Error(), "session.record") {
			t.Errorf("recorded in %q: %v", folder, err)
		}
	}
	c = Default()
	c.Session.Record = filepath.Join(t.TempDir(), "a", "calls")
	if _, err := New(c, Program{}); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(c.Session.Record); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	c = Default()
	c.Auth.Operator = "env://SHORT"
	if _, err := New(c, Program{Getenv: func(string) string { return "hunter2" }}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a short secret: %v", err)
	}
}

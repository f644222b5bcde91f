// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/serve"
	"github.com/parley-voice/parley/internal/serve/servetest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

// briskMount is the native transport with less patience for clients that are silent, so
// that a test need not wait as long as a server does.
func briskMount() serve.Mount {
	return serve.Mount{
		Path: "/brisk", Kind: websocket.Kind, About: "tests",
		New: func(h transport.Host, _ serve.MountOptions) (http.Handler, func(context.Context) error, error) {
			s, err := websocket.New(websocket.Config{
				Keepalive: 500 * time.Millisecond, Pong: 2 * time.Second, Write: 2 * time.Second, Grace: 500 * time.Millisecond,
			}, h)
			if err != nil {
				return nil, nil, err
			}
			return s, s.Close, nil
		},
	}
}

// asCaller has this test's binary be a caller at an address, as a process that can be
// stopped and killed.
const asCaller = "PARLEY_TEST_AS_CALLER"

// callAndStay asks for a story, listens, and tells how its session ended.
func callAndStay(url string) int {
	c, err := patiently(context.Background(), client.Config{URL: url, Silent: true, GiveUp: 5 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	fmt.Println(c.Session())
	if err := c.SendText("tell me a story"); err != nil {
		return exitFailure
	}
	for ev := range c.Events() {
		if e, ok := ev.(*client.Ended); ok {
			fmt.Println("ended:", e.Reason, e.Err)
		}
	}
	return exitOK
}

// patiently comes again when a machine that is busy with other tests takes nobody.
func patiently(ctx context.Context, config client.Config) (*client.Client, error) {
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(100 * time.Millisecond) {
		c, err := client.Dial(ctx, config)
		var refused *client.RefusedError
		if !errors.As(err, &refused) || refused.Code != "capacity" || time.Now().After(end) {
			return c, err
		}
	}
}

// bare is a client without manners.
type bare struct {
	*ws.Conn
	welcome *wire.Welcome
	refused *wire.Refused
}

// barge connects and says hello; what it is answered stands in welcome or refused. Like
// patiently it comes again.
func barge(t *testing.T, p *program, path string, hello *wire.Hello) *bare {
	t.Helper()
	for end := time.Now().Add(servetest.Patience); ; time.Sleep(100 * time.Millisecond) {
		b := bargeOnce(t, p, path, hello)
		if b.refused == nil || b.refused.Code != "capacity" || time.Now().After(end) {
			return b
		}
	}
}

func bargeOnce(t *testing.T, p *program, path string, hello *wire.Hello) *bare {
	t.Helper()
	d := &net.Dialer{}
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096) // what is not read soon stands at the server
		}
		return c, err
	}}}
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	c, _, err := ws.Dial(ctx, p.url+path, &ws.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPClient: web}) //nolint:bodyclose // it has none
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	b := &bare{Conn: c}
	data, err := wire.AppendClient(nil, hello)
	if err == nil {
		err = c.Write(ctx, ws.MessageText, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, data, err = c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, _, f := wire.ReadServer(data)
	if f != nil {
		t.Fatal(f)
	}
	b.welcome, _ = m.(*wire.Welcome)
	b.refused, _ = m.(*wire.Refused)
	return b
}

func (b *bare) text(t *testing.T, text string) {
	t.Helper()
	if err := b.Write(t.Context(), ws.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// metric gives a value of the program's metrics; those of a name with labels are summed.
func (p *program) metric(t *testing.T, name string, header ...string) float64 {
	t.Helper()
	_, body := p.get(t, "/metrics", header...)
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(strings.TrimSpace(line), ' '):]), 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// sessions gives the status of the sessions, by id.
func (p *program) sessions(t *testing.T, header ...string) map[string]status {
	t.Helper()
	_, body := p.get(t, "/api/sessions", header...)
	var answer struct{ Sessions []status }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	list := map[string]status{}
	for _, s := range answer.Sessions {
		list[s.ID] = s
	}
	return list
}

type status struct {
	ID     string `json:"session_id"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	Kind   string `json:"transport_kind"`
	Turns  int64  `json:"turns"`
	After  int64  `json:"frames_after_fence"`
	Missed int64  `json:"frames_missing"`
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(servetest.Patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come: %s", what)
		}
	}
}

// proxy is a network between clients and the program that can break.
type proxy struct {
	url string

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T, p *program) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &proxy{url: "http://" + l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			x.mu.Lock()
			x.conns = append(x.conns, near, far)
			x.mu.Unlock()
			for _, way := range [...][2]net.Conn{{near, far}, {far, near}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // until it is cut
					_, _ = way[0].Close(), way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		x.cut()
		all.Wait()
	})
	return x
}

// cut breaks the connections without a word of the protocol.
func (x *proxy) cut() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range x.conns {
		_ = c.Close()
	}
	x.conns = nil
}

// Clients that no server wishes for, against the program as a process of its own: what they
// do is theirs alone, and what they cost comes back.
func TestServeSurvivesItsClients(t *testing.T) {
	p := serveProcess(t, nil, "--set", "session.max=64", "--set", "log.level=warn")
	t.Run("warm", func(t *testing.T) { // what is made once, or for each call at a time
		var crowd []*listener
		for range 8 {
			crowd = append(crowd, listen(t, p))
		}
		for _, l := range crowd {
			l.asks("what time is it", 1)
		}
	})
	until(t, "an empty server", func() bool { return len(p.open(t)) == 0 })
	routines, memory := p.metric(t, "go_goroutines"), p.metric(t, "process_resident_memory_bytes")
	t.Run("all", func(t *testing.T) {
		t.Run("does not read", func(t *testing.T) { t.Parallel(); neverReads(t, p) })
		t.Run("stops", func(t *testing.T) { t.Parallel(); stops(t, p) })
		t.Run("floods", func(t *testing.T) { t.Parallel(); floods(t, p) })
		t.Run("talks nonsense", func(t *testing.T) { t.Parallel(); nonsense(t, p) })
		t.Run("is cut off", func(t *testing.T) { t.Parallel(); cutOff(t, p) })
	})
	until(t, "the end of all sessions", func() bool { return len(p.open(t)) == 0 })
	until(t, "the end of what served them", func() bool { return p.metric(t, "go_goroutines") < routines+20 })
	const room = 192 << 20 // garbage; what the flood alone sends is more, were it kept
	if now := p.metric(t, "process_resident_memory_bytes"); now > memory+room {
		t.Errorf("memory grew from %.0f to %.0f MB", memory/(1<<20), now/(1<<20))
	}
	if n := p.metric(t, "parley_frames_after_fence_total"); n != 0 {
		t.Errorf("%v frames after a fence", n)
	}
	for id, s := range p.sessions(t) {
		if s.After != 0 || s.State == "ended" && s.Reason == "" {
			t.Errorf("%s: %+v", id, s)
		}
	}
	p.signal(t)
	p.ended(t, exitOK)
	if log := p.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
		t.Errorf("it panicked:\n%s", log)
	}
}

// open gives the sessions that have not ended.
func (p *program) open(t *testing.T) (list []string) {
	t.Helper()
	for id, s := range p.sessions(t) {
		if s.State != "ended" {
			list = append(list, id)
		}
	}
	return list
}

// again is how long to wait for an answer before asking again: a server whose machine is
// busy refuses turns, and says so.
const again = 10 * time.Second

// asks repeats a question until its answer begins, the nth of this listener.
func (l *listener) asks(text string, nth int) {
	l.t.Helper()
	until(l.t, "the begin of an answer to "+text, func() bool {
		if err := l.SendText(text); err != nil {
			l.t.Fatal(err)
		}
		for end := time.Now().Add(again); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if l.count(emitted(eventabi.SignalPlaybackStarted)) >= nth {
				return true
			}
		}
		return false
	})
}

// ask has the listener ask the time, and hear the nth answer to its end.
func (l *listener) ask(nth int) {
	l.t.Helper()
	l.asks("what time is it", nth)
	l.await("an answer, played to its end", nth, emitted(eventabi.SignalPlaybackCompleted))
}

// neverReads: clients that ask for a story and never read, nor answer a ping, are lost, and
// their sessions end.
func neverReads(t *testing.T, p *program) {
	t.Helper()
	const n = 5
	var ids []string
	for range n {
		b := barge(t, p, "/brisk", &wire.Hello{})
		if b.welcome == nil {
			t.Fatalf("refused: %+v", b.refused)
		}
		ids = append(ids, string(b.welcome.Session))
		b.text(t, `{"type":"text","text":"tell me a story"}`)
	}
	until(t, "the end of those who do not read", func() bool {
		all, gone := p.sessions(t), 0
		for _, id := range ids {
			if all[id].State == "ended" {
				gone++
			}
		}
		return gone == n
	})
	for id, s := range p.sessions(t) {
		for _, mine := range ids {
			if id == mine && s.Reason != "disconnect_timeout" {
				t.Errorf("%s ended with %q", id, s.Reason)
			}
		}
	}
}

// stops: a client's process is stopped, so that its socket is open and nobody is there. Its
// session ends in time; when the process goes on it is told so.
func stops(t *testing.T, p *program) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary)
	c.Env = append(os.Environ(), asCaller+"="+p.url+"/brisk")
	var out lines
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = c.Wait() // what it printed says more
		close(done)
	}()
	t.Cleanup(func() { _ = c.Process.Kill() }) // it has ended, where the test went well
	until(t, "the caller's session", func() bool { return strings.Contains(out.String(), "\n") })
	id := strings.TrimSpace(out.String())
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the end of its session", func() bool { return p.sessions(t)[id].State == "ended" })
	if s := p.sessions(t)[id]; s.Reason != "disconnect_timeout" {
		t.Errorf("it ended with %q", s.Reason)
	}
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(servetest.Patience):
		t.Fatal("the caller does not end")
	}
	if !strings.Contains(out.String(), "ended:") {
		t.Errorf("the caller is told %q", out.String())
	}
}

// floods: two clients send as fast as they can; a third one's conversation goes on.
func floods(t *testing.T, p *program) {
	t.Helper()
	good := listen(t, p)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 2 {
		b := barge(t, p, "/v1/ws", &wire.Hello{})
		if b.welcome == nil {
			t.Fatalf("refused: %+v", b.refused)
		}
		all.Go(func() { // it reads, so that nobody is lost for that
			for {
				if _, _, err := b.Read(ctx); err != nil {
					return
				}
			}
		})
		all.Go(func() {
			text := []byte(`{"type":"text","text":"` + strings.Repeat("flood ", 1000) + `"}`)
			for n := int64(0); ; n++ {
				sound := wire.AppendAudio(nil, &wire.Audio{Kind: wire.KindCaller, Sequence: uint32(n), Position: n * 16000, Payload: make([]byte, 32000)}) //nolint:gosec // it goes round
				kind, data := ws.MessageBinary, sound
				if i == 1 && n%2 == 0 {
					kind, data = ws.MessageText, text
				}
				if b.Write(ctx, kind, data) != nil {
					return
				}
			}
		})
	}
	good.ask(1)
	good.ask(2)
	stop()
	all.Wait()
}

// nonsense: what cannot be read is answered by an error that names the field, and too much of
// it closes the connection. What comes from the past is dropped, and the session goes on.
func nonsense(t *testing.T, p *program) {
	t.Helper()
	b := barge(t, p, "/v1/ws", &wire.Hello{})
	if b.welcome == nil {
		t.Fatalf("refused: %+v", b.refused)
	}
	frame := func(kind byte, position int64, bytes int) []byte {
		return wire.AppendAudio(nil, &wire.Audio{Kind: kind, Position: position, Payload: make([]byte, bytes)})
	}
	junk := []struct {
		kind ws.MessageType
		data []byte
	}{
		{ws.MessageText, []byte("{")},
		{ws.MessageText, []byte(`{"type":"nothing"}`)},
		{ws.MessageText, []byte(`{"type":"text","text":7}`)},
		{ws.MessageText, []byte(`{"type":"played","generation":-1}`)},
		{ws.MessageText, bytes.Repeat([]byte("["), 60000)},
		{ws.MessageBinary, []byte{1}},
		{ws.MessageBinary, frame(2, 0, 640)},
		{ws.MessageBinary, frame(1, 0, 641)},
		{ws.MessageBinary, frame(1, 1<<62, 640)},
	}
	for _, j := range junk {
		if err := b.Write(t.Context(), j.kind, j.data); err != nil {
			t.Fatal(err)
		}
		if m := b.await(t, func(m wire.FromServer) bool { _, ok := m.(*wire.Error); return ok }); m == nil {
			t.Fatalf("%.40q is not answered", j.data)
		}
	}
	for _, position := range []int64{320000, 320320, 0} { // the last is from the past
		if err := b.Write(t.Context(), ws.MessageBinary, frame(1, position, 640)); err != nil {
			t.Fatal(err)
		}
	}
	if m := b.await(t, func(m wire.FromServer) bool { _, ok := m.(*wire.Error); return ok }); m == nil {
		t.Fatal("a frame from the past is not answered")
	}
	asking, answered := context.WithCancel(t.Context())
	defer answered()
	go func() {
		for asking.Err() == nil {
			_ = b.Write(asking, ws.MessageText, []byte(`{"type":"text","text":"what time is it"}`)) // whoever reads learns of it
			select {
			case <-asking.Done():
			case <-time.After(again):
			}
		}
	}()
	if b.await(t, func(m wire.FromServer) bool {
		s, ok := m.(*wire.Signal)
		return ok && s.Signal.Signal == eventabi.SignalPlaybackStarted
	}) == nil {
		t.Fatal("the session does not go on")
	}
	answered()
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	for range websocket.DefaultFaults + 1 {
		_ = b.Write(ctx, ws.MessageText, []byte("{")) // it may be closed by now
	}
	var err error
	for err == nil {
		_, _, err = b.Read(ctx)
	}
	if code := ws.CloseStatus(err); code != ws.StatusPolicyViolation {
		t.Errorf("it is closed with %d: %v", code, err)
	}
}

// await reads until a message matches; nil when the connection ended before.
func (b *bare) await(t *testing.T, is func(wire.FromServer) bool) wire.FromServer {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), servetest.Patience)
	defer stop()
	for {
		kind, data, err := b.Read(ctx)
		if err != nil {
			return nil
		}
		if kind != ws.MessageText {
			continue
		}
		if m, _, f := wire.ReadServer(data); f == nil && is(m) {
			return m
		}
	}
}

// cutOff: the network breaks in mid-sentence, twice; the client comes back to the same
// session, and hears the answer to its end.
func cutOff(t *testing.T, p *program) {
	t.Helper()
	x := newProxy(t, p)
	l := listen(t, &program{url: x.url})
	id := l.Session()
	l.asks("count to ten", 1)
	for n := range int64(2) {
		l.mu.Lock()
		heard := l.sound
		l.mu.Unlock()
		until(t, "half a second of it", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.sound > heard+8000
		})
		x.cut()
		until(t, "its coming back", func() bool { return l.Stats().Reconnects == n+1 })
	}
	l.await("the end of the answer", 1, emitted(eventabi.SignalPlaybackCompleted))
	if got := l.Session(); got != id {
		t.Errorf("it came back to %s, of %s", got, id)
	}
	l.ask(2)
	if s := p.sessions(t)[string(id)]; s.State == "ended" {
		t.Errorf("the session is %+v", s)
	}
}

// Tokens that are not, or not any more, what they say: each is refused by its own code, and
// none reaches a session of somebody else.
func TestServeRefusesTokens(t *testing.T) {
	dir := t.TempDir()
	keys := dir + "/keys.pem"
	if r := runParley(t, "", "token", "keygen", "--out", keys); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	operator := []string{"Authorization", "Bearer the-secret-of-the-operator"}
	p := serveProcess(t, []string{"OPERATOR=the-secret-of-the-operator"}, "--set", "auth.mode=token", "--set", "auth.keys=file://"+keys,
		"--set", "auth.operator_token=env://OPERATOR", "--set", "auth.recheck_ms=50", "--set", "session.drain_timeout_ms=1000")
	issue := func(args ...string) string {
		r := runParley(t, "", append([]string{"token", "issue", "--keys", "file://" + keys, "--transport", "websocket"}, args...)...)
		if r.code != exitOK {
			t.Fatal(r.errOut)
		}
		return strings.TrimSpace(r.out)
	}
	refused := func(what, code string, hello *wire.Hello) {
		t.Helper()
		b := barge(t, p, "/v1/ws", hello)
		if b.refused == nil || b.refused.Code != code {
			t.Errorf("%s: %+v, %+v; want %s", what, b.welcome, b.refused, code)
		}
		_ = b.CloseNow()
	}
	brief := issue("--session", "s-brief", "--lifetime-ms", "1000")
	mine := issue("--session", "s-1", "--tenant", "acme")
	c, err := patiently(t.Context(), client.Config{URL: p.url + "/v1/ws", Token: func(context.Context) (string, error) { return mine, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resume := &wire.Resume{Session: "s-1"}
	head, rest, _ := strings.Cut(mine, ".")
	_, signature, _ := strings.Cut(rest, ".")
	other, _, _ := strings.Cut(strings.TrimPrefix(issue("--session", "s-1", "--tenant", "evil"), head+"."), ".")
	refused("none", "token_invalid", &wire.Hello{})
	refused("tampered", "token_invalid", &wire.Hello{Token: head + "." + other + "." + signature, Resume: resume})
	refused("of another session", "token_invalid", &wire.Hello{Token: issue("--session", "s-2"), Resume: resume})
	refused("of another tenant", "token_invalid", &wire.Hello{Token: issue("--session", "s-1", "--tenant", "evil"), Resume: resume})
	refused("for another pipeline", "token_invalid", &wire.Hello{Token: issue("--session", "s-3", "--pipeline", "other-2")})
	refused("of an epoch that nobody knows", "stale_epoch", &wire.Hello{Token: issue("--session", "s-1", "--tenant", "acme", "--epoch", "999"), Resume: resume})
	refused("of a session that is open", "invalid_request", &wire.Hello{Token: mine})
	until(t, "the end of the brief token", func() bool {
		b := barge(t, p, "/v1/ws", &wire.Hello{Token: brief})
		_ = b.CloseNow()
		return b.refused != nil && b.refused.Code == "token_expired"
	})
	if s := p.sessions(t, operator...)["s-1"]; s.State == "ended" {
		t.Errorf("the session of the good token is %+v", s)
	}
	if code := post(t, p.url+"/api/sessions/s-1/revoke", operator...); code != http.StatusAccepted {
		t.Fatalf("revoke: %d", code)
	}
	ended := &client.Ended{}
	for ev := range c.Events() {
		if e, ok := ev.(*client.Ended); ok {
			ended = e
		}
	}
	if ended.Reason != "authority_loss" {
		t.Errorf("the client is told %q, %v", ended.Reason, ended.Err)
	}
	until(t, "the end of the revoked session", func() bool { return p.sessions(t, operator...)["s-1"].State == "ended" })
	refused("revoked", "deauthorized", &wire.Hello{Token: mine})
	again := issue("--session", "s-3")
	b := barge(t, p, "/v1/ws", &wire.Hello{Token: again})
	if b.welcome == nil {
		t.Fatalf("refused: %+v", b.refused)
	}
	b.text(t, `{"type":"bye"}`)
	until(t, "the end of the third session", func() bool { return p.sessions(t, operator...)["s-3"].State == "ended" })
	refused("used up", "session_ended", &wire.Hello{Token: again})
	refused("used up, to come back", "session_ended", &wire.Hello{Token: again, Resume: &wire.Resume{Session: "s-3"}})
	refused("of another, to come back to that", "token_invalid", &wire.Hello{Token: issue("--session", "s-4"), Resume: &wire.Resume{Session: "s-3"}})
	if n := p.metric(t, "parley_refusals_total", operator...); n < 7 {
		t.Errorf("%v refusals are counted", n)
	}
	p.signal(t)
	p.ended(t, exitOK)
}

func post(t *testing.T, url string, header ...string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = a.Body.Close()
	return a.StatusCode
}

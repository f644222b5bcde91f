// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// world is a real server on a host that does what the test says.
type world struct {
	t    *testing.T
	host *transporttest.Host
	url  string
	// binary has its clients speak the binary encoding.
	binary bool

	mu    sync.Mutex
	conns []net.Conn
}

func newWorld(t *testing.T, h transporttest.Config) *world {
	t.Helper()
	w := &world{t: t, host: transporttest.NewHost(t, h)}
	server, err := websocket.New(websocket.Config{}, w.host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(server)
	web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.conns = append(w.conns, c)
		return ctx
	}
	web.Start()
	w.url = "ws" + strings.TrimPrefix(web.URL, "http")
	t.Cleanup(func() {
		w.host.Close()
		web.Close()
	})
	return w
}

// cut breaks the connections that there are, as a network does.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func token(context.Context) (string, error) { return transporttest.Token, nil }

// caller is a client whose events are kept.
type caller struct {
	*client.Client
	t *testing.T

	mu      sync.Mutex
	list    []client.Event
	changed chan struct{}
}

func (w *world) dial(c client.Config) (*caller, *transporttest.Session) {
	w.t.Helper()
	c.URL, c.Binary = w.url, w.binary
	if c.Token == nil {
		c.Token = token
	}
	if c.First == 0 {
		c.First = 20 * time.Millisecond
	}
	cl, err := client.Dial(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	a := &caller{Client: cl, t: w.t, changed: make(chan struct{})}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for ev := range cl.Events() {
			a.mu.Lock()
			a.list = append(a.list, ev)
			close(a.changed)
			a.changed = make(chan struct{})
			a.mu.Unlock()
		}
	}()
	w.t.Cleanup(func() {
		cl.Close()
		<-over
	})
	return a, w.host.Next()
}

func await[T client.Event](a *caller, match func(T) bool) (found T) {
	a.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		a.mu.Lock()
		changed := a.changed
		for _, ev := range a.list {
			if got, ok := ev.(T); ok && (match == nil || match(got)) {
				a.mu.Unlock()
				return got
			}
		}
		a.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			a.t.Fatalf("no %T came; came %v", found, a.list)
		}
	}
}

// listen reads sound until so many samples of the agent's came.
func (a *caller) listen(samples int) (heard []int16) {
	a.t.Helper()
	frame := make([]int16, 160)
	for began := time.Now(); len(heard) < samples; time.Sleep(time.Millisecond) {
		n := a.ReadAudio(frame)
		heard = append(heard, frame[:n]...)
		if time.Since(began) > patience {
			a.t.Fatalf("%d samples came, not %d", len(heard), samples)
		}
	}
	return heard
}

// both runs a test in each encoding.
func both(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for name, binary := range map[string]bool{wire.EncodingJSON: false, wire.EncodingBinary: true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, transporttest.Config{})
			w.binary = binary
			test(t, w)
		})
	}
}

func ramp(n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(i + 1)
	}
	return pcm
}

// TestConversation shows the whole of a session: sound both ways, words, a tool, a fence,
// and what was heard.
func TestConversation(t *testing.T) { both(t, conversation) }

func conversation(t *testing.T, w *world) {
	t.Helper()
	voice := "amy"
	a, s := w.dial(client.Config{Session: "mine", Wishes: &wire.Wishes{Voice: &voice}, Metrics: true})
	if o := s.Offer(); o.Session != "mine" || *o.Wishes.Voice != "amy" || o.Capabilities.Ack != transport.AckClient || a.Session() != "mine" {
		t.Errorf("offer %+v", o)
	}
	if welcome := await[*client.Connected](a, nil); (welcome.Encoding == wire.EncodingBinary) != w.binary {
		t.Errorf("the encoding is %s", welcome.Encoding)
	}
	spoken := ramp(1600)
	for at := 0; at < len(spoken); at += 400 {
		if err := a.SendAudio(spoken[at : at+400]); err != nil {
			t.Fatal(err)
		}
	}
	if heard := s.AwaitHeard(1600); !slices.Equal(heard[:1600], spoken) {
		t.Error("the session did not hear what was spoken")
	}
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	await(a, func(m *wire.Signal) bool { return m.Signal.Signal == eventabi.SignalTurnOpen })
	s.Link().(transport.ToolSink).WriteToolCall(transport.ToolCall{ID: "c1", Turn: "t1", Name: "price", Arguments: "{}"})
	call := await[*wire.ToolCall](a, nil)
	if err := a.ToolResult(call.ID, "3.20", false); err != nil {
		t.Fatal(err)
	}
	transporttest.Await(s, func(r transport.ToolResult) bool { return r.ID == "c1" && r.Output == "3.20" })

	answer := ramp(3200)
	s.Burst("t1", 7, answer)
	if heard := a.listen(1760); !slices.Equal(heard[:1600], answer[:1600]) {
		t.Error("the client did not hear what was said")
	}
	transporttest.Await(s, func(p transport.Playout) bool { return p.Generation == 7 && p.Position >= 1600 && !p.Final })
	s.Fence("t1", 7)
	final := transporttest.Await(s, func(p transport.Playout) bool { return p.Final })
	if final.Position < 1600 || final.Position >= 3200 || final.Turn != "t1" {
		t.Errorf("%+v", final)
	}
	if n := a.ReadAudio(make([]int16, 3200)); n != 0 {
		t.Errorf("%d samples came after the fence", n)
	}
	if err := a.Cancel("user_cancel", true); err != nil {
		t.Fatal(err)
	}
	transporttest.Await(s, func(c transporttest.Cancel) bool { return c.Turn == "t1" && c.Force })
	a.Close()
	await(a, func(e *client.Ended) bool { return e.Err == nil })
	s.AwaitDone()
}

// TestAllThatCanBeSaid shows that each method reaches the session, with a key of its own.
func TestAllThatCanBeSaid(t *testing.T) { both(t, allThatCanBeSaid) }

func allThatCanBeSaid(t *testing.T, w *world) {
	t.Helper()
	a, s := w.dial(client.Config{})
	for _, err := range []error{
		a.SendText("hello"), a.EndOfUtterance(), a.Stop(), a.Mute(true), a.DTMF("5", time.Second), a.AddContext("system", "x"),
		a.Respond(), a.Configure(wire.Wishes{TurnEnd: "client"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	transporttest.Await(s, func(w transport.Wishes) bool { return w.TurnEnd == transport.TurnEndClient })
	transporttest.Await(s, func(c transport.Control) bool { return c.Digit == "5" && c.DurationMS == 1000 && c.Key != "" })
	transporttest.Await(s, func(c transporttest.Respond) bool { return c.Key != "" })
	transporttest.Await[transporttest.EndOfUtterance](s, nil)
	for began := time.Now(); a.Stats().Pending > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d messages were not taken", a.Stats().Pending)
		}
	}
	for want, err := range map[string]error{
		"text": a.SendText(""), "role": a.AddContext("robot", "x"), "id": a.ToolResult("", "x", false),
		"second": a.SendAudio(make([]int16, 16001)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// TestReconnect shows a client whose connection is cut: it comes back by itself, hears what
// it has missed, and what it said meanwhile arrives once.
func TestReconnect(t *testing.T) { both(t, reconnect) }

func reconnect(t *testing.T, w *world) {
	t.Helper()
	a, s := w.dial(client.Config{})
	for i := range 3 {
		lost := i
		if err := a.SendText(fmt.Sprint("before ", i)); err != nil {
			t.Fatal(err)
		}
		w.cut()
		s.Emit(eventabi.SignalSilence, "", fmt.Sprint("missed_", i))
		if err := a.SendText(fmt.Sprint("after ", i)); err != nil {
			t.Fatal(err)
		}
		await(a, func(m *wire.Signal) bool { return m.Signal.Reason == fmt.Sprint("missed_", lost) })
		transporttest.Await(s, func(m transporttest.Text) bool { return m.Text == fmt.Sprint("after ", lost) })
	}
	var said []string
	for _, m := range transporttest.Came[transporttest.Text](s) {
		said = append(said, m.Text)
	}
	if want := []string{"before 0", "after 0", "before 1", "after 1", "before 2", "after 2"}; !slices.Equal(said, want) {
		t.Errorf("came %q", said)
	}
	if got := a.Stats(); got.Reconnects != 3 {
		t.Errorf("%+v", got)
	}
	await[*client.Disconnected](a, nil)
}

// TestRefused shows that a refusal is an error that can be told.
func TestRefused(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	var refused *client.RefusedError
	_, err := client.Dial(t.Context(), client.Config{URL: w.url, Token: func(context.Context) (string, error) { return "wrong", nil }})
	if !errors.As(err, &refused) || refused.Code != "token_invalid" {
		t.Errorf("%v", err)
	}
	broken := errors.New("no token today")
	_, err = client.Dial(t.Context(), client.Config{URL: w.url, Token: func(context.Context) (string, error) { return "", broken }})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	web := httptest.NewServer(nil)
	defer web.Close()
	if _, err = client.Dial(t.Context(), client.Config{URL: web.URL}); !errors.As(err, &refused) || refused.Code != "not_a_server" {
		t.Errorf("%v", err)
	}
}

// TestSessionEnds shows the ends that a client does not come back from.
func TestSessionEnds(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	a, s := w.dial(client.Config{})
	s.Close("policy")
	if e := await[*client.Ended](a, nil); e.Reason != "policy" || e.Err != nil {
		t.Errorf("%+v", e)
	}
	if err := a.SendText("x"); !errors.Is(err, client.ErrClosed) {
		t.Errorf("%v", err)
	}

	// The session is over when the client comes back.
	b, s2 := w.dial(client.Config{First: 300 * time.Millisecond})
	w.cut()
	s2.Close("timeout")
	var refused *client.RefusedError
	if e := await[*client.Ended](b, nil); e.Reason != "lost" || !errors.As(e.Err, &refused) || refused.Code != "unknown_session" {
		t.Errorf("%+v", e)
	}

	// The token does not hold any more.
	tokens := make(chan string, 2)
	tokens <- transporttest.Token
	tokens <- "expired"
	c, _ := w.dial(client.Config{Token: func(context.Context) (string, error) { return <-tokens, nil }})
	w.cut()
	if e := await[*client.Ended](c, nil); !errors.As(e.Err, &refused) || refused.Code != "token_invalid" {
		t.Errorf("%+v", e)
	}
}

// TestDisplaced shows that a client whose session another one has taken does not fight.
func TestDisplaced(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	a, _ := w.dial(client.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := resume(ctx, w.url, a.Session()); err != nil {
		t.Fatal(err)
	}
	if e := await[*client.Ended](a, nil); e.Reason != "displaced" {
		t.Errorf("%+v", e)
	}
}

// TestRoute shows that a client follows its session to another address, and nowhere else.
func TestRoute(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	a, s := w.dial(client.Config{})
	router := s.Link().(transport.Router)
	for view, endpoint := range []string{"", "endpoint-b", "http://127.0.0.1:1", w.url + "/elsewhere"} {
		if err := router.Route(int64(view), endpoint); (err == nil) != (view > 0) {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	await(a, func(c *client.Connected) bool { return c.Resumed })
	if err := a.SendText("there"); err != nil {
		t.Fatal(err)
	}
	transporttest.Await[transporttest.Text](s, nil)
	if got := a.Stats().Reconnects; got != 1 {
		t.Errorf("%d connections more", got)
	}
}

// TestGivesUp shows that a client without a server ends in time.
func TestGivesUp(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	fails := errors.New("the token service is down")
	count := 0
	a, _ := w.dial(client.Config{GiveUp: 200 * time.Millisecond, Token: func(context.Context) (string, error) {
		if count++; count == 1 {
			return transporttest.Token, nil
		}
		return "", fails
	}})
	w.cut()
	if e := await[*client.Ended](a, nil); e.Reason != "lost" || !errors.Is(e.Err, fails) {
		t.Errorf("%+v", e)
	}
}

// TestCloseWhileAway shows that Close does not wait for a connection.
func TestCloseWhileAway(t *testing.T) {
	w := newWorld(t, transporttest.Config{})
	a, _ := w.dial(client.Config{First: time.Minute, Most: time.Minute, GiveUp: 10 * time.Minute})
	w.cut()
	await[*client.Disconnected](a, nil)
	if err := a.SendAudio(make([]int16, 100)); err != nil || a.Stats().AudioAway != 100 {
		t.Errorf("%v, %+v", err, a.Stats())
	}
	a.Close()
	if e := await[*client.Ended](a, nil); e.Reason != "closed" {
		t.Errorf("%+v", e)
	}
}

// TestConfigReportsAllFaults shows that each field is named.
func TestConfigReportsAllFaults(t *testing.T) {
	_, err := client.Dial(t.Context(), client.Config{URL: "parley", Rate: 1, Ahead: time.Minute, First: time.Minute, Events: -1, Pending: -1, GiveUp: -1})
	for _, want := range []string{"url", "rate", "ahead", "first", "events", "pending", "give_up"} {
		if err == nil || !strings.Contains(err.Error(), "client: "+want+":") {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

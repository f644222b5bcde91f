// SPDX-License-Identifier: Apache-2.0

package websocket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
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

// TestResume shows a client that is cut off and comes back: the link is lost and resumed,
// what it has missed is said again in order, frames of sound meanwhile are gone and counted,
// and what it sends again is taken once.
func TestResume(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, welcome := w.enter(wire.Hello{})
	c.say(&wire.Text{Text: "one", Keyed: wire.Keyed{Key: "k1"}})
	await(c, func(m *wire.Taken) bool { return m.Key == "k1" && !m.Again })
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Play("t1", 1, tone(640, transport.SampleRate))
	c.until("two frames", func() bool { return len(c.audio) == 2 })
	_ = c.ws.CloseNow()
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLost })

	s.Play("t1", 1, tone(640, transport.SampleRate))
	s.Emit(eventabi.SignalCommit, "t1", "")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Fence("t1", 1)

	again := w.dial(nil, "")
	again.say(&wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session, Received: 2}})
	if back := await[*wire.Welcome](again, nil); !back.Resumed || back.Session != welcome.Session || back.Missed != 0 {
		t.Errorf("%+v", back)
	}
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkResumed })
	again.say(&wire.Text{Text: "one", Keyed: wire.Keyed{Key: "k1"}})
	again.say(&wire.Text{Text: "two", Keyed: wire.Keyed{Key: "k2"}})
	await(again, func(m *wire.Taken) bool { return m.Key == "k1" && m.Again })
	await(again, func(m *wire.Taken) bool { return m.Key == "k2" && !m.Again })
	transporttest.Await(s, func(m transporttest.Text) bool { return m.Text == "two" })
	if got := transporttest.Came[transporttest.Text](s); len(got) != 2 {
		t.Errorf("texts %+v", got)
	}
	again.mu.Lock()
	heard := fmt.Sprint(again.seqs[:4])
	again.mu.Unlock()
	if heard != "[0 3 4 5]" { // welcome, commit, close, fence
		t.Errorf("numbers %s", heard)
	}
	s.Play("t2", 2, tone(320, transport.SampleRate))
	again.until("the next turn", func() bool { return len(again.audio) == 1 })
	if got := w.server.Stats(); got.Resumed != 1 || got.Away != 2 || got.Repeated != 1 || got.Lost != 0 {
		t.Errorf("%+v", got)
	}
}

// TestMissedTooMuch shows that a client that was away for long is told how much is gone.
func TestMissedTooMuch(t *testing.T) {
	w := newWorld(t, websocket.Config{Log: 4}, transporttest.Config{})
	c, s, welcome := w.enter(wire.Hello{})
	_ = c.ws.CloseNow()
	transporttest.Await[transport.LinkState](s, nil)
	for range 10 {
		s.Emit(eventabi.SignalSilence, "", "no_input")
	}
	again := w.dial(nil, "")
	again.say(&wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session, Received: 1}})
	if back := await[*wire.Welcome](again, nil); back.Missed != 5 {
		t.Errorf("%+v", back)
	}
	again.until("the rest", func() bool { return len(again.said) == 5 })
	// A number that was never sent asks for nothing.
	third := w.dial(nil, "")
	third.say(&wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session, Received: 1 << 40}})
	if back := await[*wire.Welcome](third, nil); back.Missed != 0 {
		t.Errorf("%+v", back)
	}
}

// TestGraceThenGone shows that a client that does not come back is given up, once.
func TestGraceThenGone(t *testing.T) {
	w := newWorld(t, websocket.Config{Grace: 50 * time.Millisecond}, transporttest.Config{})
	c, s, welcome := w.enter(wire.Hello{})
	_ = c.ws.CloseNow()
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkGone })
	again := w.dial(nil, "")
	again.say(&wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session}})
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkResumed })
	if got := fmt.Sprint(transporttest.Came[transport.LinkState](s)); got != "[lost gone resumed]" {
		t.Error(got)
	}
}

// TestDisplaced shows that a second connection takes the session over, and that nothing of
// the first is heard any more.
func TestDisplaced(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	first, s, welcome := w.enter(wire.Hello{})
	second := w.dial(nil, "")
	second.say(&wire.Hello{Token: transporttest.Token, Resume: &wire.Resume{Session: welcome.Session}})
	await[*wire.Welcome](second, nil)
	first.say(&wire.Text{Text: "of the first"})
	if code := first.awaitClosed(); code != wire.CloseDisplaced {
		t.Errorf("closed with %d", code)
	}
	second.say(&wire.Text{Text: "of the second"})
	transporttest.Await[transporttest.Text](s, nil)
	if got := transporttest.Came[transporttest.Text](s); len(got) != 1 || got[0].Text != "of the second" {
		t.Errorf("%+v", got)
	}
	if got := fmt.Sprint(transporttest.Came[transport.LinkState](s)); got != "[lost resumed]" {
		t.Error(got)
	}
}

// frail is a host one of whose sessions' calls panics.
type frail struct{ *transporttest.Host }

type frailIngress struct{ transport.Ingress }

func (frailIngress) Context(transport.Context) { panic("a test's") }

func (f frail) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	return f.Host.Begin(ctx, o, func(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		return open(ctx, b, frailIngress{in})
	})
}

// TestPanicEndsAtTheSession shows that a message which makes something panic costs its
// connection and nothing else, and that the session learns of it.
func TestPanicEndsAtTheSession(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	server, err := websocket.New(websocket.Config{}, frail{w.host})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(server)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.Start()
	t.Cleanup(web.Close)
	w.url = "ws" + strings.TrimPrefix(web.URL, "http")
	c, s, _ := w.enter(wire.Hello{})
	c.say(&wire.Context{Role: "user", Text: "harmless"})
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLost })
	if got := server.Stats(); got.Pending != 0 || got.Lost != 1 {
		t.Errorf("%+v", got)
	}
}

// TestResumeNeedsAToken shows that knowing a session is not enough to take it over.
func TestResumeNeedsAToken(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, welcome := w.enter(wire.Hello{})
	thief := w.dial(nil, "")
	thief.say(&wire.Hello{Token: "guess", Resume: &wire.Resume{Session: welcome.Session}})
	if _, code := thief.refusedWith(); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	c.say(&wire.Text{Text: "still here"})
	transporttest.Await[transporttest.Text](s, nil)
	// The same session cannot begin a second time.
	double := w.dial(nil, "")
	double.say(&wire.Hello{Token: transporttest.Token, Session: welcome.Session})
	if refused, code := double.refusedWith(); code != 4400 || !strings.Contains(refused.Message, "resume it") {
		t.Errorf("%+v, %d", refused, code)
	}
}

// TestGarbage shows that bad messages are answered by name, that the session goes on, and
// that too many in a row end the connection and not the session.
func TestGarbage(t *testing.T) {
	w := newWorld(t, websocket.Config{Faults: 4}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	c.write(coder.MessageText, []byte(`{"type":"context","role":"robot","text":"x","key":"k"}`))
	await(c, func(e *wire.Error) bool { return e.Code == wire.FaultField && e.Field == "role" && e.Key == "k" })
	c.write(coder.MessageBinary, []byte{9, 9})
	c.write(coder.MessageBinary, wire.AppendAudio(nil, &wire.Audio{Kind: wire.KindCaller, Payload: []byte{1}}))
	await(c, func(e *wire.Error) bool { return e.Field == "payload" })
	c.write(coder.MessageText, []byte(`{"type":"text","text":"good","colour":"red"}`))
	await(c, func(e *wire.Error) bool { return e.Code == wire.FaultUnknown && e.Field == "colour" })
	transporttest.Await[transporttest.Text](s, nil)
	for _, bad := range []string{`x`, `{"type":"hello"}`, `{"type":"dance"}`, "\xff"} {
		c.write(coder.MessageText, []byte(bad))
	}
	if code := c.awaitClosed(); code != wire.CloseGarbage {
		t.Errorf("closed with %d", code)
	}
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLost })
	if got := w.server.Stats(); got.Garbage != 1 || got.Faults != 7 {
		t.Errorf("%+v", got)
	}
}

// TestTooBig shows that a message beyond the bounds ends the connection with 1009.
func TestTooBig(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, _, welcome := w.enter(wire.Hello{})
	c.write(coder.MessageBinary, make([]byte, welcome.Limits.AudioBytes+1))
	if code := c.awaitClosed(); code != wire.CloseTooBig {
		t.Errorf("closed with %d", code)
	}
}

// TestFlood shows that audio that comes much faster than it is spoken is bounded: what is
// beyond is a gap, and the session's other messages pass.
func TestFlood(t *testing.T) {
	w := newWorld(t, websocket.Config{Ahead: 300 * time.Millisecond}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	frame := little(tone(16000, transport.SampleRate))
	for n := range uint32(20) {
		c.speak(n, int64(n)*16000, frame)
	}
	c.say(&wire.Text{Text: "still here"})
	transporttest.Await[transporttest.Text](s, nil)
	if gap := transporttest.Await[transport.Gap](s, nil); gap.Reason != transport.GapOverflow {
		t.Errorf("%+v", gap)
	}
}

// TestTooManyMessages shows that a client that sends too much is read later, and not cut.
func TestTooManyMessages(t *testing.T) {
	w := newWorld(t, websocket.Config{Rate: 50}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	for range 120 {
		c.say(&wire.Mute{On: true})
	}
	c.say(&wire.Text{Text: "after all"})
	transporttest.Await[transporttest.Text](s, nil)
	if n := len(transporttest.Came[transporttest.Muted](s)); n != 120 || w.server.Stats().Held == 0 {
		t.Errorf("%d messages, held %d times", n, w.server.Stats().Held)
	}
}

// deaf is a client that has said hello and reads nothing any more: its pings stay without
// an answer, and what is sent to it piles up.
func (w *world) deaf() (net.Conn, *transporttest.Session) {
	w.t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(w.url, "ws://"), "/v1/ws")
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	_ = c.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(c, "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: parley.v1\r\n\r\n", address)
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("%v, %v", answer, err)
	}
	hello := `{"type":"hello","token":"` + transporttest.Token + `"}`
	frame := []byte{0x81, 0x80 | byte(len(hello)), 0, 0, 0, 0} // masked with zeros
	if _, err := c.Write(append(frame, hello...)); err != nil {
		w.t.Fatal(err)
	}
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil { // of welcome
		w.t.Fatal(err)
	}
	return c, w.host.Next()
}

// fill sends sound to a client that reads none, until the system's own buffers are full and
// each frame pushes out another.
func (w *world) fill(s *transporttest.Session) {
	w.t.Helper()
	frame := transport.Frame{Turn: "t1", Generation: 1, Voiced: 320, PCM: make([]int16, 320)}
	for stuck := 0; stuck < 5; {
		before := w.server.Stats().Dropped
		for range 50 {
			if _, err := s.WriteFrame(&frame); err != nil {
				w.t.Fatal(err)
			}
			frame.Position += 320
		}
		if w.server.Stats().Dropped == before+50 {
			stuck++
			time.Sleep(10 * time.Millisecond)
		} else {
			stuck = 0
		}
	}
}

// TestHalfOpen shows that a client that is no longer there is noticed.
func TestHalfOpen(t *testing.T) {
	w := newWorld(t, websocket.Config{Keepalive: 50 * time.Millisecond, Pong: 50 * time.Millisecond}, transporttest.Config{})
	_, s := w.deaf()
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLost })
	if got := w.server.Stats(); got.Halfopen != 1 {
		t.Errorf("%+v", got)
	}
}

// TestClientStopsReading shows that sound for a client that does not read is dropped, the
// oldest first, and that control beyond its bound ends the connection and not the session.
func TestClientStopsReading(t *testing.T) {
	w := newWorld(t, websocket.Config{Audio: 10, Control: 64, Log: 32}, transporttest.Config{})
	_, s := w.deaf()
	w.fill(s)
	// A fence of what is stuck in the middle of a write returns all the same.
	s.Fence("t1", 1)
	for range 100 {
		s.Emit(eventabi.SignalSilence, "", "no_input")
	}
	transporttest.Await(s, func(l transport.LinkState) bool { return l == transport.LinkLost })
	if got := w.server.Stats(); got.Slow != 1 {
		t.Errorf("%+v", got)
	}
}

// TestCloseIsBounded shows that a client that does not answer the close frame holds up
// nobody: Link.Close returns, and nothing is left.
func TestCloseIsBounded(t *testing.T) {
	w := newWorld(t, websocket.Config{CloseWithin: 100 * time.Millisecond}, transporttest.Config{})
	_, s := w.deaf()
	w.fill(s)
	s.Close("drained") // within the host's patience, or it is a fault
	w.eventually(func() bool { return w.server.Stats().Sessions == 0 })
	if got := transporttest.Came[transport.LinkState](s); len(got) != 0 {
		t.Errorf("the link was said to be %v after the end", got)
	}
}

// TestServerCloses shows that a server that was closed lets nobody in.
func TestServerCloses(t *testing.T) {
	w := newWorld(t, websocket.Config{}, transporttest.Config{})
	c, s, _ := w.enter(wire.Hello{})
	done := make(chan error, 1)
	go func() { done <- w.server.Close(t.Context()) }()
	w.eventually(func() bool { _, err := w.try(nil, ""); return err != nil })
	s.Close("draining")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if code := c.awaitClosed(); code != wire.CloseEnded {
		t.Errorf("closed with %d", code)
	}
}

// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWrongInACall: what is wrong in a call is counted and passed over, and a call with too
// much of it is given up.
func TestWrongInACall(t *testing.T) {
	s, host, address := serve(t, Config{Faults: 8}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	wrong := []string{
		`{"event":"media","streamSid":"MZ2","media":{"payload":"//8="}}`, // another stream
		`{"event":"start","streamSid":"MZ1","start":{}}`,
		`{"event":"media","streamSid":"MZ1","media":{"payload":"!"}}`,
		`{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"x"}}`,
		`nonsense`,
	}
	for _, text := range wrong {
		g.send("%s", text)
	}
	g.send(`{"event":"mark","streamSid":"MZ1","mark":{"name":"parley-7"}}`) // never sent
	if err := g.conn.Write(t.Context(), websocket.MessageBinary, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	g.send(`{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"5"}}`)
	transporttest.Await[transport.Control](session, nil)
	if n := s.Stats(); n.Faults != int64(len(wrong)+1) {
		t.Errorf("%+v; want %d faults", n, len(wrong)+1)
	}
	if n := len(transporttest.Came[transport.Playout](session)) + len(transporttest.Came[transport.Control](session)); n != 1 {
		t.Errorf("%d playouts and controls came; want the one control", n)
	}
	for range 3 {
		_ = g.conn.Write(t.Context(), websocket.MessageText, []byte("{"))
	}
	g.until("the end", func(_ []sent, closed error) bool {
		return websocket.CloseStatus(closed) == websocket.StatusPolicyViolation
	})
	if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkGone {
		t.Errorf("link %s; want gone", state)
	}
	if n := s.Stats(); n.Broken != 1 {
		t.Errorf("%+v; want one broken", n)
	}
}

// TestMissingAndOvertaken: chunks that did not come are a gap as long as they would have
// been, and those that were overtaken are put in order where a provider says that it happens.
func TestMissingAndOvertaken(t *testing.T) {
	for _, c := range []struct {
		name   Dialect
		chunks []int
		gap    int64
	}{
		{Twilio, []int{1, 2, 5, 6}, 2 * transport.FrameSamples},
		{Telnyx, []int{1, 3, 2, 4, 6, 5}, 0},
	} {
		s, host, address := serve(t, Config{}, transporttest.Config{})
		g := dial(t, address, c.name, nil)
		g.start(transporttest.Token)
		session := host.Next()
		for _, n := range c.chunks {
			g.chunks = n - 1
			g.speak(make([]byte, 160))
		}
		session.AwaitHeard(6 * transport.FrameSamples)
		gaps := transporttest.Came[transport.Gap](session)
		if c.gap == 0 && len(gaps) != 0 || c.gap > 0 && (len(gaps) != 1 || gaps[0].Missing != c.gap || gaps[0].Reason != transport.GapLost) {
			t.Errorf("%s: gaps %+v; want %d samples", c.name, gaps, c.gap)
		}
		_ = g.conn.Close(websocket.StatusNormalClosure, "")
		session.AwaitDone()
		if n := s.Stats(); c.name == Telnyx && n.Reordered != 2 {
			t.Errorf("%+v; want 2 reordered", n)
		}
	}
}

// TestFlood: a gateway that sends a minute and a half of sound at once is heard at the pace
// of speech; what does not fit is a gap, and memory is bounded by the feed.
func TestFlood(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	second := make([]byte, 8000)
	for range 90 {
		g.speak(second)
	}
	g.send(`{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"5"}}`)
	transporttest.Await[transport.Control](session, nil) // is not held up by it
	if heard := len(session.Heard()); heard > 30*transport.SampleRate {
		t.Errorf("%d samples were heard at once", heard)
	}
	session.Close("enough")
}

// TestHalfOpen: a gateway that is silently gone is found out by a ping.
func TestHalfOpen(t *testing.T) {
	s, host, address := serve(t, Config{Idle: 50 * time.Millisecond}, transporttest.Config{})
	raw := handshake(t, address)
	writeText(t, raw, strings.Replace(examples()[Twilio][1], "secret", transporttest.Token, 1))
	session := host.Next() // and nothing more is read or written by the gateway
	if state := transporttest.Await[transport.LinkState](session, nil); state != transport.LinkGone {
		t.Errorf("link %s; want gone", state)
	}
	session.Close("gone")
	if n := s.Stats(); n.Broken != 1 {
		t.Errorf("%+v", n)
	}
}

// TestAnswersPings: a quiet gateway that is there stays.
func TestAnswersPings(t *testing.T) {
	s, host, address := serve(t, Config{Idle: 20 * time.Millisecond}, transporttest.Config{})
	g := dial(t, address, Twilio, nil) // which reads, and so answers
	g.start(transporttest.Token)
	session := host.Next()
	time.Sleep(300 * time.Millisecond)
	if n := s.Stats(); n.Open != 1 || n.Broken != 0 {
		t.Errorf("%+v; want that it is still there", n)
	}
	session.Close("enough")
}

// TestDoesNotRead: a gateway that stops reading costs a bounded amount of memory, holds up
// no frame, and closing it does not take long.
func TestDoesNotRead(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	raw := handshake(t, address)
	if c, ok := raw.(*net.TCPConn); ok {
		_ = c.SetReadBuffer(4096)
	}
	writeText(t, raw, strings.Replace(examples()[Twilio][1], "secret", transporttest.Token, 1))
	session := host.Next()
	session.Burst("a", 1, tone(2000*transport.FrameSamples))
	began := time.Now()
	session.Close("enough")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("closing took %v", took)
	}
}

// TestCalls: no more connections than are allowed.
func TestCalls(t *testing.T) {
	s, host, address := serve(t, Config{Calls: 1}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	_, answer, err := websocket.Dial(t.Context(), address, nil)
	if err == nil || answer == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("the second call: %v, %+v", err, answer)
	}
	session.Close("enough")
	g.until("the end", func(_ []sent, closed error) bool { return closed != nil })
	for deadline := time.Now().Add(patience); s.Stats().Open > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	third := dial(t, address, Twilio, nil)
	third.start(transporttest.Token)
	host.Next().Close("enough")
}

// TestSessionEnds: when the session ends the call, the WebSocket is closed with its reason,
// and what is written later goes nowhere.
func TestSessionEnds(t *testing.T) {
	s, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	session.Play("a", 1, tone(transport.FrameSamples))
	g.until("the mark", counted("mark", 1))
	session.Close("because " + strings.Repeat("of this ", 30))
	g.until("the end", func(_ []sent, closed error) bool {
		return websocket.CloseStatus(closed) == websocket.StatusNormalClosure
	})
	if err := session.Link().WriteFrame(&transport.Frame{Turn: "b", Generation: 2, Voiced: 320, PCM: make([]int16, 320)}); err == nil {
		t.Error("a frame was taken after the end")
	}
	session.Link().Fence(transport.Fence{Session: true})
	if n := s.Stats(); n.Broken != 0 {
		t.Errorf("%+v; want nothing broken", n)
	}
}

// handshake opens a WebSocket by hand, for a gateway that behaves like no library.
func handshake(t *testing.T, address string) net.Conn {
	t.Helper()
	at := strings.TrimPrefix(address, "ws://")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		at, base64.StdEncoding.EncodeToString(key))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", answer, err)
	}
	return conn
}

// writeText writes a text frame, masked with zeros.
func writeText(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	frame := []byte{0x81, 0x80 | 126, byte(len(s) >> 8), byte(len(s)), 0, 0, 0, 0}
	if _, err := conn.Write(append(frame, s...)); err != nil {
		t.Fatal(err)
	}
}

// TestFenceRaces: fences and frames from different goroutines, under the race detector.
func TestFenceRaces(t *testing.T) {
	_, host, address := serve(t, Config{}, transporttest.Config{})
	g := dial(t, address, Twilio, nil)
	g.start(transporttest.Token)
	session := host.Next()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for generation := uint32(1); ctx.Err() == nil; generation++ {
			session.Fence("a", generation)
			time.Sleep(time.Millisecond)
		}
	}()
	for generation := uint32(1); generation < 50; generation++ {
		session.Burst("a", generation, tone(8*transport.FrameSamples))
		for _, name := range g.marks() {
			g.playedBack(name)
		}
	}
	stop()
	<-done
	session.Close("enough")
}

// SPDX-License-Identifier: Apache-2.0

package socket_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
	"github.com/parley-voice/parley/transport/socket"
)

const patience = 20 * time.Second

// noted is an Ingress that keeps how the link was.
type noted struct {
	transport.Ingress

	mu     sync.Mutex
	states []transport.LinkState
	hangup int
}

func (n *noted) Link(s transport.LinkState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.states = append(n.states, s)
}

func (n *noted) Hangup(string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hangup++
}

// echo is a protocol that sends back what comes, until it hears "end".
type echo struct {
	s    *socket.Socket
	idle bool // ends when nothing comes
}

func (e *echo) Take(_ context.Context, m socket.Message) bool {
	if string(m.Data) == "end" {
		e.s.Because(4400, "first")
		e.s.Because(4500, "second")
		return false
	}
	e.s.Out().Send(outbox.Message{Binary: m.Binary, Data: m.Data})
	return true
}

func (e *echo) Idle(context.Context) bool { return !e.idle }

// open gives a client, the other end, and a channel that is closed when Serve has ended.
func open(t *testing.T, c socket.Config, e *echo, in transport.Ingress) (*websocket.Conn, *socket.Socket, <-chan struct{}) {
	t.Helper()
	made, done := make(chan *socket.Socket, 1), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wire, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		s, err := socket.New(wire, c)
		if err != nil {
			t.Error(err)
			return
		}
		s.Bind(in)
		e.s = s
		made <- s
		s.Serve(r.Context(), e)
		close(done)
	}))
	t.Cleanup(web.Close)
	client, answer, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http"), nil)
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CloseNow() })
	return client, <-made, done
}

func usual() socket.Config {
	return socket.Config{MessageBytes: 1 << 10, Control: 16, Ping: time.Minute, Close: time.Second, Idle: time.Minute}
}

func ended(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// What comes is handled in order and sent back as it is; the first reason of the end is told.
func TestServe(t *testing.T) {
	in := &noted{}
	client, s, done := open(t, usual(), &echo{}, in)
	for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		if err := client.Write(t.Context(), kind, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got, data, err := client.Read(t.Context()); err != nil || got != kind || string(data) != "hello" {
			t.Errorf("%v %q %v came back of %v", got, data, err, kind)
		}
	}
	ran := make(chan struct{})
	if !s.Later(func() { close(ran) }) {
		t.Error("there is no room for work")
	}
	ended(t, ran)
	if err := client.Write(t.Context(), websocket.MessageText, []byte("end")); err != nil {
		t.Fatal(err)
	}
	_, _, err := client.Read(t.Context())
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 4400 || closed.Reason != "first" {
		t.Errorf("the end is %v", err)
	}
	ended(t, done)
	if !slices.Equal(in.states, []transport.LinkState{transport.LinkGone}) {
		t.Errorf("the session was told %v", in.states)
	}
}

// How a link ends is told to the session as what it is.
func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*websocket.Conn, *socket.Socket)
		want []transport.LinkState
	}{
		"leaves": {func(c *websocket.Conn, _ *socket.Socket) { _ = c.Close(websocket.StatusNormalClosure, "") }, []transport.LinkState{transport.LinkLeft}},
		"drops":  {func(c *websocket.Conn, _ *socket.Socket) { _ = c.CloseNow() }, []transport.LinkState{transport.LinkGone}},
		"big": {func(c *websocket.Conn, _ *socket.Socket) {
			_ = c.Write(t.Context(), websocket.MessageText, make([]byte, 1<<11))
		}, []transport.LinkState{transport.LinkGone}},
		"closed": {func(_ *websocket.Conn, s *socket.Socket) {
			s.Unbind()
			s.End(websocket.StatusNormalClosure, strings.Repeat("long ", 100))
			s.End(4500, "late")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := &noted{}
			client, s, done := open(t, usual(), &echo{}, in)
			test.end(client, s)
			ended(t, done)
			if !slices.Equal(in.states, test.want) {
				t.Errorf("the session was told %v; want %v", in.states, test.want)
			}
			s.Tell(func(in transport.Ingress) { in.Hangup("") })
			if name == "closed" && in.hangup != 0 {
				t.Error("something reaches the session behind Unbind")
			}
		})
	}
}

// A client that says nothing, and one that answers no pings, are found out.
func TestSilence(t *testing.T) {
	c := usual()
	c.Idle = 10 * time.Millisecond
	_, _, done := open(t, c, &echo{idle: true}, &noted{})
	ended(t, done)
	c = usual()
	c.Ping = 50 * time.Millisecond // nobody reads at the other end, so nobody answers
	in := &noted{}
	_, _, done = open(t, c, &echo{}, in)
	ended(t, done)
	if !slices.Equal(in.states, []transport.LinkState{transport.LinkGone}) {
		t.Errorf("the session was told %v", in.states)
	}
}

func TestRequest(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "bearer  abc")
	r.Header.Add("Sec-WebSocket-Protocol", "a, b")
	r.Header.Add("Sec-WebSocket-Protocol", "c")
	if got := socket.Bearer(r); got != "abc" {
		t.Errorf("the token is %q", got)
	}
	if got := socket.Protocols(r); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("the protocols are %q", got)
	}
	if got := socket.Refusal(errors.New("secret")); got.Code != transport.RefusedInternal || strings.Contains(got.Error(), "secret") {
		t.Errorf("a client is told %v", got)
	}
}

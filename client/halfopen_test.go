// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/transport/transporttest"
	"github.com/parley-voice/parley/transport/websocket"
)

// stuck is a connection whose network forgets it: what is written is gone, nothing comes, and
// nobody is told.
type stuck struct {
	net.Conn
	forgotten, closed chan struct{}
	once              sync.Once
}

func (s *stuck) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	select {
	case <-s.forgotten:
		<-s.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case <-s.forgotten:
		return len(b), nil
	default:
		return s.Conn.Write(b)
	}
}

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

// TestHalfOpen: a connection on which nothing comes any more, and of which no error tells, is
// found out by a ping; the client comes back by another one.
func TestHalfOpen(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	server, err := websocket.New(websocket.Config{Keepalive: 50 * time.Millisecond, Pong: patience}, host)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server)
	w := &world{t: t, host: host, url: "ws" + strings.TrimPrefix(web.URL, "http")}
	t.Cleanup(func() {
		host.Close()
		web.Close()
	})
	conns := make(chan *stuck, 16)
	dialer := &net.Dialer{}
	network := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, kind, address)
		if err != nil {
			return nil, err
		}
		s := &stuck{Conn: c, forgotten: make(chan struct{}), closed: make(chan struct{})}
		conns <- s
		return s, nil
	}}}
	a, session := w.dial(client.Config{HTTP: network, Patience: time.Second})
	close((<-conns).forgotten)
	await[*client.Disconnected](a, nil)
	for end := time.Now().Add(patience); a.Stats().Reconnects == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come back")
		}
	}
	if err := a.SendText("here again"); err != nil {
		t.Fatal(err)
	}
	transporttest.Await(session, func(m transporttest.Text) bool { return m.Text == "here again" })
}

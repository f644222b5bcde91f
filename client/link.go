// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
)

// outgoing bounds what waits for a connection to take it: a connection that is behind by
// so many messages is as good as lost.
const outgoing = 512

// errMoved says that the session goes on at another address.
var errMoved = errors.New("client: the session has moved")

// link is one connection.
type link struct {
	ws     *websocket.Conn
	out    chan encoded
	done   chan struct{} // the reader has ended
	cancel context.CancelFunc
	ctx    context.Context
	ended  *Ended // the server's word
	moved  bool   // to another address
	every  time.Duration
	heard  atomic.Bool // something came since it was looked at last
}

// write hands a message to the connection; sound that it has no room for is dropped.
func (l *link) write(kind websocket.MessageType, data []byte) {
	select {
	case l.out <- encoded{kind, data}:
	default:
		if control(kind, data) {
			l.cancel() // the connection is stuck; coming back sends it again
		}
	}
}

func (l *link) queue(m encoded) { l.write(m.kind, m.data) }

// encoded is a message as it goes out.
type encoded struct {
	kind websocket.MessageType
	data []byte
}

// control says that a frame is no audio.
func control(kind websocket.MessageType, data []byte) bool {
	return kind == websocket.MessageText || !wire.IsAudio(data)
}

// encode writes a message in the encoding that was chosen.
func (c *Client) encode(m wire.FromClient) (encoded, error) {
	if c.config.Binary {
		return encoded{websocket.MessageBinary, wire.AppendClientBinary(nil, m)}, nil
	}
	data, err := wire.AppendClient(nil, m)
	return encoded{websocket.MessageText, data}, err
}

// check finds what the server would refuse.
func (e encoded) check() (f *wire.Fault) {
	if e.kind == websocket.MessageBinary {
		_, f = wire.ReadClientBinary(e.data)
	} else {
		_, f = wire.ReadClient(e.data)
	}
	return f
}

// decode reads a message in the encoding that its frame says.
func decode(kind websocket.MessageType, data []byte) (wire.FromServer, int64, *wire.Fault) {
	if kind == websocket.MessageBinary {
		return wire.ReadServerBinary(data)
	}
	return wire.ReadServer(data)
}

// connect makes a connection and says hello: for a new session, or to come back.
func (c *Client) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Patience)
	defer cancel()
	hello := &wire.Hello{
		Audio:   &wire.Offered{In: []wire.Format{c.config.format()}, Out: []wire.Format{c.config.format()}},
		Metrics: c.config.Metrics,
	}
	if c.config.Silent {
		acks := false
		hello.Acks = &acks
	}
	if c.config.Token != nil {
		token, err := c.config.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("client: token: %w", err)
		}
		hello.Token = token
	}
	c.mu.Lock()
	address := c.address
	if c.session == "" {
		hello.Session, hello.Wishes = c.config.Session, c.config.Wishes
	} else {
		hello.Resume = &wire.Resume{Session: c.session, Received: c.received}
	}
	c.mu.Unlock()
	said, err := c.encode(hello)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	ws, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		Subprotocols: []string{wire.Subprotocol}, HTTPClient: c.config.HTTP, HTTPHeader: c.config.Header,
	})
	if err != nil {
		return nil, handshake(response, err)
	}
	ws.SetReadLimit(8 * wire.MaxMessage)
	if err := ws.Write(ctx, said.kind, said.data); err != nil {
		_ = ws.CloseNow()
		return nil, fmt.Errorf("client: %w", err)
	}
	l, err := c.welcomed(ctx, ws)
	if err != nil {
		_ = ws.CloseNow()
	}
	return l, err
}

// handshake explains what kept the WebSocket from being made.
func handshake(r *http.Response, err error) error {
	if r == nil {
		return fmt.Errorf("client: %w", err)
	}
	code := ""
	switch r.StatusCode {
	case http.StatusForbidden:
		code = "origin"
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUpgradeRequired:
		code = "not_a_server"
	default:
		return fmt.Errorf("client: %w", err)
	}
	return &RefusedError{Code: code, Message: fmt.Sprintf("HTTP status %d: %v", r.StatusCode, err)}
}

// welcomed waits for the answer to hello.
func (c *Client) welcomed(ctx context.Context, ws *websocket.Conn) (*link, error) {
	for {
		kind, data, err := ws.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		if !control(kind, data) {
			return nil, errors.New("client: the server sent sound before welcome")
		}
		m, _, f := decode(kind, data)
		if f != nil {
			return nil, fmt.Errorf("client: %w", f)
		}
		if r, ok := m.(*wire.Refused); ok {
			return nil, &RefusedError{
				Code: r.Code, Message: r.Message, RetryAfter: time.Duration(r.RetryAfterMS) * time.Millisecond, Supported: r.Supported,
			}
		}
		if w, ok := m.(*wire.Welcome); ok {
			return c.begin(ws, w), nil
		}
		c.events.put(m) // an error says what of the hello was ignored
	}
}

// begin puts the client on a connection, with what the server has not taken.
func (c *Client) begin(ws *websocket.Conn, w *wire.Welcome) *link {
	l := &link{ws: ws, done: make(chan struct{}), every: time.Duration(w.KeepaliveMS) * time.Millisecond}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	c.mu.Lock()
	l.out = make(chan encoded, outgoing+len(c.pending))
	c.session = w.Session
	if w.Resumed {
		c.stats.Reconnects++
	}
	c.link = l
	for _, p := range c.pending {
		l.queue(p.said)
	}
	c.mu.Unlock()
	c.events.put(&Connected{w})
	return l
}

// run lives from one connection to the next.
func (c *Client) run(l *link) {
	defer close(c.done)
	for {
		err := c.serve(l)
		c.mu.Lock()
		c.link = nil
		c.mu.Unlock()
		if last := c.last(l, err); last != nil {
			c.stop(ErrClosed)
			c.events.put(last)
			return
		}
		if l.moved {
			err = errMoved
		}
		if l, err = c.comeBack(err); err != nil {
			c.stop(ErrClosed)
			if errors.Is(err, ErrClosed) {
				c.events.put(&Ended{Reason: "closed"})
			} else {
				c.events.put(&Ended{Reason: "lost", Err: err})
			}
			return
		}
	}
}

// last says how the session ended; nil when it has not.
func (c *Client) last(l *link, err error) *Ended {
	switch {
	case l.ended != nil:
		return l.ended
	case c.ctx.Err() != nil:
		return &Ended{Reason: "closed"}
	case websocket.CloseStatus(err) == wire.CloseDisplaced:
		return &Ended{Reason: "displaced", Err: errors.New("client: another connection has taken the session over")}
	case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
		return &Ended{Reason: "ended"}
	}
	return nil
}

// comeBack tries to resume the session, less and less often.
func (c *Client) comeBack(cause error) (*link, error) {
	wait, until := c.config.First, time.Now().Add(c.config.GiveUp)
	for {
		// Half of the wait is chance: clients that were lost together do not come together.
		pause := wait/2 + rand.N(wait/2+1)
		if errors.Is(cause, errMoved) {
			pause = 0
		}
		var refused *RefusedError
		if errors.As(cause, &refused) {
			switch refused.Code {
			case "capacity", "draining", "internal_error":
				pause = max(pause, refused.RetryAfter)
			default:
				return nil, refused
			}
		}
		if time.Now().Add(pause).After(until) {
			return nil, fmt.Errorf("client: no connection for %v: %w", c.config.GiveUp, cause)
		}
		c.events.put(&Disconnected{Err: cause, Again: pause})
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			timer.Stop()
			return nil, ErrClosed
		}
		l, err := c.connect(c.ctx)
		if err == nil {
			return l, nil
		}
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		cause, wait = err, min(2*wait, c.config.Most)
	}
}

// serve reads a connection until it ends.
func (c *Client) serve(l *link) error {
	var aside sync.WaitGroup
	aside.Go(func() { l.writer(c.config.Patience) })
	aside.Go(func() { l.keepalive(c.config.Patience) })
	defer func() {
		l.cancel()
		_ = l.ws.CloseNow()
		aside.Wait()
		close(l.done)
	}()
	for {
		kind, data, err := l.ws.Read(l.ctx)
		if err != nil {
			return err
		}
		l.heard.Store(true)
		if !control(kind, data) {
			if a, f := wire.ParseAudio(data, wire.KindAgent); f == nil && !c.config.Silent {
				c.play.put(&a, time.Now())
			}
			continue
		}
		m, seq, f := decode(kind, data)
		if f != nil {
			c.events.put(&wire.Error{Code: f.Code, Field: f.Field, Message: f.Message})
			continue
		}
		c.hear(l, m, seq)
	}
}

// writer writes until the connection ends.
func (l *link) writer(patience time.Duration) {
	for {
		select {
		case m := <-l.out:
			ctx, cancel := context.WithTimeout(l.ctx, patience)
			err := l.ws.Write(ctx, m.kind, m.data)
			cancel()
			if err != nil {
				l.cancel()
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// keepalive pings a server that is silent. One that does not answer is gone, whatever the
// network says: a connection that is half open looks like one on which nothing is said.
func (l *link) keepalive(patience time.Duration) {
	if l.every <= 0 {
		return
	}
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-l.ctx.Done():
			return
		}
		if l.heard.Swap(false) {
			continue
		}
		ctx, cancel := context.WithTimeout(l.ctx, patience)
		err := l.ws.Ping(ctx)
		cancel()
		if err != nil {
			l.cancel()
			return
		}
	}
}

// hear takes a message of the server, a numbered one once.
func (c *Client) hear(l *link, m wire.FromServer, seq int64) {
	if seq > 0 {
		c.mu.Lock()
		known := seq <= c.received
		c.received = max(c.received, seq)
		c.mu.Unlock()
		if known {
			return
		}
	}
	switch m := m.(type) {
	case *wire.Taken:
		c.taken(m.Key)
	case *wire.Error:
		if m.Key != "" && m.Code != wire.FaultUnknown {
			c.taken(m.Key) // sending it again would not help
		}
		c.events.put(m)
	case *wire.Fence:
		c.play.fence(m)
	case *wire.Route:
		c.follow(l, m)
	case *wire.Ended:
		l.ended = &Ended{Reason: m.Reason}
	case *wire.AudioBegin:
		c.turnIs(m.Turn)
	case *wire.Signal:
		if m.Signal != nil && m.Signal.Signal == eventabi.SignalTurnOpen {
			c.turnIs(m.Signal.TurnID)
		}
		c.events.put(m)
	case *wire.Pong, *wire.Welcome, *wire.Refused, nil:
	case *wire.Transcript, *wire.Speech, *wire.ToolCall, *wire.Metric:
		c.events.put(m)
	}
}

// turnIs remembers the latest turn, so that a cancel that arrives late meets no other.
func (c *Client) turnIs(turn eventabi.TurnID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn = turn
}

// follow goes to another address for the rest of the session. One that would leave
// encryption, or is older than what is known, is ignored.
func (c *Client) follow(l *link, r *wire.Route) {
	u, err := url.Parse(r.Endpoint)
	c.mu.Lock()
	defer c.mu.Unlock()
	now, _ := url.Parse(c.address)
	secret := now != nil && (now.Scheme == "wss" || now.Scheme == "https")
	if err != nil || u.Host == "" || u.Scheme != "wss" && (u.Scheme != "ws" || secret) || r.View <= c.view {
		return
	}
	c.view, c.address = r.View, r.Endpoint
	l.moved = true
	l.cancel()
}

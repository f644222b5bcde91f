// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
)

// beginWithin bounds what the host may take to let a call in.
const beginWithin = 10 * time.Second

// Stats are what a Server counted.
type Stats struct {
	Open      int64 // connections, now
	Calls     int64 // sessions that began
	Refused   int64 // connections that were turned down, with or without a token
	Faults    int64 // wrong messages
	Late      int64 // chunks that came behind their place or twice
	Reordered int64 // chunks that came out of order and in time
	Flushed   int64 // marks that came back and meant nothing, since their turn was fenced
	Unknown   int64 // marks that came back and were not ours, or came back before
	Forgotten int64 // marks that did not come back while too many others were out
	Broken    int64 // calls that ended without a hang-up
}

// counters are Stats on the way.
type counters struct {
	open, calls, refused, faults, late, reordered, flushed, unknown, forgotten, broken atomic.Int64
}

// Server answers the WebSockets of telephone gateways. It is an http.Handler.
type Server struct {
	config Config
	host   transport.Host
	log    *slog.Logger
	count  counters
}

// New makes a Server that begins the sessions of its calls with host.
func New(c Config, host transport.Host) (*Server, error) {
	err := c.Validate()
	if host == nil {
		err = errors.Join(err, errors.New("telephony: host: nil: give the one that begins sessions"))
	}
	if err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Server{config: c, host: host, log: c.Log}, nil
}

// Stats gives what was counted.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Open: c.open.Load(), Calls: c.calls.Load(), Refused: c.refused.Load(), Faults: c.faults.Load(),
		Late: c.late.Load(), Reordered: c.reordered.Load(), Flushed: c.flushed.Load(), Unknown: c.unknown.Load(),
		Forgotten: c.forgotten.Load(), Broken: c.broken.Load(),
	}
}

// ServeHTTP takes a gateway's WebSocket for the length of a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.count.open.Add(1) > int64(s.config.Calls) {
		s.count.open.Add(-1)
		s.count.refused.Add(1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("telephony: calls: %d are open: come again later", s.config.Calls), http.StatusServiceUnavailable)
		return
	}
	defer s.count.open.Add(-1)
	if err := s.verify(r, nil); err != nil {
		s.count.refused.Add(1)
		s.log.Warn("telephony: a request was turned down", "remote", r.RemoteAddr, "error", err)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		s.count.refused.Add(1)
		return // Accept has answered
	}
	conn.SetReadLimit(s.config.Message)
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	defer stop()
	c := &caller{server: s, conn: conn, request: r}
	c.serve(ctx, stop)
}

// caller is the gateway's side of one connection: what is read from it.
type caller struct {
	server   *Server
	conn     *websocket.Conn
	request  *http.Request
	d        *dialect
	stream   string
	faults   int
	length   int // bytes of the last chunk
	controls int
	heard    atomic.Bool // a message has come since watch looked
	order    order
	ear      *listener
	link     *link
}

// serve reads from the start message to the end of the call.
func (c *caller) serve(ctx context.Context, stop context.CancelFunc) {
	begun, err := c.awaitStart(ctx)
	if err == nil {
		err = c.begin(ctx, stop, begun)
	}
	if err != nil {
		c.server.count.refused.Add(1)
		c.server.log.Warn("telephony: a call was turned down", "remote", c.request.RemoteAddr, "error", err)
		c.turnDown(ctx, err)
		return
	}
	c.server.count.calls.Add(1)
	orderly := false
	defer func() {
		if !orderly { // a message has made something panic
			c.link.broken(nil)
		}
	}()
	go transport.Contain(c.link.broken, func() { c.watch(ctx, stop) })()
	end := c.read(ctx)
	c.settle()
	c.over(ctx, end)
	orderly = true
}

// awaitStart reads until the start message.
func (c *caller) awaitStart(ctx context.Context) (message, error) {
	// Not by a deadline of ctx: that would break the connection before it is told why.
	late := time.AfterFunc(c.server.config.Start, transport.Contain(nil, func() {
		within, stop := context.WithTimeout(ctx, partWithin)
		defer stop()
		part(within, c.conn, websocket.StatusPolicyViolation, "no start message came in time")
	}))
	defer late.Stop()
	if name := c.server.config.Dialect; name != "" {
		d, _ := dialectOf(name)
		c.d = &d
	}
	for {
		m, err := c.next(ctx)
		switch {
		case err != nil:
			return message{}, err
		case m.kind == started:
			return m, nil
		case m.kind == media || m.kind == dtmf || m.kind == played || m.kind == stopped:
			if err := c.fault(errors.New("event: comes before start: send start first")); err != nil {
				return message{}, err
			}
		case m.kind == other:
		}
	}
}

// next reads one message that is right.
func (c *caller) next(ctx context.Context) (message, error) {
	for {
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			return message{}, err
		}
		c.heard.Store(true)
		if kind != websocket.MessageText {
			if err := c.fault(errors.New("message: is binary: send JSON in text messages")); err != nil {
				return message{}, err
			}
			continue
		}
		m, d, err := decode(c.d, data)
		if err == nil && c.stream != "" && m.stream != "" && m.stream != c.stream {
			err = fmt.Errorf("stream: %.64q: this connection is of stream %.64q", m.stream, c.stream)
		}
		if err == nil {
			c.d = d
			return m, nil
		}
		if err := c.fault(err); err != nil {
			return message{}, err
		}
	}
}

// faulty says that a gateway has sent too much that is wrong.
type faulty struct{ last error }

func (f *faulty) Error() string { return "telephony: too many wrong messages: " + f.last.Error() }

// fault counts what is wrong; an error says that it was the last that is borne.
func (c *caller) fault(err error) error {
	c.server.count.faults.Add(1)
	c.server.log.Debug("telephony: a wrong message", "stream", c.stream, "error", err)
	if c.faults++; c.faults > c.server.config.Faults {
		return &faulty{err}
	}
	return nil
}

// begin asks the host for a session.
func (c *caller) begin(ctx context.Context, stop context.CancelFunc, m message) error {
	c.stream = m.stream
	c.order.apart = c.d.apart
	in, err := c.d.formatOf(m.start.encoding, m.start.rate)
	if err != nil {
		return err
	}
	out := c.server.config.Out
	if out == (Format{}) {
		out = in
	}
	if c.ear, err = newListener(in); err != nil {
		return err
	}
	offer := transport.Offer{
		Kind: Kind, Token: token(c.request, m.start.parameters), Remote: c.request.RemoteAddr,
		Capabilities: transport.Capabilities{
			CodecsIn: []string{string(in.Encoding)}, CodecsOut: []string{string(out.Encoding)},
			BuffersOutput: true, Ack: transport.AckGateway,
		},
	}
	ctx, done := context.WithTimeout(ctx, beginWithin)
	defer done()
	_, err = c.server.host.Begin(ctx, offer, func(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		l, err := newLink(c, stop, out, in)
		c.link = l
		if err != nil {
			return nil, err
		}
		return l, nil
	})
	if err == nil && c.link == nil {
		err = errors.New("telephony: the host began a session and bound no link")
	}
	return err
}

// token finds the session token of a call.
func token(r *http.Request, parameters map[string]string) string {
	for name, value := range parameters {
		if strings.EqualFold(strings.TrimPrefix(strings.ToLower(name), "x-ph-"), "token") {
			return value
		}
	}
	header := r.Header.Get("Authorization")
	if kind, value, ok := strings.Cut(header, " "); ok && strings.EqualFold(kind, "bearer") {
		return strings.TrimSpace(value)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return r.URL.Query().Get("token")
}

// turnDown closes a connection that came to no session.
func (c *caller) turnDown(ctx context.Context, err error) {
	code, reason := websocket.StatusInternalError, "the session could not begin"
	var refused *transport.RefusedError
	var wrong *faulty
	switch {
	case errors.As(err, &refused):
		code, reason = websocket.StatusCode(refused.CloseCode()), refused.Error()
	case errors.As(err, &wrong):
		code, reason = websocket.StatusPolicyViolation, wrong.Error()
	case websocket.CloseStatus(err) != -1:
		code, reason = websocket.StatusNormalClosure, ""
	}
	ctx, stop := context.WithTimeout(ctx, partWithin)
	defer stop()
	part(ctx, c.conn, code, reason)
}

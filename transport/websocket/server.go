// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
)

// Server lets clients begin sessions of a Host over WebSockets. It is an http.Handler for
// one path.
type Server struct {
	config Config
	host   transport.Host
	counts counters

	mu      sync.Mutex
	lines   map[eventabi.SessionID]*line
	pending int
	closed  bool
	empty   chan struct{} // closed when closed and there is no line
}

// New makes a Server.
func New(c Config, host transport.Host) (*Server, error) {
	err := c.Validate()
	if host == nil {
		err = errors.Join(err, errors.New("websocket: host: nil: give the runtime's host"))
	}
	if err != nil {
		return nil, err
	}
	return &Server{config: c.withDefaults(), host: host, lines: map[eventabi.SessionID]*line{}, empty: make(chan struct{})}, nil
}

// Kind names the transport.
func (s *Server) Kind() transport.Kind { return Kind }

// Capabilities says what the transport does when a client acknowledges what it plays.
func (s *Server) Capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: s.codecs(false), CodecsOut: s.codecs(true), Text: true, Controls: true, Resumes: true, BuffersOutput: true,
		Ack: transport.AckClient,
	}
}

// ServeHTTP serves one connection and returns when it has ended. Its session may go on
// without it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "websocket: no more connections are taken now: come again", http.StatusServiceUnavailable)
		return
	}
	left := false
	leave := func() {
		if !left {
			left = true
			s.leave()
		}
	}
	defer leave()
	c, err := s.accept(w, r)
	if err != nil {
		return // it was answered
	}
	defer c.release()
	l := s.admit(c, r)
	leave()
	if l != nil {
		c.serve(l)
	}
}

// enter counts a connection that has no session, if there is room for one.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.pending >= s.config.Pending {
		return false
	}
	s.pending++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
}

// accept makes the WebSocket.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) (*conn, error) {
	offered := protocols(r)
	if !has(offered, wire.Subprotocol) {
		err := errors.New("websocket: subprotocol: offer " + wire.Subprotocol)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	options := &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}, OriginPatterns: s.config.Origins}
	zip := s.config.Compression && r.URL.Query().Get("compression") == wire.CompressionZip
	if zip {
		options.CompressionMode = websocket.CompressionContextTakeover
		options.CompressionThreshold = leastDeflated
	}
	line := &hijacker{ResponseWriter: w}
	ws, err := websocket.Accept(line, r, options)
	if err != nil {
		return nil, err
	}
	s.counts.connections.Add(1)
	// The response's header says whether the client offered it as well.
	return newConn(s, ws, line.wire, zip && w.Header().Get("Sec-WebSocket-Extensions") != "")
}

// admit hears a client's hello and gives its line; nil when the client was turned away.
func (s *Server) admit(c *conn, r *http.Request) *line {
	ctx, cancel := context.WithTimeout(c.ctx, s.config.Hello)
	defer cancel()
	hello, err := c.hello(ctx)
	if err != nil {
		var f *wire.Fault
		if errors.As(err, &f) {
			c.refuse(&transport.RefusedError{Code: transport.RefusedInvalid, Reason: f.Error()})
		} else {
			c.end(wire.CloseSlow, "no hello came in time")
		}
		return nil
	}
	if hello.Token == "" {
		hello.Token = token(r)
	}
	var l *line
	if hello.Resume != nil {
		l, err = s.resume(ctx, c, hello)
	} else {
		l, err = s.begin(ctx, c, hello, r.RemoteAddr)
	}
	if err != nil {
		s.counts.refused.Add(1)
		c.refuse(err)
		return nil
	}
	return l
}

// begin asks the host for a session.
func (s *Server) begin(ctx context.Context, c *conn, hello *wire.Hello, remote string) (*line, error) {
	if err := c.agree(hello.Audio); err != nil {
		return nil, err
	}
	capabilities := s.Capabilities()
	if hello.Acks != nil && !*hello.Acks {
		capabilities.Ack = transport.AckEstimate
	}
	offer := transport.Offer{
		Kind: Kind, Token: hello.Token, Session: hello.Session, Remote: remote, Wishes: wishes(hello.Wishes), Capabilities: capabilities,
	}
	var l *line
	_, err := s.host.Begin(ctx, offer, func(_ context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
		made, err := newLine(s, b, in, capabilities.Ack == transport.AckClient, hello.Metrics)
		if err != nil {
			return nil, err
		}
		if err := s.add(made); err != nil {
			made.feed.Close()
			return nil, err
		}
		l = made
		l.attach(c, nil)
		return l, nil
	})
	if err != nil && l != nil {
		_ = l.Close("refused") // a host that has bound it and then refuses closes it itself; twice does nothing
	}
	return l, err
}

// resume takes a client back.
func (s *Server) resume(ctx context.Context, c *conn, hello *wire.Hello) (*line, error) {
	if err := s.host.Readmit(ctx, hello.Resume.Session, hello.Token); err != nil {
		return nil, err
	}
	s.mu.Lock()
	l := s.lines[hello.Resume.Session]
	s.mu.Unlock()
	if l == nil { // it is another transport's
		return nil, &transport.RefusedError{Code: transport.RefusedUnknown, Reason: "no session of this id is open here: begin a new one"}
	}
	if err := c.agree(hello.Audio); err != nil {
		return nil, err
	}
	if !l.attach(c, hello.Resume) {
		return nil, &transport.RefusedError{Code: transport.RefusedEnded, Reason: "the session has ended: begin a new one"}
	}
	s.counts.resumed.Add(1)
	return l, nil
}

func (s *Server) add(l *line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return &transport.RefusedError{Code: transport.RefusedDraining}
	case s.lines[l.id] != nil:
		return &transport.RefusedError{Code: transport.RefusedInvalid, Reason: "session: it is connected already; resume it"}
	}
	s.lines[l.id] = l
	return nil
}

func (s *Server) remove(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[l.id] != l {
		return
	}
	delete(s.lines, l.id)
	if s.closed && len(s.lines) == 0 {
		close(s.empty)
	}
}

// Close takes no more connections and waits until the runtime has closed the sessions that
// there are. When ctx ends it cuts what is left, and says so.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		if len(s.lines) == 0 {
			close(s.empty)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	lines := make([]*line, 0, len(s.lines))
	for _, l := range s.lines {
		lines = append(lines, l)
	}
	s.mu.Unlock()
	for _, l := range lines {
		if c := l.current(); c != nil {
			c.cut()
		}
	}
	return context.Cause(ctx)
}

// protocols are the subprotocols that a client offers.
func protocols(r *http.Request) (list []string) {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for one := range strings.SplitSeq(header, ",") {
			list = append(list, strings.TrimSpace(one))
		}
	}
	return list
}

func has(list []string, name string) bool {
	for _, one := range list {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// token is what a request carries beside the hello.
func token(r *http.Request) string {
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(t)
	}
	for _, one := range protocols(r) {
		if t, ok := strings.CutPrefix(one, wire.TokenPrefix); ok {
			return t
		}
	}
	return r.URL.Query().Get("token")
}

// wishes are what a client would like to choose, as the runtime has them.
func wishes(w *wire.Wishes) transport.Wishes {
	if w == nil {
		return transport.Wishes{}
	}
	out := transport.Wishes{
		Instructions: w.Instructions, Voice: w.Voice, Language: w.Language, TurnEnd: transport.TurnEnd(w.TurnEnd),
		Answer: w.Answer, Interrupt: w.Interrupt, TextOnly: w.TextOnly,
	}
	if w.Tools != nil {
		out.Tools = make([]transport.Tool, 0, len(w.Tools))
	}
	for _, t := range w.Tools {
		out.Tools = append(out.Tools, transport.Tool{Name: t.Name, Description: t.Description, Parameters: t.Parameters})
	}
	return out
}

// until is how long a bounded step of a connection's end may take.
func until(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

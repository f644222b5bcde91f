// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Mount is a transport and its place.
type Mount struct {
	// Path as http.ServeMux takes it; with a slash at its end it is a folder. Empty = the
	// transport does not come in by the server's port, and New gives nil for a handler.
	Path string
	Kind transport.Kind
	// About says in a few words who connects there.
	About string
	// New makes the transport, once the engines are warm. end, if there is one, is called
	// when the sessions have ended: what is left of the transport goes away then, within its
	// context.
	New func(h transport.Host, o MountOptions) (handler http.Handler, end func(context.Context) error, err error)
}

// MountOptions is what a transport is told of the server.
type MountOptions struct {
	// OriginPatterns are the origins beyond the server's own host whose pages may connect, as
	// hosts. The server has checked origins before a transport sees a request; a library that
	// checks again is to be told them.
	OriginPatterns []string
	// PublicURL is what clients call the server; empty = as they do.
	PublicURL string
	// Check looks at an offer's token as Begin will, for transports that answer before they
	// begin a session.
	Check func(ctx context.Context, o transport.Offer) error
	// Issue makes a token for a call that somebody else vouches for, such as a provider by
	// its signature. The session is of session.tenant.
	Issue func(kind transport.Kind) (token string, err error)
	Log   *slog.Logger
	// Getenv looks up what references to secrets name.
	Getenv func(string) string
}

// Program is what a Server is part of.
type Program struct {
	Mounts []Mount
	Page   fs.FS // nil = the one that is embedded
	Log    *slog.Logger
	Getenv func(string) string // nil = the process's
	Build  string
}

// Server is one process that clients connect to. Its methods may be called from any
// goroutine, each of them once.
type Server struct {
	config  *Config
	program Program
	tokens  *parley.Tokens
	secret  string // the operator's, empty = none
	door    door
	metrics *metricSet

	listener net.Listener
	shows    *certificate // nil = it speaks http
	http     *http.Server
	served   chan error

	state    atomic.Int32 // a stage
	host     atomic.Pointer[parley.Host]
	runtime  atomic.Pointer[parley.Runtime]
	mounts   atomic.Pointer[http.ServeMux]
	closers  []func(context.Context) error
	overflow atomic.Int64  // connections
	drawing  chan struct{} // full while a recording is drawn
	disk     fitness
}

// stage is how far the server is.
type stage int32

const (
	starting stage = iota
	ready
	draining
)

// New prepares a server: secrets are read, keys and the folder of recordings are checked,
// and nothing listens yet.
func New(c *Config, p Program) (*Server, error) {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Getenv == nil {
		p.Getenv = os.Getenv
	}
	s := &Server{config: c, program: p, served: make(chan error, 1), drawing: make(chan struct{}, 1)}
	tokens, err := readTokens(c, p.Getenv)
	if err != nil {
		return nil, err
	}
	if s.shows, err = readCertificate(c, &p); err != nil {
		return nil, err
	}
	s.tokens = tokens.For(eventabi.PipelineVersion(c.Session.Pipeline))
	if c.Auth.Operator != "" {
		if s.secret, err = c.Auth.Operator.Resolve(p.Getenv); err != nil {
			return nil, fmt.Errorf("serve: auth.operator_token: %w", err)
		}
		if len(s.secret) < minSecret {
			return nil, fmt.Errorf("serve: auth.operator_token: %s: it has fewer than %d characters: use a longer secret", c.Auth.Operator, minSecret)
		}
	}
	if err := fitToRecord(c.Session.Record); err != nil {
		return nil, err
	}
	s.door = newDoor(c)
	s.metrics = newMetrics(s)
	return s, nil
}

// minSecret is the least length of the operator's secret, in characters.
const minSecret = 16

// readTokens makes the tokens from the key file, or in development mode from a key that
// this process alone knows.
func readTokens(c *Config, getenv func(string) string) (*parley.Tokens, error) {
	lifetime := time.Duration(c.Auth.Lifetime) * time.Millisecond
	if c.Auth.Keys == "" {
		return parley.NewTokens(lifetime)
	}
	text, err := c.Auth.Keys.Resolve(getenv)
	if err != nil {
		return nil, fmt.Errorf("serve: auth.keys: %w", err)
	}
	x, err := parley.ReadTokens(string(c.Auth.Keys), []byte(text), lifetime)
	if err != nil {
		return nil, fmt.Errorf("serve: auth.keys: %w", err)
	}
	return x, nil
}

// Listen binds the address and serves: health at once, everything else when Start was
// called.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("serve: listen: %w: is another program there? Choose another address with --listen", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); s.config.Development() && (!ok || !a.IP.IsLoopback()) {
		_ = l.Close()
		return fmt.Errorf("serve: listen: %s leads to %s, which is beyond loopback: use 127.0.0.1, or auth.mode token", s.config.Listen, l.Addr())
	}
	s.listener = l
	h := &s.config.HTTP
	s.http = &http.Server{
		Handler: s.handler(), MaxHeaderBytes: int(h.HeaderBytes), ReadHeaderTimeout: time.Duration(h.HeaderTimeout) * time.Millisecond,
		IdleTimeout: time.Duration(h.IdleTimeout) * time.Millisecond, ErrorLog: slog.NewLogLogger(s.program.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	var door net.Listener = &limited{Listener: l, room: make(chan struct{}, h.Connections), refused: &s.overflow}
	if s.shows != nil {
		door = tls.NewListener(door, s.shows.config())
	}
	go func() { s.served <- s.http.Serve(door) }()
	return nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is what a person opens.
func (s *Server) URL() string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL
	}
	_, port, _ := net.SplitHostPort(s.Addr().String())
	host, _, _ := net.SplitHostPort(s.config.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if s.shows != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// Start takes sessions: the runtime's engines are warm. The runtime is the server's to
// close from here on.
func (s *Server) Start(r *parley.Runtime) error {
	c := s.config
	host, err := r.Host(parley.HostConfig{
		Authenticate: s.authenticate, Holds: s.tokens.Holds, Ended: s.tokens.Ended,
		Grants: parley.Grants{
			Instructions: c.Grants.Instructions, Voices: c.Grants.Voices, Languages: c.Grants.Languages, TurnEnd: c.Grants.TurnEnd,
			Answer: c.Grants.Answer, Interrupt: c.Grants.Interrupt, TextOnly: c.Grants.TextOnly, Tools: c.Grants.Tools,
		},
		Recheck:     time.Duration(c.Auth.Recheck) * time.Millisecond,
		ExpiryGrace: time.Duration(c.Auth.ExpiryGrace) * time.Millisecond,
		Record:      c.Session.Record, KeepEnded: int(c.Session.Keep),
		Watch: s.watch, Refused: s.refused,
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	s.host.Store(host)
	s.runtime.Store(r)
	mux, err := s.mount(host)
	if err != nil {
		return err
	}
	s.mounts.Store(mux)
	s.state.CompareAndSwap(int32(starting), int32(ready))
	return nil
}

// mount makes the transports.
func (s *Server) mount(host transport.Host) (mux *http.ServeMux, err error) {
	defer func() {
		if r := recover(); r != nil { // two mounts of one path
			err = fmt.Errorf("serve: mounts: %v", r)
		}
	}()
	mux = http.NewServeMux()
	options := MountOptions{
		OriginPatterns: s.door.patterns(), PublicURL: s.config.PublicURL, Log: s.program.Log, Getenv: s.program.Getenv,
		Check: func(ctx context.Context, o transport.Offer) error {
			_, err := s.authenticate(ctx, o)
			return err
		},
		Issue: s.vouched,
	}
	for _, m := range s.program.Mounts {
		h, end, err := m.New(host, options)
		if err != nil {
			return nil, fmt.Errorf("serve: %s at %s: %w", m.Kind, cmp.Or(m.Path, "an address of its own"), err)
		}
		if end != nil {
			s.closers = append(s.closers, end)
		}
		if m.Path != "" {
			mux.Handle(m.Path, h)
		}
	}
	return mux, nil
}

// vouched issues a token for a call that somebody vouches for.
func (s *Server) vouched(kind transport.Kind) (string, error) {
	text, _, err := s.tokens.Issue(parley.TokenClaims{
		Tenant: s.config.Session.Tenant, Pipeline: eventabi.PipelineVersion(s.config.Session.Pipeline), Transport: string(kind),
	})
	return text, err
}

// authenticate lets in who has a token, and in development mode everybody: a token that is
// one is checked there as well, so that what works there works with tokens.
func (s *Server) authenticate(ctx context.Context, o transport.Offer) (parley.Grant, error) {
	if s.config.Development() && !parley.LooksLikeToken(o.Token) {
		return parley.Grant{ // of now: a word of the operator's counts for what came before it
			Tenant: s.config.Session.Tenant, Pipeline: eventabi.PipelineVersion(s.config.Session.Pipeline), IssuedAt: time.Now(),
		}, nil
	}
	return s.tokens.Authenticate(ctx, o)
}

// Done is closed over when the server has stopped serving by itself, with its error.
func (s *Server) Done() <-chan error { return s.served }

// Close drains and ends. It is not ready at once and refuses new sessions; those that run
// may finish until ctx is over, and end by force after that.
func (s *Server) Close(ctx context.Context) error {
	s.state.Store(int32(draining))
	var err error
	if h := s.host.Load(); h != nil {
		err = h.Close(ctx)
	}
	if s.http == nil {
		return err
	}
	rest, stop := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
	defer stop()
	for _, end := range s.closers {
		err = errors.Join(err, end(rest))
	}
	if e := s.http.Shutdown(rest); e != nil {
		err = errors.Join(err, s.http.Close())
	}
	return err
}

// closeGrace is how long at the end transports may take, and requests that are no sessions.
const closeGrace = 2 * time.Second

// limited is a listener that closes what comes beyond its room: somebody who opens
// connections and says nothing takes no more than that.
type limited struct {
	net.Listener
	room    chan struct{}
	refused *atomic.Int64
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.room <- struct{}{}:
			return &counted{Conn: c, leave: l.room}, nil
		default:
			l.refused.Add(1)
			_ = c.Close()
		}
	}
}

// counted gives its room back when it is closed.
type counted struct {
	net.Conn
	leave chan struct{}
	gone  atomic.Bool
}

func (c *counted) Close() error {
	if c.gone.CompareAndSwap(false, true) {
		<-c.leave
	}
	return c.Conn.Close()
}

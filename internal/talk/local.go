// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/demo"
	"github.com/parley-voice/parley/transport"
)

// Local is an agent in this process.
type Local struct {
	Runtime parley.Config
	// Transport serves the client's protocol; what it gives is closed in the end.
	Transport func(transport.Host) (http.Handler, func(context.Context) error, error)
	// Record is the folder of the recording, which must not exist; empty = none.
	Record string
}

// seat is a host with room for one: whoever holds the other end of the pipe.
type seat struct {
	runtime   *parley.Runtime
	collector *demo.Collector
	record    string
	taken     atomic.Bool
	session   atomic.Pointer[parley.Session]
}

// Begin lets the client in.
func (s *seat) Begin(ctx context.Context, o transport.Offer, open transport.OpenFunc) (transport.Session, error) {
	if !s.taken.CompareAndSwap(false, true) {
		return nil, &transport.RefusedError{Code: transport.RefusedCapacity, Reason: "there is one seat, and it is taken"}
	}
	x, err := s.runtime.Start(ctx, parley.Call{
		ID: string(o.Session), Transport: &offered{o, open}, Wishes: o.Wishes, Record: s.record,
		Observe: s.collector.Observe, Waits: s.collector.Look,
	})
	if err != nil {
		code := transport.RefusedInternal
		if refusal := (*parley.Refusal)(nil); errors.As(err, &refusal) {
			code = transport.RefusedCapacity
		}
		// It is the user's own process: the cause is kept from nobody.
		return nil, fmt.Errorf("%w: %w", &transport.RefusedError{Code: code, Reason: err.Error()}, err)
	}
	s.session.Store(x)
	return x, nil
}

// Readmit lets it come back.
func (s *seat) Readmit(_ context.Context, id eventabi.SessionID, _ string) error {
	if x := s.session.Load(); x == nil || x.ID() != id {
		return &transport.RefusedError{Code: transport.RefusedUnknown, Reason: "no session of this id is open here"}
	}
	return nil
}

// now is the session's clock.
func (s *seat) now() time.Duration {
	if x := s.session.Load(); x != nil {
		return time.Duration(x.Now())
	}
	return 0
}

// offered is the client's offer as the adapter of its session.
type offered struct {
	offer transport.Offer
	open  transport.OpenFunc
}

func (o *offered) Kind() transport.Kind                 { return o.offer.Kind }
func (o *offered) Capabilities() transport.Capabilities { return o.offer.Capabilities }

func (o *offered) Open(ctx context.Context, b transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	return o.open(ctx, b, in)
}

// pipe is a listener that only this process can reach.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipe() *pipe { return &pipe{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept gives the server's end.
func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr names the pipe.
func (p *pipe) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "in-process" }

// dial gives the client's end.
func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// headTime bounds how long a request may take to say what it is.
const headTime = 10 * time.Second

// Dial begins the session. The director is told how the conversation goes.
func (l *Local) Dial(ctx context.Context, c client.Config, collector *demo.Collector) (*Line, error) {
	rt, err := parley.New(l.Runtime)
	if err != nil {
		return nil, err
	}
	s := &seat{runtime: rt, collector: collector, record: l.Record}
	handler, done, err := l.Transport(s)
	if err != nil {
		return nil, errors.Join(err, rt.Close(ctx))
	}
	p := newPipe()
	web := &http.Server{Handler: handler, ReadHeaderTimeout: headTime}
	served := make(chan error, 1)
	go func() { served <- web.Serve(p) }()
	end := func(ctx context.Context) error {
		err := rt.Close(ctx)
		if done != nil {
			err = errors.Join(err, done(ctx))
		}
		err = errors.Join(err, web.Close())
		if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) && !errors.Is(stopped, net.ErrClosed) {
			err = errors.Join(err, stopped)
		}
		return err
	}
	c.URL = "ws://in-process/"
	c.HTTP = &http.Client{Transport: &http.Transport{DialContext: p.dial}}
	cl, err := client.Dial(ctx, c)
	if err != nil {
		return nil, errors.Join(err, end(ctx))
	}
	return &Line{Client: cl, now: s.now, watch: &insider{collector}, end: end}, nil
}

// insider watches a session of this process, which tells the collector itself.
type insider struct{ collector *demo.Collector }

func (*insider) take(time.Duration, client.Event) {}

func (i *insider) level(voice int, at time.Duration, pcm []int16) { i.collector.Level(voice, at, pcm) }

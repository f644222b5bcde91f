// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

const (
	// maxMessages is how many of a client's messages wait for the one before.
	maxMessages = 16
	// maxWork is how much of what other goroutines leave may wait.
	maxWork = 16
	// maxReason is what fits into a close frame (RFC 6455, section 5.5).
	maxReason = 123
)

// Config is what a Socket is made of. Each field is needed.
type Config struct {
	MessageBytes int64         // bounds one message of the client
	Control      int           // messages that may wait for a client that reads slowly
	Ping         time.Duration // how often a client is asked whether it is there, and its time for the answer
	Close        time.Duration // bounds the writing of what is left
	Idle         time.Duration // after how long Handler.Idle is called, once
}

// Wire is a WebSocket as a Socket needs it, which *websocket.Conn is.
type Wire interface {
	Read(ctx context.Context) (websocket.MessageType, []byte, error)
	Write(ctx context.Context, kind websocket.MessageType, data []byte) error
	Ping(ctx context.Context) error
	SetReadLimit(n int64)
	Close(code websocket.StatusCode, reason string) error
	CloseNow() error
}

// Message is one of the client's.
type Message struct {
	Binary bool
	Data   []byte
}

// Handler is the protocol of one client. Serve calls it, one call after the other.
type Handler interface {
	// Take handles a message. False ends the link.
	Take(ctx context.Context, m Message) bool
	// Idle is called Config.Idle after the beginning. False ends the link.
	Idle(ctx context.Context) bool
}

// Socket is one client's WebSocket. Its methods may be called from any goroutine.
type Socket struct {
	config Config
	wire   Wire
	out    *outbox.Outbox
	work   chan func()
	over   chan struct{}
	once   sync.Once

	gate sync.RWMutex
	in   transport.Ingress // nil = the session has not begun, or is over

	mu     sync.Mutex
	left   bool // the client has said good-bye
	ended  bool
	code   websocket.StatusCode
	reason string
}

// New takes a WebSocket over. Serve has to be called, which lets go of it.
func New(wire Wire, c Config) (*Socket, error) {
	s := &Socket{
		config: c, wire: wire, work: make(chan func(), maxWork), over: make(chan struct{}),
		code: websocket.StatusNormalClosure,
	}
	var err error
	s.out, err = outbox.New(outbox.Config{
		Write: func(ctx context.Context, m *outbox.Message) error {
			kind := websocket.MessageText
			if m.Binary {
				kind = websocket.MessageBinary
			}
			return wire.Write(ctx, kind, m.Data)
		},
		Control: c.Control,
		Failed:  func(err error) { s.End(websocket.StatusPolicyViolation, err.Error()) },
	})
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	wire.SetReadLimit(c.MessageBytes)
	return s, nil
}

// Out is the queue to the client.
func (s *Socket) Out() *outbox.Outbox { return s.out }

// Serve hands messages to h until the link is over, and ends it.
func (s *Socket) Serve(ctx context.Context, h Handler) {
	orderly := false
	defer func() {
		if !orderly { // a message has made something panic
			s.Broken(nil)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan Message, maxMessages)
	var readers sync.WaitGroup
	readers.Go(transport.Contain(s.Broken, func() { s.read(ctx, messages) }))
	readers.Go(transport.Contain(s.Broken, func() { s.ping(ctx) }))
	s.loop(ctx, h, messages)
	s.hangUp(cancel) // a reader that is cancelled breaks the wire, which CloseNow does not while it is being closed
	cancel()
	readers.Wait()
	orderly = true
}

// Broken cuts the connection off and tells the session that its client is gone. It is what a
// panic of the adapter's own code costs; see transport.Contain.
func (s *Socket) Broken(*transport.Panic) {
	_ = s.wire.CloseNow()
	s.Tell(func(in transport.Ingress) { in.Link(transport.LinkGone) })
}

// read takes messages off the wire. It ends with the wire.
func (s *Socket) read(ctx context.Context, messages chan<- Message) {
	defer close(messages)
	for {
		kind, data, err := s.wire.Read(ctx)
		if err != nil {
			code := websocket.CloseStatus(err)
			s.mu.Lock()
			s.left = code == websocket.StatusNormalClosure || code == websocket.StatusGoingAway || code == websocket.StatusNoStatusRcvd
			s.mu.Unlock()
			return
		}
		select {
		case messages <- Message{Binary: kind == websocket.MessageBinary, Data: data}:
		case <-ctx.Done():
			return
		}
	}
}

// ping asks the client whether it is there.
func (s *Socket) ping(ctx context.Context) {
	tick := time.NewTicker(s.config.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, s.config.Ping)
		err := s.wire.Ping(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			_ = s.wire.CloseNow() // the reader sees it
			return
		}
	}
}

// loop calls the handler.
func (s *Socket) loop(ctx context.Context, h Handler, messages <-chan Message) {
	idle := time.NewTimer(s.config.Idle)
	defer idle.Stop()
	for {
		select {
		case <-s.over:
			return
		case <-ctx.Done():
			return
		case f := <-s.work:
			f()
		case <-idle.C:
			if !h.Idle(ctx) {
				return
			}
		case m, ok := <-messages:
			if !ok || !h.Take(ctx, m) {
				return
			}
		}
	}
}

// Later has the goroutine of Serve do something, and says whether there was room to leave
// it. It does not wait.
func (s *Socket) Later(f func()) bool {
	select {
	case s.work <- f:
		return true
	default:
		return false
	}
}

// Bind opens the way to the session.
func (s *Socket) Bind(in transport.Ingress) {
	s.gate.Lock()
	s.in = in
	s.gate.Unlock()
}

// Unbind closes it.
func (s *Socket) Unbind() { s.Bind(nil) }

// Tell calls the session, if there is one.
func (s *Socket) Tell(f func(in transport.Ingress)) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.in != nil {
		f(s.in)
	}
}

// Because says with which code and for what reason the link will end; the first word
// counts.
func (s *Socket) Because(code websocket.StatusCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.code, s.reason = true, code, reason
	}
}

// End says that there is no use in going on, and why.
func (s *Socket) End(code websocket.StatusCode, reason string) {
	s.once.Do(func() {
		s.Because(code, reason)
		close(s.over)
	})
}

// Flush writes what waits, for a Link's Close: nothing is sent after it.
func (s *Socket) Flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Close)
	defer cancel()
	return s.out.Close(ctx) //nolint:wrapcheck // the adapter says whose it is
}

// HangUp ends what is left: the session is told that its client is gone, what was said last
// is written, and the wire is closed. Serve ends with it; it is for a client that is turned
// away without one.
func (s *Socket) HangUp() { s.hangUp(func() { _ = s.wire.CloseNow() }) }

// hangUp is HangUp; cut is what ends a farewell that takes too long.
func (s *Socket) hangUp(cut func()) {
	s.mu.Lock()
	state := transport.LinkGone
	if s.left {
		state = transport.LinkLeft
	}
	code, reason := s.code, s.reason
	s.mu.Unlock()
	s.Tell(func(in transport.Ingress) { in.Link(state) })
	_ = s.Flush() // a client that is gone reads nothing
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	late := time.AfterFunc(s.config.Close, transport.Contain(nil, cut))
	_ = s.wire.Close(code, strings.ToValidUTF8(reason, ""))
	late.Stop()
	_ = s.wire.CloseNow()
}

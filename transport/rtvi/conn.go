// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
	"github.com/parley-voice/parley/transport/socket"
)

// conn is one client. Its messages are handled by one goroutine; what the session tells
// comes from others. It is the session's Link.
type conn struct {
	*socket.Socket

	server *Server
	config *Config
	out    *outbox.Outbox

	// Of the goroutine that serves.
	offer   transport.Offer
	began   bool
	id      eventabi.SessionID
	faults  int // in a row
	keys    int
	hearing hearing
	feed    *feed.Feed

	mu     sync.Mutex
	flags  flags
	known  bool // whether it speaks binary is known
	binary bool
	ready  bool     // it has said client-ready, and was answered
	held   [][]byte // messages for when it was answered; nil = it has not asked
	legacy bool     // protocol 1.x
	vad    bool     // it wants to know of every sound that may be speech
	speech speech
	turns  []*turn
	told   *turn // that messages are of now
	said   string
	voice  voice
	calls  map[string]string // names of functions that the client runs
	pieces int               // that were told
	output []segment         // of the turn that messages are of
	text   bool              // answers are written, not spoken
	spoken bool              // how answers are is back to that after the next turn has opened
	muted  bool
	quiet  *time.Timer
}

var (
	_ transport.Link       = (*conn)(nil)
	_ transport.SignalSink = (*conn)(nil)
	_ transport.TextSink   = (*conn)(nil)
	_ transport.SpeechSink = (*conn)(nil)
	_ transport.ToolSink   = (*conn)(nil)
	_ transport.MetricSink = (*conn)(nil)
)

const (
	// maxFaults is how many messages in a row may be faulty before the client is let go.
	maxFaults = 100
	// maxControl is how many messages may wait for a client that reads slowly.
	maxControl = 1024
	// maxHeld is how many messages wait for client-ready to be answered.
	maxHeld = 64
	// quietAfter is how long no sound comes from a client that has switched its microphone
	// off: there is no message that says so. It is less than what the session takes for a
	// stall; a client that is gone is known by its silence to pings.
	quietAfter = time.Second
)

func newConn(s *Server, wire *websocket.Conn, offer transport.Offer, f flags) (*conn, error) {
	c := &conn{server: s, config: &s.config, offer: offer, flags: f, calls: map[string]string{}}
	if t := f.wishes.TextOnly; t != nil {
		c.text = *t
	}
	c.quiet = time.AfterFunc(time.Hour, transport.Contain(c.broken, c.silent))
	c.quiet.Stop()
	var err error
	c.Socket, err = socket.New(wire, socket.Config{
		MessageBytes: s.config.MessageBytes, Control: maxControl, Ping: s.config.Ping, Close: s.config.Close, Idle: s.config.Ready,
	})
	if err != nil {
		return nil, fmt.Errorf("rtvi: %w", err)
	}
	c.out = c.Out()
	return c, nil
}

// broken ends the connection: something of it has panicked.
func (c *conn) broken(p *transport.Panic) { c.Broken(p) }

// serve handles a client until its session is over.
func (c *conn) serve(ctx context.Context) {
	c.Serve(ctx, c)
	c.quiet.Stop()
}

// Idle lets a client go that has said nothing that begins a session.
func (c *conn) Idle(context.Context) bool {
	if !c.began {
		c.Because(websocket.StatusPolicyViolation, "no client-ready came in time")
	}
	return c.began
}

// Take handles a message.
func (c *conn) Take(ctx context.Context, m socket.Message) bool {
	c.mu.Lock()
	if !c.known {
		c.known, c.binary = true, m.Binary
	}
	c.mu.Unlock()
	var id json.RawMessage
	var err error
	if m.Binary {
		id, err = c.takeFrame(ctx, m.Data)
	} else {
		id, err = c.takeMessage(ctx, m.Data)
	}
	if err == nil {
		c.faults = 0
		return true
	}
	if !c.began && c.offer.Kind == "" {
		return false // it was turned away
	}
	c.server.count(func(s *Stats) { s.Faults++ })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(id) > 0 {
		c.send(outErrorResponse, id, object{"error": err.Error()})
	}
	if c.faults++; c.faults < maxFaults {
		return true
	}
	c.Because(websocket.StatusPolicyViolation, fmt.Sprintf("%d messages in a row could not be done", c.faults))
	return false
}

// begin begins the session, if it has not begun.
func (c *conn) begin(ctx context.Context) error {
	if c.began {
		return nil
	}
	c.mu.Lock()
	c.offer.Wishes = c.flags.wishes
	if c.flags.rate == 0 {
		c.flags.rate = transport.SampleRate
		if c.binary {
			c.flags.rate = c.config.OutputRate
		}
	}
	c.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, c.config.Begin)
	defer cancel()
	s, err := c.server.host.Begin(within, c.offer, c.bind)
	if err != nil {
		c.turnAway(err)
		return err //nolint:wrapcheck // the client was told
	}
	c.began, c.id = true, s.ID()
	c.server.count(func(s *Stats) { s.Sessions++ })
	return nil
}

// bind is the session's transport.OpenFunc.
func (c *conn) bind(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	f, err := feed.New(feed.Config{Longest: c.config.Buffered, Broken: c.broken}, in)
	if err != nil {
		return nil, fmt.Errorf("rtvi: %w", err)
	}
	c.feed = f
	c.Bind(in)
	return c, nil
}

// turnAway tells a client that it gets no session.
func (c *conn) turnAway(err error) {
	c.server.count(func(s *Stats) { s.Refused++ })
	r := socket.Refusal(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.ready = nil, true
	c.emit(outError, object{"error": r.Error(), "message": r.Error(), "fatal": true})
	c.Because(websocket.StatusCode(r.CloseCode()), string(r.Code))
	c.offer.Kind = ""
}

// after calls the session when it has heard all that the client has sent before.
func (c *conn) after(f func(in transport.Ingress)) {
	if !c.feed.After(func() { c.Tell(f) }) {
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// key names what a client asks for once.
func (c *conn) key() eventabi.IdempotencyKey {
	c.keys++
	return eventabi.IdempotencyKey("rtvi-" + strconv.Itoa(c.keys))
}

// Close ends the link: what waits is written, and nothing reaches the session any more.
func (c *conn) Close(reason string) error {
	c.Unbind()
	if c.feed != nil {
		c.feed.Close()
	}
	c.mu.Lock()
	if t := c.told; t != nil {
		t.closed = true
		c.finish(t)
	}
	c.mu.Unlock()
	c.End(websocket.StatusNormalClosure, reason)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("rtvi: %w", err)
	}
	return nil
}

// emit tells a client of something; the lock is held, so that messages go out in the order
// of what they tell.
func (c *conn) emit(kind string, data object) { c.send(kind, nil, data) }

// send sends a message, with an id where it answers one; the lock is held.
func (c *conn) send(kind string, id json.RawMessage, data object) {
	o := object{"label": label, "type": kind}
	if id != nil {
		o["id"] = id
	}
	if data != nil {
		o["data"] = data
	}
	message, err := json.Marshal(o)
	if err != nil { // what is echoed was JSON when it came
		c.server.count(func(s *Stats) { s.Unencoded++ })
		return
	}
	switch {
	case c.ready || id != nil:
		c.write(message)
	case c.held != nil && len(c.held) < maxHeld:
		c.held = append(c.held, message)
	}
}

// write puts a message into the queue; the lock is held.
func (c *conn) write(message []byte) {
	if c.binary {
		message = appendMessage(nil, message)
	}
	c.out.Send(outbox.Message{Binary: c.binary, Data: message})
}

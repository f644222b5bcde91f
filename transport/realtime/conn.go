// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
	"github.com/parley-voice/parley/transport/socket"
)

// conn is one client. Its events are handled by one goroutine; what the session tells
// comes from others. It is the session's Link.
type conn struct {
	*socket.Socket

	server *Server
	config *Config
	out    *outbox.Outbox
	offer  transport.Offer
	beta   bool

	// Of the goroutine that serves.
	began   bool
	faults  int // in a row
	hearing *hearing
	feed    *feed.Feed

	mu           sync.Mutex
	set          *settings
	conversation string
	prefix       string // of event ids
	events       int64
	items        items
	speech       speech
	turns        []*turn
	active       *response
	asked        *request
	quiet        *time.Timer
	playout      playout
	speaking     *speaking
}

var (
	_ transport.Link       = (*conn)(nil)
	_ transport.SignalSink = (*conn)(nil)
	_ transport.TextSink   = (*conn)(nil)
	_ transport.SpeechSink = (*conn)(nil)
	_ transport.UsageSink  = (*conn)(nil)
	_ transport.ToolSink   = (*conn)(nil)
)

const (
	// maxFaults is how many events in a row may be faulty before the client is let go.
	maxFaults = 100
	// answerWithin is how long a response.create waits for a turn to open.
	answerWithin = 10 * time.Second
	// maxControl is how many events may wait for a client that reads slowly.
	maxControl = 1024
)

func newConn(s *Server, wire *websocket.Conn, offer transport.Offer, model string, beta bool) (*conn, error) {
	c := &conn{
		server: s, config: &s.config, offer: offer, beta: beta,
		set: newSettings(newID("sess"), model), conversation: newID("conv"), prefix: newID("event") + "_",
		items: items{most: s.config.Items},
	}
	c.quiet = time.AfterFunc(time.Hour, transport.Contain(c.broken, c.quieten))
	c.quiet.Stop()
	c.playout.timer = time.AfterFunc(time.Hour, transport.Contain(c.broken, c.hears))
	c.playout.timer.Stop()
	var err error
	c.Socket, err = socket.New(wire, socket.Config{
		MessageBytes: s.config.EventBytes, Control: maxControl, Ping: s.config.Ping, Close: s.config.Close, Idle: s.config.Idle,
	})
	if err != nil {
		return nil, fmt.Errorf("realtime: %w", err)
	}
	c.out = c.Out()
	return c, nil
}

// broken ends the connection: something of it has panicked.
func (c *conn) broken(p *transport.Panic) { c.Broken(p) }

// serve handles a client until its session is over.
func (c *conn) serve(ctx context.Context) {
	c.mu.Lock()
	c.emit(evCreated, object{"session": c.set.describe()})
	c.mu.Unlock()
	c.Serve(ctx, c)
	c.stop()
}

// Idle begins the session of a client that asks for nothing.
func (c *conn) Idle(ctx context.Context) bool { return c.begin(ctx) }

// Take handles a message. No event is binary.
func (c *conn) Take(ctx context.Context, m socket.Message) bool {
	if m.Binary {
		m.Data = nil
	}
	return c.take(ctx, m.Data)
}

// take handles one event. It says false when the client is let go.
func (c *conn) take(ctx context.Context, data []byte) bool {
	e, f := decode(data)
	if f == nil && e.Type == evSessionUpdate {
		f = c.update(e.Session)
	}
	if f == nil && !c.begin(ctx) {
		return false
	}
	if f == nil {
		f = c.handle(&e)
	}
	if f == nil {
		c.faults = 0
		return true
	}
	c.server.count(func(s *Stats) { s.Faults++ })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(e.EventID, f)
	if c.faults++; c.faults < maxFaults {
		return true
	}
	c.fail("", &fault{Code: codeGarbage, Message: fmt.Sprintf("%d events in a row could not be understood.", c.faults)})
	c.Because(websocket.StatusPolicyViolation, codeGarbage)
	return false
}

func (c *conn) handle(e *event) *fault {
	switch e.Type {
	case evAppend:
		return c.append(*e.Audio)
	case evCommit:
		return c.commit()
	case evClear:
		c.clearInput()
	case evItemCreate:
		return c.createItem(e)
	case evItemRetrieve, evItemDelete:
		return c.refer(e)
	case evItemTruncate:
		return c.truncate(e)
	case evCreate:
		return c.create(e)
	case evCancel:
		return c.cancel(e)
	}
	return nil
}

// update changes the session's settings.
func (c *conn) update(raw []byte) *fault {
	if c.beta {
		raw = fromBeta(raw)
	}
	c.mu.Lock()
	was := c.set
	next, f := was.update(raw)
	if f != nil {
		c.mu.Unlock()
		return f
	}
	c.set = next
	c.emit(evUpdated, object{"session": next.describe()})
	c.mu.Unlock()
	if !c.began { // they are part of the offer
		return nil
	}
	if w := next.wishes(was, c.config.Voices); !empty(&w) {
		c.Tell(func(in transport.Ingress) { in.Configure(w) })
	}
	return nil
}

// begin begins the session, if it has not begun. It says false when there is none.
func (c *conn) begin(ctx context.Context) bool {
	if c.began {
		return true
	}
	c.began = true
	c.mu.Lock()
	c.offer.Wishes = c.set.wishes(nil, c.config.Voices)
	c.set = c.set.fix()
	c.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, c.config.Begin)
	defer cancel()
	if _, err := c.server.host.Begin(within, c.offer, c.bind); err != nil {
		c.turnAway(err)
		return false
	}
	c.server.count(func(s *Stats) { s.Sessions++ })
	return true
}

// bind is the session's transport.OpenFunc.
func (c *conn) bind(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	f, err := feed.New(feed.Config{Longest: c.config.Buffered, Broken: c.broken}, in)
	if err != nil {
		return nil, fmt.Errorf("realtime: %w", err)
	}
	c.feed = f
	c.Bind(in)
	return c, nil
}

// turnAway tells a client that it gets no session.
func (c *conn) turnAway(err error) {
	c.server.count(func(s *Stats) { s.Refused++ })
	r := socket.Refusal(err)
	f := &fault{Type: errInvalidRequest, Code: string(r.Code), Message: r.Error()}
	switch r.Code {
	case transport.RefusedToken:
		f.Code = "invalid_api_key" // as clients know it
	case transport.RefusedCapacity:
		f.Type = errRateLimit
	case transport.RefusedDraining, transport.RefusedInternal:
		f.Type = errServer
	case transport.RefusedExpired, transport.RefusedRevoked, transport.RefusedEpoch, transport.RefusedCodec,
		transport.RefusedInvalid, transport.RefusedUnknown, transport.RefusedEnded:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail("", f)
	c.Because(websocket.StatusCode(r.CloseCode()), string(r.Code))
}

// after calls the session when it has heard all that the client has sent before.
func (c *conn) after(f func(in transport.Ingress)) {
	if !c.feed.After(func() { c.Tell(f) }) {
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// later has the goroutine that serves do something; it does not wait.
func (c *conn) later(f func()) {
	if !c.Later(f) {
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// Close ends the link: what waits is written, the reason is told, and nothing reaches the
// session any more.
func (c *conn) Close(reason string) error {
	c.Unbind()
	if c.feed != nil {
		c.feed.Close()
	}
	c.mu.Lock()
	if r := c.active; r != nil {
		if t := r.turn; !t.cut && t.reason == "" && !t.over() {
			t.closed, t.cut = true, true
		}
		c.finish(r)
	}
	c.mu.Unlock()
	c.End(websocket.StatusNormalClosure, short(reason))
	if err := c.Flush(); err != nil {
		return fmt.Errorf("realtime: %w", err)
	}
	return nil
}

// stop ends the timers.
func (c *conn) stop() {
	c.mu.Lock()
	if c.asked != nil {
		c.asked.timer.Stop()
	}
	c.mu.Unlock()
	c.quiet.Stop()
	c.playout.timer.Stop()
}

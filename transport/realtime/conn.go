// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
)

// conn is one client. Its events are handled by one goroutine; what the session tells
// comes from others. It is the session's Link.
type conn struct {
	server *Server
	config *Config
	socket *websocket.Conn
	out    *outbox.Outbox
	offer  transport.Offer
	beta   bool

	// Of the goroutine that serves.
	began   bool
	faults  int // in a row
	hearing *hearing
	feed    *feed.Feed

	work chan func()   // for the goroutine that serves, from others
	over chan struct{} // the link was closed, by the session or because the wire failed
	once sync.Once

	gate sync.RWMutex
	in   transport.Ingress // nil = the session has not begun, or is over

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
	left         bool // the client has said good-bye
	code         websocket.StatusCode
	reason       string
}

var (
	_ transport.Link       = (*conn)(nil)
	_ transport.SignalSink = (*conn)(nil)
	_ transport.TextSink   = (*conn)(nil)
	_ transport.SpeechSink = (*conn)(nil)
	_ transport.ToolSink   = (*conn)(nil)
)

const (
	// maxFaults is how many events in a row may be faulty before the client is let go.
	maxFaults = 100
	// maxEvents is how many of a client's events wait for the one before; what is beyond
	// waits in the network.
	maxEvents = 16
	// maxWork is how much of what other goroutines leave may wait.
	maxWork = 16
	// answerWithin is how long a response.create waits for a turn to open.
	answerWithin = 10 * time.Second
	// maxControl is how many events may wait for a client that reads slowly.
	maxControl = 1024
)

func newConn(s *Server, socket *websocket.Conn, offer transport.Offer, model string, beta bool) (*conn, error) {
	c := &conn{
		server: s, config: &s.config, socket: socket, offer: offer, beta: beta,
		work: make(chan func(), maxWork), over: make(chan struct{}),
		set: newSettings(newID("sess"), model), conversation: newID("conv"), prefix: newID("event") + "_",
		items: items{most: s.config.Items},
		code:  websocket.StatusNormalClosure,
	}
	c.quiet = time.AfterFunc(time.Hour, c.quieten)
	c.quiet.Stop()
	c.playout.timer = time.AfterFunc(time.Hour, c.hears)
	c.playout.timer.Stop()
	var err error
	c.out, err = outbox.New(outbox.Config{
		Write: func(ctx context.Context, m *outbox.Message) error {
			return socket.Write(ctx, websocket.MessageText, m.Data)
		},
		Control: maxControl,
		Failed:  func(err error) { c.end(websocket.StatusPolicyViolation, short(err.Error())) },
	})
	if err != nil {
		return nil, fmt.Errorf("realtime: %w", err)
	}
	return c, nil
}

// serve handles a client until its session is over.
func (c *conn) serve(ctx context.Context) {
	c.mu.Lock()
	c.emit(evCreated, object{"session": c.set.describe()})
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan []byte, maxEvents)
	var readers sync.WaitGroup
	readers.Go(func() { c.read(ctx, events) })
	readers.Go(func() { c.ping(ctx) })
	c.loop(ctx, events)
	c.hangUp()
	cancel()
	readers.Wait()
}

// read takes messages off the wire. It ends with the wire.
func (c *conn) read(ctx context.Context, events chan<- []byte) {
	defer close(events)
	for {
		kind, data, err := c.socket.Read(ctx)
		if err != nil {
			code := websocket.CloseStatus(err)
			c.mu.Lock()
			c.left = code == websocket.StatusNormalClosure || code == websocket.StatusGoingAway || code == websocket.StatusNoStatusRcvd
			c.mu.Unlock()
			return
		}
		if kind != websocket.MessageText {
			data = nil // no event is binary
		}
		select {
		case events <- data:
		case <-ctx.Done():
			return
		}
	}
}

// ping asks a client whether it is there: a half-open connection says nothing by itself.
func (c *conn) ping(ctx context.Context) {
	tick := time.NewTicker(c.config.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		within, cancel := context.WithTimeout(ctx, c.config.Ping)
		err := c.socket.Ping(within)
		cancel()
		if err != nil && ctx.Err() == nil {
			_ = c.socket.CloseNow() // the reader sees it
			return
		}
	}
}

// loop handles events, one after the other.
func (c *conn) loop(ctx context.Context, events <-chan []byte) {
	idle := time.NewTimer(c.config.Idle)
	defer idle.Stop()
	for {
		select {
		case <-c.over:
			return
		case <-ctx.Done():
			return
		case f := <-c.work:
			f()
		case <-idle.C:
			if !c.begin(ctx) {
				return
			}
		case data, ok := <-events:
			if !ok || !c.take(ctx, data) {
				return
			}
		}
	}
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
	c.code, c.reason = websocket.StatusPolicyViolation, codeGarbage
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
		c.tell(func(in transport.Ingress) { in.Configure(w) })
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
	f, err := feed.New(feed.Config{Longest: c.config.Buffered}, in)
	if err != nil {
		return nil, fmt.Errorf("realtime: %w", err)
	}
	c.feed = f
	c.gate.Lock()
	c.in = in
	c.gate.Unlock()
	return c, nil
}

// turnAway tells a client that it gets no session.
func (c *conn) turnAway(err error) {
	c.server.count(func(s *Stats) { s.Refused++ })
	var r *transport.RefusedError
	if !errors.As(err, &r) {
		r = &transport.RefusedError{Code: transport.RefusedInternal, Reason: "the session could not begin"}
	}
	f := &fault{Type: errInvalidRequest, Code: string(r.Code), Message: r.Error()}
	switch r.Code {
	case transport.RefusedToken:
		f.Code = "invalid_api_key" // as clients know it
	case transport.RefusedCapacity:
		f.Type = errRateLimit
	case transport.RefusedDraining, transport.RefusedInternal:
		f.Type = errServer
	case transport.RefusedExpired, transport.RefusedRevoked, transport.RefusedEpoch, transport.RefusedCodec,
		transport.RefusedInvalid, transport.RefusedUnknown:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail("", f)
	c.code, c.reason = websocket.StatusCode(r.CloseCode()), string(r.Code)
}

// tell calls the session, if there is one.
func (c *conn) tell(f func(in transport.Ingress)) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.in != nil {
		f(c.in)
	}
}

// after calls the session when it has heard all that the client has sent before.
func (c *conn) after(f func(in transport.Ingress)) {
	if !c.feed.After(func() { c.tell(f) }) {
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// later has the goroutine that serves do something; it does not wait.
func (c *conn) later(f func()) {
	select {
	case c.work <- f:
	default:
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// Close ends the link: what waits is written, the reason is told, and nothing reaches the
// session any more.
func (c *conn) Close(reason string) error {
	c.gate.Lock()
	c.in = nil
	c.gate.Unlock()
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
	c.end(websocket.StatusNormalClosure, short(reason))
	ctx, cancel := context.WithTimeout(context.Background(), c.config.Close)
	defer cancel()
	if err := c.out.Close(ctx); err != nil {
		return fmt.Errorf("realtime: %w", err)
	}
	return nil
}

// end says that there is no use in going on, and why; the first word counts.
func (c *conn) end(code websocket.StatusCode, reason string) {
	c.once.Do(func() {
		c.mu.Lock()
		if c.reason == "" {
			c.code, c.reason = code, reason
		}
		c.mu.Unlock()
		close(c.over)
	})
}

// hangUp ends what is left: the session is told that its client is gone, what was said
// last is written, and the wire is closed.
func (c *conn) hangUp() {
	c.mu.Lock()
	if c.asked != nil {
		c.asked.timer.Stop()
	}
	state := transport.LinkGone
	if c.left {
		state = transport.LinkLeft
	}
	code, reason := c.code, c.reason
	c.mu.Unlock()
	c.tell(func(in transport.Ingress) { in.Link(state) })
	ctx, cancel := context.WithTimeout(context.Background(), c.config.Close)
	defer cancel()
	_ = c.out.Close(ctx) // a client that is gone reads nothing
	late := time.AfterFunc(c.config.Close, func() { _ = c.socket.CloseNow() })
	_ = c.socket.Close(code, reason)
	late.Stop()
	_ = c.socket.CloseNow()
	c.quiet.Stop()
	c.playout.timer.Stop()
}

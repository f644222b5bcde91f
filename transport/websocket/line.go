// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
)

// logBytes bounds what the log of a session holds.
const logBytes = 1 << 20

// errAway says that a frame found no client.
var errAway = errors.New("websocket: the client is away")

// line is one session on the wire, over one connection after the other.
type line struct {
	server        *Server
	id            eventabi.SessionID
	epoch         eventabi.Epoch
	acks, metrics bool
	feed          *feed.Feed
	in            gate

	// linking orders what is said of the link; it is taken before mu.
	linking sync.Mutex
	told    transport.LinkState // lost, gone, resumed, left
	gone    *time.Timer

	mu       sync.Mutex
	conn     *conn // nil while the client is away
	closed   bool
	binary   bool // the encoding of the connection, or of the last one
	log      log
	keys     keys
	outputs  outputs
	sequence uint32 // of frames to the client
	view     int64  // of routing, the newest that was applied
}

var (
	_ transport.Link       = (*line)(nil)
	_ transport.SignalSink = (*line)(nil)
	_ transport.TextSink   = (*line)(nil)
	_ transport.SpeechSink = (*line)(nil)
	_ transport.ToolSink   = (*line)(nil)
	_ transport.MetricSink = (*line)(nil)
	_ transport.Router     = (*line)(nil)
)

func newLine(s *Server, b transport.Bootstrap, in transport.Ingress, acks, metrics bool) (*line, error) {
	l := &line{
		server: s, id: b.SessionID, epoch: b.Epoch, acks: acks, metrics: metrics, told: transport.LinkResumed,
		log: log{most: s.config.Log},
	}
	l.in.in = in
	var err error
	l.feed, err = feed.New(feed.Config{Longest: s.config.Ahead, Broken: l.broken}, in)
	return l, err
}

func (l *line) current() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// attach puts the line on a connection, which hears welcome and then what it has missed.
// It says false when the session is over.
func (l *line) attach(c *conn, resume *wire.Resume) bool {
	l.linking.Lock()
	defer l.linking.Unlock()
	old := l.current()
	if old != nil {
		// Its sound goes no further: a fence that comes from now on finds the new one only.
		old.out.Fence(transport.Fence{Session: true})
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.conn, l.binary = c, c.binary
	welcome := &wire.Welcome{
		Session: l.id, Resumed: resume != nil, Epoch: l.epoch, Audio: c.agreed, Encoding: encoding(c.binary), Compression: wire.CompressionNone,
		Acks: l.acks, KeepaliveMS: l.server.config.Keepalive.Milliseconds(), ResumeMS: l.server.config.Resume.Milliseconds(),
		Limits: l.server.config.limits(),
	}
	if c.zip {
		welcome.Compression = wire.CompressionZip
	}
	var missed []entry
	if resume != nil {
		missed, welcome.Missed = l.log.since(resume.Received)
		l.server.counts.missed.Add(welcome.Missed)
	}
	c.say(welcome)
	for _, e := range missed {
		data, binary := e.in(c.binary)
		c.out.Send(outbox.Message{Data: data, Binary: binary})
	}
	if welcome.Missed > 0 { // fences may be among them, and what the client holds is still to stop
		for _, f := range l.outputs.fences() {
			l.sayLocked(&f)
		}
	}
	l.outputs.moved()
	l.mu.Unlock()
	if resume == nil {
		return true
	}
	if old != nil {
		l.server.counts.displaced.Add(1)
		go transport.Contain(old.broken, func() {
			old.end(wire.CloseDisplaced, "another connection has taken the session over")
		})()
		l.link(transport.LinkLost)
	}
	l.link(transport.LinkResumed)
	return true
}

func encoding(binary bool) string {
	if binary {
		return wire.EncodingBinary
	}
	return wire.EncodingJSON
}

// detach takes the line off a connection that has ended.
func (l *line) detach(c *conn, left bool) {
	l.linking.Lock()
	defer l.linking.Unlock()
	l.mu.Lock()
	if l.conn != c {
		l.mu.Unlock()
		return // displaced, or closed
	}
	l.conn = nil
	l.mu.Unlock()
	if left {
		l.link(transport.LinkLeft)
		return
	}
	l.link(transport.LinkLost)
	if l.told == transport.LinkLost {
		l.gone = time.AfterFunc(l.server.config.Grace, transport.Contain(l.broken, l.giveUp))
	}
}

// broken ends the session: something of its line has panicked, which may hold its locks.
func (l *line) broken(*transport.Panic) {
	l.in.call(func(in transport.Ingress) { in.Link(transport.LinkGone) })
}

// giveUp says that nobody is trying any more.
func (l *line) giveUp() {
	l.linking.Lock()
	defer l.linking.Unlock()
	if l.told == transport.LinkLost {
		l.link(transport.LinkGone)
	}
}

// leave ends the session for a client that has said goodbye.
func (l *line) leave() {
	l.linking.Lock()
	defer l.linking.Unlock()
	l.link(transport.LinkLeft)
}

// link reports a state of the link; after the client has left there is none.
func (l *line) link(state transport.LinkState) {
	if l.told == transport.LinkLeft {
		return
	}
	l.told = state
	if l.gone != nil && state != transport.LinkGone {
		l.gone.Stop()
		l.gone = nil
	}
	l.in.call(func(in transport.Ingress) { in.Link(state) })
}

// say sends a message of the session, and keeps it for a client that comes back.
func (l *line) say(m wire.FromServer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sayLocked(m)
}

func (l *line) sayLocked(m wire.FromServer) {
	if l.closed {
		return
	}
	data, err := encode(l.log.last+1, m, l.binary)
	if err != nil {
		return // an envelope of ours can be written
	}
	l.log.add(data, l.binary)
	if l.conn != nil {
		l.conn.out.Send(outbox.Message{Data: data, Binary: l.binary})
	}
}

// WriteSignal shows a control signal.
func (l *line) WriteSignal(e *eventabi.Envelope) { l.say(&wire.Signal{Signal: e}) }

// WriteMetric shows a measurement to a client that has asked for them.
func (l *line) WriteMetric(e *eventabi.Envelope) {
	if !l.metrics {
		return
	}
	if c := l.current(); c != nil {
		c.say(&wire.Metric{Metric: e})
	}
}

// TextWindow says that any number of texts is taken: the outbox has its bound.
func (l *line) TextWindow() int { return 0 }

// WriteText shows a piece of what is said.
func (l *line) WriteText(t transport.Text) {
	l.say(&wire.Transcript{From: string(t.From), Of: t.Of, Text: t.Text, Final: t.Final})
}

// WriteSpeech shows where the caller's speech begins and ends.
func (l *line) WriteSpeech(s transport.Speech) {
	l.say(&wire.Speech{Began: s.Began, Sample: s.Sample})
}

// WriteToolCall asks the client to run a tool.
func (l *line) WriteToolCall(c transport.ToolCall) {
	l.say(&wire.ToolCall{ID: c.ID, Turn: c.Turn, Name: c.Name, Arguments: c.Arguments})
}

// Route tells the client that its session goes on at another address; only a newer view
// counts. The client comes there by itself, with resume.
func (l *line) Route(view int64, endpoint string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if view <= l.view {
		return fmt.Errorf("websocket: view: %d: view %d was applied already: give a newer one", view, l.view)
	}
	if endpoint == "" {
		return errors.New("websocket: endpoint: is empty: give the address of the other host")
	}
	l.view = view
	l.sayLocked(&wire.Route{View: view, Endpoint: endpoint})
	return nil
}

// WriteFrame sends a frame of sound.
func (l *line) WriteFrame(f *transport.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.conn
	if c == nil {
		l.server.counts.away.Add(1)
		return errAway
	}
	o, began := l.outputs.of(f)
	if began {
		l.sayLocked(&wire.AudioBegin{Generation: f.Generation, Turn: f.Turn})
		c.coding.encoder.Reset()
	}
	payload, err := c.coding.encode(f.PCM)
	if err != nil {
		return fmt.Errorf("websocket: encode: %w", err)
	}
	a := wire.Audio{
		Kind: wire.KindAgent, Sequence: l.sequence, Generation: f.Generation,
		Position: c.coding.position(f.Position), Payload: payload,
	}
	end := c.coding.position(f.Position + int64(f.Voiced))
	a.Samples = uint16(max(0, min(end-a.Position, int64(^uint16(0)))))
	o.sent(f.Position+int64(f.Voiced), end)
	l.sequence++
	l.server.counts.frames.Add(1)
	data := wire.AppendAudio(c.out.Buffer(wire.HeaderSize+len(payload)), &a)
	if !c.out.Send(outbox.Message{Audio: true, Turn: f.Turn, Generation: f.Generation, Binary: true, Data: data}) {
		return errAway
	}
	return nil
}

// Fence drops the sound of a scope that waits here, and has the client drop what it holds.
func (l *line) Fence(f transport.Fence) {
	if c := l.current(); c != nil {
		c.out.Fence(f)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outputs.fence(f) {
		l.sayLocked(&wire.Fence{Generation: f.Generation, Turn: f.Turn, Session: f.Session})
	}
}

// Close ends the session on the wire: the client is told why, and gets the time that
// Config.CloseWithin gives to hear it.
func (l *line) Close(reason string) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	binary := l.binary
	last, err := encode(l.log.last+1, &wire.Ended{Reason: reason}, binary)
	l.closed = true
	c := l.conn
	l.conn = nil
	l.mu.Unlock()
	l.in.close()
	l.feed.Close()
	if c != nil && err == nil {
		c.end(wire.CloseEnded, "ended", outbox.Message{Data: last, Binary: binary})
	}
	l.server.remove(l)
	return err
}

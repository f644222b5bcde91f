// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
)

const (
	// tailAfter is after how long without a frame the turn counts as paused or over, and
	// what is left of it goes out with a mark.
	tailAfter = 3 * transport.FrameDuration
	// partWithin bounds what closing a link takes: writing what waits, and the handshake of
	// the close.
	partWithin = time.Second
	// mostClears bounds the fences that wait for the gateway's word.
	mostClears = 8
)

var errOver = errors.New("telephony: the call or the turn is over")

// link is one call on the wire.
type link struct {
	server *Server
	conn   *websocket.Conn
	stop   context.CancelFunc // of reading; breaks the connection when it reads
	d      *dialect
	in     transport.Ingress
	box    *outbox.Outbox
	feed   *feed.Feed
	every  int // frames between two marks

	gate   sync.RWMutex // held for reading while the session is told something
	closed bool

	mu       sync.Mutex
	over     bool
	speak    *speaker
	write    writer
	tail     *time.Timer
	now      place  // behind the last frame
	sound    []byte // of frames that are not sent yet
	unmarked int    // frames since the last mark
	marks    ledger
	fenced   transport.Fence   // the last one
	clears   []transport.Fence // of which the gateway has not said that it cleared
}

var _ transport.Link = (*link)(nil)

// newLink binds a session to a caller's connection.
func newLink(c *caller, stop context.CancelFunc, out Format, in transport.Ingress) (*link, error) {
	speak, err := newSpeaker(out)
	if err != nil {
		return nil, err
	}
	l := &link{
		server: c.server, conn: c.conn, stop: stop, d: c.d, in: in, speak: speak,
		write: newWriter(c.d, c.stream, out), every: int(c.server.config.MarkEvery / transport.FrameDuration),
	}
	if l.feed, err = feed.New(feed.Config{Broken: l.broken}, in); err != nil {
		return nil, err
	}
	l.box, err = outbox.New(outbox.Config{
		Write: func(ctx context.Context, m *outbox.Message) error {
			return c.conn.Write(ctx, websocket.MessageText, m.Data)
		},
		Failed: l.failed,
	})
	if err != nil {
		return nil, err
	}
	l.tail = time.AfterFunc(time.Hour, transport.Contain(l.broken, l.pause))
	l.tail.Stop()
	return l, nil
}

// tell calls the session unless the link is closed.
func (l *link) tell(f func(in transport.Ingress)) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if !l.closed {
		f(l.in)
	}
}

// broken cuts the connection off: something of it has panicked.
func (l *link) broken(*transport.Panic) {
	_ = l.conn.CloseNow()
	l.tell(func(in transport.Ingress) { in.Link(transport.LinkGone) })
}

// ended says whether the session has closed the link.
func (l *link) ended() bool {
	l.gate.RLock()
	defer l.gate.RUnlock()
	return l.closed
}

// WriteFrame sends a frame of the agent, and a mark where one is due.
func (l *link) WriteFrame(f *transport.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := place{f.Turn, f.Generation, f.Position + int64(f.Voiced)}
	if l.over || to.within(l.fenced) {
		return errOver
	}
	first := !l.now.of(to)
	if first {
		l.finish()
		l.speak.reset()
	}
	l.now = to
	l.unmarked++
	l.sound = l.speak.encode(l.sound, f.PCM)
	if f.Voiced < transport.FrameSamples {
		l.finish()
		return nil
	}
	if len(l.sound) >= max(1, l.d.least) {
		l.send()
		if first || l.unmarked >= l.every {
			l.mark()
		}
	}
	l.tail.Reset(tailAfter)
	return nil
}

// send hands over the sound that is held.
func (l *link) send() {
	if len(l.sound) == 0 {
		return
	}
	if unit := l.d.unit; unit > 0 && len(l.sound)%unit > 0 {
		l.sound = l.speak.silence(l.sound, unit-len(l.sound)%unit)
	}
	l.box.Send(outbox.Message{
		Audio: true, Turn: l.now.turn, Generation: l.now.generation,
		Data: l.write.media(l.box.Buffer(l.write.room(len(l.sound))), l.sound),
	})
	l.sound = l.sound[:0]
}

// mark asks to be told when what was sent has been played.
func (l *link) mark() {
	if l.unmarked == 0 {
		return
	}
	l.unmarked = 0
	l.box.Send(outbox.Message{Data: l.write.mark(l.marks.add(l.now))})
}

// finish sends what is left of a turn, with a mark.
func (l *link) finish() {
	l.tail.Stop()
	l.send()
	l.mark()
}

// pause is what the tail's timer calls.
func (l *link) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.finish()
	}
}

// Fence drops what is held of a scope and has the gateway clear its buffer, if any of it
// can be in there. Clearing empties the buffer of everything.
func (l *link) Fence(f transport.Fence) {
	l.mu.Lock()
	end, out := l.marks.pending(f)
	if l.now.within(f) && l.unmarked > 0 {
		end, out = l.now, true
		l.tail.Stop()
		l.sound, l.unmarked = l.sound[:0], 0
	}
	if !l.fenced.Session {
		l.fenced = f
	}
	if out = out && !l.over; out {
		// In front of it may still lie sound of the scope: it is dropped below, or cleared.
		l.box.Send(outbox.Message{Data: l.write.clear()})
		if l.d.cleared == "" {
			l.marks.fence(f)
		} else if len(l.clears) < mostClears {
			l.clears = append(l.clears, f)
		}
	}
	last := transport.Playout{Turn: end.turn, Generation: end.generation, Position: l.marks.heardOf(end), Final: true}
	l.mu.Unlock()
	l.box.Fence(f)
	if out && l.d.cleared == "" {
		// Not from here: whoever fences may hold what Played needs.
		go transport.Contain(l.broken, func() { l.tell(func(in transport.Ingress) { in.Played(last) }) })()
	}
}

// markBack takes a mark that came back.
func (l *link) markBack(name string) {
	l.mu.Lock()
	p, heard := l.marks.back(name)
	l.mu.Unlock()
	if heard {
		l.tell(func(in transport.Ingress) {
			in.Played(transport.Playout{Turn: p.turn, Generation: p.generation, Position: p.position})
		})
	}
}

// buffersCleared takes the gateway's word that it has cleared: what came back until now
// was heard, and nothing else will be.
func (l *link) buffersCleared() {
	l.mu.Lock()
	var last []transport.Playout
	for _, f := range l.clears {
		end, ok := l.marks.pending(f)
		if !ok {
			end = l.marks.heard
		}
		if end.within(f) {
			last = append(last, transport.Playout{Turn: end.turn, Generation: end.generation, Position: l.marks.heardOf(end), Final: true})
		}
		l.marks.fence(f)
	}
	l.clears = l.clears[:0]
	l.mu.Unlock()
	for _, p := range last {
		l.tell(func(in transport.Ingress) { in.Played(p) })
	}
}

// failed is what the outbox calls when the gateway does not read.
func (l *link) failed(err error) {
	l.server.log.Debug("telephony: nothing can be sent to the gateway", "error", err)
	l.stop()
}

// Close ends the call: what waits is written, then the WebSocket is closed.
func (l *link) Close(reason string) error {
	l.gate.Lock()
	already := l.closed
	l.closed = true
	l.gate.Unlock()
	if already {
		return nil
	}
	l.mu.Lock()
	l.over = true
	l.tail.Stop()
	l.mu.Unlock()
	l.feed.Close()
	ctx, stop := context.WithTimeout(context.Background(), partWithin)
	defer stop()
	err := l.box.Close(ctx)
	part(ctx, l.conn, websocket.StatusNormalClosure, reason)
	l.stop()
	if err != nil && !errors.Is(err, outbox.ErrClosed) {
		return fmt.Errorf("telephony: the end was not sent: %w", err)
	}
	return nil
}

// part closes a connection with a code and a reason, and waits for the gateway to agree
// until ctx ends. What is under way then ends within the library's five seconds.
func part(ctx context.Context, conn *websocket.Conn, code websocket.StatusCode, reason string) {
	const longest = 123 // bytes of a reason (RFC 6455, section 5.5)
	if len(reason) > longest {
		reason = strings.ToValidUTF8(reason[:longest], "")
	}
	parted := make(chan struct{})
	go transport.Contain(nil, func() {
		defer close(parted)
		_ = conn.Close(code, reason)
	})()
	select {
	case <-parted:
	case <-ctx.Done():
	}
}

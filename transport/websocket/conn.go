// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// conn is one WebSocket: its reader is the goroutine of ServeHTTP, its writer the outbox's.
type conn struct {
	server *Server
	ws     *websocket.Conn
	raw    *raw
	zip    bool
	out    *outbox.Outbox
	ctx    context.Context
	stop   context.CancelFunc
	ending sync.Once

	binary bool   // what is said is said in the binary encoding; settled by hello
	in     inward // of the reader
	coding outward
	agreed wire.Agreed
	read   bytes.Buffer
	pace   bucket
	faults int
	heard  atomic.Bool // something came since the last ping

	writing atomic.Bool // the outbox's writer has a message on its way
	guarded bool        // what ends a write is in place; of the writer
}

func newConn(s *Server, ws *websocket.Conn, r *raw, zip bool) (*conn, error) {
	ws.SetReadLimit(wire.MaxAudio)
	c := &conn{server: s, ws: ws, raw: r, zip: zip, pace: newBucket(s.config.Rate)}
	r.timed = zip
	c.ctx, c.stop = context.WithCancel(context.Background())
	out, err := outbox.New(outbox.Config{
		Write: c.write, Audio: s.config.Audio, Control: s.config.Control, Timeout: s.config.Write, Failed: c.failed,
	})
	if err != nil {
		c.stop()
		_ = ws.CloseNow()
		return nil, err
	}
	c.out = out
	return c, nil
}

// write puts a message on the wire; the outbox calls it. Its context is the outbox's own, the
// same for all writes: that it ends is looked after once, and not by the library for each
// message.
func (c *conn) write(ctx context.Context, m *outbox.Message) error {
	if !c.guarded {
		c.guarded = true
		context.AfterFunc(ctx, transport.Contain(c.broken, func() {
			if c.writing.Load() {
				c.cut()
			}
		}))
	}
	c.writing.Store(true)
	defer c.writing.Store(false)
	if err := context.Cause(ctx); err != nil { // it ended before the mark stood
		return err
	}
	return c.put(context.Background(), m)
}

func (c *conn) put(ctx context.Context, m *outbox.Message) error {
	if !c.zip {
		return c.ws.Write(ctx, kindOf(m), m.Data)
	}
	if m.Audio {
		return c.plain(ctx, m.Data)
	}
	began, waited := time.Now(), c.raw.writing.Load()
	err := c.ws.Write(ctx, kindOf(m), m.Data)
	c.server.counts.deflating.Add(int64(time.Since(began)) - (c.raw.writing.Load() - waited))
	return err
}

// plain writes audio without compression on a connection that has it: the library decides
// by the length of the first part of a message.
func (c *conn) plain(ctx context.Context, b []byte) error {
	w, err := c.ws.Writer(ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{b[:wire.HeaderSize], b[wire.HeaderSize:]} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

func kindOf(m *outbox.Message) websocket.MessageType {
	if m.Binary {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// failed cuts a connection that could not be written to.
func (c *conn) failed(err error) {
	if errors.Is(err, outbox.ErrOverflow) || errors.Is(err, outbox.ErrTimeout) {
		c.server.counts.slow.Add(1)
	}
	c.cut()
}

// say sends a message that is of this connection alone.
func (c *conn) say(m wire.FromServer) {
	if data, err := encode(0, m, c.binary); err == nil {
		c.out.Send(outbox.Message{Data: data, Binary: c.binary})
	}
}

// encode writes a message; seq 0 = it has no number.
func encode(seq int64, m wire.FromServer, binary bool) ([]byte, error) {
	if binary {
		return wire.AppendServerBinary(nil, seq, m), nil
	}
	return wire.AppendServer(nil, seq, m)
}

// decode reads a message in the encoding that its frame says.
func decode(kind websocket.MessageType, data []byte) (wire.FromClient, *wire.Fault) {
	if kind == websocket.MessageBinary {
		return wire.ReadClientBinary(data)
	}
	return wire.ReadClient(data)
}

func isAudio(kind websocket.MessageType, data []byte) bool {
	return kind == websocket.MessageBinary && wire.IsAudio(data)
}

// complain answers a message that was not taken.
func (c *conn) complain(f *wire.Fault) {
	c.say(&wire.Error{Code: f.Code, Field: f.Field, Message: f.Message, Key: f.Key})
}

// next reads a message. Its bytes are valid until the next call.
func (c *conn) next(ctx context.Context) (websocket.MessageType, []byte, error) {
	var began time.Time
	var waited int64
	if c.zip {
		began, waited = time.Now(), c.raw.reading.Load()
	}
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	if c.read.Cap() > 4*wire.MaxAudio {
		c.read = bytes.Buffer{}
	}
	c.read.Reset()
	if _, err := io.Copy(&c.read, r); err != nil {
		return 0, nil, err
	}
	if c.zip && !isAudio(kind, c.read.Bytes()) {
		c.server.counts.inflating.Add(max(0, int64(time.Since(began))-(c.raw.reading.Load()-waited)))
	}
	c.heard.Store(true)
	return kind, c.read.Bytes(), nil
}

// hello reads the first message.
func (c *conn) hello(ctx context.Context) (*wire.Hello, error) {
	kind, data, err := c.next(ctx)
	if err != nil {
		return nil, err
	}
	if isAudio(kind, data) {
		return nil, &wire.Fault{Code: wire.FaultUnexpected, Message: "audio came before hello"}
	}
	c.binary = kind == websocket.MessageBinary
	m, f := decode(kind, data)
	if m == nil {
		return nil, f
	}
	h, ok := m.(*wire.Hello)
	if !ok {
		return nil, &wire.Fault{Code: wire.FaultUnexpected, Field: "type", Message: "the first message is hello"}
	}
	if h.Encoding != "" {
		c.binary = h.Encoding == wire.EncodingBinary
	}
	if f != nil {
		c.complain(f)
	}
	return h, nil
}

// agree settles the formats.
func (c *conn) agree(offered *wire.Offered) (err error) {
	if offered == nil {
		offered = &wire.Offered{}
	}
	if c.in, err = newInward(offered.In, c.server.formats(false)); err != nil {
		return err
	}
	if c.coding, err = newOutward(offered.Out, c.server.formats(true), c.server.config.Opus); err != nil {
		return err
	}
	c.agreed = wire.Agreed{In: c.in.format, Out: c.coding.format, FrameMS: transport.FrameDuration.Milliseconds()}
	return nil
}

// serve reads until the connection ends.
func (c *conn) serve(l *line) {
	// Also when a message has made something panic: the session is told that its client is gone.
	defer l.detach(c, false)
	go transport.Contain(c.broken, c.keepalive)()
	for {
		if wait := c.pace.take(time.Now()); wait > 0 {
			c.server.counts.held.Add(1)
			if !c.sleep(wait) {
				return
			}
		}
		// Without a context, which the library would have watched for each message: whoever ends
		// that of the connection cuts it, and a read of what was cut returns.
		kind, data, err := c.next(context.Background())
		if err != nil {
			// 1000 is a client that says goodbye; a page that is closed or reloaded sends 1001
			// and may come back.
			l.detach(c, websocket.CloseStatus(err) == websocket.StatusNormalClosure)
			return
		}
		if !c.took(c.handle(l, kind, data)) {
			return
		}
	}
}

// took follows what could not be read, and says whether to go on.
func (c *conn) took(f *wire.Fault) bool {
	if f == nil {
		c.faults = 0
		return true
	}
	c.server.counts.faults.Add(1)
	c.faults++
	if c.faults < c.server.config.Faults {
		return true
	}
	c.server.counts.garbage.Add(1)
	c.end(wire.CloseGarbage, fmt.Sprintf("%d messages in a row could not be read", c.faults))
	return false
}

func (c *conn) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// keepalive pings a client that is silent, and cuts one that does not answer.
func (c *conn) keepalive() {
	for c.sleep(c.server.config.Keepalive) {
		if c.heard.Swap(false) {
			continue
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.server.config.Pong)
		err := c.ws.Ping(ctx)
		cancel()
		if err != nil {
			if c.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				c.server.counts.halfopen.Add(1)
			}
			c.cut()
			return
		}
	}
}

// refuse turns an offer down and closes.
func (c *conn) refuse(err error) {
	var r *transport.RefusedError
	if !errors.As(err, &r) {
		r = &transport.RefusedError{Code: transport.RefusedInternal, Reason: "the session could not begin"}
		if errors.Is(err, context.DeadlineExceeded) {
			r.Reason = "the session could not begin in time"
		}
	}
	m := &wire.Refused{Code: string(r.Code), Message: r.Reason, RetryAfterMS: r.RetryAfter.Milliseconds()}
	if m.Message == "" {
		m.Message = string(r.Code)
	}
	for _, f := range r.Supported {
		m.Supported = append(m.Supported, wire.Format(f))
	}
	data, err := encode(0, m, c.binary)
	if err != nil {
		c.end(websocket.StatusInternalError, "")
		return
	}
	c.end(websocket.StatusCode(r.CloseCode()), string(r.Code), outbox.Message{Data: data, Binary: c.binary})
}

// end writes what waits and the last messages, and closes with a code. It returns within
// Config.CloseWithin.
func (c *conn) end(code websocket.StatusCode, reason string, last ...outbox.Message) {
	c.ending.Do(func() {
		ctx, cancel := until(c.server.config.CloseWithin)
		defer cancel()
		_ = c.out.Close(ctx, last...) // what could not be written is counted there
		closed := make(chan struct{})
		go transport.Contain(nil, func() {
			defer close(closed)
			_ = c.ws.Close(code, reason) // the client may be gone
		})()
		select {
		case <-closed:
		case <-ctx.Done():
		}
	})
	c.cut()
}

// broken ends the connection: something of it has panicked.
func (c *conn) broken(*transport.Panic) { c.cut() }

// cut ends the connection without a word.
func (c *conn) cut() {
	c.stop()
	_ = c.raw.Close() // twice is no harm
}

// release ends what is left of a connection whose reader has ended.
func (c *conn) release() {
	c.cut()
	ctx, cancel := until(c.server.config.CloseWithin)
	defer cancel()
	_ = c.out.Close(ctx)
	_ = c.ws.CloseNow()
	out := c.out.Stats()
	c.server.counts.dropped.Add(out.Dropped)
	c.server.counts.fenced.Add(out.Fenced)
	if c.coding.encoder != nil {
		c.coding.encoder.Close()
	}
}

// bucket lets so many messages a second through, and twice as many at once.
type bucket struct {
	every time.Duration
	full  time.Duration
	free  time.Time // when the bucket is full again
}

func newBucket(rate int) bucket {
	return bucket{every: time.Second / time.Duration(rate), full: 2 * time.Second}
}

// take is how long to wait for the next message.
func (b *bucket) take(now time.Time) time.Duration {
	if b.free.Before(now) {
		b.free = now
	}
	b.free = b.free.Add(b.every)
	return max(0, b.free.Sub(now)-b.full)
}

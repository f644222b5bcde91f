// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// mostMissing bounds the silence that a jump of the chunks stands for: 10 s, however long
// those are.
const mostMissing = 10 * transport.SampleRate

// errHungUp says that the gateway has told of a hang-up.
var errHungUp = errors.New("telephony: the caller has hung up")

// read hands on what the gateway sends, and says why it ended.
func (c *caller) read(ctx context.Context) error {
	for {
		m, err := c.next(ctx)
		if err != nil {
			return err
		}
		switch m.kind {
		case media:
			err = c.media(&m)
		case dtmf:
			c.link.tell(func(in transport.Ingress) {
				in.Control(transport.Control{Kind: "dtmf", Digit: m.digit, DurationMS: m.held, Key: c.key()})
			})
		case played:
			c.link.markBack(m.name)
		case cleared:
			c.link.buffersCleared()
		case stopped:
			return errHungUp
		case failed:
			err = c.fault(fmt.Errorf("error: the gateway says of a message of ours: %.200q", m.detail))
		case started:
			err = c.fault(errors.New("start: comes twice: a connection has one stream"))
		case connected, other:
		}
		if err != nil {
			return err
		}
	}
}

// key is the next idempotency key. A gateway sends nothing twice: each control is its own.
// The name of the stream is no part of it: a gateway's may be longer than a key.
func (c *caller) key() eventabi.IdempotencyKey {
	c.controls++
	return eventabi.IdempotencyKey(fmt.Sprintf("dtmf-%d", c.controls))
}

// media hands on sound, in order.
func (c *caller) media(m *message) error {
	if m.mine {
		return nil
	}
	if err := c.ear.check(m.sound); err != nil {
		return c.fault(err)
	}
	c.order.put(m.chunk, m.sound, func(missing int64, sound []byte) {
		if missing == 0 {
			c.length = len(sound)
			c.link.feed.Write(c.ear.decode(sound))
			return
		}
		// Chunks have one length; the one before tells it.
		gap := transport.Gap{Sequence: -1, Missing: min(missing*c.ear.samples(c.length), mostMissing), Reason: transport.GapLost}
		c.ear.reset()
		c.link.feed.After(func() { c.link.in.Gap(gap) })
	})
	return nil
}

// watch looks whether the gateway is still there, when nothing has come for a while.
func (c *caller) watch(ctx context.Context, stop context.CancelFunc) {
	idle := c.server.config.Idle
	ticker := time.NewTicker(idle)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if c.heard.Swap(false) {
			continue
		}
		asked, done := context.WithTimeout(ctx, idle)
		err := c.conn.Ping(asked)
		done()
		if err != nil {
			c.server.log.Warn("telephony: the gateway does not answer", "stream", c.stream, "error", err)
			stop()
			return
		}
	}
}

// over tells the session why the call ended, unless the session ended it.
func (c *caller) over(ctx context.Context, end error) {
	if c.link.ended() {
		return
	}
	state := transport.LinkGone
	var wrong *faulty
	switch status := websocket.CloseStatus(end); {
	case errors.Is(end, errHungUp), status == websocket.StatusNormalClosure, status == websocket.StatusGoingAway:
		state = transport.LinkLeft
	case errors.As(end, &wrong):
		c.server.log.Warn("telephony: a call was given up", "stream", c.stream, "error", end)
		within, stop := context.WithTimeout(ctx, partWithin)
		part(within, c.conn, websocket.StatusPolicyViolation, end.Error())
		stop()
	}
	if state == transport.LinkGone {
		c.server.count.broken.Add(1)
	}
	c.link.tell(func(in transport.Ingress) { in.Link(state) })
	if state == transport.LinkLeft {
		within, stop := context.WithTimeout(ctx, partWithin)
		defer stop()
		part(within, c.conn, websocket.StatusNormalClosure, "")
	}
}

// settle adds the call's counts to the server's.
func (c *caller) settle() {
	s := &c.server.count
	s.late.Add(c.order.late)
	s.reordered.Add(c.order.moved)
	l := c.link
	l.mu.Lock()
	defer l.mu.Unlock()
	s.flushed.Add(l.marks.flushed)
	s.unknown.Add(l.marks.unknown)
	s.forgotten.Add(l.marks.forgotten)
}

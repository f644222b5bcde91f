// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

const (
	// byeWithin bounds what saying goodbye takes.
	byeWithin = 2 * time.Second
	// refreshWithin bounds a refresh of the session timer: a transaction's 64*T1.
	refreshWithin = 32 * time.Second
)

// call is one call, and the link of its session.
type call struct {
	server  *Server
	id      string
	address netip.Addr // ours, for its callers
	dialog  *sipgo.DialogServerSession
	media   *media
	acked   atomic.Uint32 // CSeq of the latest ACK
	acks    chan struct{} // one has come

	ended   sync.Once
	over    chan struct{} // the call holds nothing any more but its name
	deleted sync.Once
	done    chan struct{} // and not even that: everything was said

	gate   sync.RWMutex // held for reading while the session is told something
	closed bool
	in     transport.Ingress

	mu       sync.Mutex
	offer    *offer
	timer    refresh
	version  uint64
	waiting  bool // for the ACK
	answered bool // the 200 is on its way, or was
	parted   bool // the BYE is on its way, or was
	gone     bool // the session was told that the call is over
	controls int
	alarm    *time.Timer // of the session timer
}

var _ transport.Link = (*call)(nil)

// open binds the session; sound goes both ways from now on (RFC 3264, section 5.1: who has
// made an offer is ready to hear).
func (c *call) open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	c.in = in
	c.media.start(c.tell, c.control, func() {
		c.server.log.Warn("sip: nothing is heard of the caller", "call", c.id)
		c.left(transport.LinkGone)
	}, func(v any, stack []byte) {
		c.server.log.Error("sip: the sound of a call has crashed", "call", c.id, "panic", v, "stack", string(stack))
		c.lose()
	})
	return c, nil
}

// tell calls the session unless the link is closed.
func (c *call) tell(f func(in transport.Ingress)) {
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.in != nil && !c.closed {
		f(c.in)
	}
}

// left tells the session once that the call is over.
func (c *call) left(state transport.LinkState) {
	c.mu.Lock()
	first := !c.gone
	c.gone = true
	c.mu.Unlock()
	if first {
		c.tell(func(in transport.Ingress) { in.Link(state) })
	}
}

// accept sends the 200 and waits for the ACK.
func (c *call) accept(tx sip.ServerTransaction) {
	if c.dialog.Context().Err() != nil { // cancelled meanwhile
		c.left(transport.LinkLeft)
		return
	}
	c.mu.Lock()
	body, err := c.answer()
	timer := c.timer
	if err == nil && c.ending() {
		err = errOver
	}
	c.waiting = err == nil
	c.mu.Unlock()
	if err != nil {
		c.server.respond(c.dialog.InviteRequest, tx, sip.StatusTemporarilyUnavailable, "Temporarily Unavailable")
		c.left(transport.LinkGone)
		return
	}
	res := sip.NewSDPResponseFromRequest(c.dialog.InviteRequest, body)
	for _, h := range append(timer.headers(), sip.NewHeader("Allow", allow), sip.NewHeader("Supported", "timer")) {
		res.AppendHeader(h)
	}
	c.dialog.OnState(func(state sip.DialogState) {
		if state == sip.DialogStateEstablished { // the library has noted the answer, and sends it next
			c.mu.Lock()
			c.answered = true
			c.mu.Unlock()
			c.arm()
		}
	})
	if err := c.dialog.WriteResponse(res); err != nil && c.dialog.LoadState() != sip.DialogStateEnded {
		c.server.log.Warn("sip: the call was not confirmed", "call", c.id, "error", err)
		c.left(transport.LinkGone)
	}
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	if c.ending() { // Close has come too early for a BYE, or for the last that is heard of the call
		if err := c.part("over"); err != nil {
			c.server.log.Debug("sip: the BYE was not answered", "call", c.id, "error", err)
		}
		c.forget()
	}
}

// answer is the SDP for the latest offer. c.mu is held.
func (c *call) answer() ([]byte, error) {
	c.version++
	return c.offer.answer(netip.AddrPortFrom(c.address, c.media.port), uint64(c.media.ssrc), c.version)
}

var errOver = errors.New("sip: the call is over")

// WriteFrame sends a frame of the agent.
func (c *call) WriteFrame(f *transport.Frame) error {
	if c.ending() {
		return errOver
	}
	return c.media.write(f.Generation, f.PCM)
}

// ending says whether the call holds nothing any more.
func (c *call) ending() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// Fence has nothing to drop: behind WriteFrame nothing is held but the end of a filter's
// memory, which no other output is mixed with.
func (c *call) Fence(transport.Fence) {}

// Close hangs up.
func (c *call) Close(reason string) error {
	c.gate.Lock()
	already := c.closed
	c.closed = true
	c.gate.Unlock()
	if already {
		return nil
	}
	c.end()
	err := c.part(reason)
	c.mu.Lock()
	waiting := c.waiting
	c.mu.Unlock()
	if !waiting {
		c.forget()
	}
	return err
}

// part says goodbye once to a caller who was answered.
func (c *call) part(reason string) error {
	c.mu.Lock()
	due := c.answered && !c.parted
	c.parted = c.parted || due
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.mu.Unlock()
	if !due || c.dialog.LoadState() == sip.DialogStateEnded {
		return nil
	}
	err := c.goodbye(reason)
	if c.dialog.LoadState() < sip.DialogStateConfirmed {
		// A BYE may not overtake the ACK: accept says it when it has waited long enough.
		c.mu.Lock()
		c.parted = false
		c.mu.Unlock()
	}
	return err
}

// goodbye sends the BYE, and waits for its answer for a while.
func (c *call) goodbye(reason string) error {
	ctx, stop := context.WithTimeout(context.Background(), byeWithin)
	bye := sip.NewRequest(sip.BYE, c.dialog.InviteRequest.Contact().Address)
	bye.AppendHeader(sip.NewHeader("Reason", `SIP;cause=200;text="`+plain(reason)+`"`))
	said := make(chan error, 1)
	go transport.Contain(nil, func() {
		defer stop()
		said <- c.dialog.WriteBye(ctx, bye)
	})()
	select {
	case err := <-said:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// plain leaves of a text what a quoted string may hold.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, s[:min(len(s), 128)])
}

// end gives back what the call holds, but for its name.
func (c *call) end() {
	c.ended.Do(func() {
		if c.media != nil {
			c.media.close()
		}
		close(c.over)
	})
}

// forget takes the call off the list: nothing that comes is of it any more.
func (c *call) forget() {
	c.deleted.Do(func() {
		c.server.mu.Lock()
		delete(c.server.calls, c.id)
		c.server.mu.Unlock()
		close(c.done)
	})
}

// arm sets the alarm of the session timer.
func (c *call) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarm != nil {
		c.alarm.Stop()
	}
	if c.timer.every > 0 && !c.ending() {
		c.alarm = time.AfterFunc(c.timer.after(), transport.Contain(c.broken, c.expired))
	}
}

// expired is called when the session timer asks for something.
func (c *call) expired() {
	c.mu.Lock()
	timer := c.timer
	c.mu.Unlock()
	if !timer.ours {
		c.server.log.Warn("sip: the caller has not refreshed the call", "call", c.id)
		c.left(transport.LinkGone)
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), refreshWithin)
	defer stop()
	update := sip.NewRequest(sip.UPDATE, c.dialog.InviteRequest.Contact().Address)
	for _, h := range append(timer.headers(), sip.NewHeader("Supported", "timer")) {
		update.AppendHeader(h)
	}
	res, err := c.dialog.Do(ctx, update)
	if err != nil || res.StatusCode == sip.StatusCallTransactionDoesNotExists || res.StatusCode == sip.StatusRequestTimeout {
		c.server.log.Warn("sip: the call could not be refreshed", "call", c.id, "error", err)
		c.left(transport.LinkGone)
		return
	}
	c.arm()
}

// control tells of a key.
func (c *call) control(p press) {
	c.mu.Lock()
	c.controls++
	key := eventabi.IdempotencyKey("dtmf-" + strconv.Itoa(c.controls)) // a Call-ID may be longer than a key
	c.mu.Unlock()
	c.tell(func(in transport.Ingress) {
		in.Control(transport.Control{Kind: "dtmf", Digit: p.digit, DurationMS: p.held.Milliseconds(), Key: key})
	})
}

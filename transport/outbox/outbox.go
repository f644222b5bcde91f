// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/transport"
)

// The failures of an outbox that are its own and not Write's, for errors.Is.
var (
	ErrOverflow = errors.New("outbox: the client does not read: too many messages wait for it")
	ErrTimeout  = errors.New("outbox: the client does not read: a message could not be written in time")
	ErrClosed   = errors.New("outbox: closed")
)

const (
	// settleWithin bounds how long Fence waits for a write that is under way, as long as
	// the runtime's own fence waits for WriteFrame.
	settleWithin = 50 * time.Millisecond
	// rememberFences is for how many fences late audio is told apart. A session has one
	// generation that leaves and hardly ever a second.
	rememberFences = 8
)

// Stats are what an Outbox counted, in messages.
type Stats struct {
	Audio   int64 // written
	Control int64 // written
	Dropped int64 // audio that newer audio pushed out
	Fenced  int64 // audio that a fence took out, or that came behind it
	Unsent  int64 // were waiting or being written when the outbox failed or had to close
	Refused int64 // came when it had failed or was closed
	Late    int64 // fences that did not see the end of a write
	Waiting int64 // now, the one that is being written included
	Deepest int64 // at most so far
}

// Outbox is the outgoing queue of one link. Its methods may be called from any goroutine.
type Outbox struct {
	config Config
	ctx    context.Context // of every write; ends when the outbox fails
	cancel context.CancelCauseFunc
	wake   chan struct{} // there is something to do for the writer
	done   chan struct{} // the writer has ended
	watch  *time.Timer   // of the write under way

	mu      sync.Mutex
	queue   queue
	fences  fences
	writing *Message // by the writer, now
	settled chan struct{}
	began   time.Time // when writing began
	watched bool      // the timer of watch runs
	closing bool      // Send takes nothing more
	err     error     // why nothing is written any more
	spare   [][]byte  // Data of audio that is done with
	stats   Stats
}

// New starts an Outbox. Close ends its goroutine, and so does a failure.
func New(c Config) (*Outbox, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o := &Outbox{config: c.withDefaults(), wake: make(chan struct{}, 1), done: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancelCause(context.Background())
	o.watch = time.AfterFunc(longest, transport.Contain(nil, o.overdue))
	o.watch.Stop()
	go transport.Contain(o.crashed, o.run)()
	return o, nil
}

// Send hands a message over and says whether it was taken: false when its audio is
// fenced, and when the outbox has failed or is closed. Data belongs to the outbox from
// then on, whatever it says.
func (o *Outbox) Send(m Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil || o.closing:
		o.stats.Refused++
		return false
	case m.Audio && o.fences.hold(&m):
		o.stats.Fenced++
		o.recycle(&m)
		return false
	case m.Audio && o.queue.audio >= o.config.Audio:
		o.stats.Dropped++
		o.queue.dropOldest(o.recycle)
	case !m.Audio && (o.queue.control >= o.config.Control || o.queue.bytes+len(m.Data) > o.config.ControlBytes):
		o.stats.Refused++
		o.fail(fmt.Errorf("%w: %d messages of control with %d bytes", ErrOverflow, o.queue.control+1, o.queue.bytes+len(m.Data)))
		return false
	}
	o.push(m)
	return true
}

func (o *Outbox) push(m Message) {
	o.queue.push(m)
	o.stats.Deepest = max(o.stats.Deepest, o.waiting())
	o.nudge()
}

func (o *Outbox) waiting() int64 {
	n := int64(o.queue.len())
	if o.writing != nil {
		n++
	}
	return n
}

// nudge wakes the writer.
func (o *Outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Buffer gives an empty slice with room for size bytes, to encode audio into: that of an
// earlier message which was written or dropped, if there is one.
func (o *Outbox) Buffer(size int) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.spare); n > 0 {
		b := o.spare[n-1]
		o.spare = o.spare[:n-1]
		if cap(b) >= size {
			return b
		}
	}
	return make([]byte, 0, size)
}

// recycle keeps the Data of audio for Buffer.
func (o *Outbox) recycle(m *Message) {
	if m.Audio && cap(m.Data) > 0 && len(o.spare) < 4 {
		o.spare = append(o.spare, m.Data[:0])
	}
	m.Data = nil
}

// Fence drops the audio of a scope, as transport.Sink asks, and refuses what comes of it
// later. It waits for a write of it that is under way, 50 ms at most.
func (o *Outbox) Fence(f transport.Fence) {
	o.mu.Lock()
	o.fences.add(f)
	o.stats.Fenced += o.queue.drop(func(m *Message) bool { return covers(f, m) }, o.recycle)
	if o.writing == nil || !covers(f, o.writing) {
		o.mu.Unlock()
		return
	}
	if o.settled == nil {
		o.settled = make(chan struct{})
	}
	settled := o.settled
	o.mu.Unlock()
	timer := time.NewTimer(settleWithin)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
		o.mu.Lock()
		o.stats.Late++
		o.mu.Unlock()
	}
}

// Close writes what waits and then the last messages, and ends the outbox. It returns
// when all of it was written, or when ctx ends: then with the reason, and a write that is
// under way is given up. Send takes nothing more from its beginning on. A second Close
// waits for the first; its messages are not sent.
func (o *Outbox) Close(ctx context.Context, last ...Message) error {
	o.mu.Lock()
	if !o.closing && o.err == nil {
		for _, m := range last {
			if m.Audio && o.fences.hold(&m) {
				o.stats.Fenced++
				continue
			}
			o.push(m)
		}
	} else {
		o.stats.Refused += int64(len(last))
	}
	o.closing = true
	o.mu.Unlock()
	o.nudge()
	select {
	case <-o.done:
		return o.outcome()
	case <-ctx.Done():
	}
	o.mu.Lock()
	o.stop(context.Cause(ctx))
	o.mu.Unlock()
	o.nudge()
	// A Write that heeds its context returns now. One that does not keeps its goroutine,
	// and not the session.
	timer := time.NewTimer(settleWithin)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
	return o.outcome()
}

// outcome is what Close says.
func (o *Outbox) outcome() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(o.err, ErrClosed) {
		return nil
	}
	return o.err
}

// Err says why nothing is written any more, nil while it is; ErrClosed after a Close that
// wrote everything.
func (o *Outbox) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Stats gives what was counted.
func (o *Outbox) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.stats
	s.Waiting = o.waiting()
	return s
}

// fail stops the outbox and tells of it.
func (o *Outbox) fail(err error) {
	if o.stop(err) && o.config.Failed != nil {
		go transport.Contain(nil, func() { o.config.Failed(err) })()
	}
}

// crashed fails an outbox whose Write has panicked.
func (o *Outbox) crashed(p *transport.Panic) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail(p)
}

// stop ends all writing, and says whether it was this call that did.
func (o *Outbox) stop(err error) bool {
	if o.err != nil {
		return false
	}
	o.err = err
	o.stats.Unsent += o.queue.drop(func(*Message) bool { return true }, o.recycle)
	o.cancel(err)
	o.nudge()
	return true
}

// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"fmt"
	"time"
)

// run is the writer: it ends when the outbox has failed, or is closed and empty.
func (o *Outbox) run() {
	defer close(o.done)
	var m Message
	for o.take(&m) {
		err := o.config.Write(o.ctx, &m)
		o.wrote(&m, err)
	}
}

// take waits for the next message. From its return on the message counts as being
// written; Fence looks for it under the same lock.
func (o *Outbox) take(m *Message) bool {
	for {
		o.mu.Lock()
		switch {
		case o.err != nil:
			o.mu.Unlock()
			return false
		case o.queue.len() > 0:
			*m = o.queue.pop()
			o.writing, o.began = m, time.Now()
			o.watch.Reset(o.config.Timeout)
			o.mu.Unlock()
			return true
		case o.closing:
			o.stop(ErrClosed)
			o.mu.Unlock()
			return false
		}
		o.mu.Unlock()
		<-o.wake
	}
}

// wrote accounts for a write that has returned.
func (o *Outbox) wrote(m *Message, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watch.Stop()
	o.writing = nil
	if o.settled != nil {
		close(o.settled)
		o.settled = nil
	}
	switch {
	case err != nil:
		o.stats.Unsent++
		o.fail(fmt.Errorf("outbox: writing a message: %w", err))
	case m.Audio:
		o.stats.Audio++
	default:
		o.stats.Control++
	}
	o.recycle(m)
}

// overdue is called when a write takes too long. The timer of a write that has just
// ended may still come: it is told by the instant.
func (o *Outbox) overdue() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing != nil && time.Since(o.began) >= o.config.Timeout {
		o.fail(fmt.Errorf("%w: %v", ErrTimeout, o.config.Timeout))
	}
}

// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"fmt"
	"time"
)

// run is the writer: it ends when the outbox has failed, or is closed and empty.
func (o *Outbox) run() {
	defer close(o.done)
	defer o.watch.Stop()
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
			if !o.watched {
				o.watched = true
				o.watch.Reset(o.config.Timeout)
			}
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

// overdue is called when a write may have taken too long. One timer looks after all writes,
// and is set anew when it has come, not for each of them.
func (o *Outbox) overdue() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.watched = false
	if o.writing == nil || o.err != nil {
		return
	}
	left := o.config.Timeout - time.Since(o.began)
	if left <= 0 {
		o.fail(fmt.Errorf("%w: %v", ErrTimeout, o.config.Timeout))
		return
	}
	o.watched = true
	o.watch.Reset(left)
}

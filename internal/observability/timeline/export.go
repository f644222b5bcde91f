// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"time"
)

// run is stage B's goroutine: it gathers, writes, syncs by policy, and tries
// again when the disk fails (evidence-replay section 4).
func (w *Writer) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for w.next(timer) {
		backoff := backoffMin
		for w.export() != nil {
			if w.isFatal() {
				// Nothing can be saved any more; appends already say so.
				<-w.stop
				break
			}
			if !w.pause(timer, backoff, nil) {
				break
			}
			backoff = min(2*backoff, backoffMax)
		}
	}
	w.result = w.finish()
}

// next waits until there is something to write or to sync; false is the end.
func (w *Writer) next(timer *time.Timer) bool {
	if due, ok := w.syncDue(); ok {
		timer.Reset(due)
		select {
		case <-w.stop:
			return false
		case <-timer.C:
			return true
		case <-w.wake:
		}
	} else {
		select {
		case <-w.stop:
			return false
		case <-w.wake:
		}
	}
	return w.pause(timer, w.opts.FlushEvery, w.kick)
}

// pause waits for the time or an earlier kick; false is the end.
func (w *Writer) pause(timer *time.Timer, d time.Duration, kick <-chan struct{}) bool {
	timer.Reset(d)
	select {
	case <-w.stop:
		return false
	case <-kick:
		return true
	case <-timer.C:
		return true
	}
}

// export is one attempt of stage B.
func (w *Writer) export() error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.syncIfDue()
}

// flush writes all that was appended before the call.
func (w *Writer) flush() error {
	w.diskMu.Lock()
	defer w.diskMu.Unlock()
	w.mu.Lock()
	if w.closed && w.gap != (Gap{}) && w.fatal == nil {
		w.putGap() // no later record will do it
	}
	target := w.seq
	w.mu.Unlock()
	for w.log.last < target {
		b := w.takeBatch()
		done, records, err := w.log.write(b)
		w.giveBack(done, records, err)
		if err != nil {
			return err
		}
	}
	return nil
}

// takeBatch is the rest of the batch in flight, or else the queue.
func (w *Writer) takeBatch() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flight.records == 0 {
		w.queue, w.flight = w.flight, w.queue
	}
	return w.flight.buf[w.flight.done:]
}

// giveBack accounts for what was written; diskMu is held.
func (w *Writer) giveBack(done, records int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flight.done += done
	w.flight.records -= records
	if w.flight.records == 0 {
		buf := w.flight.buf
		if cap(buf) > keepBytes && len(buf) < cap(buf)/4 {
			buf = nil // the backlog is over: a quiet session gives its buffer back
		}
		w.flight = batch{buf: buf[:0]}
	}
	if records > 0 {
		if w.unsynced == 0 && w.opts.Sync.Interval > 0 && !w.opts.Synchronous {
			w.unsyncedSince = time.Now()
		}
		w.unsynced += records
	}
	w.mirror(err)
}

// group is the group commit: one sync for all that was written.
func (w *Writer) group() error {
	w.diskMu.Lock()
	defer w.diskMu.Unlock()
	err := w.log.sync()
	if err == nil {
		w.unsynced = 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mirror(err)
	if err == nil {
		w.mark()
	}
	return err
}

// syncIfDue applies the sync policy.
func (w *Writer) syncIfDue() error {
	w.diskMu.Lock()
	records := w.unsynced
	w.diskMu.Unlock()
	due, timed := w.syncDue()
	byCount := w.opts.Sync.Records > 0 && records >= w.opts.Sync.Records
	if byCount || (timed && due <= 0) {
		return w.group()
	}
	return nil
}

// syncDue is how long the oldest unsynced record may still wait.
func (w *Writer) syncDue() (time.Duration, bool) {
	if w.opts.Sync.Interval == 0 || w.opts.Synchronous {
		return 0, false
	}
	w.diskMu.Lock()
	defer w.diskMu.Unlock()
	if w.unsynced == 0 {
		return 0, false
	}
	return w.opts.Sync.Interval - time.Since(w.unsyncedSince), true
}

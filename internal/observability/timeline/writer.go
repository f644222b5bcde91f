// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"
	"time"
	"unicode/utf8"
)

// Writer records one session. Its methods may be called from any goroutine.
type Writer struct {
	opts  Options
	table *crc32.Table

	// mu guards stage A. It is held for the copy of a record, never over I/O
	// and never while diskMu is being waited for.
	mu      sync.Mutex
	queue   batch  // takes appends
	flight  batch  // stage B writes it
	seq     uint64 // last one given out
	fresh   uint64 // records since the last Export marker
	gap     Gap    // not yet marked in the recording
	lost    Gap    // in total
	refused bool   // a baseline record was refused
	closed  bool
	forsake bool // Close gave up waiting: no End any more
	end     *End // nil for Abort
	stats   Stats
	fatal   error

	// diskMu guards stage B: log, and the bytes of flight.
	diskMu        sync.Mutex
	log           segmentLog
	unsynced      int       // records written since the last sync
	unsyncedSince time.Time // when the first of them was written

	wake chan struct{} // the queue got its first record
	kick chan struct{} // the batch is large enough
	stop chan struct{}
	done chan struct{}
	// result is set before done is closed.
	result error
}

// batch is a run of encoded frames.
type batch struct {
	buf     []byte
	done    int // bytes of buf that are written already
	records int // not yet written
	since   time.Time
}

func (b *batch) size() int { return len(b.buf) - b.done }

// Stats is a writer's state at one moment.
type Stats struct {
	// Appended is the last sequence given out, markers included; Exported the
	// last one written to the file; Synced the last one forced to the disk.
	Appended, Exported, Synced uint64
	// QueuedRecords and QueuedBytes are in memory and not yet written.
	QueuedRecords, QueuedBytes int
	// FillPermille is the fuller of records and bytes against the capacity;
	// 800 is a timeline_queue_fill_ratio of 0.80 (evidence-replay section 3).
	FillPermille int
	// LagMS is the age of the oldest record that is not yet written; always 0
	// in synchronous mode, which has no clock.
	LagMS int64
	// DroppedDetail and DroppedDetailBytes count dropped records and their
	// payload bytes, RefusedBaseline counts refused baseline records.
	DroppedDetail, DroppedDetailBytes, RefusedBaseline uint64
	Segments                                           uint32
	// Bytes written to all segments, headers included.
	Bytes int64
	// Retries counts failed attempts to write; Err is the last one's error and
	// nil again when writing works.
	Retries uint64
	Err     error
}

// Append records a payload; it copies it. It neither waits nor allocates once
// the buffers have grown. Detail that does not fit is dropped, counted in
// Stats and marked by a Gap record: that is no error. A baseline record that
// does not fit is ErrBaselineUnavailable. Other errors: ErrUnknownType (only
// TypeInput to TypeAudio may be appended), ErrTooLarge, ErrClosed.
func (w *Writer) Append(t Type, payload []byte) error {
	if !t.appendable() {
		return fmt.Errorf("%w: %s: append input, decision, pass, checkpoint, text or audio", ErrUnknownType, t)
	}
	if len(payload) > MaxPayload {
		return fmt.Errorf("%w: %s has %d bytes, at most %d fit: split it", ErrTooLarge, t, len(payload), MaxPayload)
	}
	ok, full, err := w.offer(t, payload, w.opts.Synchronous)
	if err != nil || (ok && !full) {
		return err
	}
	if !ok {
		// Synchronous mode makes room and tries once more.
		_ = w.flush() // it is in Stats; the record's fate decides
		_, _, err = w.offer(t, payload, false)
		return err
	}
	// The record is kept; a disk error is in Stats and comes back on Close.
	_ = w.export() // see above
	return nil
}

// offer puts the record into the queue. ok is false when it was not kept and
// the caller wants to try again; full when synchronous mode should write.
func (w *Writer) offer(t Type, payload []byte, again bool) (ok, full bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return true, false, ErrClosed
	}
	if !w.admit(t.Detail(), len(payload)) {
		if again && w.fatal == nil {
			return false, false, nil
		}
		return true, false, w.refuse(t, len(payload))
	}
	if w.gap != (Gap{}) {
		w.putGap()
	}
	before := w.queue.size()
	w.put(t, payload)
	w.fresh++
	if w.opts.Synchronous {
		return true, w.queue.size() >= flushBytes || w.queue.records >= w.opts.CapacityRecords/2, nil
	}
	if w.queue.since.IsZero() {
		// One clock reading a batch, not one a record (engine section 2).
		w.queue.since = time.Now()
		signal(w.wake)
	}
	if before < flushBytes && w.queue.size() >= flushBytes {
		signal(w.kick)
	}
	return true, false, nil
}

// admit decides whether one more record fits. Detail leaves the reserve
// alone; baseline leaves the reserve's last part alone until one was refused:
// what follows then is the terminal and the close marker, and "the reserve
// always fits" these (evidence-replay section 4).
func (w *Writer) admit(detail bool, payload int) bool {
	if w.fatal != nil {
		return false
	}
	records := w.queue.records + w.flight.records + 1
	size := w.queue.size() + w.flight.size() + frameSize + payload
	if w.gap != (Gap{}) {
		records++
		size += frameSize + gapSize
	}
	maxRecords, maxSize := w.opts.CapacityRecords, w.opts.CapacityBytes
	switch {
	case detail:
		maxRecords -= w.opts.ReserveRecords
		maxSize -= w.opts.ReserveBytes
	case !w.refused:
		maxRecords -= w.opts.ReserveRecords / closingShare
		maxSize -= w.opts.ReserveBytes / closingShare
	}
	return records <= maxRecords && size <= maxSize
}

// refuse counts a record that is not kept.
func (w *Writer) refuse(t Type, payload int) error {
	if t.Detail() {
		w.gap.Detail++
		w.gap.DetailBytes += uint64(payload)
		w.lost.Detail++
		w.lost.DetailBytes += uint64(payload)
		return nil
	}
	w.gap.Baseline++
	w.lost.Baseline++
	w.refused = true
	cause := w.stats.Err
	if w.fatal != nil {
		cause = w.fatal
	}
	if cause == nil {
		return fmt.Errorf("%w: %s: %d records and %d bytes wait for the disk: it is too slow, record into another folder",
			ErrBaselineUnavailable, t, w.queue.records+w.flight.records, w.queue.size()+w.flight.size())
	}
	return fmt.Errorf("%w: %s: %w", ErrBaselineUnavailable, t, cause)
}

// put encodes a record behind the others; mu is held.
func (w *Writer) put(t Type, payload []byte) {
	w.seq++
	w.queue.buf = appendFrame(w.queue.buf, w.table, t, w.seq, payload)
	w.queue.records++
}

// putGap marks what was lost before the next record; mu is held.
func (w *Writer) putGap() {
	var b [gapSize]byte
	w.put(TypeGap, w.gap.appendTo(b[:0]))
	w.gap = Gap{}
}

// Stats reports the writer's state.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Appended = w.seq
	s.QueuedRecords = w.queue.records + w.flight.records
	s.QueuedBytes = w.queue.size() + w.flight.size()
	s.FillPermille = max(s.QueuedRecords*1000/w.opts.CapacityRecords, s.QueuedBytes*1000/w.opts.CapacityBytes)
	s.DroppedDetail, s.DroppedDetailBytes, s.RefusedBaseline = w.lost.Detail, w.lost.DetailBytes, w.lost.Baseline
	if w.fatal != nil {
		s.Err = w.fatal
	}
	oldest := w.flight.since
	if w.flight.records == 0 || oldest.IsZero() {
		oldest = w.queue.since
	}
	if !oldest.IsZero() {
		s.LagMS = time.Since(oldest).Milliseconds()
	}
	return s
}

// Sync writes all that was appended and forces it to the disk. It waits for
// the disk: never call it on a session's path.
func (w *Writer) Sync() error {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.group()
}

// Close writes what is left and the End record, which makes the recording
// whole, and syncs. Digest and Reason of end are the caller's (a longer
// reason than MaxReason is cut), the rest is filled in. After an error there
// is no End record, or one that says what is missing: the recording does not
// count as whole.
func (w *Writer) Close(end End) error {
	for len(end.Reason) > MaxReason {
		_, n := utf8.DecodeLastRuneInString(end.Reason)
		end.Reason = end.Reason[:len(end.Reason)-n]
	}
	return w.shut(&end)
}

// Abort writes what is left but no End record: the recording stays readable
// and never counts as whole.
func (w *Writer) Abort() error { return w.shut(nil) }

func (w *Writer) shut(end *End) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.closed = true
	w.end = end
	w.mu.Unlock()
	if w.opts.Synchronous {
		return w.finish()
	}
	close(w.stop)
	timer := time.NewTimer(w.opts.CloseTimeout)
	defer timer.Stop()
	select {
	case <-w.done:
		return w.result
	case <-timer.C:
	}
	w.mu.Lock()
	w.forsake = true
	w.mu.Unlock()
	return fmt.Errorf("%w: %s: gave up after %v: check the disk, then see with a verification what was kept",
		ErrStalled, w.log.dir, w.opts.CloseTimeout)
}

// finish is the last act of stage B: the rest of the queue, then the End.
func (w *Writer) finish() error {
	err := w.flush()
	w.diskMu.Lock()
	defer w.diskMu.Unlock()
	w.mu.Lock()
	end, lost := w.end, w.lost
	if w.forsake {
		end = nil
	}
	w.mu.Unlock()
	if err == nil && end != nil {
		end.DroppedDetail, end.DroppedDetailBytes, end.RefusedBaseline = lost.Detail, lost.DetailBytes, lost.Baseline
		err = w.log.putEnd(end, w.table)
	}
	if err == nil {
		err = w.log.sync()
	}
	if cerr := w.log.close(err != nil); err == nil {
		err = cerr
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mirror(err)
	if err == nil && lost.Baseline > 0 {
		err = fmt.Errorf("%w: %d baseline records are missing in %s: it cannot be replayed beyond the first",
			ErrBaselineUnavailable, lost.Baseline, w.log.dir)
	}
	return err
}

// mirror copies stage B's state to where Stats finds it; mu and diskMu are held.
func (w *Writer) mirror(err error) {
	w.stats.Exported, w.stats.Synced = w.log.last, w.log.synced
	w.stats.Segments, w.stats.Bytes = w.log.segment, w.log.bytes
	w.stats.Err = err
	w.fatal = w.log.fatal
	if err != nil {
		w.stats.Retries++
	}
	if end := w.end; err == nil && end != nil && end.Sequence > w.seq {
		w.seq = end.Sequence
	}
}

// mark notes in the recording what has reached the disk, so that a reader
// knows what a power cut cannot have taken; mu and diskMu are held.
func (w *Writer) mark() {
	if w.fresh == 0 || w.closed || !w.admit(true, 8) {
		return
	}
	w.fresh = 0
	var b [8]byte
	w.put(TypeExport, binary.LittleEndian.AppendUint64(b[:0], w.log.synced))
}

// signal sends without waiting; one pending signal is as good as two.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// isFatal reports whether retrying is of no use.
func (w *Writer) isFatal() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fatal != nil
}

// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Ring keeps the latest caller audio: as pre-roll for a recogniser that opens after
// speech has begun, and as the queue between the transport and those who listen. Each
// listener reads at its own position; one that falls behind further than the ring holds
// loses the oldest audio, which is counted. The
// kernel keeps the books of both by the positions and drops before that happens.
//
// The ring takes its memory with the first audio and doubles it, up to ringMax, while a
// listener is slow or comes late for the audio that it wants. It may be used from any
// goroutine; a Reader belongs to one.
type Ring struct {
	mu      sync.Mutex
	buf     []int16
	head    timebase.Samples // position after the newest sample
	readers []*Reader
	roomy   timebase.Samples // up to here no reader is behind; it may be further
	lost    timebase.Samples
}

const (
	// ringMin holds the pre-roll of 300 ms and the time that the detector and the kernel
	// take to open a recogniser, about 110 ms: 512 ms, 16 KB.
	ringMin = 1 << 13
	// ringMax is 4.1 s, 128 KB: the kernel's books end where the ring does.
	ringMax = turn.CallerRingBytes / 2
)

// Reader is one listener's place in a Ring.
type Reader struct {
	ring *Ring
	at   timebase.Samples
	seen atomic.Int64 // at, for those who only look
}

// Write appends audio and returns the position of its first sample.
func (r *Ring) Write(pcm []int16) timebase.Samples {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		r.buf = make([]int16, ringMin)
	}
	at := r.head
	r.grow(len(pcm))
	for i := 0; i < len(pcm); {
		n := copy(r.buf[int(r.head)&(len(r.buf)-1):], pcm[i:])
		i += n
		r.head += timebase.Samples(n)
	}
	return at
}

// Skip appends silence: n samples that did not come. It returns the position of the first.
// More silence than the ring holds moves on at once; a reader that is behind loses it.
func (r *Ring) Skip(n timebase.Samples) timebase.Samples {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.head
	if n <= 0 {
		return at
	}
	if r.buf == nil {
		r.buf = make([]int16, ringMin)
	}
	r.grow(int(min(n, ringMax)))
	r.head += n
	for from := max(at, r.head-timebase.Samples(len(r.buf))); from < r.head; {
		start := int(from) & (len(r.buf) - 1)
		end := min(len(r.buf), start+int(r.head-from))
		clear(r.buf[start:end])
		from += timebase.Samples(end - start)
	}
	return at
}

// grow makes room for a slow reader, within bounds. Readers go forward only: where the
// slowest was when it was looked last, there is room for a while.
func (r *Ring) grow(n int) {
	end := r.head + timebase.Samples(n)
	if end <= r.roomy {
		return
	}
	slowest := r.head
	for _, reader := range r.readers {
		for int(r.head-reader.at)+n > len(r.buf) && len(r.buf) < ringMax {
			r.double()
		}
		slowest = min(slowest, reader.at)
	}
	r.roomy = slowest + timebase.Samples(len(r.buf))
}

func (r *Ring) double() {
	bigger := make([]int16, 2*len(r.buf))
	for at := max(0, r.head-timebase.Samples(len(r.buf))); at < r.head; {
		from := r.buf[int(at)&(len(r.buf)-1):]
		at += timebase.Samples(copy(bigger[int(at)&(len(bigger)-1):], from[:min(len(from), int(r.head-at))]))
	}
	r.buf = bigger
}

// Head is the position after the newest sample.
func (r *Ring) Head() timebase.Samples {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Lost counts the samples that readers were too slow for.
func (r *Ring) Lost() timebase.Samples {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// Listen gives a reader at a position, or at the oldest audio kept.
func (r *Ring) Listen(from timebase.Samples) *Reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := max(0, r.head-timebase.Samples(len(r.buf)))
	if from < oldest {
		r.lost += oldest - from
		if len(r.buf) < ringMax { // the next to come late will find more
			r.double()
		}
	}
	reader := &Reader{ring: r, at: max(from, oldest)}
	r.roomy = min(r.roomy, reader.at+timebase.Samples(len(r.buf)))
	reader.seen.Store(int64(reader.at))
	r.readers = append(r.readers, reader)
	return reader
}

// Read copies the next samples into dst, none past the position through (negative = no
// limit), and gives the position of the first. n is 0 when there is nothing to read.
func (l *Reader) Read(dst []int16, through timebase.Samples) (n int, at timebase.Samples) {
	r := l.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	if oldest := r.head - timebase.Samples(len(r.buf)); l.at < oldest {
		r.lost += oldest - l.at
		l.at = oldest
	}
	end := r.head
	if through >= 0 {
		end = min(end, through)
	}
	at = l.at
	for n < len(dst) && l.at < end {
		from := int(l.at) & (len(r.buf) - 1)
		want := min(len(dst)-n, int(end-l.at), len(r.buf)-from)
		copy(dst[n:n+want], r.buf[from:from+want])
		n += want
		l.at += timebase.Samples(want)
	}
	l.seen.Store(int64(l.at))
	return n, at
}

// Skip goes on at a position, if it lies ahead: what lies before it was dropped, also where it
// has not been written yet.
func (l *Reader) Skip(to timebase.Samples) {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	l.at = max(l.at, to)
	l.seen.Store(int64(l.at))
}

// Seen is the position of the next sample, without the ring's lock: it may be a moment
// old.
func (l *Reader) Seen() timebase.Samples { return timebase.Samples(l.seen.Load()) }

// Available is how much Read would give now.
func (l *Reader) Available() timebase.Samples {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	return max(0, l.ring.head-l.at)
}

// At is the position of the next sample.
func (l *Reader) At() timebase.Samples {
	l.ring.mu.Lock()
	defer l.ring.mu.Unlock()
	return l.at
}

// Close ends the reader: it holds no audio back any more.
func (l *Reader) Close() {
	r := l.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.readers {
		if other == l {
			r.readers = append(r.readers[:i], r.readers[i+1:]...)
			return
		}
	}
}

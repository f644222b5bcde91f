// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/transport"
)

const (
	frame = transport.FrameSamples
	// mostMarks bounds how many functions and gaps wait: a client that commits more often
	// than it speaks floods.
	mostMarks = 1024
	// closeWithin bounds how long Close waits for a call that is under way.
	closeWithin = time.Second
)

// Stats are what a Feed counted, in samples.
type Stats struct {
	Written  int64 // came
	Out      int64 // went out, without padding
	Padded   int64 // silence that filled up frames
	Overflow int64 // came when too much waited: gaps
	Cleared  int64 // taken back by Clear, or waiting at Close
	Waiting  int64 // now
	Deepest  int64 // at most so far
}

// Feed is the way in of one session. Its methods may be called from any goroutine.
type Feed struct {
	in transport.Ingress

	mu      sync.Mutex
	line    line
	pace    pace
	timer   *time.Timer // for what has to wait
	running bool        // somebody hands out
	idle    chan struct{}
	closed  bool
	stats   Stats
	frame   [frame]int16 // of the one who hands out
}

// New makes a Feed for a session.
func New(c Config, in transport.Ingress) (*Feed, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	f := &Feed{in: in, pace: newPace(c, time.Now())}
	f.line.limit = int(c.Longest * transport.SampleRate / time.Second)
	broken := c.Broken
	if broken == nil {
		broken = func(*transport.Panic) { in.Link(transport.LinkGone) }
	}
	f.timer = time.AfterFunc(time.Hour, transport.Contain(broken, f.run))
	f.timer.Stop()
	return f, nil
}

// Write takes caller audio of any length, signed 16 bit, mono, 16000 Hz. It does not wait
// and does not keep the slice. What there is no room for becomes a gap. What is left over
// of the last frame waits for more, or for Flush.
func (f *Feed) Write(pcm []int16) {
	f.mu.Lock()
	if f.closed || len(pcm) == 0 {
		f.mu.Unlock()
		return
	}
	f.stats.Written += int64(len(pcm))
	if n := f.line.write(pcm); n < len(pcm) {
		f.stats.Overflow += int64(len(pcm) - n)
		f.missed(int64(len(pcm) - n))
	}
	f.stats.Deepest = max(f.stats.Deepest, f.line.tail-f.line.head)
	f.mu.Unlock()
	f.run()
}

// missed marks a gap at the end of the line.
func (f *Feed) missed(n int64) {
	if last := len(f.line.marks) - 1; last >= 0 && f.line.marks[last].at == f.line.tail && f.line.marks[last].gap > 0 {
		f.line.marks[last].gap += n
		return
	}
	// Beyond mostMarks too: there are no more gaps than samples that wait between them.
	f.line.marks = append(f.line.marks, mark{at: f.line.tail, gap: n})
}

// Flush lets out what is left of a frame, filled up with silence.
func (f *Feed) Flush() { f.mark(mark{pad: true}) }

// After has do called when all audio that was written before has gone out, the last frame
// filled up with silence: for the end of an utterance. It says whether do will be called:
// not when too many wait, and not when the feed is closed before. do returns at once; it
// may use the feed, except that it may not close it.
func (f *Feed) After(do func()) bool { return f.mark(mark{pad: true, do: do}) }

func (f *Feed) mark(m mark) bool {
	f.mu.Lock()
	if f.closed || len(f.line.marks) >= mostMarks {
		f.mu.Unlock()
		return false
	}
	m.at = f.line.tail
	f.line.marks = append(f.line.marks, m)
	f.mu.Unlock()
	f.run()
	return true
}

// Clear takes back the audio that was written since the last After and has not gone out,
// and gives its length in samples. It is no gap: the client did not mean it.
func (f *Feed) Clear() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, marks := f.line.head, 0
	for i, m := range f.line.marks {
		if m.do != nil {
			from, marks = m.at, i+1
		}
	}
	cleared := f.line.cut(from, marks)
	f.stats.Cleared += cleared
	return cleared
}

// Close ends the feed; what waits is counted as cleared. It waits for a call that is under
// way, a second at most.
func (f *Feed) Close() {
	f.mu.Lock()
	f.closed = true
	f.timer.Stop()
	f.stats.Cleared += f.line.cut(f.line.head, 0)
	f.line.ring = nil
	if !f.running {
		f.mu.Unlock()
		return
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// Stats gives what was counted.
func (f *Feed) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Waiting = f.line.tail - f.line.head
	return s
}

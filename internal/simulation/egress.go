// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// egress is the virtual playback: it follows the same rules as the real one (frames of
// 20 ms at absolute instants, the first at once, a hold stops before the next frame but
// lets protected audio at the head go, a fence drops the rest), and works out whole runs
// of frames at once instead of one by one.
type egress struct {
	chunks  []chunk
	head    int // chunks[head] is playing
	streams []stream
	reports []report
	next    timebase.Instant // no frame before this instant
	active  bool             // a frame is due at next
	closed  bool             // the session is fenced
	sink    func(generation uint32, c *chunk, samples timebase.Samples)
	defect  defect
}

// defect is a deliberate fault of the egress, for the tests of the checkers.
type defect uint8

const (
	sound defect = iota
	leaky        // a fence drops nothing
	deaf         // a hold holds nothing
	stuck        // a resume moves nothing
)

type chunk struct {
	stream    int32
	protected bool
	handle    int64
	left      timebase.Samples
}

// stream is the playback of one generation.
type stream struct {
	generation uint32
	turn       eventabi.TurnID
	played     timebase.Samples
	waiting    timebase.Samples
	chunks     int32
	guarded    int32 // protected chunks that wait
	started    bool
	ended      bool
	held       bool
	all        bool // held with its protected part
	asked      bool // the hold is not answered yet
	fenced     bool
	done       bool // its last report was made
}

type report struct {
	turn   eventabi.TurnID
	event  session.DeliveryEvent
	played timebase.Samples
}

const (
	frame      = timebase.Samples(timebase.FrameSamples)
	frameSpan  = timebase.Span(timebase.FrameMS) * timebase.Millisecond
	maxCatchUp = 3
)

func (e *egress) reset() {
	e.chunks, e.streams, e.reports = e.chunks[:0], e.streams[:0], e.reports[:0]
	e.head, e.next, e.active, e.closed = 0, 0, false, false
}

// find gives the index of a generation's stream, -1 when there is none.
func (e *egress) find(generation uint32) int {
	for i := len(e.streams) - 1; i >= 0; i-- {
		if e.streams[i].generation == generation {
			return i
		}
	}
	return -1
}

// stream finds or begins a generation's playback.
func (e *egress) stream(turn eventabi.TurnID, generation uint32) int {
	if i := e.find(generation); i >= 0 {
		if turn != "" {
			e.streams[i].turn = turn
		}
		return i
	}
	e.streams = append(e.streams, stream{generation: generation, turn: turn})
	return len(e.streams) - 1
}

// play takes a chunk; what is fenced is refused here as in the real egress.
func (e *egress) play(at timebase.Instant, p *session.Play) {
	i := e.stream(p.Turn, p.Generation)
	s := &e.streams[i]
	if (s.fenced || e.closed) && e.defect != leaky || s.ended {
		return
	}
	e.advance(at)
	e.chunks = append(e.chunks, chunk{stream: int32(i), protected: p.Protected, handle: p.Handle, left: p.Samples})
	s.waiting += p.Samples
	s.chunks++
	if p.Protected {
		s.guarded++
	}
	e.wake(at)
}

func (e *egress) endOfAudio(at timebase.Instant, turn eventabi.TurnID, generation uint32) {
	e.advance(at)
	s := &e.streams[e.stream(turn, generation)]
	s.ended = true
	if s.chunks == 0 {
		e.finish(s, session.DeliveryCompleted)
		return
	}
	e.wake(at)
}

func (e *egress) hold(at timebase.Instant, h *session.Hold) {
	e.advance(at)
	i := e.stream(h.Turn, h.Generation)
	s := &e.streams[i]
	if s.done || e.defect == deaf {
		return
	}
	answered := s.held && !s.asked
	s.held, s.all = true, h.All
	if !answered {
		e.answerHold(int32(i))
	}
	e.wake(at) // protected audio may go again
}

func (e *egress) answerHold(i int32) {
	s := &e.streams[i]
	s.asked = e.head < len(e.chunks) && e.chunks[e.head].stream == i && !e.holds(&e.chunks[e.head])
	if !s.asked {
		e.report(s, session.DeliveryHeld)
	}
}

func (e *egress) resume(at timebase.Instant, generation uint32) {
	if e.defect == stuck {
		return
	}
	if i := e.find(generation); i >= 0 {
		e.streams[i].held, e.streams[i].all, e.streams[i].asked = false, false, false
	}
	e.wake(at)
}

// fence drops what waits of a generation, or of all for good.
func (e *egress) fence(at timebase.Instant, f *session.Fence) {
	e.advance(at)
	if f.Session {
		e.closed = true
		for i := range e.streams {
			e.flush(i)
		}
		return
	}
	e.flush(e.stream(f.Turn, f.Generation))
}

// prefence is the first act of a client's cancel, before the kernel knows of it. It
// gives the generation that it closed, 0 = none.
func (e *egress) prefence(at timebase.Instant, force bool) uint32 {
	e.advance(at)
	for i := len(e.streams) - 1; i >= 0; i-- {
		s := &e.streams[i]
		if s.done || s.fenced {
			continue
		}
		if s.guarded > 0 && !force {
			return 0
		}
		s.fenced = true
		e.drop(i)
		return s.generation
	}
	return 0
}

func (e *egress) flush(i int) {
	s := &e.streams[i]
	s.fenced = true
	if e.defect == leaky {
		return
	}
	e.drop(i)
	if !s.done {
		e.finish(s, session.DeliveryFlushed)
	}
}

// drop takes a stream's chunks out of the queue.
func (e *egress) drop(i int) {
	if e.streams[i].chunks == 0 {
		return
	}
	kept := e.chunks[:e.head]
	for _, c := range e.chunks[e.head:] {
		if c.stream != int32(i) {
			kept = append(kept, c)
		}
	}
	e.chunks = kept
	e.streams[i].chunks, e.streams[i].waiting, e.streams[i].guarded = 0, 0, 0
}

func (e *egress) finish(s *stream, how session.DeliveryEvent) {
	s.done = true
	e.report(s, how)
}

func (e *egress) report(s *stream, how session.DeliveryEvent) {
	e.reports = append(e.reports, report{turn: s.turn, event: how, played: s.played})
}

// holds says that a hold stops a chunk.
func (e *egress) holds(c *chunk) bool {
	s := &e.streams[c.stream]
	return s.held && (!c.protected || s.all)
}

// standing says that a hold stops the head of the queue.
func (e *egress) standing() bool {
	return e.head < len(e.chunks) && e.holds(&e.chunks[e.head])
}

// guarding says that protected audio waits.
func (e *egress) guarding() bool {
	for i := e.head; i < len(e.chunks); i++ {
		if e.chunks[i].protected {
			return true
		}
	}
	return false
}

func (e *egress) wake(at timebase.Instant) {
	if e.active || e.head >= len(e.chunks) || e.standing() {
		return
	}
	e.active = true
	e.next = max(e.next, at)
	e.advance(at)
}

// pause is a worker that did not run until an instant: what is later than a few frames
// is not caught up.
func (e *egress) pause(from, until timebase.Instant) {
	e.advance(from)
	if e.active {
		e.next = max(e.next, until.Add(-maxCatchUp*frameSpan))
	}
}

// advance plays everything that is due.
func (e *egress) advance(at timebase.Instant) {
	for e.active && e.next <= at {
		if !e.run(at) {
			e.active = false
		}
	}
	if e.head > 64 {
		e.chunks = append(e.chunks[:0], e.chunks[e.head:]...)
		e.head = 0
	}
}

// run plays the frames that are due from the head of the queue: whole ones of one chunk
// in a go, or one that spans chunks. It says false when nothing may go out now.
func (e *egress) run(at timebase.Instant) bool {
	if e.head >= len(e.chunks) || e.standing() {
		return false
	}
	c := &e.chunks[e.head]
	i := c.stream
	s := &e.streams[i]
	if whole := int64(c.left / frame); whole > 0 {
		due := int64(at-e.next)/int64(frameSpan) + 1
		n := min(whole, due)
		if !s.started {
			n = 1
		}
		e.next = e.next.Add(timebase.Span(n) * frameSpan)
		e.write(i, timebase.Samples(n)*frame)
		return true
	}
	ready := e.ready(i)
	if ready < frame && !s.ended {
		return false
	}
	e.next = e.next.Add(frameSpan)
	e.write(i, min(ready, frame, s.waiting))
	return true
}

// ready counts the samples of the stream that may go into the next frame; where nothing
// of it can follow for now, what there is counts as a whole frame.
func (e *egress) ready(i int32) timebase.Samples {
	var n timebase.Samples
	for j := e.head; j < len(e.chunks); j++ {
		c := &e.chunks[j]
		if c.stream != i || e.holds(c) {
			return max(n, frame)
		}
		if n += c.left; n >= frame {
			break
		}
	}
	return n
}

// write hands samples of the head's stream to the sink.
func (e *egress) write(i int32, n timebase.Samples) {
	s := &e.streams[i]
	for n > 0 && e.head < len(e.chunks) {
		c := &e.chunks[e.head]
		if c.stream != i || e.holds(c) {
			break
		}
		k := min(n, c.left)
		e.sink(s.generation, c, k)
		n -= k
		c.left -= k
		s.played += k
		s.waiting -= k
		if c.left == 0 {
			e.head++
			s.chunks--
			if c.protected {
				s.guarded--
			}
		}
	}
	if !s.started {
		s.started = true
		e.report(s, session.DeliveryStarted)
	}
	if s.ended && s.chunks == 0 && !s.done {
		e.finish(s, session.DeliveryCompleted)
	}
	if s.asked {
		e.answerHold(i)
	}
}

// nextReport is when the egress will have something to say by itself.
func (e *egress) nextReport() timebase.Instant {
	if len(e.reports) > 0 {
		return 0
	}
	if !e.active || e.head >= len(e.chunks) {
		return timebase.Never
	}
	s := &e.streams[e.chunks[e.head].stream]
	if !s.started {
		return e.next
	}
	last := s.waiting
	if s.asked {
		last = 0
		for _, c := range e.chunks[e.head:] {
			if e.holds(&c) {
				break
			}
			last += c.left
		}
	} else if !s.ended && int(s.chunks) == len(e.chunks)-e.head {
		return timebase.Never // it may run dry; a chunk wakes it
	}
	frames := max(1, int64((last+frame-1)/frame))
	return e.next.Add(timebase.Span(frames-1) * frameSpan)
}

// progress tells the turn that is playing or held and how far it is.
func (e *egress) progress() (turn eventabi.TurnID, played timebase.Samples, ok bool) {
	for i := max(0, len(e.streams)-8); i < len(e.streams); i++ {
		s := &e.streams[i]
		if s.started && !s.done && !s.fenced {
			return s.turn, s.played, true
		}
	}
	return "", 0, false
}

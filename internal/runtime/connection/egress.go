// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// Settings is what an Egress is built from.
type Settings struct {
	Fences *Fences
	Sink   transport.Sink
	// Release takes back the samples of a chunk that was played, refused or flushed.
	Release func(handle int64)
	// Late is told how late each frame was that the sink was given, against the instant it
	// was due at; nil = nobody asks.
	Late func(by timebase.Span)
	// Slot is what the instants of frames are rounded up to, counted from Phase, but for the
	// first after a silence, which goes out at once: whoever has slots of time to look in
	// finds a frame due when it looks, and not a while ago. 0 = they are not rounded.
	Slot  timebase.Span
	Phase timebase.Instant
	// MaxQueued bounds the audio that waits, 0 = DefaultMaxQueued.
	MaxQueued timebase.Samples
	// Acks says that the client tells how far it has played (see playout.go): that is what
	// was heard then, and not what was handed over.
	Acks bool
}

// The bounds of one egress.
const (
	// DefaultMaxQueued is twice what the kernel lets the synthesiser run ahead of the
	// listener, and 1.9 MB of samples.
	DefaultMaxQueued = 60 * timebase.SampleRate
	// maxCatchUp is how many frames a late tick may send at once. What is later than
	// that is not caught up: playback goes on from where it is.
	maxCatchUp = 3
	// fencedDepth is how many fenced generations are remembered, so that nothing opens
	// them again. The kernel has at most eight turns' audio with egress.
	fencedDepth = 16
)

// Event is what an Egress reports of a turn's playback.
type Event uint8

// The playback events.
const (
	Started   Event = iota // the first frame went out
	Held                   // playback stands, by a Hold
	Completed              // everything went out, after EndOfAudio
	Flushed                // the rest was dropped, by a Fence
	Moved                  // nothing but the position
)

// Report says how far a turn's playback is. Played counts the turn's samples that were
// heard: handed to the sink or, where the client acknowledges, played by it.
type Report struct {
	Turn       eventabi.TurnID
	Generation uint32
	Event      Event
	Played     timebase.Samples
}

// Counters are what an Egress counted.
type Counters struct {
	Frames     int64 // handed over
	Refused    int64 // frames that the fence held back
	Padded     int64 // frames filled up with silence
	Underruns  int64 // times that playback ran dry before the end of a turn
	Late       int64 // frames sent to catch up
	Skipped    int64 // times that playback was so late that the clock was set anew
	SinkErrors int64 // frames that the sink did not take
	Overflow   int64 // chunks refused because the queue was full
	Stuck      int64 // fences that gave up waiting for the sink

	AcksRefused   int64 // of no turn that plays: foreign, late, or of a link that has none
	AcksBack      int64 // behind an earlier one
	AckFallbacks  int64 // times that the client was silent for so long that the estimate took over
	AckUnanswered int64 // fences after which the client did not say in time where it stopped
}

// Egress paces one session's output: it takes chunks, and hands frames of 20 ms to the
// sink at absolute instants, starting at once when it was idle. All methods belong to
// one goroutine.
type Egress struct {
	settings Settings
	chunks   []chunk // waiting, in order; chunks[0] is playing
	cursor   int     // samples of chunks[0] that are out
	queued   timebase.Samples
	streams  []*stream
	reports  []Report
	counters Counters

	next    timebase.Instant // no frame before this instant
	active  bool             // a frame is due at next
	outward transport.Frame
	playout playout
	fenced  [fencedDepth]uint32 // generations that were fenced, newest over oldest
	fences  int
	frame   [transport.FrameSamples]int16
}

type chunk struct {
	stream    *stream
	handle    int64
	pcm       []int16
	protected bool
}

// stream is the playback of one generation.
type stream struct {
	gate    *Gate
	played  timebase.Samples // handed over
	heard   heard
	waiting int // chunks in the queue
	started bool
	ended   bool // no more chunks come
	dry     bool // a gap is under way, and counted
	held    bool
	all     bool // held: protected audio as well
	asked   bool // the hold is not answered yet
}

// NewEgress builds an idle egress.
func NewEgress(s Settings) *Egress {
	if s.MaxQueued <= 0 {
		s.MaxQueued = DefaultMaxQueued
	}
	return &Egress{settings: s}
}

// NextTick is when the next frame is due, or when the client was waited for long enough;
// timebase.Never when nothing is due.
func (e *Egress) NextTick() timebase.Instant {
	next := e.waitsUntil()
	if e.active {
		next = timebase.Earliest(next, e.next)
	}
	return next
}

// Touch reads what the next frame needs, with depth for what is found by way of how many
// pointers, and gives a sum that means nothing. Who is about to tick many egresses has the
// processor bring all of them from memory at once with it, not one after the other.
func (e *Egress) Touch(depth int) int64 {
	switch {
	case depth == 0:
		return int64(len(e.chunks)) + int64(e.queued) + e.counters.Frames + int64(e.next) + int64(e.outward.Voiced) + int64(len(e.playout.stopping))
	case len(e.chunks) == 0:
		return 0
	case depth == 1:
		return e.chunks[0].handle
	default:
		s := e.chunks[0].stream
		return int64(s.waiting) + int64(s.gate.Generation)
	}
}

// Counters gives the counters so far.
func (e *Egress) Counters() Counters {
	c := e.counters
	c.Stuck = e.settings.Fences.Stuck()
	return c
}

// Queued is the audio that waits.
func (e *Egress) Queued() timebase.Samples { return e.queued }

// TakeReports hands over what there is to report, oldest first; the slice is valid
// until the next call of a method.
func (e *Egress) TakeReports() []Report {
	r := e.reports
	e.reports = e.reports[:0]
	return r
}

// Progress appends how far the turns are that are playing or held: one, or two where the
// client still plays the end of the turn before.
func (e *Egress) Progress(into []Report) []Report {
	for _, s := range e.streams {
		if s.started && (s.waiting > 0 || !s.ended || e.settings.Acks) {
			into = append(into, e.report(s, Moved))
		}
	}
	return into
}

// Play takes a chunk behind what there is. It says false when the queue is full. The
// first frame of an idle egress goes out before Play returns.
func (e *Egress) Play(at timebase.Instant, turn eventabi.TurnID, generation uint32, handle int64, pcm []int16, protected bool) bool {
	if e.queued+timebase.Samples(len(pcm)) > e.settings.MaxQueued {
		e.counters.Overflow++
		e.settings.Release(handle)
		return false
	}
	s := e.stream(turn, generation)
	if s == nil || s.ended || s.gate.Closed() || protected && !s.gate.protect() {
		e.counters.Refused += frames(len(pcm))
		e.settings.Release(handle)
		return true
	}
	e.chunks = append(e.chunks, chunk{stream: s, handle: handle, pcm: pcm, protected: protected})
	e.queued += timebase.Samples(len(pcm))
	if s.waiting == 0 && at > e.next && !s.held {
		e.runDry(s)
	}
	s.waiting++
	e.wake(at)
	return true
}

// EndOfAudio says that the turn's audio is all there.
func (e *Egress) EndOfAudio(at timebase.Instant, turn eventabi.TurnID, generation uint32) {
	s := e.stream(turn, generation)
	if s == nil {
		return
	}
	s.ended = true
	if s.waiting == 0 {
		e.tell(s)
		return
	}
	e.wake(at)
}

// Hold stops a turn's playback before the next frame and reports Held with the
// position. Protected audio at the head of the queue goes out first (lifecycle section
// 7.1), unless the hold is of all; the report then waits for it. A turn without audio yet is held from its first
// sample on.
func (e *Egress) Hold(turn eventabi.TurnID, generation uint32, all bool) {
	s := e.stream(turn, generation)
	if s == nil || s.held && s.all == all {
		return
	}
	s.held, s.all = true, all
	e.answerHold(s)
}

// stands says that a chunk may not go out for now.
func (s *stream) stands(c *chunk) bool { return s.held && (s.all || !c.protected) }

// Resume goes on at the very next sample.
func (e *Egress) Resume(at timebase.Instant, generation uint32) {
	for _, s := range e.streams {
		if s.gate.Generation == generation {
			s.held, s.all, s.asked = false, false, false
		}
	}
	e.wake(at)
}

// Fence drops what waits of a generation, or everything for good, and reports Flushed: at
// once, or when a client that acknowledges has said where it stopped. The gate closes first. What waits behind it does not go on before Continue: a step
// that fences two turns must not let a frame of the second out between the two.
func (e *Egress) Fence(at timebase.Instant, turn eventabi.TurnID, generation uint32, session bool) {
	if session {
		e.settings.Fences.CloseSession()
		for len(e.streams) > 0 {
			e.flush(e.streams[0])
			e.finish(e.streams[0], Flushed)
		}
		e.stopAll()
		e.active = false
		return
	}
	s := e.stream(turn, generation)
	if s == nil {
		return // fenced before
	}
	s.gate.Close()
	e.fenced[e.fences%fencedDepth] = generation
	e.fences++
	e.flush(s)
	e.stop(at, s)
}

// Open makes a turn's gate and arms it before there is any audio, so that a cancel from
// outside finds something to close while the first chunk is on its way.
func (e *Egress) Open(turn eventabi.TurnID, generation uint32) { e.stream(turn, generation) }

// Continue goes on with what the fences of a step have spared. It is called once, after
// all of them.
func (e *Egress) Continue(at timebase.Instant) { e.wake(at) }

// Forget lets go of a turn that has ended without any audio: a hold may have made room
// for it.
func (e *Egress) Forget(turn eventabi.TurnID) {
	for i, s := range e.streams {
		if s.gate.Turn == turn && s.waiting == 0 && !s.started {
			e.streams = append(e.streams[:i], e.streams[i+1:]...)
			e.settings.Fences.Disarm(s.gate)
			return
		}
	}
}

// flush drops what waits of a stream.
func (e *Egress) flush(s *stream) {
	kept := e.chunks[:0]
	for i, c := range e.chunks {
		if c.stream != s {
			kept = append(kept, c)
			continue
		}
		rest := c.pcm
		if i == 0 {
			rest = c.pcm[e.cursor:]
			e.cursor = 0
		}
		e.counters.Refused += frames(len(rest))
		e.drop(c, len(rest))
	}
	clear(e.chunks[len(kept):])
	e.chunks = kept
}

// drop lets go of a chunk of which rest samples had not gone out.
func (e *Egress) drop(c chunk, rest int) {
	e.queued -= timebase.Samples(rest)
	c.stream.waiting--
	if c.protected {
		c.stream.gate.unprotect()
	}
	e.settings.Release(c.handle)
}

// finish ends a stream with its last report.
func (e *Egress) finish(s *stream, how Event) {
	e.reports = append(e.reports, e.report(s, how))
	e.remove(s)
}

// remove lets go of a stream.
func (e *Egress) remove(s *stream) {
	for i, other := range e.streams {
		if other == s {
			e.streams = append(e.streams[:i], e.streams[i+1:]...)
			break
		}
	}
	e.settings.Fences.Disarm(s.gate)
	if n := len(e.streams); n > 0 {
		e.settings.Fences.Arm(e.streams[n-1].gate)
	}
}

// stream finds or begins the playback of a generation; nil when it was fenced.
func (e *Egress) stream(turn eventabi.TurnID, generation uint32) *stream {
	for _, s := range e.streams {
		if s.gate.Generation == generation {
			return s
		}
	}
	for _, g := range e.fenced[:min(e.fences, fencedDepth)] {
		if g == generation {
			return nil
		}
	}
	s := &stream{gate: e.settings.Fences.Open(turn, generation)}
	e.streams = append(e.streams, s)
	return s
}

func (e *Egress) report(s *stream, how Event) Report {
	return Report{Turn: s.gate.Turn, Generation: s.gate.Generation, Event: how, Played: e.position(s, how)}
}

// wake makes frames due again when there is something to send, and sends the first at
// once unless the one before it is still playing.
func (e *Egress) wake(at timebase.Instant) {
	if e.active || len(e.chunks) == 0 || e.standing() {
		return
	}
	e.active = true
	if at <= e.next {
		e.sendDue(at)
		return
	}
	e.next = at
	e.sendDue(at)
	e.next = e.slot(e.next)
}

// slot rounds an instant up to the next slot.
func (e *Egress) slot(at timebase.Instant) timebase.Instant {
	if e.settings.Slot <= 0 {
		return at
	}
	slot := int64(e.settings.Slot)
	over := int64(at-e.settings.Phase) % slot
	if over < 0 {
		over += slot
	}
	if over == 0 {
		return at
	}
	return at.Add(timebase.Span(slot - over))
}

// standing says that a hold stops the head of the queue.
func (e *Egress) standing() bool {
	return len(e.chunks) > 0 && e.chunks[0].stream.stands(&e.chunks[0])
}

// answerHold reports Held once the stream stands.
func (e *Egress) answerHold(s *stream) {
	s.asked = len(e.chunks) > 0 && e.chunks[0].stream == s && !s.stands(&e.chunks[0])
	if !s.asked {
		e.reports = append(e.reports, e.report(s, Held))
	}
}

// frames is how many frames n samples fill.
func frames(n int) int64 {
	return int64((n + transport.FrameSamples - 1) / transport.FrameSamples)
}

const framePeriod = timebase.Span(transport.FrameDuration / time.Nanosecond)

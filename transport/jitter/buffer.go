// SPDX-License-Identifier: Apache-2.0

package jitter

import (
	"math"
	"time"

	"github.com/parley-voice/parley/transport"
)

// Never is what Next gives when nothing will come out.
const Never = time.Duration(math.MaxInt64)

const frame = transport.FrameDuration

// Kind says what a Piece is.
type Kind uint8

// The kinds of pieces.
const (
	Frame     Kind = iota // as the sender made it
	Concealed             // a guess in the place of a frame that did not come
	Missing               // nothing: a gap that is not concealed
)

// Piece is what comes out next. PCM is lent until the Buffer is used again.
type Piece struct {
	Kind Kind
	// Sequence is the transport's number; for what did not come the one that it should have
	// had; negative when there is none. Behind a restart, numbers go on from those that are out.
	Sequence int64
	Samples  int64 // one frame's, or a whole gap's
	PCM      []int16
	Reason   transport.GapReason // of Missing
}

// Counters are what a Buffer counted, in frames.
type Counters struct {
	Pushed    int64 // everything that came
	Out       int64 // came out as it was
	Late      int64 // came when its slot was out
	Duplicate int64 // came before
	Stray     int64 // came with a number that cannot be
	Malformed int64 // was no frame of 20 ms
	Dropped   int64 // left because more came than Maximum
	Lost      int64 // slots that nothing had come for in time
	Concealed int64 // of those, guessed
	Reordered int64 // came in time, behind one of a higher number
	Restarts  int64 // the numbers or the delay had changed for good
	Depth     int64 // held now
	Deepest   int64 // held at most so far
}

// slot is the place of one frame.
type slot struct {
	full   bool
	has    bool  // the transport has a number for it
	number int64 // unwrapped
	pcm    [transport.FrameSamples]int16
}

// Buffer is the jitter buffer of one stream. It is used by one goroutine at a time.
type Buffer struct {
	config   Config
	slots    []slot // slot n lies at n modulo their number
	begun    bool
	clock    time.Duration // the latest instant seen
	floor    floor
	next     int64 // the slot that comes out next
	end      int64 // behind the newest that is held, at least next
	played   uint64
	shift    int64 // slot number minus sequence number
	first    int64 // the slot that this timeline began with
	latest   int64 // sequence number of the last frame that fitted, unwrapped
	lift     int64 // is added to numbers, so that they rise
	rise     int64 // the least number that may come out next, lifted
	skipped  int64 // slots that left because there was no room and are not out yet
	dropped  bool  // ... and some of them held a frame
	absent   int   // slots in a row that nothing came for
	off      off
	conceal  concealer
	piece    Piece // of Deliver
	guessed  Piece // the guesses of Deliver that are not reported yet
	counters Counters
}

// off is a run of frames that do not fit.
type off struct {
	frames int
	since  time.Duration
	last   int64
}

// New makes a Buffer.
func New(c Config) (*Buffer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Buffer{config: c, slots: make([]slot, c.Maximum/frame)}, nil
}

// Counters gives what was counted.
func (b *Buffer) Counters() Counters { return b.counters }

// Delay is how long after the quickest way a frame comes out: what the Buffer adds.
func (b *Buffer) Delay() time.Duration { return b.config.Target }

// Held is how much audio is held.
func (b *Buffer) Held() time.Duration { return time.Duration(b.counters.Depth) * frame }

// Next is when Pop will have something, Never before the first frame.
func (b *Buffer) Next() time.Duration {
	switch {
	case !b.begun:
		return Never
	case b.skipped > 0:
		return b.clock
	}
	return b.due(b.next)
}

// due is when a slot comes out.
func (b *Buffer) due(n int64) time.Duration {
	return b.floor.least() + time.Duration(n)*frame + b.config.Target
}

// Push takes a frame that came at an instant. sequence is the transport's own number,
// negative when it has none: then frames follow each other as they come. The slice is not
// kept.
func (b *Buffer) Push(at time.Duration, sequence int64, pcm []int16) {
	b.counters.Pushed++
	b.clock = max(b.clock, at)
	if len(pcm) != transport.FrameSamples {
		b.counters.Malformed++
		return
	}
	number := b.unwrap(sequence)
	if !b.begun {
		b.begun = true
		b.shift = -number
		b.floor.set(b.clock, b.clock)
	}
	n := number + b.shift
	switch b.judge(n) {
	case fits:
	case duplicate:
		b.counters.Duplicate++
		return
	case late:
		if !b.moved(number) {
			b.counters.Late++
			return
		}
		n = b.restart(number)
	case stray:
		if !b.moved(number) {
			b.counters.Stray++
			return
		}
		n = b.restart(number)
	}
	b.put(n, number, sequence >= 0, pcm)
}

// unwrap gives the number of a frame on an axis that does not wrap: the one nearest to
// the last frame that fitted (RFC 3550, appendix A.1).
func (b *Buffer) unwrap(sequence int64) int64 {
	switch bits := b.config.SequenceBits; {
	case sequence < 0 && !b.begun:
		return 0
	case sequence < 0:
		return b.latest + 1
	case bits == 0 || !b.begun:
		return sequence
	default:
		by := 64 - bits
		return b.latest + (sequence-b.latest)<<by>>by
	}
}

// verdict says how a frame fits the timeline.
type verdict uint8

const (
	fits verdict = iota
	late
	duplicate
	stray
)

// judge holds a slot number against what is out, what is held, and what can be: a frame
// cannot have been sent long before its time.
func (b *Buffer) judge(n int64) verdict {
	const farthest = 1 << 32
	switch back := b.next - 1 - n; {
	case n < b.first:
		return late
	case back < 0 && (n-b.next > farthest || b.delay(n) < b.floor.least()-b.config.Maximum):
		return stray
	case back < 0 && n < b.end && b.at(n).full:
		return duplicate
	case back < 0:
		return fits
	case back < 64 && b.played>>back&1 == 1:
		return duplicate
	}
	return late
}

// delay is how long after its time on the sender's clock a frame comes now.
func (b *Buffer) delay(n int64) time.Duration { return b.clock - time.Duration(n)*frame }

func (b *Buffer) at(n int64) *slot { return &b.slots[n%int64(len(b.slots))] }

// moved counts a frame that does not fit, and says whether the timeline is wrong and not
// the frame: when nothing has fitted for Target, and what came instead are numbers that
// belong together, the sender has begun to count anew or stood still, or the way has
// become longer.
func (b *Buffer) moved(number int64) bool {
	apart := number - b.off.last
	if b.off.frames == 0 || apart > int64(len(b.slots)) || apart < -int64(len(b.slots)) {
		b.off = off{since: b.clock}
	}
	b.off.frames++
	b.off.last = number
	return b.clock-b.off.since >= b.config.Target
}

// restart begins the timeline anew with a frame, and gives its slot: the one whose time it
// is. The slots between come out as a gap, so that the media clock goes on evenly.
func (b *Buffer) restart(number int64) int64 {
	b.counters.Restarts++
	n := max(b.next, b.end, int64((b.clock-b.floor.least())/frame))
	b.shift, b.first = n-number, n
	b.floor.set(b.clock, b.delay(n))
	return n
}

// put holds a frame that fits.
func (b *Buffer) put(n, number int64, has bool, pcm []int16) {
	b.off.frames = 0
	b.floor.add(b.clock, b.delay(n))
	b.overflow(n)
	if n < b.end {
		b.counters.Reordered++
	}
	b.end = max(b.end, n+1)
	b.latest = number
	s := b.at(n)
	s.full, s.number, s.has = true, number, has
	copy(s.pcm[:], pcm)
	b.counters.Depth++
	b.counters.Deepest = max(b.counters.Deepest, b.counters.Depth)
}

// overflow makes room for a slot: the oldest leave.
func (b *Buffer) overflow(n int64) {
	room := int64(len(b.slots))
	leave := n - room + 1 - b.next
	if leave <= 0 {
		return
	}
	b.skipped += leave
	for i := range min(leave, room) {
		s := b.at(b.next + i)
		if s.full {
			s.full, b.dropped = false, true
			b.counters.Dropped++
			b.counters.Depth--
			leave--
		}
	}
	b.counters.Lost += leave
	b.next = n - room + 1
	b.end = max(b.end, b.next)
	b.played = 0
}

// Pop gives what is due by an instant, one piece a call, and says whether there was
// anything.
func (b *Buffer) Pop(at time.Duration, p *Piece) bool {
	b.clock = max(b.clock, at)
	if !b.begun {
		return false
	}
	if b.skipped > 0 {
		b.gone(p)
		return true
	}
	if b.due(b.next) > b.clock {
		return false
	}
	s := b.at(b.next)
	if !s.full {
		b.nothing(p)
		return true
	}
	s.full = false
	b.conceal.heard(s.pcm[:])
	*p = Piece{Kind: Frame, Sequence: b.numbered(s), Samples: transport.FrameSamples, PCM: s.pcm[:]}
	b.absent = 0
	b.step(1, 1)
	b.counters.Out++
	b.counters.Depth--
	return true
}

// gone is what comes out where frames had to leave.
func (b *Buffer) gone(p *Piece) {
	*p = Piece{Kind: Missing, Sequence: b.missing(b.next-b.skipped, b.skipped), Samples: b.skipped * transport.FrameSamples, Reason: transport.GapLost}
	if b.dropped {
		p.Reason = transport.GapOverflow
	}
	b.absent = len(b.slots) // no guess joins what follows
	b.skipped, b.dropped = 0, false
}

// nothing is what comes out where nothing has come: a guess while the gap is short, then
// a gap as long as it is known to be.
func (b *Buffer) nothing(p *Piece) {
	*p = Piece{Samples: transport.FrameSamples}
	n := int64(1)
	if time.Duration(b.absent+1)*frame <= b.config.Conceal {
		p.Kind, p.PCM = Concealed, b.conceal.guess(b.absent)
		b.counters.Concealed++
		b.absent++
	} else {
		n = b.empty()
		p.Kind, p.Reason = Missing, transport.GapLost
		p.Samples *= n
	}
	p.Sequence = b.missing(b.next, n)
	b.counters.Lost += n
	b.step(n, 0)
}

// empty counts the slots from the next on that are due and hold nothing.
func (b *Buffer) empty() int64 {
	due := int64((b.clock-b.due(b.next))/frame) + 1
	for n := int64(1); n < due && b.next+n < b.end; n++ {
		if b.at(b.next + n).full {
			return n
		}
	}
	return due
}

// step lets n slots go; came says whether they held a frame.
func (b *Buffer) step(n int64, came uint64) {
	b.next += n
	b.end = max(b.end, b.next)
	b.played = b.played<<min(n, 64) | came
}

// numbered is the number that a frame comes out with, above all that are out: a sender that
// counts anew, or whose sound was given up and comes after all, would give numbers twice.
func (b *Buffer) numbered(s *slot) int64 {
	if !s.has {
		return -1
	}
	b.lift = max(b.lift, b.rise-s.number)
	return b.out(s.number+b.lift, 1)
}

// missing is the number that the first of count slots comes out with in which nothing is.
func (b *Buffer) missing(n, count int64) int64 {
	number := n - b.shift + b.lift
	if n < b.first { // of the numbers before a restart
		number = b.rise
	}
	return b.out(max(number, b.rise), count)
}

// out gives a number away, and those behind it.
func (b *Buffer) out(number, count int64) int64 {
	if number < 0 || number > math.MaxInt64-count {
		return -1 // whoever counts like this has no numbers
	}
	b.rise = number + count
	if bits := b.config.SequenceBits; bits > 0 {
		return number & (1<<bits - 1)
	}
	return number
}

// Deliver hands everything that is due by an instant to a session: frames and guesses as
// audio, and behind a stretch that did not come a report of it.
func (b *Buffer) Deliver(at time.Duration, in transport.Ingress) {
	for b.Pop(at, &b.piece) {
		p := &b.piece
		switch p.Kind {
		case Frame:
			b.report(in, 0, transport.GapLost)
			in.Audio(p.Sequence, p.PCM)
		case Concealed:
			if b.guessed.Samples == 0 {
				b.guessed.Sequence = p.Sequence
			}
			b.guessed.Samples += p.Samples
			in.Audio(p.Sequence, p.PCM)
		case Missing:
			if b.guessed.Samples == 0 {
				b.guessed.Sequence = p.Sequence
			}
			b.report(in, p.Samples, p.Reason)
		}
	}
}

// report tells of the guesses so far and of what is missing behind them.
func (b *Buffer) report(in transport.Ingress, missing int64, reason transport.GapReason) {
	g := &b.guessed
	if g.Samples+missing == 0 {
		return
	}
	in.Gap(transport.Gap{Sequence: g.Sequence, Missing: g.Samples + missing, Concealed: g.Samples, Reason: reason})
	*g = Piece{}
}

// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/transport"
)

// Habits are how callers behave.
type Habits struct {
	Speech Span // of one utterance
	Listen Span // from its end to the next
	// InterruptPercent is how often in a hundred a caller speaks again before the reply is
	// over: CutIn after the end of the utterance.
	InterruptPercent int64
	CutIn            Span
	// Life is how long a call lasts; the caller calls again at once. Zero = to the end.
	Life Span
}

// frameMS is the length of a frame in milliseconds, and the number of slots of the wheel.
const frameMS = int(transport.FrameDuration / time.Millisecond)

//nolint:gochecknoglobals // constants, which everybody only reads
var (
	loudFrame = func() (f [transport.FrameSamples]int16) {
		for i := range f {
			f[i] = loud
		}
		return f
	}()
	quietFrame [transport.FrameSamples]int16
)

// loud is every sample of a frame that holds speech.
const loud = 5000

// caller is one simulated person. It belongs to the driver while it is on a call, and to
// the door else.
type caller struct {
	crowd  *Crowd
	number int
	group  *group
	tenant string
	chance timebase.Random
	calls  int
	habits *Habits

	due     time.Time // of the next call, while it waits at the door
	session *sessionhost.Session
	line    *line
	in      transport.Ingress // the line's, and over: beside what each frame needs
	over    atomic.Int64      // the last of its calls that has ended
	slot    int
	frames  int // of the phase under way that are left
	talks   bool
	life    int // frames of the call that are left, negative = no end
	leaving bool
}

// begin starts a call: the first phase is listening, of a drawn length, so that callers
// who come together do not speak together.
func (c *caller) begin() {
	c.talks, c.leaving = false, false
	c.frames = 1 + int(c.chance.Below(int64(framesOf(c.habits.Speech.Most+c.habits.Listen.Most))))
	c.life = -1
	if c.habits.Life.Most > 0 {
		c.life = framesOf(c.habits.Life.draw(&c.chance))
	}
}

func framesOf(d time.Duration) int { return max(1, int(d/transport.FrameDuration)) }

// step brings one frame to the session.
func (c *caller) step(in transport.Ingress) {
	if c.frames--; c.frames <= 0 {
		c.turn()
	}
	if c.talks {
		in.Audio(-1, loudFrame[:])
	} else {
		in.Audio(-1, quietFrame[:])
	}
	if c.life--; c.life == 0 && !c.leaving {
		c.leaving = true
		in.Hangup("call_over")
	}
}

// turn goes from listening to speaking and back.
func (c *caller) turn() {
	c.talks = !c.talks
	length := c.habits.Speech
	if !c.talks {
		length = c.habits.Listen
		if c.chance.Chance(c.habits.InterruptPercent, 100) {
			length = c.habits.CutIn
		}
	}
	c.frames = framesOf(length.draw(&c.chance))
}

// group is what a set of callers is measured by together.
type group struct {
	name     string
	host     histogram.Histogram // lateness as the host measures it
	sink     histogram.Histogram // lateness as the links measure it
	framesIn atomic.Int64
	frames   atomic.Int64 // agent frames at the sink
	failed   atomic.Int64 // sessions that could not be opened for another reason than a refusal
	sum      tally
}

// line is a call's transport. It takes every frame, unless its caller is a slow reader.
type line struct {
	crowd *Crowd
	group *group
	in    transport.Ingress
	block func() error  // nil = takes frames at once
	over  *atomic.Int64 // where it says that it has ended; nil = nobody looks
	call  int64         // of its caller

	// Of the goroutine that writes.
	generation uint32
	begun      bool
	due        int64 // nanoseconds since the crowd began, of the frame before
}

func (l *line) connect(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.in = in
	return l, nil
}

// WriteFrame holds the frame against the schedule that the turn has kept so far.
func (l *line) WriteFrame(f *transport.Frame) error {
	l.group.frames.Add(1)
	l.measure(f.Generation, int64(time.Since(l.crowd.began)))
	if l.block != nil {
		return l.block()
	}
	return nil
}

// maxBehind is how far behind its schedule a turn may fall before it has a new one: egress
// catches up three frames and no more.
const maxBehind = 3 * int64(transport.FrameDuration)

func (l *line) measure(generation uint32, at int64) {
	if !l.begun || generation != l.generation {
		l.begun, l.generation, l.due = true, generation, at
		return
	}
	due := l.due + int64(transport.FrameDuration)
	l.group.sink.Record(at - due)
	l.due = due
	if at < due || at-due > maxBehind {
		l.due = at
	}
}

// Fence has nothing to drop: the line holds nothing.
func (*line) Fence(transport.Fence) {}

// Close says that the session has ended.
func (l *line) Close(string) error {
	for l.over != nil {
		if last := l.over.Load(); last >= l.call || l.over.CompareAndSwap(last, l.call) {
			break
		}
	}
	return nil
}

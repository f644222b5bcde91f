// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// baseMS is the wall clock when a session begins, in Unix milliseconds.
const baseMS = 1_790_000_000_000

// soundDevice is the caller's sample clock: what it showed at an instant, and how much too
// fast it runs from there.
type soundDevice struct {
	at    timebase.Instant
	shows timebase.Samples
	ppm   int64
}

// position is the caller's sample clock at an instant.
func (w *world) position(at timebase.Instant) timebase.Samples {
	n := int64(at.Sub(w.device.at)) / 62500
	return w.device.shows + timebase.Samples(n+n*w.device.ppm/1_000_000)
}

// wander changes the rate of the caller's sample clock, as warmth does.
func (w *world) wander() {
	w.device = soundDevice{at: w.now, shows: w.position(w.now), ppm: w.random.Between(-500, 500)}
}

// readClock adds a reading of the wall clock to a pass, every ten seconds; more often
// where it may have been set.
func (w *world) readClock() {
	if w.solo || w.now < w.readNext || w.phase == over {
		return
	}
	every := int64(10_000)
	if w.faults.Has(TimeClockStep) {
		every = w.random.Between(1000, 5000)
	}
	w.readNext = w.now.Add(timebase.MS(every))
	w.pool.reading.WallMS = baseMS + w.now.MS() + w.wallOff.MS()
	w.add(&w.pool.reading)
}

// hear sends the caller's audio up to an instant.
func (w *world) hear(at timebase.Instant) {
	if w.linkDown || w.client.muted || w.fault(TransportLoss, 6) {
		return
	}
	if at >= w.heldUp && w.fault(TransportBurst, 16) {
		w.heldUp = at.Add(timebase.MS(w.random.Between(50, 900)))
	}
	position := w.position(at)
	if at < w.heldUp {
		w.queue.push(event{at: w.heldUp, kind: evFrame, arg: int64(position)})
		return
	}
	if w.fault(TransportGap, 6) && !w.missing(position) {
		return
	}
	w.frame(position)
}

// frame sends a frame of caller audio.
func (w *world) frame(position timebase.Samples) {
	f := w.pool.frames.get()
	w.frames++
	f.Transport, f.Epoch = w.frames, w.stamp()
	f.Sample = position
	f.Samples = timebase.FrameSamples
	f.Heard, f.Listened = position, position // who listens has taken everything before
	w.add(f)
}

// missing reports audio that did not come before a position, and says whether the frame
// at the position did.
func (w *world) missing(position timebase.Samples) bool {
	frames := min(w.random.Between(1, 12), int64(position/timebase.FrameSamples))
	if frames == 0 {
		return true // nothing lies before it
	}
	concealed := int64(0)
	if w.random.Chance(3, 4) {
		concealed = min(frames, w.random.Between(1, 3))
	}
	w.gap(position-timebase.Samples(frames)*timebase.FrameSamples, frames, concealed)
	if !w.random.Chance(1, 3) {
		return true
	}
	w.gap(position, 1, 0) // the stretch goes on, or begins
	return false
}

func (w *world) gap(from timebase.Samples, frames, concealed int64) {
	g := w.pool.gaps.get()
	g.Epoch, g.Sample, g.Reason = w.stamp(), from, "lost"
	g.Samples = timebase.Samples(frames) * timebase.FrameSamples
	g.Concealed = timebase.Samples(concealed) * timebase.FrameSamples
	w.add(g)
}

// timely says that nothing holds this session's audio up or confuses its clock: then the
// kernel has to know what the caller's sound device shows.
func (w *world) timely() bool {
	held := FaultSet(0).With(TransportHalfOpen).With(TransportReconnect).With(TransportJitter).With(TransportBurst).
		With(WorkerPause).With(TimeWallStep)
	return w.faults&held == 0 && w.habits.window == 0
}

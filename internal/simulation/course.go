// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/parley-voice/parley/internal/kernel/timebase"

// course is a run of a seed under way, from event to event.
type course struct {
	w           *world
	seed, turns int64
	faults      FaultSet
	tracing     bool // keep what a failure shows
	chance      timebase.Random
	talking     bool // a session is under way
	out         outcome
}

// course begins a run of a seed.
func (w *world) course(seed, turns int64, faults FaultSet, tracing bool) course {
	w.digest.Reset()
	w.steps, w.trace = 0, nil
	if tracing {
		w.trace = &trace{}
	}
	c := course{w: w, seed: seed, turns: turns, faults: faults, tracing: tracing, chance: timebase.NewRandom(uint64(seed))}
	c.chance.Uint64()
	return c
}

// runSeed runs the sessions of a seed once.
func (w *world) runSeed(seed, turns int64, faults FaultSet, tracing bool) outcome {
	c := w.course(seed, turns, faults, tracing)
	for c.advance() {
	}
	return c.out
}

// abreast runs a seed in two worlds, event by event in turn: what the first has just done the
// processor still knows how to do, and the second costs half as much as it would alone. The
// worlds know nothing of each other.
func abreast(first, second *world, seed, turns int64, faults FaultSet) (one, two outcome) {
	a, b := first.course(seed, turns, faults, false), second.course(seed, turns, faults, false)
	for more, again := true, true; (more || again) && a.out.violation == nil; {
		more = more && a.advance()
		again = again && b.advance()
	}
	return a.out, b.out
}

// advance goes on by an event. It says false when the run is over.
func (c *course) advance() (more bool) {
	w, o := c.w, &c.out
	defer func() {
		if p := recover(); p != nil {
			o.violation = w.violation(c.seed, o.sessions, NoPanic, explain(p, c.tracing))
			more = false
		}
	}()
	switch {
	case c.talking && w.advance():
	case c.talking:
		c.talking = false
		w.leave()
		o.sessions++
		o.add(w)
		if b := w.watch.broken; b != nil {
			o.violation = w.violation(c.seed, o.sessions, b.invariant, b.detail)
			return false
		}
	case o.turns < c.turns && o.sessions < maxSessions:
		if c.tracing {
			w.trace.lines = w.trace.lines[:0]
		}
		c.talking = true
		w.enter(c.chance.Uint64(), c.faults, c.turns-o.turns)
	default:
		o.steps = w.steps
		o.digest, o.decisions = w.digest.Sum(), w.digest.Count()
		return false
	}
	return true
}

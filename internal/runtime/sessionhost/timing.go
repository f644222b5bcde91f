// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
)

// Timing is what a host measured of its own punctuality since it began, in nanoseconds.
type Timing struct {
	// FrameLateness is how late each frame was handed to its sink against the instant it
	// was due at. The clock is read again for every few sessions of a round, see clockEvery.
	FrameLateness histogram.Snapshot
	// ControlPreempt is how long each control input waited from its post to the begin of
	// the pass that has it: control_preempt_delay_ms (flow section 4: p95 at most 5 ms under
	// saturation).
	ControlPreempt histogram.Snapshot
	// Stalls counts how often a session held an owner up so long that its other sessions
	// were gone on with elsewhere.
	Stalls int64
	// PoolWait is how long work of nodes waited for a worker of the execution pool, PoolRun
	// how long it kept one.
	PoolWait, PoolRun histogram.Snapshot
}

// timing is one shard's part of it.
type timing struct{ lateness, preempt histogram.Histogram }

// Timing gives what the host has measured so far.
func (h *Host) Timing() (t Timing) {
	t.FrameLateness = h.frameLateness()
	t.PoolWait, t.PoolRun = h.pool.Waits(), h.pool.Runs()
	for _, s := range h.shards {
		t.ControlPreempt = t.ControlPreempt.Merge(s.measured.preempt.Snapshot())
		t.Stalls += s.stalls.Load()
	}
	return t
}

func (h *Host) frameLateness() (all histogram.Snapshot) {
	for _, s := range h.shards {
		all = all.Merge(s.measured.lateness.Snapshot())
	}
	return all
}

// lateness is who is told how late a session's frames leave; nil in virtual time, where
// nothing is late, unless somebody asks.
func (s *Session) lateness() func(by timebase.Span) {
	var all *histogram.Histogram
	if t := s.driver.timing(); t != nil {
		all = &t.lateness
	}
	own := s.settings.Lateness
	switch {
	case all == nil && own == nil:
		return nil
	case all == nil:
		return func(by timebase.Span) { own.Record(int64(by)) }
	case own == nil:
		return func(by timebase.Span) { all.Record(int64(by)) }
	}
	return func(by timebase.Span) {
		all.Record(int64(by))
		own.Record(int64(by))
	}
}

// preempted counts how long the control of the pass that begins has waited. It has a
// reading of the clock of its own, because control is rare and may have come since the
// round began.
func (s *Session) preempted() {
	if len(s.controls) == 0 {
		return
	}
	t, now := s.driver.timing(), s.driver.now()
	for _, posted := range s.controls {
		wait := now.Sub(posted)
		if t != nil {
			t.preempt.Record(int64(wait))
		}
		s.meter.preempted(wait)
	}
	s.controls = s.controls[:0]
}

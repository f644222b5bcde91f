// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// KernelOverheadBudget is what the kernel's own decisions may take of a turn, at the 95th
// percentile of turns (flow section 7). It is a limit to watch, not one that acts.
const KernelOverheadBudget = 20 * timebase.Millisecond

// Overhead is kernel_overhead_ms: the time spent in the kernel's Step, apart from nodes,
// providers and the performing of decisions. Passes of caller frames alone decide nothing
// and are not measured: one frame takes the kernel about 10 ns, so the error is half a
// microsecond a second, and up to the time of one look at the clock a pass. A pass that
// closes one turn and opens the next counts for the first. In virtual time it is zero.
type Overhead struct {
	Total timebase.Span // of the session
	Worst timebase.Span // of one turn
	Turns int64         // closed
	Over  int64         // turns above KernelOverheadBudget: at most one in twenty keeps it
}

// overhead is the account under way.
type overhead struct {
	Overhead
	turn timebase.Span // of the live turn so far
}

// closeTurn ends a turn's account.
func (o *overhead) closeTurn() timebase.Span {
	took := o.turn
	o.turn = 0
	o.Turns++
	o.Worst = max(o.Worst, took)
	if took > KernelOverheadBudget {
		o.Over++
	}
	return took
}

// step steps the kernel, with the clock read around it where it decides something.
func (s *Session) step(at timebase.Instant, in []session.Input) {
	if !s.deciding {
		s.machine.Step(at, in, &s.fx)
		return
	}
	live := s.machine.TurnLive()
	began := s.clock()
	s.machine.Step(at, in, &s.fx)
	took := s.clock().Sub(began)
	s.overhead.Total += took
	if live || s.machine.TurnLive() || closes(s.fx.List) {
		s.overhead.turn += took
	}
}

// closes says that a turn ends in a pass, maybe one that began in it.
func closes(list []session.Effect) bool {
	for _, e := range list {
		if _, ok := e.(*session.Evidence); ok {
			return true
		}
	}
	return false
}

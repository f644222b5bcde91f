// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"
	"sync/atomic"

	"github.com/parley-voice/parley/api/controlplane"
)

// Standing is how a session stands, for those who look on from outside: asking for it waits
// for nobody, whatever the session's owner is busy with.
type Standing struct {
	State    controlplane.SessionState
	Degraded bool
	Turns    int64 // accepted
	// FramesIn are the caller's, FramesOut those at the sink; FramesAfterFence are those of
	// them of a turn that was fenced: zero, always.
	FramesIn, FramesOut, FramesAfterFence int64
	// SamplesMissing are those of the caller's that did not come in time, and SamplesConcealed
	// what of them was guessed.
	SamplesMissing, SamplesConcealed int64
}

// standing is what the owner keeps of it.
type standing struct {
	state atomic.Int32 // index into sessionStates, and standingDegraded
	turns atomic.Int64
}

const standingDegraded = 1 << 8

// sessionStates lists the states in their order.
func sessionStates() [4]controlplane.SessionState {
	return [...]controlplane.SessionState{
		controlplane.SessionConnecting, controlplane.SessionActive, controlplane.SessionDraining, controlplane.SessionEnded,
	}
}

// stand notes how the session stands after a pass that decided something. The owner calls
// it.
func (s *Session) stand() {
	states := sessionStates()
	state := int32(max(slices.Index(states[:], s.machine.State()), 0))
	if s.machine.Degraded() {
		state |= standingDegraded
	}
	s.standing.state.Store(state)
	s.standing.turns.Store(s.machine.Counters().Turns)
}

// Standing gives how the session stands.
func (s *Session) Standing() Standing {
	packed := s.standing.state.Load()
	out := Standing{
		State: sessionStates()[packed&^standingDegraded], Degraded: packed&standingDegraded != 0, Turns: s.standing.turns.Load(),
		FramesIn: s.counts.frames.Load(), FramesOut: s.witness.Frames(), FramesAfterFence: s.witness.AfterFence(""),
		SamplesMissing: s.counts.missing.Load(), SamplesConcealed: s.counts.concealed.Load(),
	}
	select {
	case <-s.done: // also when the kernel could not end it
		out.State = controlplane.SessionEnded
	default:
	}
	return out
}

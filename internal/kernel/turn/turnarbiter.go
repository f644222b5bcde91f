// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
)

// Cause is why an Active turn should end. The numeric order is the precedence of
// lifecycle section 4: the lowest pending cause wins.
type Cause uint8

// The causes, in order of precedence.
const (
	CauseNone       Cause = iota
	CauseAuthority        // authority loss
	CauseCancel           // accepted cancel of turn or session
	CauseEvidence         // recording_evidence_unavailable
	CauseBudget           // budget exhausted with terminate
	CauseFailure          // unrecoverable runtime or provider error
	CauseDisconnect       // disconnect or cleanup timeout
	CauseCommit           // work finished
	causeCount
)

func (c Cause) String() string {
	switch c {
	case CauseNone:
		return "none"
	case CauseAuthority:
		return "authority_loss"
	case CauseCancel:
		return "cancel"
	case CauseEvidence:
		return "recording_evidence_unavailable"
	case CauseBudget:
		return "budget_exhausted"
	case CauseFailure:
		return "failure"
	case CauseDisconnect:
		return "disconnect"
	case CauseCommit, causeCount:
		return "commit"
	}
	return "commit"
}

// TransitionError reports a trigger that the turn's state does not admit.
type TransitionError struct {
	From    controlplane.TurnState
	Trigger controlplane.Trigger
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%s: %s does not admit %s", controlplane.CodeInvalidTurnTransition, e.From, e.Trigger)
}

// Arbiter is the state machine of one turn, from proposal to close, and the place
// where pending causes wait for the arbitration point. The zero value is at rest.
type Arbiter struct {
	state   controlplane.TurnState
	pending [causeCount]bool
	reasons [causeCount]controlplane.AbortReason
}

// State gives the turn's state.
func (a *Arbiter) State() controlplane.TurnState {
	if a.state == "" {
		return controlplane.TurnIdle
	}
	return a.state
}

// Live is true between turn_open and close.
func (a *Arbiter) Live() bool {
	return a.state == controlplane.TurnActive || a.state == controlplane.TurnTerminal
}

// Move takes a declared edge, or refuses and changes nothing.
func (a *Arbiter) Move(trigger controlplane.Trigger) (controlplane.TurnTransition, error) {
	from := a.State()
	to, ok := controlplane.LegalTransition(from, trigger)
	if !ok {
		return controlplane.TurnTransition{}, &TransitionError{From: from, Trigger: trigger}
	}
	a.state = to
	return controlplane.TurnTransition{FromState: from, Trigger: trigger, ToState: to, Deterministic: true}, nil
}

// Rest puts the arbiter back to Idle after a close, ready for the next proposal.
func (a *Arbiter) Rest() {
	if a.State() == controlplane.TurnClosed {
		*a = Arbiter{}
	}
}

// Raise makes a cause pending. The first reason given for a cause stays.
func (a *Arbiter) Raise(c Cause, reason controlplane.AbortReason) {
	if a.state != controlplane.TurnActive || a.pending[c] {
		return
	}
	a.pending[c] = true
	a.reasons[c] = reason
}

// Pending says whether a cause waits for arbitration.
func (a *Arbiter) Pending(c Cause) bool { return a.pending[c] }

// Ending says that the turn ends at this arbitration point, and not with commit.
func (a *Arbiter) Ending() bool {
	for c := CauseAuthority; c < CauseCommit; c++ {
		if a.pending[c] {
			return true
		}
	}
	return false
}

// Resolve gives the winning cause of this arbitration point with its abort reason
// (empty for commit), and whether there is one. It leaves the losers pending, for
// Losers to name.
func (a *Arbiter) Resolve() (Cause, controlplane.AbortReason, bool) {
	for c := CauseAuthority; c < causeCount; c++ {
		if a.pending[c] {
			return c, a.reasons[c], true
		}
	}
	return CauseNone, "", false
}

// Losers appends the pending causes other than the winner, in order of precedence.
func (a *Arbiter) Losers(dst []Cause, winner Cause) []Cause {
	for c := CauseAuthority; c < causeCount; c++ {
		if a.pending[c] && c != winner {
			dst = append(dst, c)
		}
	}
	return dst
}

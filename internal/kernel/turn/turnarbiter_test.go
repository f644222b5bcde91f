// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"errors"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

func states() []controlplane.TurnState {
	return []controlplane.TurnState{
		controlplane.TurnIdle, controlplane.TurnOpening, controlplane.TurnActive, controlplane.TurnTerminal, controlplane.TurnClosed,
	}
}

func triggers() []controlplane.Trigger {
	return []controlplane.Trigger{
		controlplane.TriggerTurnOpenProposed, controlplane.TriggerTurnOpen, controlplane.TriggerReject, controlplane.TriggerDefer,
		controlplane.TriggerStaleEpochReject, controlplane.TriggerDeauthorizedDrain, controlplane.TriggerCommit,
		controlplane.TriggerAbort, controlplane.TriggerClose,
	}
}

// arbiterIn gives an arbiter that came to a state by legal edges.
func arbiterIn(t *testing.T, s controlplane.TurnState) Arbiter {
	t.Helper()
	var a Arbiter
	for _, way := range []controlplane.Trigger{
		controlplane.TriggerTurnOpenProposed, controlplane.TriggerTurnOpen, controlplane.TriggerCommit, controlplane.TriggerClose,
	} {
		if a.State() == s {
			return a
		}
		if _, err := a.Move(way); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// Lifecycle section 2: the legal edges are those of the table and no others. Any other
// pair is refused with invalid_turn_transition and changes nothing.
func TestArbiterEdges(t *testing.T) {
	type edge struct {
		from    controlplane.TurnState
		trigger controlplane.Trigger
	}
	legal := map[edge]controlplane.TurnState{
		{"Idle", "turn_open_proposed"}:    "Opening",
		{"Opening", "turn_open"}:          "Active",
		{"Opening", "reject"}:             "Idle",
		{"Opening", "defer"}:              "Idle",
		{"Opening", "stale_epoch_reject"}: "Idle",
		{"Opening", "deauthorized_drain"}: "Idle",
		{"Active", "commit"}:              "Terminal",
		{"Active", "abort"}:               "Terminal",
		{"Terminal", "close"}:             "Closed",
	}
	for _, from := range states() {
		for _, trigger := range append(triggers(), "", "reopen") {
			a := arbiterIn(t, from)
			got, err := a.Move(trigger)
			to, ok := legal[edge{from, trigger}]
			if ok {
				want := controlplane.TurnTransition{FromState: from, Trigger: trigger, ToState: to, Deterministic: true}
				if err != nil || got != want || a.State() != to {
					t.Errorf("%s by %s: %+v, %v; now %s", from, trigger, got, err, a.State())
				}
				continue
			}
			var refused *TransitionError
			if !errors.As(err, &refused) || refused.From != from || refused.Trigger != trigger || a.State() != from {
				t.Errorf("%s by %q is not refused: %v, now %s", from, trigger, err, a.State())
			}
		}
	}
}

func TestArbiterLiveAndRest(t *testing.T) {
	for _, s := range states() {
		a := arbiterIn(t, s)
		if want := s == controlplane.TurnActive || s == controlplane.TurnTerminal; a.Live() != want {
			t.Errorf("%s: live %v", s, a.Live())
		}
		a.Rest()
		if want := s; s == controlplane.TurnClosed {
			if a.State() != controlplane.TurnIdle {
				t.Errorf("a closed turn does not rest: %s", a.State())
			}
		} else if a.State() != want {
			t.Errorf("%s: rest moves to %s", s, a.State())
		}
	}
}

func abortReason(c Cause) controlplane.AbortReason { return controlplane.AbortReason(c.String()) }

// Lifecycle section 4: of every set of causes the one that stands first wins; commit
// loses to everything; the losers are named in order.
func TestArbiterPrecedence(t *testing.T) {
	for set := 1; set < 1<<(causeCount-1); set++ {
		a := arbiterIn(t, controlplane.TurnActive)
		var raised []Cause
		for c := causeCount - 1; c >= CauseAuthority; c-- { // the order of raising decides nothing
			if set>>(c-1)&1 == 1 {
				a.Raise(c, abortReason(c))
				raised = append([]Cause{c}, raised...)
			}
		}
		winner, reason, ok := a.Resolve()
		if !ok || winner != raised[0] || reason != abortReason(winner) {
			t.Fatalf("%v: %s wins with %s", raised, winner, reason)
		}
		losers := a.Losers(nil, winner)
		if len(losers) != len(raised)-1 {
			t.Fatalf("%v: losers %v", raised, losers)
		}
		for i, l := range losers {
			if l != raised[i+1] || !a.Pending(l) {
				t.Fatalf("%v: losers %v", raised, losers)
			}
		}
	}
}

func TestArbiterRaise(t *testing.T) {
	for _, s := range states() {
		a := arbiterIn(t, s)
		a.Raise(CauseCancel, controlplane.AbortCancelled)
		if a.Pending(CauseCancel) != (s == controlplane.TurnActive) {
			t.Errorf("%s: a cancel is pending: %v", s, a.Pending(CauseCancel))
		}
	}
	a := arbiterIn(t, controlplane.TurnActive)
	if _, _, ok := a.Resolve(); ok {
		t.Error("nothing was raised, and something wins")
	}
	a.Raise(CauseFailure, controlplane.AbortProviderFailure)
	a.Raise(CauseFailure, controlplane.AbortNodeFailure)
	if _, reason, _ := a.Resolve(); reason != controlplane.AbortProviderFailure {
		t.Errorf("the first reason does not stay: %s", reason)
	}
	for _, way := range []controlplane.Trigger{controlplane.TriggerAbort, controlplane.TriggerClose} {
		if _, err := a.Move(way); err != nil {
			t.Fatal(err)
		}
	}
	a.Rest()
	if a.Pending(CauseFailure) {
		t.Error("a cause outlives its turn")
	}
}

func TestCauseNames(t *testing.T) {
	seen := map[string]bool{}
	for c := CauseNone; c < causeCount; c++ {
		if seen[c.String()] {
			t.Errorf("two causes are called %s", c)
		}
		seen[c.String()] = true
	}
}

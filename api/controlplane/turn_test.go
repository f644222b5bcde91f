// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// Lifecycle section 2: these edges and no others.
func TestLegalTransition(t *testing.T) {
	states := []TurnState{TurnIdle, TurnOpening, TurnActive, TurnTerminal, TurnClosed, "Elsewhere"}
	triggers := []Trigger{
		TriggerTurnOpenProposed, TriggerTurnOpen, TriggerReject, TriggerDefer, TriggerStaleEpochReject,
		TriggerDeauthorizedDrain, TriggerCommit, TriggerAbort, TriggerClose, "nudge",
	}
	legal := 0
	for _, from := range states {
		for _, trigger := range triggers {
			i := slices.IndexFunc(TurnTransitions(), func(e TurnTransition) bool { return e.FromState == from && e.Trigger == trigger })
			to, ok := LegalTransition(from, trigger)
			if ok != (i >= 0) || ok && to != TurnTransitions()[i].ToState {
				t.Errorf("LegalTransition(%s, %s) = %s, %v", from, trigger, to, ok)
			}
			if ok {
				legal++
			}
		}
	}
	if legal != 9 || len(TurnTransitions()) != 9 {
		t.Errorf("%d legal edges, %d listed; lifecycle section 2 has 9", legal, len(TurnTransitions()))
	}
}

// Event-abi section 7: the general rules hold for every row, and rows that Parley may
// not write are marked.
func TestOutcomeMatrix(t *testing.T) {
	for _, row := range OutcomeMatrix() {
		for _, scope := range row.Scopes {
			point := slices.Contains(SchedulingPoints(), scope)
			switch row.Phase {
			case PhaseSchedulingPoint:
				if !point {
					t.Errorf("%+v: scope %s is no scheduling point", row, scope)
				}
			case PhasePreTurn:
				if point {
					t.Errorf("%+v: scheduling point %s before the turn", row, scope)
				}
			case PhaseActiveTurn:
				if !point && scope != OutcomeTurn {
					t.Errorf("%+v: scope %s in an active turn", row, scope)
				}
			}
			if got, ok := LookupOutcome(row.Kind, row.Emitter, row.Phase, scope); !ok || got.ReadOnly != row.ReadOnly {
				t.Errorf("LookupOutcome(%s, %s, %s, %s) = %+v, %v", row.Kind, row.Emitter, row.Phase, scope, got, ok)
			}
		}
		later := row.Emitter == eventabi.EmitterAdmission && row.Kind != OutcomeShed && row.Phase != PhasePreTurn
		if row.ReadOnly != later {
			t.Errorf("%+v: ReadOnly is %v", row, row.ReadOnly)
		}
	}
	if _, ok := LookupOutcome(OutcomeAdmit, eventabi.EmitterFleetAdmit, PhasePreTurn, OutcomeTurn); ok {
		t.Error("the fleet admits a turn")
	}
}

func TestTable(t *testing.T) {
	table := NewTable(Entry[int]{"b", 1}, Entry[int]{"é", 2}, Entry[int]{"a", 3}, Entry[int]{"b", 4})
	raw, err := json.Marshal(table)
	if err != nil || string(raw) != `{"a":3,"b":4,"é":2}` {
		t.Errorf("written as %s, %v", raw, err)
	}
	if v, ok := table.Get("b"); !ok || v != 4 {
		t.Errorf("Get(b) = %d, %v", v, ok)
	}
	if _, ok := table.Get("c"); ok {
		t.Error("Get finds a key that is not there")
	}
	var back Table[int]
	if err := json.Unmarshal([]byte(`{"é":2,"b":4,"a":3}`), &back); err != nil || !slices.Equal(back, table) {
		t.Errorf("read as %v, %v", back, err)
	}
	for _, bad := range []string{`{"a":1,"a":2}`, `[1]`, `{"a":"x"}`, `3`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	unsorted := Table[int]{{"b", 1}, {"a", 2}}
	if raw, err := json.Marshal(unsorted); err != nil || string(raw) != `{"a":2,"b":1}` {
		t.Errorf("an unsorted literal is written as %s, %v", raw, err)
	}
	if raw, err := json.Marshal(Table[int](nil)); err != nil || string(raw) != `{}` {
		t.Errorf("nil is written as %s, %v", raw, err)
	}
}

func TestSnapshots(t *testing.T) {
	s := Snapshots{RoutingView: Snapshot{Ref: "routing-view/3", Version: 3, AsOfMS: 1000}}
	if s.Provenance().RoutingView != "routing-view/3" || s.Get(SnapshotRoutingView).Missing() || !s.Get(SnapshotPolicyResolution).Missing() {
		t.Errorf("provenance is %+v", s.Provenance())
	}
	// Turn-plan section 4: a routing view is good for 10000 ms.
	if v := s.RoutingView; v.Stale(SnapshotRoutingView, 11000) || !v.Stale(SnapshotRoutingView, 11001) {
		t.Error("the bound of a routing view is not 10000 ms")
	}
	for _, k := range SnapshotKinds() {
		if k.MaxAgeMS() == 0 {
			t.Errorf("%s has no bound", k)
		}
	}
}

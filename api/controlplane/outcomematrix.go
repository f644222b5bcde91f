// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
)

// OutcomeRow is one row of the decision-outcome matrix (event-abi section 7): in this
// phase, this emitter may decide that kind about these scopes. Fields in Requires are
// needed besides those that every outcome has.
type OutcomeRow struct {
	Kind     OutcomeKind
	Emitter  eventabi.Emitter
	Phase    OutcomePhase
	Scopes   []OutcomeScope
	Requires []string
	// ReadOnly rows are tolerated in artifacts of others; Parley does not write them.
	ReadOnly bool
}

// SchedulingPoints lists the three points at which the kernel may shed.
func SchedulingPoints() []OutcomeScope {
	return []OutcomeScope{OutcomeEdgeEnqueue, OutcomeEdgeDequeue, OutcomeNodeDispatch}
}

// OutcomeMatrix returns every row, in the order of event-abi section 7.
func OutcomeMatrix() []OutcomeRow {
	points := SchedulingPoints()
	epoch := []string{"authority_epoch"}
	var out []OutcomeRow
	for _, kind := range []OutcomeKind{OutcomeAdmit, OutcomeReject, OutcomeDefer} {
		out = append(out,
			OutcomeRow{
				Kind: kind, Emitter: eventabi.EmitterFleetAdmit, Phase: PhasePreTurn,
				Scopes: []OutcomeScope{OutcomeTenant, OutcomeSession},
			},
			OutcomeRow{
				Kind: kind, Emitter: eventabi.EmitterAdmission, Phase: PhasePreTurn,
				Scopes: []OutcomeScope{OutcomeTenant, OutcomeSession, OutcomeTurn},
			},
			OutcomeRow{
				Kind: kind, Emitter: eventabi.EmitterAdmission, Phase: PhaseSchedulingPoint,
				Scopes: points, ReadOnly: true,
			},
			OutcomeRow{
				Kind: kind, Emitter: eventabi.EmitterAdmission, Phase: PhaseActiveTurn,
				Scopes: append([]OutcomeScope{OutcomeTurn}, points...), ReadOnly: true,
			},
		)
	}
	subjects := []OutcomeScope{OutcomeSession, OutcomeTurn}
	guard := eventabi.EmitterAuthority
	return append(out,
		OutcomeRow{Kind: OutcomeShed, Emitter: eventabi.EmitterAdmission, Phase: PhaseSchedulingPoint, Scopes: points},
		OutcomeRow{Kind: OutcomeStaleEpochReject, Emitter: guard, Phase: PhasePreTurn, Scopes: subjects, Requires: epoch},
		OutcomeRow{Kind: OutcomeStaleEpochReject, Emitter: guard, Phase: PhaseSchedulingPoint, Scopes: points, Requires: epoch},
		OutcomeRow{Kind: OutcomeDeauthorizedDrain, Emitter: guard, Phase: PhasePreTurn, Scopes: subjects, Requires: epoch},
		OutcomeRow{
			Kind: OutcomeDeauthorizedDrain, Emitter: guard, Phase: PhaseActiveTurn,
			Scopes: []OutcomeScope{OutcomeTurn}, Requires: []string{"authority_epoch", "turn_id"},
		},
	)
}

// LookupOutcome returns the row for a kind that emitter decides in phase about scope,
// or false when the matrix has none.
func LookupOutcome(kind OutcomeKind, emitter eventabi.Emitter, phase OutcomePhase, scope OutcomeScope) (OutcomeRow, bool) {
	for _, row := range OutcomeMatrix() {
		if row.Kind == kind && row.Emitter == emitter && row.Phase == phase && slices.Contains(row.Scopes, scope) {
			return row, true
		}
	}
	return OutcomeRow{}, false
}

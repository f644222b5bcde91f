// SPDX-License-Identifier: Apache-2.0

package controlplane

import "github.com/parley-voice/parley/api/eventabi"

// OutcomeKind is the kind of a decision outcome.
type OutcomeKind string

// The six outcome kinds.
const (
	OutcomeAdmit             OutcomeKind = "admit"
	OutcomeReject            OutcomeKind = "reject"
	OutcomeDefer             OutcomeKind = "defer"
	OutcomeShed              OutcomeKind = "shed"
	OutcomeStaleEpochReject  OutcomeKind = "stale_epoch_reject"
	OutcomeDeauthorizedDrain OutcomeKind = "deauthorized_drain"
)

// OutcomePhase is when in a turn's life a decision fell.
type OutcomePhase string

// The three phases.
const (
	PhasePreTurn         OutcomePhase = "pre_turn"
	PhaseSchedulingPoint OutcomePhase = "scheduling_point"
	PhaseActiveTurn      OutcomePhase = "active_turn"
)

// OutcomeScope is what a decision concerned.
type OutcomeScope string

// The scopes: three subjects and three scheduling points. A stale transport ingress
// counts as edge_enqueue, a stale egress as edge_dequeue (event-abi section 7).
const (
	OutcomeTenant       OutcomeScope = "tenant"
	OutcomeSession      OutcomeScope = "session"
	OutcomeTurn         OutcomeScope = "turn"
	OutcomeEdgeEnqueue  OutcomeScope = "edge_enqueue"
	OutcomeEdgeDequeue  OutcomeScope = "edge_dequeue"
	OutcomeNodeDispatch OutcomeScope = "node_dispatch"
)

// DecisionOutcome is the evidence of one admission, shedding or authority decision
// (event-abi section 7). TurnID, AuthorityEpoch and TimestampMS are absent when
// zero; which of them a decision needs is a matter of its kind, phase and scope.
type DecisionOutcome struct {
	OutcomeKind          OutcomeKind        `json:"outcome_kind"`
	Phase                OutcomePhase       `json:"phase"`
	Scope                OutcomeScope       `json:"scope"`
	SessionID            eventabi.SessionID `json:"session_id"`
	TurnID               eventabi.TurnID    `json:"turn_id,omitempty"`
	EventID              eventabi.EventID   `json:"event_id"`
	RuntimeTimestampMS   int64              `json:"runtime_timestamp_ms"`
	WallClockTimestampMS int64              `json:"wall_clock_timestamp_ms"`
	TimestampMS          *int64             `json:"timestamp_ms,omitempty"`
	AuthorityEpoch       *eventabi.Epoch    `json:"authority_epoch,omitempty"`
	EmittedBy            eventabi.Emitter   `json:"emitted_by"`
	Reason               string             `json:"reason"`
}

// ArtifactBundle is one of each contract artifact (event-abi, opening section).
type ArtifactBundle struct {
	Event            eventabi.Envelope `json:"event"`
	ControlSignal    eventabi.Envelope `json:"control_signal"`
	TurnTransition   TurnTransition    `json:"turn_transition"`
	ResolvedTurnPlan ResolvedTurnPlan  `json:"resolved_turn_plan"`
	DecisionOutcome  DecisionOutcome   `json:"decision_outcome"`
}

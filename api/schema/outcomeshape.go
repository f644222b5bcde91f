// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Codes of faults that outcomes and transitions report besides those of their fields.
const (
	CodeOutcomeEmitter    = "outcome_emitter"
	CodeOutcomePhase      = "outcome_phase"
	CodeOutcomeScope      = "outcome_scope"
	CodeIllegalTransition = "illegal_transition"
)

// outcomeShape describes a decision outcome, event-abi section 7.
func outcomeShape() *shape.Shape {
	points := controlplane.SchedulingPoints()
	subjects := []controlplane.OutcomeScope{
		controlplane.OutcomeTenant, controlplane.OutcomeSession, controlplane.OutcomeTurn,
	}
	s := closed("",
		need("outcome_kind", shape.OneOf("the decision", controlplane.OutcomeAdmit, controlplane.OutcomeReject,
			controlplane.OutcomeDefer, controlplane.OutcomeShed, controlplane.OutcomeStaleEpochReject,
			controlplane.OutcomeDeauthorizedDrain)),
		need("phase", shape.OneOf("when it fell", controlplane.PhasePreTurn, controlplane.PhaseSchedulingPoint,
			controlplane.PhaseActiveTurn)),
		need("scope", shape.OneOf("what it concerned", slices.Concat(subjects, points)...)),
		need("session_id", id("the session's id")),
		may("turn_id", id("the turn's id")),
		need("event_id", id("the event's id")),
		need("runtime_timestamp_ms", shape.Count("monotonic clock, milliseconds", 0)),
		need("wall_clock_timestamp_ms", shape.Count("wall clock, milliseconds", 0)),
		may("timestamp_ms", shape.Count("legacy copy of runtime_timestamp_ms", 0)),
		may("authority_epoch", shape.Count("the lease epoch", 0)),
		need("emitted_by", shape.OneOf("who decided", eventabi.EmitterAuthority, eventabi.EmitterAdmission,
			eventabi.EmitterFleetAdmit)),
		need("reason", shape.Text("why")),
	)
	s.Rules = append([]shape.Rule{
		{
			Doc: "scope turn needs turn_id, event-abi section 7", When: []shape.Cond{shape.In("scope", "turn")},
			Then: []shape.Demand{shape.Require("turn_id").As(CodeTurnScope)},
		},
		{
			Doc: "a decision in an active turn names it, event-abi section 7", When: []shape.Cond{shape.In("phase", "active_turn")},
			Then: []shape.Demand{
				shape.Require("turn_id").As(CodeTurnScope),
				shape.Restrict("scope", shape.OneOf("the scope",
					append([]controlplane.OutcomeScope{controlplane.OutcomeTurn}, points...)...)).As(CodeOutcomeScope),
			},
		},
		{
			Doc: "a scheduling point is one of the three, event-abi section 7", When: []shape.Cond{shape.In("phase", "scheduling_point")},
			Then: []shape.Demand{shape.Restrict("scope", shape.OneOf("the scope", points...)).As(CodeOutcomeScope)},
		},
		{
			Doc: "before a turn there are no scheduling points, event-abi section 7", When: []shape.Cond{shape.In("phase", "pre_turn")},
			Then: []shape.Demand{shape.Restrict("scope", shape.OneOf("the scope", subjects...)).As(CodeOutcomeScope)},
		},
	}, matrixRules()...)
	return s
}

// matrixRules turns the decision-outcome matrix into rules: which emitters a kind
// has, which phases those two have, which scopes those three have.
func matrixRules() []shape.Rule {
	rows := controlplane.OutcomeMatrix()
	var out []shape.Rule
	for i, row := range rows {
		isKind := shape.In("outcome_kind", string(row.Kind))
		isEmitter := shape.In("emitted_by", string(row.Emitter))
		first := func(same func(controlplane.OutcomeRow) bool) bool { return !slices.ContainsFunc(rows[:i], same) }
		sameKind := func(r controlplane.OutcomeRow) bool { return r.Kind == row.Kind }
		samePair := func(r controlplane.OutcomeRow) bool { return sameKind(r) && r.Emitter == row.Emitter }
		if first(sameKind) {
			out = append(out, shape.Rule{
				Doc: fmt.Sprintf("who decides %s, event-abi section 7", row.Kind), When: []shape.Cond{isKind},
				Then: []shape.Demand{shape.Restrict("emitted_by", shape.OneOf("who decided",
					collect(rows, sameKind, func(r controlplane.OutcomeRow) eventabi.Emitter { return r.Emitter })...)).As(CodeOutcomeEmitter)},
			})
		}
		if first(samePair) {
			out = append(out, shape.Rule{
				Doc: fmt.Sprintf("when %s decides %s, event-abi section 7", row.Emitter, row.Kind), When: []shape.Cond{isKind, isEmitter},
				Then: []shape.Demand{shape.Restrict("phase", shape.OneOf("the phase",
					collect(rows, samePair, func(r controlplane.OutcomeRow) controlplane.OutcomePhase { return r.Phase })...)).As(CodeOutcomePhase)},
			})
		}
		then := []shape.Demand{shape.Restrict("scope", shape.OneOf("the scope", row.Scopes...)).As(CodeOutcomeScope)}
		if len(row.Requires) > 0 {
			then = append(then, shape.Require(row.Requires...))
		}
		out = append(out, shape.Rule{
			Doc:  fmt.Sprintf("%s by %s in phase %s, event-abi section 7", row.Kind, row.Emitter, row.Phase),
			When: []shape.Cond{isKind, isEmitter, shape.In("phase", string(row.Phase))}, Then: then,
		})
	}
	return out
}

// collect gathers the distinct values of the rows that match.
func collect[T comparable](rows []controlplane.OutcomeRow, match func(controlplane.OutcomeRow) bool,
	value func(controlplane.OutcomeRow) T,
) []T {
	var out []T
	for _, r := range rows {
		if match(r) && !slices.Contains(out, value(r)) {
			out = append(out, value(r))
		}
	}
	return out
}

// transitionShape describes a turn transition, lifecycle section 2.
func transitionShape() *shape.Shape {
	var triggers []controlplane.Trigger
	var rules []shape.Rule
	for _, e := range controlplane.TurnTransitions() { // every trigger has one edge; a test holds that
		triggers = append(triggers, e.Trigger)
		then := []shape.Demand{
			shape.Restrict("from_state", shape.OneOf("the state it leaves", e.FromState)).As(CodeIllegalTransition),
			shape.Restrict("to_state", shape.OneOf("the state it reaches", e.ToState)).As(CodeIllegalTransition),
		}
		rules = append(rules, shape.Rule{
			Doc:  fmt.Sprintf("%s leads from %s to %s, lifecycle section 2", e.Trigger, e.FromState, e.ToState),
			When: []shape.Cond{shape.In("trigger", string(e.Trigger))}, Then: then,
		})
	}
	states := shape.OneOf("a turn state", controlplane.TurnIdle, controlplane.TurnOpening, controlplane.TurnActive,
		controlplane.TurnTerminal, controlplane.TurnClosed)
	s := closed("",
		need("from_state", states),
		need("trigger", shape.OneOf("what moves the turn", triggers...)),
		need("to_state", states),
		need("deterministic", &shape.Shape{Type: shape.Boolean, MustBeTrue: true, Doc: "always true"}),
	)
	s.Rules = rules
	return s
}

// bundleShape describes one of each artifact.
func bundleShape() *shape.Shape {
	part := func(name string, k Kind) shape.Field {
		s := *shapeOf(k)
		s.Ref = k.URN()
		return need(name, &s)
	}
	return closed("",
		part("event", EventRecord), part("control_signal", ControlSignal), part("turn_transition", TurnTransition),
		part("resolved_turn_plan", ResolvedTurnPlan), part("decision_outcome", DecisionOutcome),
	)
}

// shapeOf returns the shape of a kind; nil for an unknown one.
func shapeOf(k Kind) *shape.Shape {
	switch k {
	case EventRecord:
		return recordShape()
	case ControlSignal:
		return signalShape()
	case TurnTransition:
		return transitionShape()
	case ResolvedTurnPlan:
		return planShape()
	case DecisionOutcome:
		return outcomeShape()
	case ArtifactBundle:
		return bundleShape()
	case PipelineSpec:
		return specShape()
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package schema

import "github.com/parley-voice/parley/api/eventabi"

// Kind is a kind of contract artifact.
type Kind string

// The six kinds.
const (
	EventRecord      Kind = "event_record"
	ControlSignal    Kind = "control_signal"
	TurnTransition   Kind = "turn_transition"
	ResolvedTurnPlan Kind = "resolved_turn_plan"
	DecisionOutcome  Kind = "decision_outcome"
	ArtifactBundle   Kind = "artifact_bundle"
)

// PipelineSpec is what an author writes (turn-plan section 1), in JSON or as the JSON of
// a YAML file. It is no contract artifact, and not in Kinds.
const PipelineSpec Kind = "pipeline_spec"

// Kinds lists the kinds in the order of event-abi, opening section.
func Kinds() []Kind {
	return []Kind{EventRecord, ControlSignal, TurnTransition, ResolvedTurnPlan, DecisionOutcome, ArtifactBundle}
}

// PublishedKinds lists the kinds that have a schema: the artifacts, and the spec that
// authors write.
func PublishedKinds() []Kind { return append(Kinds(), PipelineSpec) }

// ParseKind reads the name of a published kind; "event" is an alias of event_record.
func ParseKind(name string) (Kind, bool) {
	if name == "event" {
		return EventRecord, true
	}
	for _, k := range PublishedKinds() {
		if string(k) == name {
			return k, true
		}
	}
	return "", false
}

// URN is the $id of the kind's published schema.
func (k Kind) URN() string { return "urn:parley:schema:" + eventabi.SchemaVersion + ":" + string(k) }

// title is the kind in words.
func (k Kind) title() string {
	switch k {
	case EventRecord:
		return "Event record: an event without a signal"
	case ControlSignal:
		return "Control signal: an event on ControlLane"
	case TurnTransition:
		return "Turn transition: one legal move of the turn machine"
	case ResolvedTurnPlan:
		return "Resolved turn plan: everything a turn may do"
	case DecisionOutcome:
		return "Decision outcome: one admission, shedding or authority decision"
	case ArtifactBundle:
		return "Artifact bundle: one of each contract artifact"
	case PipelineSpec:
		return "Pipeline spec: a graph and its settings as an author writes them"
	}
	return string(k)
}

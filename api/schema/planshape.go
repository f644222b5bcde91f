// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Codes of faults that plans report besides those of their fields.
const (
	CodePlanHashMismatch = "plan_hash_mismatch"
	CodePlanIDMismatch   = "plan_id_mismatch"
	CodeCanonicalOrder   = "canonical_order"
	CodeWatermarkOrder   = "watermark_order"
	CodeHandoffStage     = "handoff_stage"
	CodeHandoffIdle      = "handoff_idle"
)

func need(name string, s *shape.Shape) shape.Field {
	return shape.Field{Name: name, Required: true, Shape: s}
}

func may(name string, s *shape.Shape) shape.Field { return shape.Field{Name: name, Shape: s} }

func closed(doc string, fields ...shape.Field) *shape.Shape {
	return &shape.Shape{Type: shape.Object, Doc: doc, Fields: fields}
}

func tableOf(doc string, values *shape.Shape) *shape.Shape {
	return &shape.Shape{Type: shape.Object, Doc: doc, Names: shape.NonEmpty, Values: values}
}

func setOf(doc string, items *shape.Shape, least int) *shape.Shape {
	return &shape.Shape{Type: shape.Array, Doc: doc, Items: items, MinItems: least, Unique: true}
}

func actions() *shape.Shape {
	return setOf("adaptive actions in the order retry, provider_switch, degrade, fallback",
		shape.OneOf("an adaptive action", controlplane.AdaptiveActions()...), 0)
}

// planShape describes a resolved turn plan, turn-plan section 2. Fields whose presence
// the norm decided late (resolved_turn_plan_id, default_provenance) may be missing from
// a plan that is read; such a plan, or one for profile simple, is legacy, and the rules
// for the forms decided with them do not bind it.
func planShape() *shape.Shape {
	edges := tableOf("the effective buffer policy of each edge", edgePolicy())
	edges.MinMembers = 1
	s := closed("",
		may("resolved_turn_plan_id", shape.Text("rtp-<turn_id>-<first 16 hex of plan_hash>")),
		need("turn_id", id("the turn's id")),
		need("pipeline_version", id("the pipeline version")),
		need("graph_definition_ref", shape.Text("the compiled graph")),
		need("plan_hash", &shape.Shape{
			Type: shape.String, Pattern: shape.Hex64, Doc: "SHA-256 of the canonical plan without plan_hash and resolved_turn_plan_id",
		}),
		need("execution_profile", shape.OneOf("the profile", controlplane.ProfileSimple, controlplane.ProfileSimpleAlias)),
		need("authority_epoch", shape.Count("the lease epoch at resolution", 0)),
		need("budgets", closed("time allowances, milliseconds",
			need("turn_budget_ms", shape.Count("the turn's", 1)),
			need("node_budget_ms_default", shape.Count("a node's", 1)),
			need("path_budget_ms_default", shape.Count("a path's", 1)),
			need("edge_budget_ms_default", shape.Count("an edge's", 1)),
		)),
		need("provider_bindings", tableOf("modality or node id to provider id", shape.Text("a provider id"))),
		need("edge_buffer_policies", edges),
		may("node_execution_policies", tableOf("limits of each node", closed("",
			may("concurrency_limit", shape.Count("outstanding tasks, 0 for no limit", 0)),
			may("fairness_key", shape.Text("the key that shares service")),
		))),
		need("flow_control", flowControl()),
		need("allowed_adaptive_actions", actions()),
		need("snapshot_provenance", provenance(shape.NoPattern)),
		need("recording_policy", recordingPolicy()),
		need("determinism", determinism()),
		may("streaming_handoff", handoff()),
		may("provider_plans", &shape.Shape{Type: shape.Array, Doc: "one for each provider-bearing path", Items: providerPlan()}),
		may("capability_snapshot_ref", shape.Text("the capabilities frozen for the turn")),
		may("default_provenance", tableOf("field path to the layer that it came from", &shape.Shape{
			Type: shape.String, Pattern: shape.Provenance, Doc: "the layer",
		})),
	)
	s.Rules = []shape.Rule{{
		Doc: "the forms of a plan that Parley wrote, turn-plan sections 2 and 4",
		When: []shape.Cond{
			shape.Has("resolved_turn_plan_id"), shape.Has("default_provenance"),
			shape.In("execution_profile", controlplane.ProfileSimple),
		},
		Then: []shape.Demand{
			shape.Restrict("resolved_turn_plan_id", &shape.Shape{Type: shape.String, Pattern: shape.PlanID}),
			shape.Restrict("snapshot_provenance", provenance(shape.SnapshotRef)),
		},
	}}
	return s
}

func provenance(form shape.Pattern) *shape.Shape {
	s := closed("the snapshots that the turn was resolved from")
	for _, kind := range controlplane.SnapshotKinds() {
		s.Fields = append(s.Fields, need(string(kind), &shape.Shape{
			Type: shape.String, Pattern: form, Doc: "reference <kind>/<version>",
		}))
	}
	return s
}

func recordingPolicy() *shape.Shape {
	return closed("what is recorded and how it may be replayed",
		need("recording_level", shape.OneOf("the capture fidelity",
			controlplane.RecordingL0, controlplane.RecordingL1, controlplane.RecordingL2)),
		need("allowed_replay_modes", setOf("the replay modes", shape.OneOf("a replay mode",
			controlplane.ReplayDecisions, controlplane.RecomputeDecisions,
			controlplane.ReSimulateNodes, controlplane.PlaybackProviderOutputs), 1)),
	)
}

func determinism() *shape.Shape {
	return closed("what a replay needs to decide the same",
		need("seed", &shape.Shape{Type: shape.Integer, Max: controlplane.MaxSeed, Doc: "0 to 2^53-1"}),
		need("ordering_markers", setOf("the ordering markers", shape.Text("a marker"), 1)),
		need("merge_rule_id", shape.Text("the merge rule")),
		need("merge_rule_version", &shape.Shape{Type: shape.String, Pattern: shape.RuleVersion, Doc: "its version"}),
		need("nondeterministic_inputs", &shape.Shape{
			Type: shape.Array, Doc: "values that the plan could not derive", Items: closed("",
				need("input_key", shape.Text("the input")),
				need("source", shape.OneOf("where it came from", controlplane.SourceExternalCall,
					controlplane.SourceSystemTime, controlplane.SourceRandom,
					controlplane.SourceOperatorOverride, controlplane.SourceOther)),
				need("evidence_ref", shape.Text("where its value is on record")),
			),
		}),
		may("ordering_marker", &shape.Shape{Doc: "legacy, ignored"}),
	)
}

func handoff() *shape.Shape {
	s := closed("how partial results pass between stages",
		need("enabled", shape.Flag("whether partial results pass at all")),
		may("stt_to_llm", handoffStage()),
		may("llm_to_tts", handoffStage()),
	)
	s.Rules = []shape.Rule{{
		Doc: "an enabled handoff has both stages, turn-plan section 6", When: []shape.Cond{shape.True("enabled")},
		Then: []shape.Demand{shape.Require("stt_to_llm", "llm_to_tts").As(CodeHandoffStage)},
	}}
	return s
}

func handoffStage() *shape.Shape {
	numbers := []string{"min_partial_chars", "max_partial_age_ms", "max_pending_revisions", "max_pending_segments"}
	s := closed("one stage of the handoff", need("enabled", shape.Flag("whether the stage is on")))
	on := []shape.Demand{shape.Require(numbers...)}
	for _, name := range numbers {
		s.Fields = append(s.Fields, may(name, shape.Count("a threshold, at least 1 when the stage is on", 0)))
		on = append(on, shape.Restrict(name, shape.Count("", 1)))
	}
	for _, name := range []string{
		"trigger_on_punctuation", "coalesce_latest_only", "emit_flow_control_signals", "degrade_on_threshold_breach",
	} {
		s.Fields = append(s.Fields, may(name, shape.Flag("")))
	}
	s.Rules = []shape.Rule{{
		Doc: "an enabled stage has its four thresholds, each at least 1, turn-plan section 6", When: []shape.Cond{shape.True("enabled")},
		Then: on,
	}}
	return s
}

func providerPlan() *shape.Shape {
	return closed("",
		need("provider_invocation_id", id("the invocation")),
		need("modality", shape.Text("the modality")),
		need("ordered_candidates", setOf("provider ids, preferred first", shape.Text("a provider id"), 1)),
		need("max_attempts_per_provider", shape.Count("attempts with one provider", 1)),
		need("allowed_adaptive_actions", actions()),
		need("budget", shape.Count("time for the whole invocation, milliseconds", 1)),
		need("capability_snapshot_ref", shape.Text("the capabilities it relies on")),
		need("policy_snapshot_ref", shape.Text("the policy it follows")),
	)
}

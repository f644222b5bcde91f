// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// PlanRequest is what a session fixes for all its plans.
type PlanRequest struct {
	Session   eventabi.SessionID
	Pipeline  eventabi.PipelineVersion
	Graph     string
	Profile   string // as requested: "simple" or "simple/v1"
	STT       string // provider ids
	LLM       string
	TTS       string
	Seconds   Seconds
	Overrides PlanOverrides
}

// Seconds are the provider ids of second candidates, empty = none.
type Seconds struct{ STT, LLM, TTS string }

// PlanOverrides are values of the session layer; zero leaves the profile's value.
type PlanOverrides struct {
	TurnBudgetMS int64
	NodeBudgetMS int64
	PathBudgetMS int64
	EdgeBudgetMS int64
	InvocationMS int64
	Attempts     int64
	Actions      []controlplane.AdaptiveAction // in canonical order; nil = the profile's
}

// ErrProfile is wrapped when a plan cannot be built because the profile is unknown.
var ErrProfile = errors.New("unsupported_execution_profile")

// ErrPlan is wrapped when a plan cannot be built for another reason.
var ErrPlan = errors.New("turn_start_bundle_resolution_failed")

// The values of simple/v1 (turn-plan section 6). Any change needs simple/v2.
const (
	simpleTurnBudgetMS = 2000
	simpleNodeBudgetMS = 800
	simplePathBudgetMS = 1500
	simpleEdgeBudgetMS = 100
	simpleInvocationMS = 1000
	simpleAttempts     = 2
)

// DefaultInvocationMS is the profile's time limit of a provider call, DefaultPathMS its
// budget of a path.
const (
	DefaultInvocationMS = simpleInvocationMS
	DefaultPathMS       = simplePathBudgetMS
)

// Resolver builds plans from one session's request. Identical inputs give an identical
// plan: everything that does not differ between turns is laid out once.
type Resolver struct {
	request  PlanRequest
	template *controlplane.PlanTemplate
}

// NewResolver checks the request and lays out the frozen part of the plans.
func NewResolver(r PlanRequest) (Resolver, error) {
	if r.Profile != controlplane.ProfileSimple && r.Profile != controlplane.ProfileSimpleAlias {
		return Resolver{}, fmt.Errorf("%w: execution_profile %q; this build knows %q", ErrProfile, r.Profile, controlplane.ProfileSimple)
	}
	for _, f := range [...]struct{ name, value string }{
		{"pipeline_version", string(r.Pipeline)},
		{"graph_definition_ref", r.Graph},
		{"provider_bindings.stt", r.STT},
		{"provider_bindings.llm", r.LLM},
		{"provider_bindings.tts", r.TTS},
	} {
		if f.value == "" {
			return Resolver{}, fmt.Errorf("%w: %s is empty", ErrPlan, f.name)
		}
	}
	return Resolver{request: r, template: controlplane.NewPlanTemplate(simplePlan(r))}, nil
}

// Resolve builds and seals the plan of one turn.
func (r *Resolver) Resolve(turn eventabi.TurnID, epoch eventabi.Epoch, snapshots controlplane.SnapshotProvenance) controlplane.ResolvedTurnPlan {
	seed := controlplane.Seed(r.request.Session, turn, r.request.Pipeline)
	return r.template.Seal(turn, epoch, seed, snapshots)
}

func simplePlan(r PlanRequest) controlplane.ResolvedTurnPlan {
	o := r.Overrides
	return controlplane.ResolvedTurnPlan{
		PipelineVersion:    r.Pipeline,
		GraphDefinitionRef: r.Graph,
		ExecutionProfile:   controlplane.ProfileSimple,
		Budgets: controlplane.Budgets{
			TurnBudgetMS:        or(o.TurnBudgetMS, simpleTurnBudgetMS),
			NodeBudgetMSDefault: or(o.NodeBudgetMS, simpleNodeBudgetMS),
			PathBudgetMSDefault: or(o.PathBudgetMS, simplePathBudgetMS),
			EdgeBudgetMSDefault: or(o.EdgeBudgetMS, simpleEdgeBudgetMS),
		},
		ProviderBindings: controlplane.NewTable(
			entry("stt", r.STT), entry("llm", r.LLM), entry("tts", r.TTS)),
		EdgeBufferPolicies: controlplane.NewTable(
			entry("llm-tts", dataEdge(controlplane.StrategyBlock)),
			entry("stt-llm", dataEdge(controlplane.StrategyLatestOnly)),
			entry("transport-vad", dataEdge(controlplane.StrategyMerge)),
			entry("tts-transport", dataEdge(controlplane.StrategyMerge))),
		FlowControl:            flowDefaults(),
		AllowedAdaptiveActions: actions(r),
		RecordingPolicy: controlplane.RecordingPolicy{
			RecordingLevel:     controlplane.RecordingL0,
			AllowedReplayModes: []controlplane.ReplayMode{controlplane.ReplayDecisions, controlplane.RecomputeDecisions},
		},
		Determinism: controlplane.Determinism{
			OrderingMarkers:        OrderingMarkers(),
			MergeRuleID:            MergeRuleID,
			MergeRuleVersion:       MergeRuleVersion,
			NondeterministicInputs: []controlplane.NondeterministicInput{},
		},
		StreamingHandoff:  handoffDefaults(),
		ProviderPlans:     providerPlans(r),
		DefaultProvenance: provenance(r),
	}
}

// The merge rule of simple/v1.
const (
	MergeRuleID      = "sequence_order"
	MergeRuleVersion = "v1.0"
)

// OrderingMarkers names what the order of a turn's events rests on.
func OrderingMarkers() []string {
	return []string{"lane_priority", "runtime_sequence", "merge_rule"}
}

func entry[V any](key string, value V) controlplane.Entry[V] {
	return controlplane.Entry[V]{Key: key, Value: value}
}

func or(v, def int64) int64 {
	if v == 0 {
		return def
	}
	return v
}

func dataEdge(s controlplane.BufferStrategy) controlplane.EdgeBufferPolicy {
	p := controlplane.EdgeBufferPolicy{
		Strategy:                 s,
		MaxQueueItems:            64,
		MaxQueueMS:               200,
		MaxQueueBytes:            262144,
		MaxLatencyContributionMS: 100,
		Watermarks: controlplane.EdgeWatermarks{
			QueueItems: &controlplane.Watermark{High: 48, Low: 16},
			QueueMS:    &controlplane.Watermark{High: 150, Low: 50},
		},
		LaneHandling: controlplane.LaneHandling{
			ControlLane:   controlplane.TreatPriority,
			DataLane:      treatment(s),
			TelemetryLane: controlplane.TreatSample,
		},
		DefaultingSource: controlplane.DefaultedFromProfile,
	}
	if s == controlplane.StrategyBlock {
		p.MaxBlockTimeMS = 20
	}
	return p
}

func treatment(s controlplane.BufferStrategy) controlplane.LaneTreatment {
	switch s {
	case controlplane.StrategyBlock:
		return controlplane.TreatBlock
	case controlplane.StrategyDrop:
		return controlplane.TreatDrop
	case controlplane.StrategySample:
		return controlplane.TreatSample
	case controlplane.StrategyLatestOnly:
		return controlplane.TreatLatestOnly
	case controlplane.StrategyMerge:
		return controlplane.TreatMerge
	}
	return controlplane.TreatMerge
}

func flowDefaults() controlplane.FlowControl {
	return controlplane.FlowControl{
		ModeByLane: controlplane.ByLane[controlplane.FlowMode]{
			ControlLane: controlplane.FlowSignal, DataLane: controlplane.FlowSignal, TelemetryLane: controlplane.FlowSignal,
		},
		Watermarks: controlplane.ByLane[controlplane.Watermark]{
			ControlLane:   controlplane.Watermark{High: 192, Low: 64},
			DataLane:      controlplane.Watermark{High: 48, Low: 16},
			TelemetryLane: controlplane.Watermark{High: 384, Low: 128},
		},
		SheddingStrategyByLane: controlplane.ByLane[controlplane.SheddingStrategy]{
			ControlLane: controlplane.ShedNone, DataLane: controlplane.ShedMerge, TelemetryLane: controlplane.ShedSample,
		},
	}
}

func handoffDefaults() *controlplane.StreamingHandoff {
	stage := func(on bool) *controlplane.HandoffStage {
		return &controlplane.HandoffStage{
			Enabled: on, MinPartialChars: 24, TriggerOnPunctuation: true, MaxPartialAgeMS: 250,
			MaxPendingRevisions: 4, MaxPendingSegments: 8,
			CoalesceLatestOnly: true, EmitFlowControlSignals: true, DegradeOnThresholdBreach: true,
		}
	}
	return &controlplane.StreamingHandoff{Enabled: true, STTToLLM: stage(false), LLMToTTS: stage(true)}
}

// actions is the set that the plan allows: the session's, or all four of the profile.
func actions(r PlanRequest) []controlplane.AdaptiveAction {
	if r.Overrides.Actions != nil {
		return r.Overrides.Actions
	}
	return controlplane.AdaptiveActions()
}

func providerPlans(r PlanRequest) []controlplane.ProviderPlan {
	plan := func(modality, id, second string) controlplane.ProviderPlan {
		candidates := []string{id}
		if second != "" {
			candidates = append(candidates, second)
		}
		return controlplane.ProviderPlan{
			ProviderInvocationID:   eventabi.InvocationID(modality),
			Modality:               modality,
			OrderedCandidates:      candidates,
			MaxAttemptsPerProvider: or(r.Overrides.Attempts, simpleAttempts),
			AllowedAdaptiveActions: actions(r),
			BudgetMS:               or(r.Overrides.InvocationMS, simpleInvocationMS),
			CapabilitySnapshotRef:  "capability/1",
		}
	}
	return []controlplane.ProviderPlan{
		plan("stt", r.STT, r.Seconds.STT), plan("llm", r.LLM, r.Seconds.LLM), plan("tts", r.TTS, r.Seconds.TTS),
	}
}

// provenance names the layer that each derived field came from (turn-plan section 5).
func provenance(r PlanRequest) controlplane.Table[string] {
	layer := func(override int64) string {
		if override != 0 {
			return controlplane.ProvenanceSession
		}
		return controlplane.ProvenanceProfile
	}
	from := controlplane.ProvenanceProfile
	allowed := from
	if r.Overrides.Actions != nil {
		allowed = controlplane.ProvenanceSession
	}
	return controlplane.NewTable(
		entry("allowed_adaptive_actions", allowed),
		entry("budgets.edge_budget_ms_default", layer(r.Overrides.EdgeBudgetMS)),
		entry("budgets.node_budget_ms_default", layer(r.Overrides.NodeBudgetMS)),
		entry("budgets.path_budget_ms_default", layer(r.Overrides.PathBudgetMS)),
		entry("budgets.turn_budget_ms", layer(r.Overrides.TurnBudgetMS)),
		entry("determinism.merge_rule_id", from),
		entry("determinism.merge_rule_version", from),
		entry("determinism.ordering_markers", from),
		entry("edge_buffer_policies", from),
		entry("flow_control", from),
		entry("graph_definition_ref", controlplane.ProvenancePipelineSpec),
		entry("provider_bindings", controlplane.ProvenanceEnvironment),
		entry("provider_plans.allowed_adaptive_actions", allowed),
		entry("provider_plans.budget", layer(r.Overrides.InvocationMS)),
		entry("provider_plans.max_attempts_per_provider", layer(r.Overrides.Attempts)),
		entry("provider_plans.ordered_candidates", controlplane.ProvenanceEnvironment),
		entry("recording_policy", from),
		entry("streaming_handoff", from),
	)
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import "github.com/parley-voice/parley/api/eventabi"

// ResolvedTurnPlan is everything a turn may do, frozen before turn_open
// (turn-plan section 2). Identical inputs give an identical plan. Optional parts
// are nil or empty when absent. Durations are milliseconds.
type ResolvedTurnPlan struct {
	// ResolvedTurnPlanID is rtp-<turn_id>-<first 16 hex of plan_hash>; see [PlanID].
	ResolvedTurnPlanID string                   `json:"resolved_turn_plan_id,omitempty"`
	TurnID             eventabi.TurnID          `json:"turn_id"`
	PipelineVersion    eventabi.PipelineVersion `json:"pipeline_version"`
	GraphDefinitionRef string                   `json:"graph_definition_ref"`
	// PlanHash is the SHA-256 of the canonical plan in lower-case hex; see [PlanHash].
	PlanHash         string         `json:"plan_hash"`
	ExecutionProfile string         `json:"execution_profile"`
	AuthorityEpoch   eventabi.Epoch `json:"authority_epoch"`
	Budgets          Budgets        `json:"budgets"`
	// ProviderBindings maps a modality or node id to a provider id.
	ProviderBindings Table[string] `json:"provider_bindings"`
	// EdgeBufferPolicies maps an edge id to its effective policy; at least one entry.
	EdgeBufferPolicies Table[EdgeBufferPolicy] `json:"edge_buffer_policies"`
	// NodeExecutionPolicies maps a node id to its policy.
	NodeExecutionPolicies Table[NodeExecutionPolicy] `json:"node_execution_policies,omitempty"`
	FlowControl           FlowControl                `json:"flow_control"`
	// AllowedAdaptiveActions is a set in the canonical order of [AdaptiveActions].
	AllowedAdaptiveActions []AdaptiveAction   `json:"allowed_adaptive_actions"`
	SnapshotProvenance     SnapshotProvenance `json:"snapshot_provenance"`
	RecordingPolicy        RecordingPolicy    `json:"recording_policy"`
	Determinism            Determinism        `json:"determinism"`
	StreamingHandoff       *StreamingHandoff  `json:"streaming_handoff,omitempty"`
	ProviderPlans          []ProviderPlan     `json:"provider_plans,omitempty"`
	CapabilitySnapshotRef  string             `json:"capability_snapshot_ref,omitempty"`
	// DefaultProvenance maps a derived field's path to the layer it came from.
	DefaultProvenance Table[string] `json:"default_provenance"`
}

// ProfileSimple is the only profile of the MVP; a request for ProfileSimpleAlias
// resolves to it.
const (
	ProfileSimple      = "simple/v1"
	ProfileSimpleAlias = "simple"
)

// Layers a derived field may come from (turn-plan section 5). A service that fell
// back to its documented default is recorded as ProvenanceFallbackPrefix + service
// (turn-plan section 9).
const (
	ProvenanceProfile        = "execution_profile/simple/v1"
	ProvenancePipelineSpec   = "pipeline_spec"
	ProvenanceEnvironment    = "environment"
	ProvenanceTenant         = "tenant"
	ProvenanceSession        = "session"
	ProvenanceFallbackPrefix = "fallback/"
)

// Layers lists the layers, from the lowest.
func Layers() []string {
	return []string{
		ProvenanceProfile, ProvenancePipelineSpec, ProvenanceEnvironment, ProvenanceTenant, ProvenanceSession,
	}
}

// Budgets are the elapsed-time allowances of a turn and its parts, each >= 1 ms.
type Budgets struct {
	TurnBudgetMS        int64 `json:"turn_budget_ms"`
	NodeBudgetMSDefault int64 `json:"node_budget_ms_default"`
	PathBudgetMSDefault int64 `json:"path_budget_ms_default"`
	EdgeBudgetMSDefault int64 `json:"edge_budget_ms_default"`
}

// NodeExecutionPolicy limits one node.
type NodeExecutionPolicy struct {
	// ConcurrencyLimit is the number of outstanding tasks; 0 is unlimited.
	ConcurrencyLimit int64  `json:"concurrency_limit"`
	FairnessKey      string `json:"fairness_key,omitempty"`
}

// RecordingPolicy says how much of the turn is captured and how it may be replayed.
type RecordingPolicy struct {
	RecordingLevel RecordingLevel `json:"recording_level"`
	// AllowedReplayModes is non-empty and unique.
	AllowedReplayModes []ReplayMode `json:"allowed_replay_modes"`
}

// MaxSeed is the largest determinism seed: 53 bits, exact in every JSON reader.
const MaxSeed = 1<<53 - 1

// Determinism is what a replay needs to take the same decisions. Entries known only
// during the turn go to the evidence, not to the frozen plan.
type Determinism struct {
	// Seed is in 0..MaxSeed; see [Seed].
	Seed int64 `json:"seed"`
	// OrderingMarkers is non-empty and unique.
	OrderingMarkers []string `json:"ordering_markers"`
	MergeRuleID     string   `json:"merge_rule_id"`
	// MergeRuleVersion is N.N or N.N.N with an optional leading v.
	MergeRuleVersion       string                  `json:"merge_rule_version"`
	NondeterministicInputs []NondeterministicInput `json:"nondeterministic_inputs"`
}

// NondeterministicInput names a value that the plan could not derive.
type NondeterministicInput struct {
	InputKey    string                 `json:"input_key"`
	Source      NondeterministicSource `json:"source"`
	EvidenceRef string                 `json:"evidence_ref"`
}

// StreamingHandoff says how partial results pass between stages (turn-plan section
// 6). When Enabled, both stages are present and at least one of them is enabled.
type StreamingHandoff struct {
	Enabled  bool          `json:"enabled"`
	STTToLLM *HandoffStage `json:"stt_to_llm,omitempty"`
	LLMToTTS *HandoffStage `json:"llm_to_tts,omitempty"`
}

// HandoffStage tunes one streaming handoff. When Enabled, its four numbers are >= 1;
// a stage that is off may leave them 0, and then they are not written.
type HandoffStage struct {
	Enabled                  bool  `json:"enabled"`
	MinPartialChars          int64 `json:"min_partial_chars,omitempty"`
	TriggerOnPunctuation     bool  `json:"trigger_on_punctuation"`
	MaxPartialAgeMS          int64 `json:"max_partial_age_ms,omitempty"`
	MaxPendingRevisions      int64 `json:"max_pending_revisions,omitempty"`
	MaxPendingSegments       int64 `json:"max_pending_segments,omitempty"`
	CoalesceLatestOnly       bool  `json:"coalesce_latest_only"`
	EmitFlowControlSignals   bool  `json:"emit_flow_control_signals"`
	DegradeOnThresholdBreach bool  `json:"degrade_on_threshold_breach"`
}

// ProviderPlan is the policy of one provider-bearing path (turn-plan section 10).
type ProviderPlan struct {
	ProviderInvocationID eventabi.InvocationID `json:"provider_invocation_id"`
	// Modality is stt, llm, tts or another modality that a provider declares.
	Modality string `json:"modality"`
	// OrderedCandidates is non-empty: provider ids, preferred first.
	OrderedCandidates      []string         `json:"ordered_candidates"`
	MaxAttemptsPerProvider int64            `json:"max_attempts_per_provider"`
	AllowedAdaptiveActions []AdaptiveAction `json:"allowed_adaptive_actions"`
	// BudgetMS is the time allowed for the whole invocation, >= 1 ms.
	BudgetMS              int64  `json:"budget"`
	CapabilitySnapshotRef string `json:"capability_snapshot_ref"`
	PolicySnapshotRef     string `json:"policy_snapshot_ref"`
}

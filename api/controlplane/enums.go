// SPDX-License-Identifier: Apache-2.0

package controlplane

// AdaptiveAction is an in-turn choice that the plan authorised beforehand.
type AdaptiveAction string

// The adaptive actions, in canonical order.
const (
	ActionRetry          AdaptiveAction = "retry"
	ActionProviderSwitch AdaptiveAction = "provider_switch"
	ActionDegrade        AdaptiveAction = "degrade"
	ActionFallback       AdaptiveAction = "fallback"
)

// AdaptiveActions lists all adaptive actions in canonical order.
func AdaptiveActions() []AdaptiveAction {
	return []AdaptiveAction{ActionRetry, ActionProviderSwitch, ActionDegrade, ActionFallback}
}

// RecordingLevel is the capture fidelity of a turn.
type RecordingLevel string

// The recording levels, from summaries to full fidelity.
const (
	RecordingL0 RecordingLevel = "L0"
	RecordingL1 RecordingLevel = "L1"
	RecordingL2 RecordingLevel = "L2"
)

// ReplayMode says what a replay executes and what it takes from the record.
type ReplayMode string

// The replay modes (evidence-replay section 5).
const (
	ReplayDecisions         ReplayMode = "replay_decisions"
	RecomputeDecisions      ReplayMode = "recompute_decisions"
	ReSimulateNodes         ReplayMode = "re_simulate_nodes"
	PlaybackProviderOutputs ReplayMode = "playback_recorded_provider_outputs"
)

// NondeterministicSource classifies a value the plan could not derive.
type NondeterministicSource string

// The sources of nondeterministic inputs.
const (
	SourceExternalCall     NondeterministicSource = "external_call"
	SourceSystemTime       NondeterministicSource = "system_time"
	SourceRandom           NondeterministicSource = "random"
	SourceOperatorOverride NondeterministicSource = "operator_override"
	SourceOther            NondeterministicSource = "other"
)

// BufferStrategy is what an edge does when a bound breaks.
type BufferStrategy string

// The buffer strategies (flow section 1).
const (
	StrategyBlock      BufferStrategy = "block"
	StrategyDrop       BufferStrategy = "drop"
	StrategyMerge      BufferStrategy = "merge"
	StrategySample     BufferStrategy = "sample"
	StrategyLatestOnly BufferStrategy = "latest_only"
)

// DropVictim says which item leaves under the drop strategy.
type DropVictim string

// The drop victims; oldest is the default.
const (
	VictimNewest DropVictim = "newest"
	VictimOldest DropVictim = "oldest"
)

// LaneTreatment is how an edge treats one lane. DataLane takes any buffer strategy,
// ControlLane only TreatPriority, TelemetryLane drop, sample or TreatBestEffortDrop.
type LaneTreatment string

// The lane treatments.
const (
	TreatBlock          LaneTreatment = "block"
	TreatDrop           LaneTreatment = "drop"
	TreatMerge          LaneTreatment = "merge"
	TreatSample         LaneTreatment = "sample"
	TreatLatestOnly     LaneTreatment = "latest_only"
	TreatPriority       LaneTreatment = "non_blocking_priority"
	TreatBestEffortDrop LaneTreatment = "best_effort_drop"
)

// DefaultingSource says whether an edge policy was written or derived.
type DefaultingSource string

// The defaulting sources.
const (
	DefaultedExplicit    DefaultingSource = "explicit_edge_config"
	DefaultedFromProfile DefaultingSource = "execution_profile_default"
)

// FlowMode is the producer rule of a lane (flow section 3).
type FlowMode string

// The flow modes.
const (
	FlowSignal FlowMode = "signal"
	FlowCredit FlowMode = "credit"
	FlowHybrid FlowMode = "hybrid"
)

// SheddingStrategy is what a lane does once waiting is no longer allowed. DataLane
// takes drop, merge, latest_only, degrade or fallback; ControlLane only none;
// TelemetryLane drop or sample.
type SheddingStrategy string

// The shedding strategies.
const (
	ShedDrop       SheddingStrategy = "drop"
	ShedMerge      SheddingStrategy = "merge"
	ShedLatestOnly SheddingStrategy = "latest_only"
	ShedDegrade    SheddingStrategy = "degrade"
	ShedFallback   SheddingStrategy = "fallback"
	ShedNone       SheddingStrategy = "none"
	ShedSample     SheddingStrategy = "sample"
)

// SyncPolicy is what losing one item does to the streams it is synchronised with.
type SyncPolicy string

// The sync policies (flow section 5).
const (
	SyncAtomicDrop            SyncPolicy = "atomic_drop"
	SyncDropWithDiscontinuity SyncPolicy = "drop_with_discontinuity"
	SyncNone                  SyncPolicy = "no_sync"
)

// SyncScope is how far a sync marker reaches.
type SyncScope string

// The sync scopes.
const (
	SyncEdgeLocal SyncScope = "edge_local"
	SyncPlanWide  SyncScope = "plan_wide"
)

// SyncGroupBy is what binds items into one group.
type SyncGroupBy string

// The grouping keys; custom reads extensions["sync.group"].
const (
	GroupBySyncID  SyncGroupBy = "sync_id"
	GroupByEventID SyncGroupBy = "event_id"
	GroupByCustom  SyncGroupBy = "custom"
)

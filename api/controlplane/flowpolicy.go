// SPDX-License-Identifier: Apache-2.0

package controlplane

import "github.com/parley-voice/parley/api/eventabi"

// EdgeBufferPolicy is the effective BufferSpec of one edge (flow section 1). The
// four bounds are independent, each >= 1; whichever breaks first triggers Strategy.
type EdgeBufferPolicy struct {
	Strategy BufferStrategy `json:"strategy"`
	// DropVictim goes with the drop strategy; absent means oldest.
	DropVictim               DropVictim `json:"drop_victim,omitempty"`
	MaxQueueItems            int64      `json:"max_queue_items"`
	MaxQueueMS               int64      `json:"max_queue_ms"`
	MaxQueueBytes            int64      `json:"max_queue_bytes"`
	MaxLatencyContributionMS int64      `json:"max_latency_contribution_ms"`
	// MaxBlockTimeMS is required with the block strategy; 0 is absent.
	MaxBlockTimeMS int64 `json:"max_block_time_ms,omitempty"`
	// SampleEvery is the N of the sample strategy, which keeps every Nth item; absent
	// means [DefaultSampleEvery].
	SampleEvery      int64            `json:"sample_every,omitempty"`
	Watermarks       EdgeWatermarks   `json:"watermarks"`
	LaneHandling     LaneHandling     `json:"lane_handling"`
	FairnessKey      string           `json:"fairness_key,omitempty"`
	DefaultingSource DefaultingSource `json:"defaulting_source"`
	SyncDropPolicy   *SyncDropPolicy  `json:"sync_drop_policy,omitempty"`
}

// The most that a setting of flow may be. More is a slip of units, and would not fit
// where it is counted.
const (
	MaxSettingMS   = 24 * 60 * 60 * 1000 // a day
	MaxEdgeItems   = 1 << 20
	MaxEdgeBytes   = 1 << 30
	MaxSampleEvery = 1 << 20
	MaxTasks       = 1 << 20 // outstanding tasks of a node
	MaxEdges       = 64      // of a graph
)

// DefaultSampleEvery is the N of a sampling edge that names none (flow section 1).
const DefaultSampleEvery = 2

// Watermark is a hysteresis pair: High >= 1, 0 <= Low < High.
type Watermark struct {
	High int64 `json:"high"`
	Low  int64 `json:"low"`
}

// EdgeWatermarks are the thresholds of one edge, in items and/or milliseconds of
// residence; at least one of them is set.
type EdgeWatermarks struct {
	QueueItems *Watermark `json:"queue_items,omitempty"`
	QueueMS    *Watermark `json:"queue_ms,omitempty"`
}

// LaneHandling says how an edge treats each lane that it carries; an empty value is
// a lane it does not carry.
type LaneHandling struct {
	ControlLane   LaneTreatment `json:"ControlLane,omitempty"`
	DataLane      LaneTreatment `json:"DataLane,omitempty"`
	TelemetryLane LaneTreatment `json:"TelemetryLane,omitempty"`
}

// SyncDropPolicy keeps synchronised streams together when one loses an item (flow
// section 5).
type SyncDropPolicy struct {
	Policy SyncPolicy `json:"policy"`
	Scope  SyncScope  `json:"scope"`
	// GroupBy is required unless Policy is no_sync.
	GroupBy SyncGroupBy `json:"group_by,omitempty"`
	// SyncDomain is required for drop_with_discontinuity.
	SyncDomain string `json:"sync_domain,omitempty"`
}

// ByLane holds one value for each of the three lanes.
type ByLane[T any] struct {
	ControlLane   T `json:"ControlLane"`
	DataLane      T `json:"DataLane"`
	TelemetryLane T `json:"TelemetryLane"`
}

// Get returns the value of lane; an unknown lane gives the zero value.
func (b ByLane[T]) Get(lane eventabi.Lane) T {
	switch lane {
	case eventabi.ControlLane:
		return b.ControlLane
	case eventabi.DataLane:
		return b.DataLane
	case eventabi.TelemetryLane:
		return b.TelemetryLane
	}
	var zero T
	return zero
}

// FlowControl is the flow-control surface of a turn, frozen for all three lanes
// (flow section 3).
type FlowControl struct {
	ModeByLane             ByLane[FlowMode]         `json:"mode_by_lane"`
	Watermarks             ByLane[Watermark]        `json:"watermarks"`
	SheddingStrategyByLane ByLane[SheddingStrategy] `json:"shedding_strategy_by_lane"`
}

// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// watermark is a hysteresis pair; that low lies below high is checked apart.
func watermark() *shape.Shape {
	return closed("a hysteresis pair, low below high",
		need("high", shape.Count("pressure starts here", 1)),
		need("low", shape.Count("pressure ends here", 0)),
	)
}

// edgePolicy describes an effective buffer policy, flow section 1.
func edgePolicy() *shape.Shape {
	marks := closed("thresholds in items, in milliseconds, or both",
		may("queue_items", watermark()), may("queue_ms", watermark()))
	marks.Rules = []shape.Rule{{
		Doc: "an edge has watermarks in items or milliseconds, flow section 1", Then: []shape.Demand{shape.AtLeastOne("queue_items", "queue_ms")},
	}}
	lanes := closed("how each lane on the edge is treated",
		may("DataLane", shape.OneOf("its strategy", controlplane.TreatBlock, controlplane.TreatDrop,
			controlplane.TreatMerge, controlplane.TreatSample, controlplane.TreatLatestOnly)),
		may("ControlLane", shape.OneOf("its treatment", controlplane.TreatPriority)),
		may("TelemetryLane", shape.OneOf("its treatment", controlplane.TreatDrop, controlplane.TreatSample,
			controlplane.TreatBestEffortDrop)),
	)
	lanes.MinMembers = 1
	s := closed("the effective buffer policy of one edge",
		need("strategy", shape.OneOf("what happens on overflow", controlplane.StrategyBlock, controlplane.StrategyDrop,
			controlplane.StrategyMerge, controlplane.StrategySample, controlplane.StrategyLatestOnly)),
		may("drop_victim", shape.OneOf("who leaves under drop; oldest when absent", controlplane.VictimNewest, controlplane.VictimOldest)),
		need("max_queue_items", shape.Count("items in the queue", 1)),
		need("max_queue_ms", shape.Count("residence, milliseconds", 1)),
		need("max_queue_bytes", shape.Count("bytes in the queue", 1)),
		need("max_latency_contribution_ms", shape.Count("latency added, milliseconds", 1)),
		may("max_block_time_ms", shape.Count("the longest wait of a producer, milliseconds", 1)),
		may("sample_every", shape.Count("keep every Nth item under sample; 2 when absent", 2)),
		need("watermarks", marks),
		need("lane_handling", lanes),
		may("fairness_key", shape.Text("the key that shares service")),
		need("defaulting_source", shape.OneOf("whether the policy was written or derived",
			controlplane.DefaultedExplicit, controlplane.DefaultedFromProfile)),
		may("sync_drop_policy", syncDropPolicy()),
	)
	const capped = "a producer that blocks does so for a bounded time, flow section 1"
	s.Rules = []shape.Rule{
		{Doc: capped, When: []shape.Cond{shape.In("strategy", "block")}, Then: []shape.Demand{shape.Require("max_block_time_ms")}},
		{
			Doc: capped, When: []shape.Cond{shape.Inside("lane_handling", shape.In(string(eventabi.DataLane), "block"))},
			Then: []shape.Demand{shape.Require("max_block_time_ms")},
		},
		{
			Doc:  "only a drop has a victim, flow section 1",
			When: []shape.Cond{shape.In("strategy", "block", "merge", "sample", "latest_only")},
			Then: []shape.Demand{shape.Forbid("drop_victim")},
		},
		{
			Doc: "telemetry is dropped or sampled and never waits, flow section 1",
			When: []shape.Cond{
				shape.Inside("lane_handling", shape.Has(string(eventabi.TelemetryLane))),
				shape.Inside("lane_handling", shape.Lacks(string(eventabi.DataLane))),
			},
			Then: []shape.Demand{shape.Restrict("strategy", shape.OneOf("what happens on overflow",
				controlplane.StrategyDrop, controlplane.StrategySample))},
		},
	}
	return s
}

func syncDropPolicy() *shape.Shape {
	s := closed("what losing one item does to its group",
		need("policy", shape.OneOf("the policy", controlplane.SyncAtomicDrop,
			controlplane.SyncDropWithDiscontinuity, controlplane.SyncNone)),
		need("scope", shape.OneOf("how far a marker reaches", controlplane.SyncEdgeLocal, controlplane.SyncPlanWide)),
		may("group_by", shape.OneOf("what binds items into a group", controlplane.GroupBySyncID,
			controlplane.GroupByEventID, controlplane.GroupByCustom)),
		may("sync_domain", shape.Text("the streams that stay aligned")),
	)
	s.Rules = []shape.Rule{
		{
			Doc: "items are grouped by something, flow section 5", When: []shape.Cond{shape.In("policy", "atomic_drop", "drop_with_discontinuity")},
			Then: []shape.Demand{shape.Require("group_by")},
		},
		{
			Doc: "a discontinuity belongs to a sync domain, flow section 5", When: []shape.Cond{shape.In("policy", "drop_with_discontinuity")},
			Then: []shape.Demand{shape.Require("sync_domain")},
		},
	}
	return s
}

// flowControl describes the flow-control surface, flow section 3: all three lanes each.
func flowControl() *shape.Shape {
	mode := shape.OneOf("the producer rule", controlplane.FlowSignal, controlplane.FlowCredit, controlplane.FlowHybrid)
	byLane := func(doc string, data, control, telemetry *shape.Shape) *shape.Shape {
		return closed(doc, need(string(eventabi.DataLane), data), need(string(eventabi.ControlLane), control),
			need(string(eventabi.TelemetryLane), telemetry))
	}
	return closed("flow control, frozen for all three lanes",
		need("mode_by_lane", byLane("the producer rule of each lane", mode, mode, mode)),
		need("watermarks", byLane("the watermarks of each lane", watermark(), watermark(), watermark())),
		need("shedding_strategy_by_lane", byLane("what each lane does once waiting is over",
			shape.OneOf("the strategy", controlplane.ShedDrop, controlplane.ShedMerge, controlplane.ShedLatestOnly,
				controlplane.ShedDegrade, controlplane.ShedFallback),
			shape.OneOf("the strategy", controlplane.ShedNone),
			shape.OneOf("the strategy", controlplane.ShedDrop, controlplane.ShedSample),
		)),
	)
}

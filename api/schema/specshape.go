// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Reasons of closed sets that would look arbitrary without.
const (
	whyControl   = "control is never shed and never waits, flow section 3"
	whyTelemetry = "telemetry is dropped or sampled and never waits, flow section 1"
)

// Forms of names that the authored file lets the author choose.
func nodeName(doc string) *shape.Shape {
	return &shape.Shape{Type: shape.String, Pattern: shape.GraphName, Doc: doc}
}

func upTo(doc string, least, most int64) *shape.Shape {
	s := shape.Count(doc, least)
	s.Max = most
	return s
}

func ms(doc string) *shape.Shape {
	return upTo(doc+", milliseconds", 1, controlplane.MaxSettingMS)
}

// specShape describes the file that an author writes: a pipeline spec. Every field is optional, since a layer gives only what it changes; what the
// layers come to together is checked by who resolves them.
func specShape() *shape.Shape {
	edges := tableOf("the edges whose settings differ from the profile's, by edge id", authoredEdge())
	edges.Names = shape.GraphName
	nodes := tableOf("limits of the nodes, by node id", closed("limits of one node",
		may("concurrency_limit", upTo("outstanding tasks per fairness key, 0 for no limit", 0, controlplane.MaxTasks)),
		may("fairness_key", shape.Text("tasks with one key share the limit and are served in turn with those of other keys")),
	))
	nodes.Names = shape.GraphName
	s := closed("", aboutSpec()...)
	s.Fields = append(s.Fields, graphFields()...)
	s.Fields = append(s.Fields,
		may("profile", shape.OneOf("the execution profile that everything else changes", controlplane.ProfileSimple, controlplane.ProfileSimpleAlias)),
		may("tuning", shape.OneOf("bounds of the edges that carry caller audio: latency_first lets audio wait for a tenth of a second, accuracy_first for four seconds",
			"latency_first", "accuracy_first")),
		may("edges", edges),
		may("flow_control", authoredFlow()),
		may("budgets", closed("time allowances",
			may("turn_budget_ms", ms("from the opening of a turn to its first output")),
			may("node_budget_ms_default", ms("a node's work on one event")),
			may("path_budget_ms_default", ms("from entry to exit of a path")),
			may("edge_budget_ms_default", ms("how long an item may lie in an edge")),
			may("turn_hard_cap_ms", ms("the whole turn, however much it has said")),
		)),
		may("allowed_adaptive_actions", &shape.Shape{
			Type: shape.Array, Doc: "what a turn may do when it cannot go on as planned",
			Items: shape.OneOf("an adaptive action", controlplane.AdaptiveActions()...),
		}),
		may("node_execution_policies", nodes),
		may("quotas", quotas()),
	)
	return s
}

// strategies are those of flow section 1 with the spellings that authors may use.
func strategies(doc string) *shape.Shape {
	return shape.OneOf(doc, "block", "drop", "merge", "sample", "latest_only", "drop_newest", "drop_oldest", "coalesce", "latest-only")
}

func authoredEdge() *shape.Shape {
	s := closed("what one edge does otherwise than the profile",
		may("from", nodeName("the node that offers items; a further edge needs it")),
		may("to", nodeName("the node that takes them; a further edge needs it")),
	)
	s.Fields = append(s.Fields, routeFields()...)
	s.Fields = append(s.Fields, bufferFields()...)
	s.Rules = victimRules()
	return s
}

// bufferFields are the buffer spec of an edge (flow section 1).
func bufferFields() []shape.Field {
	lane := func(l eventabi.Lane) string { return string(l) }
	control := shape.OneOf("how control is treated", controlplane.TreatPriority)
	control.Why = whyControl
	telemetry := shape.OneOf("how telemetry is treated", controlplane.TreatDrop, controlplane.TreatSample, controlplane.TreatBestEffortDrop)
	telemetry.Why = whyTelemetry
	return []shape.Field{
		may("strategy", strategies("what happens when a bound breaks")),
		may("drop_victim", shape.OneOf("who leaves under drop", controlplane.VictimNewest, controlplane.VictimOldest)),
		may("sample_every", upTo("keep every Nth item under sample", 2, controlplane.MaxSampleEvery)),
		may("max_queue_items", upTo("items in the queue", 1, controlplane.MaxEdgeItems)),
		may("max_queue_ms", ms("what lies in the queue, as media or as the age of the oldest item")),
		may("max_queue_bytes", upTo("bytes in the queue", 1, controlplane.MaxEdgeBytes)),
		may("max_latency_contribution_ms", ms("how long an item may have waited when it is delivered")),
		may("max_block_time_ms", ms("the longest wait of a producer; block needs it")),
		may("watermarks", closed("where pressure starts and ends",
			may("queue_items", authoredMark("items", controlplane.MaxEdgeItems)),
			may("queue_ms", authoredMark("milliseconds", controlplane.MaxSettingMS)),
		)),
		may("lane_handling", closed("how each lane on the edge is treated",
			may(lane(eventabi.DataLane), strategies("another place for the strategy of a data edge")),
			may(lane(eventabi.ControlLane), control),
			may(lane(eventabi.TelemetryLane), telemetry),
		)),
		may("fairness_key", shape.Text("items with one key share service")),
		may("sync_drop_policy", closed("what losing one item does to its group",
			may("policy", shape.OneOf("the policy", controlplane.SyncAtomicDrop, controlplane.SyncDropWithDiscontinuity, controlplane.SyncNone)),
			may("scope", shape.OneOf("how far a marker reaches", controlplane.SyncEdgeLocal, controlplane.SyncPlanWide)),
			may("group_by", shape.OneOf("what binds items into a group; sync_id when absent",
				controlplane.GroupBySyncID, controlplane.GroupByEventID, controlplane.GroupByCustom)),
			may("sync_domain", shape.Text("the streams that stay aligned; drop_with_discontinuity needs it")),
		)),
	}
}

// victimRules say of one edge entry what the layers together are asked again.
func victimRules() []shape.Rule {
	return []shape.Rule{
		{
			Doc:  "only a drop has a victim, flow section 1",
			When: []shape.Cond{shape.In("strategy", "block", "merge", "sample", "latest_only", "coalesce", "latest-only")},
			Then: []shape.Demand{shape.Forbid("drop_victim")},
		},
		{
			Doc: "the spelling drop_newest says who leaves", When: []shape.Cond{shape.In("strategy", "drop_newest")},
			Then: []shape.Demand{shape.Restrict("drop_victim", shape.OneOf("", controlplane.VictimNewest))},
		},
		{
			Doc: "the spelling drop_oldest says who leaves", When: []shape.Cond{shape.In("strategy", "drop_oldest")},
			Then: []shape.Demand{shape.Restrict("drop_victim", shape.OneOf("", controlplane.VictimOldest))},
		},
	}
}

func authoredMark(unit string, most int64) *shape.Shape {
	return closed("a hysteresis pair in "+unit+", low below high",
		may("high", upTo("pressure starts here, "+unit, 1, most)),
		may("low", upTo("pressure ends here, "+unit, 0, most)),
	)
}

func authoredFlow() *shape.Shape {
	byLane := func(doc string, data, control, telemetry *shape.Shape) *shape.Shape {
		return closed(doc, may(string(eventabi.DataLane), data), may(string(eventabi.ControlLane), control),
			may(string(eventabi.TelemetryLane), telemetry))
	}
	mode := shape.OneOf("the producer rule", controlplane.FlowSignal, controlplane.FlowCredit, controlplane.FlowHybrid)
	mark := authoredMark("items", controlplane.MaxEdgeItems)
	control := shape.OneOf("what control does", controlplane.ShedNone)
	control.Why = whyControl
	telemetry := shape.OneOf("what telemetry does", controlplane.ShedDrop, controlplane.ShedSample)
	telemetry.Why = whyTelemetry
	return closed("how producers are slowed down, and what happens when waiting is over",
		may("mode_by_lane", byLane("the producer rule of each lane", mode, mode, mode)),
		may("watermarks", byLane("where producers of each lane are stopped and let go on", mark, mark, mark)),
		may("shedding_strategy_by_lane", byLane("what each lane does once waiting is over",
			shape.OneOf("what data does", controlplane.ShedDrop, controlplane.ShedMerge, controlplane.ShedLatestOnly,
				controlplane.ShedDegrade, controlplane.ShedFallback), control, telemetry)),
	)
}

// quotas describes limits of use (authority-state section 7): of a tenant by themselves,
// of each session and each turn of it below those names.
func quotas() *shape.Shape {
	limits := func(doc string, of controlplane.QuotaScope) *shape.Shape {
		s := closed(doc)
		for _, l := range controlplane.QuotaLimits(of) {
			s.Fields = append(s.Fields, may(string(l), quota()))
		}
		return s
	}
	all := func(doc string) *shape.Shape {
		s := limits(doc, controlplane.QuotaOfTenant)
		s.Fields = append(s.Fields,
			may(string(controlplane.QuotaOfSession), limits("limits of each session", controlplane.QuotaOfSession)),
			may(string(controlplane.QuotaOfTurn), limits("limits of each turn", controlplane.QuotaOfTurn)))
		return s
	}
	tenants := tableOf("what is otherwise for single tenants, by tenant id", all("limits of one tenant"))
	tenants.Names = shape.ID
	return closed("limits of use",
		may("defaults", all("limits of every tenant")),
		may("tenants", tenants),
	)
}

func quota() *shape.Shape {
	const hour = 60 * 60 * 1000
	return closed("one limit",
		may("max", upTo("the limit", 1, 1_000_000_000_000)),
		may("action", shape.OneOf("what happens to who comes when it is reached; throttle is a defer that names a time",
			"reject", "defer", "throttle", "degrade")),
		may("headroom_per_mille", upTo("the action starts this share of max before it, in thousandths", 0, 999)),
		may("retry_after_ms", upTo("after what time to come again, milliseconds", 1, hour)),
	)
}

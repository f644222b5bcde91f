// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/schema"
)

// edgeOf gives settings of which one edge was changed; the pointers below it are its own.
func edgeOf(change func(e *controlplane.EdgeBufferPolicy)) *FlowSettings {
	s := VoiceSettings()
	i := slices.IndexFunc(s.Edges, func(e controlplane.Entry[controlplane.EdgeBufferPolicy]) bool { return e.Key == "transport-vad" })
	change(&s.Edges[i].Value)
	return &s
}

func settingsOf(change func(s *FlowSettings)) *FlowSettings {
	s := VoiceSettings()
	change(&s)
	return &s
}

type edge = controlplane.EdgeBufferPolicy

// What the kernel cannot run is refused before a turn opens, with field, value and
// remedy. Where the plan's schema has the rule as well, both refuse the same.
func TestFlowSettingsRefuse(t *testing.T) {
	const at = "edge_buffer_policies.transport-vad."
	for field, s := range map[string]*FlowSettings{
		at + "strategy":                    edgeOf(func(e *edge) { e.Strategy = "spill" }),
		at + "drop_victim":                 edgeOf(func(e *edge) { e.DropVictim = "newest" }),
		at + "max_queue_items":             edgeOf(func(e *edge) { e.MaxQueueItems = 0 }),
		at + "max_queue_ms":                edgeOf(func(e *edge) { e.MaxQueueMS = -5 }),
		at + "max_queue_bytes":             edgeOf(func(e *edge) { e.MaxQueueBytes = 0 }),
		at + "max_latency_contribution_ms": edgeOf(func(e *edge) { e.MaxLatencyContributionMS = 0 }),
		at + "max_block_time_ms":           edgeOf(func(e *edge) { e.Strategy = "block" }),
		at + "sample_every":                edgeOf(func(e *edge) { e.SampleEvery = 1 }),
		at + "watermarks":                  edgeOf(func(e *edge) { e.Watermarks = controlplane.EdgeWatermarks{} }),
		at + "watermarks.queue_items.high": edgeOf(func(e *edge) { e.Watermarks.QueueItems = &controlplane.Watermark{High: 0, Low: -1} }),
		at + "watermarks.queue_ms.low":     edgeOf(func(e *edge) { e.Watermarks.QueueMS.Low = 750 }),
		at + "lane_handling":               edgeOf(func(e *edge) { e.LaneHandling = controlplane.LaneHandling{} }),
		at + "lane_handling.DataLane":      edgeOf(func(e *edge) { e.LaneHandling.DataLane = "best_effort_drop" }),
		at + "lane_handling.ControlLane":   edgeOf(func(e *edge) { e.LaneHandling.ControlLane = "drop" }),
		at + "lane_handling.TelemetryLane": edgeOf(func(e *edge) { e.LaneHandling.TelemetryLane = "block" }),
		at + "defaulting_source":           edgeOf(func(e *edge) { e.DefaultingSource = "" }),
		at + "sync_drop_policy.policy": edgeOf(func(e *edge) {
			e.SyncDropPolicy = &controlplane.SyncDropPolicy{Scope: "edge_local", GroupBy: "sync_id"}
		}),
		at + "sync_drop_policy.scope": edgeOf(func(e *edge) { e.SyncDropPolicy = &controlplane.SyncDropPolicy{Policy: "no_sync"} }),
		at + "sync_drop_policy.group_by": edgeOf(func(e *edge) {
			e.SyncDropPolicy = &controlplane.SyncDropPolicy{Policy: "atomic_drop", Scope: "edge_local"}
		}),
		"flow_control.mode_by_lane.DataLane":     settingsOf(func(s *FlowSettings) { s.Flow.ModeByLane.DataLane = "push" }),
		"flow_control.watermarks.DataLane.low":   settingsOf(func(s *FlowSettings) { s.Flow.Watermarks.DataLane.Low = 48 }),
		"budgets":                                settingsOf(func(s *FlowSettings) { s.Budgets.EdgeBudgetMSDefault = 0 }),
		"budgets.turn_budget_ms":                 settingsOf(func(s *FlowSettings) { s.Budgets.TurnBudgetMS = -1 }),
		"edge_buffer_policies":                   settingsOf(func(s *FlowSettings) { s.Edges = nil }),
		"allowed_adaptive_actions":               settingsOf(func(s *FlowSettings) { s.Actions = []controlplane.AdaptiveAction{"retry", "wait"} }),
		at + "sync_drop_policy.sync_domain":      edgeOf(withoutDomain),
		"flow_control.shedding_strategy_by_lane": settingsOf(func(s *FlowSettings) { s.Flow.SheddingStrategyByLane.ControlLane = "drop" }),
		"node_execution_policies.llm.concurrency_limit": settingsOf(func(s *FlowSettings) {
			s.Nodes = controlplane.NewTable(entry("llm", controlplane.NodeExecutionPolicy{ConcurrencyLimit: -1}))
		}),
	} {
		err := s.Validate()
		var fault *PolicyError
		if !errors.As(err, &fault) || !strings.HasPrefix(fault.Field, field) || fault.Want == "" {
			t.Errorf("%s: %v", field, err)
		}
		r := request()
		r.Flow = s
		if _, err := NewResolver(r); !errors.Is(err, ErrPlan) || !errors.As(err, &fault) {
			t.Errorf("%s: the resolver takes it: %v", field, err)
		}
		if report := planReport(t, s); report.Valid() {
			t.Errorf("%s: the plan's schema takes it", field)
		}
	}
}

func withoutDomain(e *edge) {
	e.SyncDropPolicy = &controlplane.SyncDropPolicy{Policy: "drop_with_discontinuity", Scope: "plan_wide", GroupBy: "custom"}
}

// The set of actions is stored in one order (turn-plan section 2); a plan writes it so,
// whoever hands it in, and the kernel takes no other.
func TestFlowSettingsRefuseDisorder(t *testing.T) {
	for _, actions := range [][]controlplane.AdaptiveAction{{"fallback", "retry"}, {"retry", "retry"}} {
		if err := settingsOf(func(s *FlowSettings) { s.Actions = actions }).Validate(); err == nil {
			t.Errorf("%v is taken", actions)
		}
	}
}

// planReport validates a plan with these settings that no resolver was asked about.
func planReport(t *testing.T, s *FlowSettings) schema.Report {
	t.Helper()
	r := request()
	r.Flow = s
	unchecked := Resolver{request: r}
	raw, err := json.Marshal(unchecked.Resolve("t1", 1, snapshots()))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(schema.ResolvedTurnPlan, raw, schema.Options{})
}

// Every edge, one value changed in every way that a closed set or a bound knows: the
// kernel takes what the plan's schema takes, as far as its numbers can be counted.
func TestFlowSettingsAgreeWithTheSchema(t *testing.T) {
	values := []string{
		"", "block", "drop", "merge", "sample", "latest_only", "newest", "oldest", "non_blocking_priority", "best_effort_drop", "atomic_drop",
		"drop_with_discontinuity", "no_sync", "edge_local", "plan_wide", "sync_id", "event_id", "custom", "none", "degrade", "signal", "hybrid",
		"-1", "0", "1", "2", "49", "200",
	}
	tried, taken := 0, 0
	compare := func(s *FlowSettings, what string) {
		tried++
		err, report := s.Validate(), planReport(t, s)
		if (err == nil) != report.Valid() {
			t.Errorf("%s: kernel says %v, schema says %v", what, err, report.Faults)
		}
		if err == nil {
			taken++
		}
	}
	full := fullEdge()
	for _, path := range full.Fields() {
		for _, v := range values {
			e := fullEdge()
			if e.Set(path.Path, v) != nil {
				continue // a number wants a number
			}
			compare(settingsOf(func(s *FlowSettings) { s.Edges = controlplane.NewTable(entry("e", e)) }), path.Path+"="+v)
		}
	}
	flow := ProfileFlow()
	for _, path := range flow.Fields() {
		for _, v := range values {
			f := ProfileFlow()
			if f.Set(path.Path, v) != nil {
				continue
			}
			compare(settingsOf(func(s *FlowSettings) { s.Flow = f }), path.Path+"="+v)
		}
	}
	if tried < 500 || taken < 50 || taken == tried {
		t.Errorf("%d tried, %d taken", tried, taken)
	}
}

func fullEdge() edge {
	p := ProfileEdge(controlplane.StrategyDrop)
	p.SampleEvery, p.MaxBlockTimeMS, p.FairnessKey = 3, 20, "tenant"
	p.SyncDropPolicy = &controlplane.SyncDropPolicy{Policy: "drop_with_discontinuity", Scope: "plan_wide", GroupBy: "sync_id", SyncDomain: "av"}
	return p
}

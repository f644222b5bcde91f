// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Every value of the plan arrives where it belongs, each under its own unit.
func TestCompile(t *testing.T) {
	mark := func(high, low int64) controlplane.Watermark { return controlplane.Watermark{High: high, Low: low} }
	items, times := mark(9, 3), mark(70, 20)
	p := controlplane.EdgeBufferPolicy{
		Strategy: controlplane.StrategyDrop, DropVictim: controlplane.VictimNewest,
		MaxQueueItems: 10, MaxQueueMS: 80, MaxQueueBytes: 1000, MaxLatencyContributionMS: 60, MaxBlockTimeMS: 15,
		Watermarks:   controlplane.EdgeWatermarks{QueueItems: &items, QueueMS: &times},
		LaneHandling: controlplane.LaneHandling{DataLane: controlplane.TreatSample, TelemetryLane: controlplane.TreatBestEffortDrop},
		SampleEvery:  5,
		SyncDropPolicy: &controlplane.SyncDropPolicy{
			Policy: controlplane.SyncDropWithDiscontinuity, Scope: controlplane.SyncPlanWide,
			GroupBy: controlplane.GroupByEventID, SyncDomain: "av",
		},
	}
	f := controlplane.FlowControl{
		ModeByLane: controlplane.ByLane[controlplane.FlowMode]{
			ControlLane: controlplane.FlowSignal, DataLane: controlplane.FlowHybrid, TelemetryLane: controlplane.FlowCredit,
		},
		Watermarks: controlplane.ByLane[controlplane.Watermark]{ControlLane: mark(6, 1), DataLane: mark(7, 2), TelemetryLane: mark(8, 4)},
		SheddingStrategyByLane: controlplane.ByLane[controlplane.SheddingStrategy]{
			ControlLane: controlplane.ShedNone, DataLane: controlplane.ShedFallback, TelemetryLane: controlplane.ShedSample,
		},
	}
	want := Spec{ // what the lane says goes before what the edge says
		Strategy: controlplane.StrategySample, Victim: controlplane.VictimNewest,
		Items: 10, Bytes: 1000, Queue: timebase.MS(80), Latency: timebase.MS(60), Block: timebase.MS(15),
		HighItems: 9, LowItems: 3, HighTime: timebase.MS(70), LowTime: timebase.MS(20),
		Mode:     [laneCount]controlplane.FlowMode{controlplane.FlowSignal, controlplane.FlowHybrid, controlplane.FlowCredit},
		FlowHigh: [laneCount]int64{6, 7, 8}, FlowLow: [laneCount]int64{1, 2, 4},
		Shedding: controlplane.ShedFallback, Telemetry: controlplane.TreatBestEffortDrop, Every: 5,
		Sync: controlplane.SyncDropWithDiscontinuity, Wide: true, GroupBy: controlplane.GroupByEventID, Domain: "av",
	}
	if got := Compile(&p, &f); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Flow section 1: "sample: N from policy, default 2". Section 3: shedding_strategy_by_lane
// holds for telemetry where the edge's lane_handling names nothing. Section 5: no_sync is
// no policy.
func TestCompileDefaults(t *testing.T) {
	f := controlplane.FlowControl{}
	f.SheddingStrategyByLane.TelemetryLane = controlplane.ShedSample
	p := controlplane.EdgeBufferPolicy{
		Strategy:       controlplane.StrategyMerge,
		SyncDropPolicy: &controlplane.SyncDropPolicy{Policy: controlplane.SyncNone, Scope: controlplane.SyncPlanWide, SyncDomain: "av"},
	}
	s := Compile(&p, &f)
	if s.Every != 2 || s.Telemetry != controlplane.TreatSample || s.Sync != "" || s.Wide || s.Domain != "" ||
		s.HighItems != 0 || s.HighTime != 0 {
		t.Errorf("%+v", s)
	}
}

// Flow section 2: "The action is whatever the plan resolved: block, drop, merge, degrade,
// fallback".
func TestAction(t *testing.T) {
	for shedding, want := range map[controlplane.SheddingStrategy]Action{
		controlplane.ShedDrop: ActDrop, controlplane.ShedMerge: ActMerge, controlplane.ShedLatestOnly: ActLatestOnly,
		controlplane.ShedDegrade: ActDegrade, controlplane.ShedFallback: ActFallback,
	} {
		s := Spec{Strategy: controlplane.StrategyMerge, Shedding: shedding}
		if got := s.Action(); got != want {
			t.Errorf("shedding by %s: action %s, want %s", shedding, got, want)
		}
		s.Strategy = controlplane.StrategyBlock
		if got := s.Action(); got != ActBlock {
			t.Errorf("an edge that blocks acts by %s", got)
		}
	}
}

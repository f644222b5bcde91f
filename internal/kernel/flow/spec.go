// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Spec is what an edge obeys: the effective BufferSpec of the plan, and the plan's flow
// control. It does not change while the edge exists.
type Spec struct {
	Strategy controlplane.BufferStrategy
	Victim   controlplane.DropVictim
	Items    int64
	Bytes    int64
	Queue    timebase.Span // max_queue_ms
	Latency  timebase.Span // max_latency_contribution_ms
	Block    timebase.Span // max_block_time_ms: the longest a producer waits, for room or for a credit

	HighItems, LowItems int64 // watermarks; HighItems 0 = depth is not watched
	HighTime, LowTime   timebase.Span

	Mode      [laneCount]controlplane.FlowMode
	FlowHigh  [laneCount]int64
	FlowLow   [laneCount]int64
	Shedding  controlplane.SheddingStrategy // of the data lane
	Telemetry controlplane.LaneTreatment
	Every     int64 // sample keeps every Nth

	Sync    controlplane.SyncPolicy
	Wide    bool // sync markers reach every edge of the domain
	GroupBy controlplane.SyncGroupBy
	Domain  string
}

// Compile lays a plan's policy for one edge out.
func Compile(p *controlplane.EdgeBufferPolicy, f *controlplane.FlowControl) Spec {
	s := Spec{
		Strategy: p.Strategy, Victim: p.DropVictim,
		Items: p.MaxQueueItems, Bytes: p.MaxQueueBytes,
		Queue: timebase.MS(p.MaxQueueMS), Latency: timebase.MS(p.MaxLatencyContributionMS), Block: timebase.MS(p.MaxBlockTimeMS),
		Mode: [laneCount]controlplane.FlowMode{f.ModeByLane.ControlLane, f.ModeByLane.DataLane, f.ModeByLane.TelemetryLane},
		FlowHigh: [laneCount]int64{
			f.Watermarks.ControlLane.High, f.Watermarks.DataLane.High, f.Watermarks.TelemetryLane.High,
		},
		FlowLow: [laneCount]int64{
			f.Watermarks.ControlLane.Low, f.Watermarks.DataLane.Low, f.Watermarks.TelemetryLane.Low,
		},
		Shedding:  f.SheddingStrategyByLane.DataLane,
		Telemetry: p.LaneHandling.TelemetryLane,
		Every:     p.SampleEvery,
	}
	if lane := p.LaneHandling.DataLane; lane != "" { // what the lane says goes before what the edge says
		s.Strategy = controlplane.BufferStrategy(lane)
	}
	if s.Victim == "" {
		s.Victim = controlplane.VictimOldest
	}
	if s.Every <= 0 {
		s.Every = controlplane.DefaultSampleEvery
	}
	if s.Telemetry == "" { // the edge says nothing of its own
		s.Telemetry = controlplane.LaneTreatment(f.SheddingStrategyByLane.TelemetryLane)
	}
	if w := p.Watermarks.QueueItems; w != nil {
		s.HighItems, s.LowItems = w.High, w.Low
	}
	if w := p.Watermarks.QueueMS; w != nil {
		s.HighTime, s.LowTime = timebase.MS(w.High), timebase.MS(w.Low)
	}
	if p.SyncDropPolicy != nil && p.SyncDropPolicy.Policy != controlplane.SyncNone {
		s.Sync, s.Domain = p.SyncDropPolicy.Policy, p.SyncDropPolicy.SyncDomain
		s.Wide = p.SyncDropPolicy.Scope == controlplane.SyncPlanWide
		s.GroupBy = p.SyncDropPolicy.GroupBy
	}
	return s
}

// rules are what an edge asks its spec about at every call, answered once.
type rules struct {
	credits bool            // the data lane's producer needs a credit for each item
	signals [laneCount]bool // a lane's producer is told by XOFF and XON; that of control never
	blocks  bool            // the data lane's producer is stopped at the watermarks
}

func (s *Spec) rules() rules {
	r := rules{credits: s.credits(), blocks: s.Action() == ActBlock}
	for lane := Data; lane < laneCount; lane++ {
		r.signals[lane] = s.signals(lane)
	}
	return r
}

func (s *Spec) credits() bool {
	return s.Mode[Data] == controlplane.FlowCredit || s.Mode[Data] == controlplane.FlowHybrid
}

func (s *Spec) signals(lane Lane) bool {
	return s.Mode[lane] == controlplane.FlowSignal || s.Mode[lane] == controlplane.FlowHybrid
}

// Action is what an edge does when its data lane rises above a high watermark.
type Action string

// The actions (flow section 2).
const (
	ActBlock      Action = "block" // flow control stops the producer
	ActDrop       Action = "drop"
	ActMerge      Action = "merge"
	ActLatestOnly Action = "latest_only"
	ActDegrade    Action = "degrade"
	ActFallback   Action = "fallback"
)

// Action is what the plan resolved for a crossing: an edge that blocks has its producer
// stopped, any other sheds as its lane does.
func (s *Spec) Action() Action {
	if s.Strategy == controlplane.StrategyBlock {
		return ActBlock
	}
	return Action(s.Shedding)
}

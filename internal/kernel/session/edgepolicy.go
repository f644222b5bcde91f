// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// codePolicy walks an edge's policy, field by field under the names of the plan.
func codePolicy(c *coder, p *controlplane.EdgeBufferPolicy) {
	str(c, "strategy", &p.Strategy)
	str(c, "drop_victim", &p.DropVictim)
	num(c, "max_queue_items", &p.MaxQueueItems)
	num(c, "max_queue_ms", &p.MaxQueueMS)
	num(c, "max_queue_bytes", &p.MaxQueueBytes)
	num(c, "max_latency_contribution_ms", &p.MaxLatencyContributionMS)
	num(c, "max_block_time_ms", &p.MaxBlockTimeMS)
	codeWatermark(c, "queue_items", &p.Watermarks.QueueItems)
	codeWatermark(c, "queue_ms", &p.Watermarks.QueueMS)
	str(c, "control_lane", &p.LaneHandling.ControlLane)
	str(c, "data_lane", &p.LaneHandling.DataLane)
	str(c, "telemetry_lane", &p.LaneHandling.TelemetryLane)
	str(c, "fairness_key", &p.FairnessKey)
	str(c, "defaulting_source", &p.DefaultingSource)
	var s controlplane.SyncDropPolicy
	if p.SyncDropPolicy != nil {
		s = *p.SyncDropPolicy
	}
	str(c, "sync_policy", &s.Policy)
	str(c, "sync_scope", &s.Scope)
	str(c, "sync_group_by", &s.GroupBy)
	str(c, "sync_domain", &s.SyncDomain)
	if s != (controlplane.SyncDropPolicy{}) {
		p.SyncDropPolicy = &s
	}
}

// codeWatermark walks a pair of thresholds, absent where both are zero.
func codeWatermark(c *coder, name string, w **controlplane.Watermark) {
	var v controlplane.Watermark
	if *w != nil {
		v = **w
	}
	num(c, name+"_high", &v.High)
	num(c, name+"_low", &v.Low)
	if v != (controlplane.Watermark{}) {
		*w = &v
	}
}

// The streams of the session that further edges can be fed from.
const (
	FromCallerText = "caller_text" // transcripts and typed words
	FromAgentText  = "agent_text"  // what the agent says, segment by segment
)

// The bounds of what an edge may be given.
const (
	maxQueueItems = 1 << 16
	maxQueueBytes = 1 << 30
	maxEdges      = 16 // that a session may declare or set
	maxEvery      = 1 << 20
)

// Validate reports everything that the kernel cannot run the edge with, each a
// SettingError.
func (in *EdgePolicy) Validate() error {
	c := settingsCheck{prefix: "edges." + string(in.Edge) + "."}
	p := &in.Policy
	c.id("edge", string(in.Edge), true)
	c.oneOf("strategy", string(p.Strategy), string(controlplane.StrategyBlock), string(controlplane.StrategyDrop),
		string(controlplane.StrategyMerge), string(controlplane.StrategySample), string(controlplane.StrategyLatestOnly))
	c.oneOf("drop_victim", string(p.DropVictim), "", string(controlplane.VictimNewest), string(controlplane.VictimOldest))
	c.positive("max_queue_items", p.MaxQueueItems, maxQueueItems)
	c.positive("max_queue_ms", p.MaxQueueMS, maxSettingMS)
	c.positive("max_queue_bytes", p.MaxQueueBytes, maxQueueBytes)
	c.positive("max_latency_contribution_ms", p.MaxLatencyContributionMS, maxSettingMS)
	if p.Strategy == controlplane.StrategyBlock {
		c.positive("max_block_time_ms", p.MaxBlockTimeMS, maxSettingMS)
	} else {
		c.within("max_block_time_ms", p.MaxBlockTimeMS, maxSettingMS)
	}
	if p.Watermarks.QueueItems == nil && p.Watermarks.QueueMS == nil {
		c.fault("watermarks", "", "queue_items or queue_ms, each with high and low")
	}
	c.watermark("watermarks.queue_items", p.Watermarks.QueueItems, maxQueueItems)
	c.watermark("watermarks.queue_ms", p.Watermarks.QueueMS, maxSettingMS)
	c.oneOf("lane_handling.TelemetryLane", string(p.LaneHandling.TelemetryLane), "", string(controlplane.TreatDrop),
		string(controlplane.TreatSample), string(controlplane.TreatBestEffortDrop))
	c.oneOf("lane_handling.ControlLane", string(p.LaneHandling.ControlLane), "", string(controlplane.TreatPriority))
	c.within("every", in.Every, maxEvery)
	c.sync(p.SyncDropPolicy)
	c.ends(in)
	return errors.Join(c.faults...)
}

func (c *settingsCheck) positive(field string, v, high int64) {
	if v < 1 || v > high {
		c.fault(field, fmt.Sprint(v), fmt.Sprintf("a whole number from 1 to %d", high))
	}
}

func (c *settingsCheck) watermark(field string, w *controlplane.Watermark, high int64) {
	if w == nil {
		return
	}
	c.positive(field+".high", w.High, high)
	if w.Low < 0 || w.Low >= w.High {
		c.fault(field+".low", fmt.Sprint(w.Low), fmt.Sprintf("a whole number from 0 to below high, which is %d", w.High))
	}
}

func (c *settingsCheck) sync(s *controlplane.SyncDropPolicy) {
	if s == nil {
		return
	}
	c.oneOf("sync_drop_policy.policy", string(s.Policy), string(controlplane.SyncAtomicDrop),
		string(controlplane.SyncDropWithDiscontinuity), string(controlplane.SyncNone))
	c.oneOf("sync_drop_policy.scope", string(s.Scope), string(controlplane.SyncEdgeLocal), string(controlplane.SyncPlanWide))
	c.oneOf("sync_drop_policy.group_by", string(s.GroupBy), "", string(controlplane.GroupBySyncID),
		string(controlplane.GroupByEventID), string(controlplane.GroupByCustom))
	c.id("sync_drop_policy.sync_domain", s.SyncDomain, s.Policy == controlplane.SyncDropWithDiscontinuity)
}

// ends checks where the edge lies. Sound that was given to egress is the listener's: what
// comes can be refused, what is there cannot be taken back by number.
func (c *settingsCheck) ends(in *EdgePolicy) {
	if v, ours := voiceEdgeOf(in.Edge); ours {
		if in.From != "" || in.To != "" {
			c.fault("from", in.From, "no ends: the edge is one of the voice graph and has them")
		}
		newest := in.Policy.Strategy == controlplane.StrategyDrop && in.Policy.DropVictim == controlplane.VictimNewest
		if v == edgeVoice && in.Policy.Strategy != controlplane.StrategyBlock && !newest {
			c.fault("strategy", string(in.Policy.Strategy), "block, or drop with drop_victim newest: what egress was given may be playing")
		}
		return
	}
	c.id("from", in.From, true)
	c.id("to", in.To, true)
	if in.To == consumerClient || in.To == consumerObserver {
		c.fault("to", in.To, "a node of your own: the name is the voice graph's")
	}
}

// edgePolicy takes an edge's policy while the session is being set up.
func (m *Machine) edgePolicy(in *EdgePolicy) {
	if m.state != controlplane.SessionConnecting || len(m.edges.set) >= maxEdges {
		m.refuse("edge_policy_late", in.kind(), "")
		return
	}
	for i := range m.edges.set {
		if m.edges.set[i].Edge == in.Edge { // the later one stands
			m.edges.set[i] = *in
			return
		}
	}
	m.edges.set = append(m.edges.set, *in)
}

// flowPolicy takes the flow control of all edges while the session is being set up.
func (m *Machine) flowPolicy(in *FlowPolicy) {
	if m.state != controlplane.SessionConnecting {
		m.refuse("flow_policy_late", in.kind(), "")
		return
	}
	f := in.Flow
	m.edges.flow = &f
}

// codeFlow walks flow control, lane by lane.
func codeFlow(c *coder, f *controlplane.FlowControl) {
	for _, lane := range [...]struct {
		name string
		mode *controlplane.FlowMode
		mark *controlplane.Watermark
		shed *controlplane.SheddingStrategy
	}{
		{"control", &f.ModeByLane.ControlLane, &f.Watermarks.ControlLane, &f.SheddingStrategyByLane.ControlLane},
		{"data", &f.ModeByLane.DataLane, &f.Watermarks.DataLane, &f.SheddingStrategyByLane.DataLane},
		{"telemetry", &f.ModeByLane.TelemetryLane, &f.Watermarks.TelemetryLane, &f.SheddingStrategyByLane.TelemetryLane},
	} {
		str(c, lane.name+"_mode", lane.mode)
		num(c, lane.name+"_high", &lane.mark.High)
		num(c, lane.name+"_low", &lane.mark.Low)
		str(c, lane.name+"_shed", lane.shed)
	}
}

// Validate reports everything that the kernel cannot run the flow control with, each a
// SettingError.
func (in *FlowPolicy) Validate() error {
	c := settingsCheck{prefix: "flow_control."}
	f := &in.Flow
	for _, lane := range [...]eventabi.Lane{eventabi.ControlLane, eventabi.DataLane, eventabi.TelemetryLane} {
		mode, mark := f.ModeByLane.Get(lane), f.Watermarks.Get(lane)
		c.oneOf("mode_by_lane."+string(lane), string(mode),
			string(controlplane.FlowSignal), string(controlplane.FlowCredit), string(controlplane.FlowHybrid))
		c.watermark("watermarks."+string(lane), &mark, maxQueueItems)
	}
	shed := &f.SheddingStrategyByLane
	c.oneOf("shedding_strategy_by_lane.ControlLane", string(shed.ControlLane), string(controlplane.ShedNone))
	c.oneOf("shedding_strategy_by_lane.DataLane", string(shed.DataLane), string(controlplane.ShedDrop), string(controlplane.ShedMerge),
		string(controlplane.ShedLatestOnly), string(controlplane.ShedDegrade), string(controlplane.ShedFallback))
	c.oneOf("shedding_strategy_by_lane.TelemetryLane", string(shed.TelemetryLane), string(controlplane.ShedDrop), string(controlplane.ShedSample))
	return errors.Join(c.faults...)
}

// unusableEdge names the first fault of the edges that were set, and of their flow
// control; empty when there is none.
func (m *Machine) unusableEdge() string {
	if m.edges.flow != nil {
		var fault *SettingError
		if errors.As((&FlowPolicy{Flow: *m.edges.flow}).Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	for i := range m.edges.set {
		var fault *SettingError
		if errors.As(m.edges.set[i].Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	return ""
}

// policies gives what was set, for the plan.
func (e *edges) policies() []controlplane.Entry[controlplane.EdgeBufferPolicy] {
	list := make([]controlplane.Entry[controlplane.EdgeBufferPolicy], len(e.set))
	for i := range e.set {
		list[i] = controlplane.Entry[controlplane.EdgeBufferPolicy]{Key: string(e.set[i].Edge), Value: e.set[i].Policy}
	}
	return list
}

// setting gives what was set for an edge, nil when nothing was.
func (e *edges) setting(id eventabi.EdgeID) *EdgePolicy {
	for i := range e.set {
		if e.set[i].Edge == id {
			return &e.set[i]
		}
	}
	return nil
}

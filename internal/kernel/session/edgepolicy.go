// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
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
	num(c, "sample_every", &p.SampleEvery)
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

// Validate reports what is wrong with where the edge lies, each a SettingError; the policy
// itself is the plan's to judge. Sound whose place is in the shell can only be dropped
// where its consumer is.
func (in *EdgePolicy) Validate() error {
	c := settingsCheck{prefix: "edge_buffer_policies." + string(in.Edge) + "."}
	c.id("edge", string(in.Edge), true)
	c.layers(in.Layers)
	if v, ours := voiceEdgeOf(in.Edge); ours {
		if in.From != "" || in.To != "" {
			c.fault("from", in.From, "no ends: the edge is one of the voice graph and has them")
		}
		strategy := in.Policy.Strategy
		drops := strategy == controlplane.StrategyDrop
		newest := in.Policy.DropVictim == controlplane.VictimNewest
		switch v {
		case edgeVoice:
			if strategy != controlplane.StrategyBlock && !(drops && newest) {
				c.fault("strategy", string(strategy), "block, or drop with drop_victim newest: what egress was given may be playing")
			}
		case edgeVAD, edgeSTT:
			if strategy != controlplane.StrategyMerge && (!drops || newest) {
				c.fault("strategy", string(strategy), "merge, or drop with drop_victim oldest: who listens can go on further ahead, and cannot leave out what lies before that")
			}
		case edgeWords, edgeReply, edgeClient, edgeTelemetry, voiceEdges:
		}
		return errors.Join(c.faults...)
	}
	c.id("from", in.From, true)
	c.id("to", in.To, true)
	if in.To == consumerClient || in.To == consumerObserver {
		c.fault("to", in.To, "a node of your own: the name is the voice graph's")
	}
	return errors.Join(c.faults...)
}

// edgePolicy takes an edge's policy while the session is being set up.
func (m *Machine) edgePolicy(in *EdgePolicy) {
	if m.state != controlplane.SessionConnecting || len(m.edges.set) >= controlplane.MaxEdges {
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
	f := *in
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

// Validate reports a layer that is none; the rest is the plan's to judge.
func (in *FlowPolicy) Validate() error {
	c := settingsCheck{prefix: "flow_control."}
	c.layers(in.Layers)
	return errors.Join(c.faults...)
}

// unusableEdge names the first fault of what was set, and of the settings that it made;
// empty when there is none.
func (m *Machine) unusableEdge(made *turn.FlowSettings) string {
	for i := range m.edges.set {
		var fault *SettingError
		if errors.As(m.edges.set[i].Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	for i := range m.edges.nodes {
		var fault *SettingError
		if errors.As(m.edges.nodes[i].Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	if f := m.edges.flow; f != nil {
		var fault *SettingError
		if errors.As(f.Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	if made != nil {
		var fault *turn.PolicyError
		if errors.As(made.Validate(), &fault) {
			return "invalid_setting:" + fault.Field
		}
	}
	return ""
}

// settings gives what was set, over the profile and the voice graph; nil when nothing was,
// so that sessions without settings hold none.
func (e *edges) settings() *turn.FlowSettings {
	if len(e.set) == 0 && len(e.nodes) == 0 && e.flow == nil {
		return nil
	}
	f := turn.VoiceSettings()
	from := []controlplane.Entry[string](f.Provenance)
	for i := range e.set {
		id := string(e.set[i].Edge)
		f.Edges = append(f.Edges, controlplane.Entry[controlplane.EdgeBufferPolicy]{Key: id, Value: e.set[i].Policy})
		from = layers(from, "edge_buffer_policies."+id, e.set[i].Layers)
	}
	for i := range e.nodes {
		id := string(e.nodes[i].Node)
		f.Nodes = append(f.Nodes, controlplane.Entry[controlplane.NodeExecutionPolicy]{Key: id, Value: e.nodes[i].Policy})
		from = layers(from, "node_execution_policies."+id, e.nodes[i].Layers)
	}
	if e.flow != nil {
		f.Flow = e.flow.Flow
		from = layers(from, "flow_control", e.flow.Layers)
	}
	f.Edges, f.Nodes, f.Provenance = controlplane.NewTable(f.Edges...), controlplane.NewTable(f.Nodes...), controlplane.NewTable(from...)
	return &f
}

// layers says where the values at a path came from, as the list of name=layer has it. It
// writes over the entries that it is given.
func layers(from []controlplane.Entry[string], path, list string) []controlplane.Entry[string] {
	from = slices.DeleteFunc(from, func(e controlplane.Entry[string]) bool {
		return strings.HasPrefix(e.Key, path) && (len(e.Key) == len(path) || e.Key[len(path)] == '.')
	})
	from = append(from, controlplane.Entry[string]{Key: path, Value: turn.LayerOf(list, "")})
	for pair := range strings.FieldsSeq(list) {
		if name, layer, _ := strings.Cut(pair, "="); name != "" {
			from = append(from, controlplane.Entry[string]{Key: path + "." + name, Value: layer})
		}
	}
	return from
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

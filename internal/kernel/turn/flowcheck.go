// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
)

// PolicyError names a value of the settings that the kernel cannot run with.
type PolicyError struct {
	Field string // its path in the plan
	Value string
	Want  string
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("turn: %s is %q: give %s", e.Field, e.Value, e.Want)
}

// Validate reports every value that the kernel cannot run with, each a PolicyError. It
// asks what the plan's schema asks, and that numbers are small enough to be counted.
func (s *FlowSettings) Validate() error {
	c := flowCheck{}
	c.within(place{"edge_buffer_policies"}, int64(len(s.Edges)), 1, controlplane.MaxEdges)
	for i := range s.Edges {
		c.edge(place{"edge_buffer_policies.", s.Edges[i].Key}, &s.Edges[i].Value)
	}
	c.flow(&s.Flow)
	for _, f := range s.Budgets.Fields() {
		c.field(place{"budgets.", f.Path}, f.Value, 1, controlplane.MaxSettingMS)
	}
	if n := len(s.Budgets.Fields()); n != 4 { // a budget of 0 is no field
		c.fault(place{"budgets"}, fmt.Sprintf("%d of 4", n), "every budget, at least 1 ms each")
	}
	for _, n := range s.Nodes {
		c.within(place{"node_execution_policies.", n.Key, ".concurrency_limit"}, n.Value.ConcurrencyLimit, 0, controlplane.MaxTasks)
	}
	all := controlplane.AdaptiveActions()
	rank := -1
	for _, a := range s.Actions {
		at := slices.Index(all, a)
		if at <= rank {
			c.fault(place{"allowed_adaptive_actions"}, string(a), "retry, provider_switch, degrade and fallback in this order, each at most once")
			break
		}
		rank = at
	}
	return errors.Join(c.faults...)
}

type flowCheck struct{ faults []error }

// place is the path of a value, in pieces: they are joined where there is a fault, for a
// session that begins checks more than a hundred values.
type place [4]string

// at gives the place of what lies below.
func (p place) at(name string) place {
	for i := range p {
		if p[i] == "" {
			p[i] = name
			break
		}
	}
	return p
}

func (c *flowCheck) fault(at place, value, want string) {
	c.faults = append(c.faults, &PolicyError{Field: strings.Join(at[:], ""), Value: value, Want: want})
}

func (c *flowCheck) within(at place, v, low, high int64) {
	if v < low || v > high {
		c.fault(at, strconv.FormatInt(v, 10), fmt.Sprintf("a whole number from %d to %d", low, high))
	}
}

func (c *flowCheck) field(at place, value string, low, high int64) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		c.fault(at, value, "a whole number")
		return
	}
	c.within(at, n, low, high)
}

// known checks a member of a closed set.
func known[T ~string](c *flowCheck, at place, v T, set ...T) {
	if slices.Contains(set, v) {
		return
	}
	names := make([]string, len(set))
	for i, s := range set {
		names[i] = string(s)
	}
	c.fault(at, string(v), strings.Join(names, " or "))
}

func (c *flowCheck) edge(at place, p *controlplane.EdgeBufferPolicy) {
	known(c, at.at(".strategy"), p.Strategy, controlplane.StrategyBlock, controlplane.StrategyDrop,
		controlplane.StrategyMerge, controlplane.StrategySample, controlplane.StrategyLatestOnly)
	switch {
	case p.DropVictim == "":
	case p.Strategy != controlplane.StrategyDrop:
		c.fault(at.at(".drop_victim"), string(p.DropVictim), "none: only the strategy drop has a victim")
	default:
		known(c, at.at(".drop_victim"), p.DropVictim, controlplane.VictimNewest, controlplane.VictimOldest)
	}
	c.within(at.at(".max_queue_items"), p.MaxQueueItems, 1, controlplane.MaxEdgeItems)
	c.within(at.at(".max_queue_ms"), p.MaxQueueMS, 1, controlplane.MaxSettingMS)
	c.within(at.at(".max_queue_bytes"), p.MaxQueueBytes, 1, controlplane.MaxEdgeBytes)
	c.within(at.at(".max_latency_contribution_ms"), p.MaxLatencyContributionMS, 1, controlplane.MaxSettingMS)
	least := int64(0)
	if p.Strategy == controlplane.StrategyBlock || p.LaneHandling.DataLane == controlplane.TreatBlock {
		least = 1 // flow section 1: what blocks says for how long
	}
	c.within(at.at(".max_block_time_ms"), p.MaxBlockTimeMS, least, controlplane.MaxSettingMS)
	if p.SampleEvery != 0 {
		c.within(at.at(".sample_every"), p.SampleEvery, 2, controlplane.MaxSampleEvery)
	}
	if p.Watermarks.QueueItems == nil && p.Watermarks.QueueMS == nil {
		c.fault(at.at(".watermarks"), "", "queue_items, queue_ms or both")
	}
	c.watermark(at.at(".watermarks.queue_items"), p.Watermarks.QueueItems, controlplane.MaxEdgeItems)
	c.watermark(at.at(".watermarks.queue_ms"), p.Watermarks.QueueMS, controlplane.MaxSettingMS)
	c.lanes(at, p)
	known(c, at.at(".defaulting_source"), p.DefaultingSource, controlplane.DefaultedExplicit, controlplane.DefaultedFromProfile)
	if p.SyncDropPolicy != nil {
		c.sync(at.at(".sync_drop_policy"), p.SyncDropPolicy)
	}
}

// watermark checks low < high: without it pressure never ends (flow section 1).
func (c *flowCheck) watermark(at place, m *controlplane.Watermark, most int64) {
	if m == nil {
		return
	}
	c.within(at.at(".high"), m.High, 1, most)
	if m.Low < 0 || m.Low >= m.High {
		c.fault(at.at(".low"), strconv.FormatInt(m.Low, 10), fmt.Sprintf("a whole number from 0 to below high, which is %d", m.High))
	}
}

func (c *flowCheck) lanes(at place, p *controlplane.EdgeBufferPolicy) {
	l := &p.LaneHandling
	if *l == (controlplane.LaneHandling{}) {
		c.fault(at.at(".lane_handling"), "", "the treatment of at least one lane")
	}
	known(c, at.at(".lane_handling.DataLane"), l.DataLane, "", controlplane.TreatBlock, controlplane.TreatDrop,
		controlplane.TreatMerge, controlplane.TreatSample, controlplane.TreatLatestOnly)
	known(c, at.at(".lane_handling.ControlLane"), l.ControlLane, "", controlplane.TreatPriority)
	known(c, at.at(".lane_handling.TelemetryLane"), l.TelemetryLane, "", controlplane.TreatDrop,
		controlplane.TreatSample, controlplane.TreatBestEffortDrop)
	if l.DataLane == "" && l.TelemetryLane != "" {
		known(c, at.at(".strategy"), p.Strategy, controlplane.StrategyDrop, controlplane.StrategySample)
	}
}

func (c *flowCheck) sync(at place, s *controlplane.SyncDropPolicy) {
	known(c, at.at(".policy"), s.Policy, controlplane.SyncAtomicDrop, controlplane.SyncDropWithDiscontinuity, controlplane.SyncNone)
	known(c, at.at(".scope"), s.Scope, controlplane.SyncEdgeLocal, controlplane.SyncPlanWide)
	groups := []controlplane.SyncGroupBy{controlplane.GroupBySyncID, controlplane.GroupByEventID, controlplane.GroupByCustom}
	if s.Policy == controlplane.SyncNone {
		groups = append(groups, "")
	}
	known(c, at.at(".group_by"), s.GroupBy, groups...)
	if s.Policy == controlplane.SyncDropWithDiscontinuity && s.SyncDomain == "" {
		c.fault(at.at(".sync_domain"), "", "the streams that the discontinuity concerns")
	}
}

func (c *flowCheck) flow(f *controlplane.FlowControl) {
	for _, l := range [...]struct {
		lane string
		mode controlplane.FlowMode
		mark controlplane.Watermark
		shed controlplane.SheddingStrategy
		set  []controlplane.SheddingStrategy
	}{
		{"DataLane", f.ModeByLane.DataLane, f.Watermarks.DataLane, f.SheddingStrategyByLane.DataLane, []controlplane.SheddingStrategy{
			controlplane.ShedDrop, controlplane.ShedMerge, controlplane.ShedLatestOnly, controlplane.ShedDegrade, controlplane.ShedFallback,
		}},
		{"ControlLane", f.ModeByLane.ControlLane, f.Watermarks.ControlLane, f.SheddingStrategyByLane.ControlLane, []controlplane.SheddingStrategy{
			controlplane.ShedNone,
		}},
		{"TelemetryLane", f.ModeByLane.TelemetryLane, f.Watermarks.TelemetryLane, f.SheddingStrategyByLane.TelemetryLane, []controlplane.SheddingStrategy{
			controlplane.ShedDrop, controlplane.ShedSample,
		}},
	} {
		known(c, place{"flow_control.mode_by_lane.", l.lane}, l.mode, controlplane.FlowSignal, controlplane.FlowCredit, controlplane.FlowHybrid)
		c.watermark(place{"flow_control.watermarks.", l.lane}, &l.mark, controlplane.MaxEdgeItems)
		known(c, place{"flow_control.shedding_strategy_by_lane.", l.lane}, l.shed, l.set...)
	}
}

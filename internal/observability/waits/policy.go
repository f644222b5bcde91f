// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// settings lists what an edge obeys by the names of the plan, each with its layer. What is
// not set and has no meaning for the edge is left out.
func settings(id string, info *session.EdgeInfo) []Setting {
	out := []Setting{}
	put := func(path, field, value string) {
		if value != "" {
			out = append(out, Setting{Field: field, Value: value, Layer: controlplane.Origin(info.Layers, path+"."+field)})
		}
	}
	number := func(path, field string, n int64) {
		if n != 0 {
			put(path, field, strconv.FormatInt(n, 10))
		}
	}
	p, edge := &info.Policy, "edge_buffer_policies."+id
	put(edge, "strategy", string(p.Strategy))
	put(edge, "drop_victim", string(p.DropVictim))
	number(edge, "sample_every", p.SampleEvery)
	number(edge, "max_queue_items", p.MaxQueueItems)
	number(edge, "max_queue_ms", p.MaxQueueMS)
	number(edge, "max_queue_bytes", p.MaxQueueBytes)
	number(edge, "max_latency_contribution_ms", p.MaxLatencyContributionMS)
	number(edge, "max_block_time_ms", p.MaxBlockTimeMS)
	watermark := func(path, field string, w *controlplane.Watermark) {
		if w != nil && w.High > 0 {
			put(path, field+".high", strconv.FormatInt(w.High, 10))
			put(path, field+".low", strconv.FormatInt(w.Low, 10))
		}
	}
	watermark(edge, "watermarks.queue_items", p.Watermarks.QueueItems)
	watermark(edge, "watermarks.queue_ms", p.Watermarks.QueueMS)
	put(edge, "lane_handling.DataLane", string(p.LaneHandling.DataLane))
	put(edge, "lane_handling.TelemetryLane", string(p.LaneHandling.TelemetryLane))
	put(edge, "fairness_key", p.FairnessKey)
	if s := p.SyncDropPolicy; s != nil {
		put(edge, "sync_drop_policy.policy", string(s.Policy))
		put(edge, "sync_drop_policy.scope", string(s.Scope))
		put(edge, "sync_drop_policy.group_by", string(s.GroupBy))
		put(edge, "sync_drop_policy.sync_domain", s.SyncDomain)
	}
	f, control := &info.Flow, "flow_control"
	put(control, "mode_by_lane.DataLane", string(f.ModeByLane.DataLane))
	watermark(control, "watermarks.DataLane", &f.Watermarks.DataLane)
	put(control, "shedding_strategy_by_lane.DataLane", string(f.SheddingStrategyByLane.DataLane))
	return out
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
)

// Field is one value of a policy by its path below the policy, such as
// watermarks.queue_ms.high. A number is written in decimal.
type Field struct {
	Path  string
	Value string
}

// Fields lists the values that the policy has, in the order of flow section 1.
// DefaultingSource is about the policy and no value of it.
func (p *EdgeBufferPolicy) Fields() []Field { return present(p.places()) }

// Set gives the field at path a value. The error names the path or the value that does
// not fit. Parts that p may share with a copy of it are not written.
func (p *EdgeBufferPolicy) Set(path, value string) error {
	p.Watermarks.QueueItems = own(p.Watermarks.QueueItems)
	p.Watermarks.QueueMS = own(p.Watermarks.QueueMS)
	p.SyncDropPolicy = own(p.SyncDropPolicy)
	return set(p.places(), path, value)
}

func own[T any](v *T) *T {
	if v == nil {
		return nil
	}
	copied := *v
	return &copied
}

// places are the fields of the policy. What is absent and optional gets a place that
// becomes part of the policy when it is set.
func (p *EdgeBufferPolicy) places() []place {
	sync := p.SyncDropPolicy
	if sync == nil {
		sync = &SyncDropPolicy{}
	}
	adopt := func() { p.SyncDropPolicy = sync }
	list := []place{
		text("strategy", &p.Strategy, nil),
		text("drop_victim", &p.DropVictim, nil),
		number("sample_every", &p.SampleEvery),
		number("max_queue_items", &p.MaxQueueItems),
		number("max_queue_ms", &p.MaxQueueMS),
		number("max_queue_bytes", &p.MaxQueueBytes),
		number("max_latency_contribution_ms", &p.MaxLatencyContributionMS),
		number("max_block_time_ms", &p.MaxBlockTimeMS),
	}
	list = append(list, marks("watermarks.queue_items", &p.Watermarks.QueueItems)...)
	list = append(list, marks("watermarks.queue_ms", &p.Watermarks.QueueMS)...)
	return append(list,
		text("lane_handling."+string(eventabi.DataLane), &p.LaneHandling.DataLane, nil),
		text("lane_handling."+string(eventabi.ControlLane), &p.LaneHandling.ControlLane, nil),
		text("lane_handling."+string(eventabi.TelemetryLane), &p.LaneHandling.TelemetryLane, nil),
		text("fairness_key", &p.FairnessKey, nil),
		text("sync_drop_policy.policy", &sync.Policy, adopt),
		text("sync_drop_policy.scope", &sync.Scope, adopt),
		text("sync_drop_policy.group_by", &sync.GroupBy, adopt),
		text("sync_drop_policy.sync_domain", &sync.SyncDomain, adopt),
	)
}

// Fields lists the values of the flow-control surface, in the order of flow section 3.
func (f *FlowControl) Fields() []Field { return present(f.places()) }

// Set gives the field at path a value; see [EdgeBufferPolicy.Set].
func (f *FlowControl) Set(path, value string) error { return set(f.places(), path, value) }

func (f *FlowControl) places() []place {
	list := byLane("mode_by_lane", &f.ModeByLane)
	for _, l := range [...]struct {
		lane eventabi.Lane
		mark *Watermark
	}{
		{eventabi.DataLane, &f.Watermarks.DataLane},
		{eventabi.ControlLane, &f.Watermarks.ControlLane},
		{eventabi.TelemetryLane, &f.Watermarks.TelemetryLane},
	} {
		list = append(list, pair("watermarks."+string(l.lane), l.mark, nil)...)
	}
	return append(list, byLane("shedding_strategy_by_lane", &f.SheddingStrategyByLane)...)
}

// Fields lists the budgets in the order of flow section 8.
func (b *Budgets) Fields() []Field { return present(b.places()) }

// Set gives the field at path a value; see [EdgeBufferPolicy.Set].
func (b *Budgets) Set(path, value string) error { return set(b.places(), path, value) }

func (b *Budgets) places() []place {
	return []place{
		number("turn_budget_ms", &b.TurnBudgetMS),
		number("node_budget_ms_default", &b.NodeBudgetMSDefault),
		number("path_budget_ms_default", &b.PathBudgetMSDefault),
		number("edge_budget_ms_default", &b.EdgeBudgetMSDefault),
	}
}

// place is where one field lies.
type place struct {
	path string
	get  func() (string, bool) // false: absent
	put  func(string) error
}

func text[T ~string](path string, at *T, adopt func()) place {
	return place{
		path: path,
		get:  func() (string, bool) { return string(*at), *at != "" },
		put: func(v string) error {
			*at = T(v)
			if adopt != nil {
				adopt()
			}
			return nil
		},
	}
}

func number(path string, at *int64) place {
	return place{
		path: path,
		get:  func() (string, bool) { return strconv.FormatInt(*at, 10), *at != 0 },
		put: func(v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return fmt.Errorf("controlplane: %s is %q; give a whole number that fits 64 bits", path, v)
			}
			*at = n
			return nil
		},
	}
}

// pair is a watermark that is there whole: its low may be 0.
func pair(path string, m *Watermark, adopt func()) []place {
	half := func(name string, at *int64) place {
		p := number(path+"."+name, at)
		p.get = func() (string, bool) { return strconv.FormatInt(*at, 10), true }
		if adopt != nil {
			put := p.put
			p.put = func(v string) error {
				err := put(v)
				if err == nil {
					adopt()
				}
				return err
			}
		}
		return p
	}
	return []place{half("high", &m.High), half("low", &m.Low)}
}

// marks is a watermark that may be absent.
func marks(path string, at **Watermark) []place {
	if *at != nil {
		return pair(path, *at, nil)
	}
	fresh := &Watermark{}
	list := pair(path, fresh, func() { *at = fresh })
	for i := range list {
		list[i].get = func() (string, bool) { return "", false }
	}
	return list
}

func byLane[T ~string](path string, b *ByLane[T]) []place {
	return []place{
		text(path+"."+string(eventabi.DataLane), &b.DataLane, nil),
		text(path+"."+string(eventabi.ControlLane), &b.ControlLane, nil),
		text(path+"."+string(eventabi.TelemetryLane), &b.TelemetryLane, nil),
	}
}

func present(list []place) []Field {
	var out []Field
	for _, p := range list {
		if v, ok := p.get(); ok {
			out = append(out, Field{p.path, v})
		}
	}
	return out
}

func set(list []place, path, value string) error {
	for _, p := range list {
		if p.path == path {
			return p.put(value)
		}
	}
	return fmt.Errorf("controlplane: there is no field %q", path)
}

// Origin names the layer that the value at path came from: that of the longest path in
// default_provenance which is path itself or holds it (turn-plan section 5). "" says
// that the plan does not tell.
func (p *ResolvedTurnPlan) Origin(path string) string { return Origin(p.DefaultProvenance, path) }

// Origin is [ResolvedTurnPlan.Origin] on a table by itself.
func Origin(provenance Table[string], path string) string {
	for {
		if layer, ok := provenance.Get(path); ok {
			return layer
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return ""
		}
		path = path[:dot]
	}
}

// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// EdgePolicies are what a session is told of its edges ahead of its bootstrap: those that
// somebody set something of, and further ones. The rest the kernel has itself.
func (e *Effective) EdgePolicies() []session.EdgePolicy {
	var out []session.EdgePolicy
	for i := range e.Edges {
		edge := &e.Edges[i]
		path := join("edges", string(edge.ID))
		_, voice := voiceEdge(string(edge.Queue))
		voice = voice && edge.Offers == ""
		if voice && !e.moved(path) || slices.ContainsFunc(out, func(p session.EdgePolicy) bool { return p.Edge == edge.Queue }) {
			continue
		}
		in := session.EdgePolicy{Edge: edge.Queue, Policy: edge.Policy, Layers: e.layers(path)}
		if !voice {
			in.From, in.To = string(edge.From), string(edge.To)
			if edge.Offers != "" {
				in.From = edge.Offers
			}
		}
		out = append(out, in)
	}
	return out
}

// FlowPolicy is what a session is told of flow control ahead of its bootstrap; nil when
// nobody set anything of it.
func (e *Effective) FlowPolicy() *session.FlowPolicy {
	if !e.moved("flow_control") {
		return nil
	}
	return &session.FlowPolicy{Flow: e.Flow.Flow, Layers: e.layers("flow_control")}
}

// NodePolicies are what a session is told of the scheduling of nodes ahead of its bootstrap:
// of the nodes that somebody set something of.
func (e *Effective) NodePolicies() []session.NodePolicy {
	var out []session.NodePolicy
	for i := range e.Flow.Nodes {
		n := &e.Flow.Nodes[i]
		out = append(out, session.NodePolicy{
			Node: eventabi.NodeID(n.Key), Policy: n.Value, Layers: e.layers(join("node_execution_policies", n.Key)),
		})
	}
	return out
}

// Apply sets what a session's bootstrap says of budgets and adaptive actions, where
// somebody set something of them; it leaves what the profile says, and everything else.
func (e *Effective) Apply(s *session.Settings) {
	var layers []string
	set := func(path string, to *int64) {
		if v := e.values[path]; v.moved() {
			*to = v.number()
			layers = append(layers, path+"="+string(v.source.Layer))
		}
	}
	set("budgets.turn_budget_ms", &s.TurnBudgetMS)
	set("budgets.node_budget_ms_default", &s.NodeBudgetMS)
	set("budgets.path_budget_ms_default", &s.PathBudgetMS)
	set("budgets.edge_budget_ms_default", &s.EdgeBudgetMS)
	if v := e.values["budgets.turn_hard_cap_ms"]; v.moved() {
		s.TurnHardCapMS = v.number() // which stands in no plan
	}
	if v := e.values["allowed_adaptive_actions"]; v.moved() {
		s.AdaptiveActions = turn.NoActions
		if len(v.list) > 0 {
			s.AdaptiveActions = strings.Join(v.list, ",")
		}
		layers = append(layers, "allowed_adaptive_actions="+string(v.source.Layer))
	}
	if len(layers) > 0 {
		s.Layers = strings.Join(layers, " ")
	}
}

// QuotaPolicy is what a host bounds: the quotas of everybody, and of single tenants the
// fields that are otherwise. Without quotas it bounds nothing.
func (e *Effective) QuotaPolicy() gate.Policy {
	var p gate.Policy
	everybody := e.values.below("quotas.defaults")
	for _, place := range quotaPlaces() {
		if q := everybody.below(place); len(q) > 0 {
			scope, limit := quotaAt(place)
			p.Quotas = append(p.Quotas, gate.Quota{
				Scope: scope, Limit: limit, Max: q["max"].number(), Action: gate.Action(q["action"].text),
				HeadroomPerMille: q["headroom_per_mille"].number(), RetryAfterMS: q["retry_after_ms"].number(),
			})
		}
	}
	tenants := e.values.groups("quotas.tenants")
	for _, tenant := range slices.Sorted(maps.Keys(tenants)) {
		for _, place := range quotaPlaces() {
			if own := tenants[tenant].below(place); len(own) > 0 {
				if p.Tenants == nil {
					p.Tenants = map[string][]gate.Override{}
				}
				p.Tenants[tenant] = append(p.Tenants[tenant], override(place, own))
			}
		}
	}
	return p
}

// override is what a tenant has otherwise of one quota.
func override(place string, own settings) gate.Override {
	scope, limit := quotaAt(place)
	o := gate.Override{Scope: scope, Limit: limit}
	for field, to := range map[string]**int64{
		"max": &o.Max, "headroom_per_mille": &o.HeadroomPerMille, "retry_after_ms": &o.RetryAfterMS,
	} {
		if v, given := own[field]; given {
			n := v.number()
			*to = &n
		}
	}
	if v, given := own["action"]; given {
		action := gate.Action(v.text)
		o.Action = &action
	}
	return o
}

// moved says whether something below a path is not what profile and voice graph say.
func (e *Effective) moved(path string) bool {
	for field, v := range e.values.below(path) {
		if !ofRoute(field) && v.moved() {
			return true
		}
	}
	return false
}

// layers writes the layers of what lies below a path, but for where an edge runs, as the
// kernel reads them: the profile's for all that have no layer of their own here.
func (e *Effective) layers(path string) string {
	below := e.values.below(path).withoutRoute()
	out := []string{"=" + controlplane.ProvenanceProfile}
	for _, field := range below.sorted() {
		if layer := below[field].source.Layer; layer != Profile {
			out = append(out, field+"="+string(layer))
		}
	}
	return strings.Join(out, " ")
}

// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
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
		_, voice := voiceEdge(string(edge.ID))
		if voice && !e.moved(path) {
			continue
		}
		in := session.EdgePolicy{Edge: edge.ID, Policy: edge.Policy, Layers: e.layers(path, "from", "to")}
		if !voice {
			in.From, in.To = string(edge.From), string(edge.To)
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

// moved says whether something below a path is not what profile and voice graph say.
func (e *Effective) moved(path string) bool {
	for _, v := range e.values.below(path) {
		if v.moved() {
			return true
		}
	}
	return false
}

// layers writes the layers of what lies below a path, but for some fields, as the kernel
// reads them: the profile's for all that have no layer of their own here.
func (e *Effective) layers(path string, but ...string) string {
	below := e.values.below(path)
	for _, field := range but {
		delete(below, field)
	}
	out := []string{"=" + controlplane.ProvenanceProfile}
	for _, field := range below.sorted() {
		if layer := below[field].source.Layer; layer != Profile {
			out = append(out, field+"="+string(layer))
		}
	}
	return strings.Join(out, " ")
}

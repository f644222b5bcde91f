// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Edge is one edge as it is in force.
type Edge struct {
	ID       eventabi.EdgeID
	From, To eventabi.NodeID
	Policy   controlplane.EdgeBufferPolicy
	// Queue is the edge under which the kernel keeps what waits here. Of a declared graph
	// several edges can have one.
	Queue eventabi.EdgeID
	// Offers is who offers to an edge beside the turn, as the kernel names it; empty = the edge
	// is one of the conversation.
	Offers string
}

// Quota is one limit of use as it is in force (authority-state section 7).
type Quota struct {
	Scope  controlplane.QuotaScope
	Limit  controlplane.QuotaLimit
	Max    int64
	Action controlplane.QuotaAction
	// HeadroomPerMille is the share of Max by which the action starts before it.
	HeadroomPerMille int64
	// RetryAfterMS is what a deferral tells; 0 leaves it to who defers.
	RetryAfterMS int64
}

// Effective is what is in force. It does not change.
type Effective struct {
	Tuning turn.Tuning // "" = the voice graph's own bounds
	Edges  []Edge      // sorted by id
	// Flow holds what plans say; its parts are shared by all sessions that are given it.
	Flow turn.FlowSettings
	// TurnHardCapMS is the longest a turn may last, in milliseconds. It stands in no plan.
	TurnHardCapMS int64

	values   settings
	fields   *Field
	declared *declared // nil = the voice graph
}

// Value is one value in force.
type Value struct {
	Path string `json:"path"`
	// JSON is the value as the document has it, Text as people write it.
	JSON   json.RawMessage `json:"value"`
	Text   string          `json:"-"`
	Source Source          `json:"source"`
}

// Values lists every value in force, in the order of the schema, ids sorted.
func (e *Effective) Values() []Value {
	var out []Value
	e.fields.walk(e.values, "", func(path string, _ *Field, v setting) {
		text := v.text
		if v.kind == listSetting {
			text = strings.Join(v.list, ", ")
		}
		out = append(out, Value{Path: path, Text: text, JSON: json.RawMessage(v.json()), Source: v.source})
	})
	return out
}

// Changed lists the values that are not what the profile and the voice graph say.
func (e *Effective) Changed() []Value {
	return slices.DeleteFunc(e.Values(), func(v Value) bool { return !e.values[v.Path].moved() })
}

// Quotas lists the limits of a tenant: everybody's, and over them its own.
func (e *Effective) Quotas(tenant string) []Quota {
	var out []Quota
	own, everybody := e.values.below(join("quotas", "tenants", tenant)), e.values.below("quotas.defaults")
	for _, place := range quotaPlaces() {
		q := own.below(place).over(everybody.below(place))
		if len(q) == 0 {
			continue
		}
		scope, limit := quotaAt(place)
		out = append(out, Quota{
			Scope: scope, Limit: limit,
			Max: q["max"].number(), Action: controlplane.QuotaAction(q["action"].text),
			HeadroomPerMille: q["headroom_per_mille"].number(), RetryAfterMS: q["retry_after_ms"].number(),
		})
	}
	return out
}

// effective builds the typed settings. What the schema and the checks let through fits.
func (w *work) effective() (*Effective, error) {
	e := &Effective{
		Tuning:        turn.Tuning(w.values["tuning"].text),
		TurnHardCapMS: w.values["budgets.turn_hard_cap_ms"].number(),
		values:        w.values, fields: w.normalizer.fields, declared: w.declared,
	}
	for _, a := range w.values["allowed_adaptive_actions"].list {
		e.Flow.Actions = append(e.Flow.Actions, controlplane.AdaptiveAction(a))
	}
	if err := w.fill("flow_control", &e.Flow.Flow); err != nil {
		return nil, err
	}
	if err := w.fill("budgets", &e.Flow.Budgets, "turn_hard_cap_ms"); err != nil {
		return nil, err
	}
	for _, id := range w.values.children("edges") {
		edge := Edge{ID: eventabi.EdgeID(id), Policy: controlplane.EdgeBufferPolicy{DefaultingSource: controlplane.DefaultedFromProfile}}
		path := join("edges", id)
		edge.Queue = edge.ID
		if w.declared != nil && !outsideGraph(id) {
			q := w.declared.queueAt(id)
			if q.id == "" {
				continue
			}
			edge.Queue, edge.Offers = q.id, q.from
		}
		edge.From, edge.To = eventabi.NodeID(w.values[path+".from"].text), eventabi.NodeID(w.values[path+".to"].text)
		if err := w.fillEdge(path, &edge.Policy); err != nil {
			return nil, err
		}
		if w.explicit(path) {
			edge.Policy.DefaultingSource = controlplane.DefaultedExplicit
		}
		e.Edges = append(e.Edges, edge)
		if !slices.ContainsFunc(e.Edges[:len(e.Edges)-1], func(other Edge) bool { return other.Queue == edge.Queue }) {
			e.Flow.Edges = append(e.Flow.Edges, controlplane.Entry[controlplane.EdgeBufferPolicy]{Key: string(edge.Queue), Value: edge.Policy})
		}
	}
	if w.declared != nil {
		slices.SortFunc(e.Flow.Edges, func(a, b controlplane.Entry[controlplane.EdgeBufferPolicy]) int { return strings.Compare(a.Key, b.Key) })
	}
	nodes := w.values.groups("node_execution_policies")
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		p := nodes[id]
		e.Flow.Nodes = append(e.Flow.Nodes, controlplane.Entry[controlplane.NodeExecutionPolicy]{Key: id, Value: controlplane.NodeExecutionPolicy{
			ConcurrencyLimit: p["concurrency_limit"].number(), FairnessKey: p["fairness_key"].text,
		}})
	}
	e.Flow.Provenance = w.provenance()
	if err := e.Flow.Validate(); err != nil {
		return nil, fmt.Errorf("pipeline: the kernel cannot run what was resolved: %w", err)
	}
	return e, nil
}

// explicit says whether a value of the edge is not the profile's. Its ends are no values.
func (w *work) explicit(edge string) bool {
	for field, v := range w.values.below(edge) {
		if !ofRoute(field) && v.source.Layer != Profile {
			return true
		}
	}
	return false
}

// fillEdge sets the fields of the policy of an edge.
func (w *work) fillEdge(path string, policy *controlplane.EdgeBufferPolicy) error {
	var route []string
	for field := range w.values.below(path) {
		if ofRoute(field) {
			route = append(route, field)
		}
	}
	return w.fill(path, policy, route...)
}

// fill sets the fields of a policy from what is in force below path.
func (w *work) fill(path string, policy interface {
	Set(path, value string) error
}, but ...string,
) error {
	below := w.values.below(path)
	for _, skip := range but {
		delete(below, skip)
	}
	for _, field := range below.sorted() {
		if err := policy.Set(field, below[field].text); err != nil {
			return fmt.Errorf("pipeline: %s: %w", path, err)
		}
	}
	return nil
}

// provenance is the layer of every value of the plan by its path there: what holds for
// most of a section stands for all of it, and what differs from that by itself.
func (w *work) provenance() controlplane.Table[string] {
	entries := []controlplane.Entry[string]{
		{Key: "budgets", Value: string(Profile)},
		{Key: "edge_buffer_policies", Value: string(Profile)},
		{Key: "flow_control", Value: string(Profile)},
	}
	for _, path := range w.values.sorted() {
		layer := string(w.values[path].source.Layer)
		switch section, rest, _ := strings.Cut(path, "."); {
		case section == "edges" && !ofRoute(fieldOf(rest)) && layer != string(Profile):
			if w.declared != nil {
				if id, field := head(rest); !outsideGraph(id) {
					queue := w.declared.queueAt(id).id
					if queue == "" { // how much waits in a turn is part of the graph
						continue
					}
					rest = join(string(queue)) + "." + field
				}
			}
			entries = append(entries, controlplane.Entry[string]{Key: "edge_buffer_policies." + rest, Value: layer})
		case path == "allowed_adaptive_actions", section == "node_execution_policies",
			(section == "flow_control" || section == "budgets" && rest != "turn_hard_cap_ms") && layer != string(Profile):
			entries = append(entries, controlplane.Entry[string]{Key: path, Value: layer})
		}
	}
	return controlplane.NewTable(entries...)
}

// fieldOf takes the id off a path below a section.
func fieldOf(path string) string {
	_, field := head(path)
	return field
}

// Document writes what is in force as a pipeline spec in JSON. Read again, it resolves to
// the same settings, all of them from that document.
func (e *Effective) Document() []byte {
	var b strings.Builder
	e.fields.write(&b, e.values, "", 0)
	b.WriteByte('\n')
	return []byte(b.String())
}

// write writes what is set below f as indented JSON.
func (f *Field) write(b *strings.Builder, s settings, path string, depth int) {
	if f.Type != "object" {
		b.WriteString(s[path].json())
		return
	}
	if f.Open {
		b.WriteString(string(openJSON(s, path)))
		return
	}
	members := f.present(s, path)
	if len(members) == 0 {
		b.WriteString("{}")
		return
	}
	b.WriteString("{\n")
	for i, m := range members {
		b.WriteString(strings.Repeat("  ", depth+1) + quote(m.name) + ": ")
		m.field.write(b, s, m.path, depth+1)
		if i < len(members)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString(strings.Repeat("  ", depth) + "}")
}

// presentMember is a member of which something is set.
type presentMember struct {
	name, path string
	field      *Field
}

func (f *Field) present(s settings, path string) []presentMember {
	var out []presentMember
	add := func(name string, field *Field) {
		at := segment(name)
		if path != "" {
			at = path + "." + at
		}
		found := false
		field.walk(s, at, func(string, *Field, setting) { found = true })
		if found {
			out = append(out, presentMember{name, at, field})
		}
	}
	for _, c := range f.Fields {
		add(c.Name, c)
	}
	if f.Each != nil {
		for _, id := range s.children(path) {
			add(id, f.Each)
		}
	}
	return out
}

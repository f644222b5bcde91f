// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// leaves lists the scalar members of v's JSON by path.
func leaves(t *testing.T, v any) map[string]string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			out[strings.TrimPrefix(path, ".")] = fmt.Sprint(v)
			return
		}
		for k, v := range m {
			walk(path+"."+k, v)
		}
	}
	walk("", doc)
	return out
}

// fielded is a policy whose values have paths.
type fielded interface {
	Fields() []Field
	Set(path, value string) error
}

// Every value of a policy has a path, the one under which it is written; setting all of
// them rebuilds the policy.
func TestFieldsAreThoseOfTheJSON(t *testing.T) {
	full := &EdgeBufferPolicy{}
	n := 0
	fill(reflect.ValueOf(full).Elem(), &n)
	flow, budgets := &FlowControl{}, &Budgets{}
	fill(reflect.ValueOf(flow).Elem(), &n)
	fill(reflect.ValueOf(budgets).Elem(), &n)
	sample := samplePlan().EdgeBufferPolicies[0].Value
	for name, c := range map[string]struct{ from, to fielded }{
		"edge":        {full, &EdgeBufferPolicy{DefaultingSource: full.DefaultingSource}},
		"sample edge": {&sample, &EdgeBufferPolicy{DefaultingSource: sample.DefaultingSource}},
		"flow":        {flow, &FlowControl{}},
		"budgets":     {budgets, &Budgets{}},
	} {
		want := leaves(t, c.from)
		delete(want, "defaulting_source")
		for _, f := range c.from.Fields() {
			if want[f.Path] != f.Value {
				t.Errorf("%s: field %s is %q, in JSON %q", name, f.Path, f.Value, want[f.Path])
			}
			delete(want, f.Path)
			if err := c.to.Set(f.Path, f.Value); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(want) > 0 {
			t.Errorf("%s: no path leads to %v", name, want)
		}
		if !reflect.DeepEqual(c.from, c.to) {
			t.Errorf("%s: rebuilt\n got %+v\nwant %+v", name, c.to, c.from)
		}
	}
}

func TestSetRefusesAndKeeps(t *testing.T) {
	p := samplePlan().EdgeBufferPolicies[0].Value
	copied := p
	before := fmt.Sprint(p.Fields())
	if err := copied.Set("watermarks.queue_ms.high", "99"); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(p.Fields()) != before {
		t.Error("setting a copy's watermark changes the policy that it was copied from")
	}
	for path, value := range map[string]string{
		"max_queue_items": "many", "max_queue_ms": "9223372036854775808", "watermarks.queue_ms.low": "1.5", "defaulting_source": "x", "": "1", "watermarks": "1",
	} {
		now := fmt.Sprint(copied.Fields())
		if err := copied.Set(path, value); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Set(%q, %q) = %v", path, value, err)
		}
		if fmt.Sprint(copied.Fields()) != now {
			t.Errorf("Set(%q, %q) fails and changes the policy", path, value)
		}
	}
}

// The longest path that holds a value tells its layer.
func TestOrigin(t *testing.T) {
	p := ResolvedTurnPlan{DefaultProvenance: NewTable(
		Entry[string]{"edge_buffer_policies", ProvenanceProfile},
		Entry[string]{"edge_buffer_policies.a", ProvenancePipelineSpec},
		Entry[string]{"edge_buffer_policies.a.watermarks.queue_ms", ProvenanceSession},
	)}
	for path, want := range map[string]string{
		"edge_buffer_policies.b.strategy":                 ProvenanceProfile,
		"edge_buffer_policies.a.strategy":                 ProvenancePipelineSpec,
		"edge_buffer_policies.ab.strategy":                ProvenanceProfile,
		"edge_buffer_policies.a.watermarks.queue_ms.high": ProvenanceSession,
		"edge_buffer_policies.a.watermarks.queue_items":   ProvenancePipelineSpec,
		"flow_control":       "",
		"edge_buffer_policy": "",
		"":                   "",
	} {
		if got := p.Origin(path); got != want {
			t.Errorf("Origin(%q) = %q, want %q", path, got, want)
		}
	}
}

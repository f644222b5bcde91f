// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/controlplane"
)

// leaf is one field of the pipeline spec by its path.
type leaf struct {
	path  string
	field *Field
}

// leaves lists the fields that can be drawn below f; where names are ids, below each of
// some.
func leaves(f *Field, path string) (out []leaf) {
	switch section, rest := head(path); {
	case section == "nodes", ofSpecAlone(section): // graph_layers_test.go draws those
		return nil
	case section == "edges" && ofRoute(fieldOf(rest)): // the ends of edges are what they are
		return nil
	}
	if f.Type != "object" {
		return []leaf{{path, f}}
	}
	below := func(name string) string { return strings.TrimPrefix(path+"."+segment(name), ".") }
	for _, c := range f.Fields {
		out = append(out, leaves(c, below(c.Name))...)
	}
	if f.Each == nil {
		return out
	}
	names := []string{"acme", "globex.eu"}
	switch path {
	case "edges":
		names = []string{"transport-stt", "llm-tts", "stt-llm", "telemetry", "tts-transport", "tap"}
	case "node_execution_policies":
		names = []string{"llm", "mood"}
	}
	for _, name := range names {
		out = append(out, leaves(f.Each, below(name))...)
	}
	return out
}

// draw draws a value that the schema admits, small numbers more often than large ones.
func (l leaf) draw(t *rapid.T) string {
	switch {
	case l.field.Type == "integer":
		n := rapid.OneOf(
			rapid.Int64Range(l.field.Min, min(l.field.Max, l.field.Min+3000)),
			rapid.Int64Range(l.field.Min, l.field.Max),
		).Draw(t, l.path)
		return num(n, Source{}).text
	case l.field.Type == "array":
		out := rapid.SliceOfDistinct(rapid.SampledFrom(l.field.Enum), func(s string) string { return s }).Draw(t, l.path)
		return setting{kind: listSetting, list: out}.json()
	case len(l.field.Enum) > 0:
		return quote(rapid.SampledFrom(l.field.Enum).Draw(t, l.path))
	}
	return quote(rapid.SampledFrom([]string{"tenant", "k.1"}).Draw(t, l.path))
}

// drawn is what one layer was drawn to give, by path.
type drawn map[string]string

// layer draws what one layer gives: a few values, each with what it cannot stand without,
// so that a good part of what is drawn is not refused.
func layer(t *rapid.T, all []leaf) drawn {
	out := drawn{}
	for range rapid.IntRange(0, 4).Draw(t, "values") {
		l := rapid.SampledFrom(all).Draw(t, "field")
		for path, value := range l.companions() {
			if _, ok := out[path]; !ok {
				out[path] = value
			}
		}
		out[l.path] = l.draw(t)
		if strings.HasSuffix(l.path, ".strategy") && out[l.path] == `"block"` {
			out[strings.TrimSuffix(l.path, "strategy")+"max_block_time_ms"] = "20"
		}
	}
	return out
}

// companions are the values without which a field is refused.
func (l leaf) companions() drawn {
	out := drawn{}
	if strings.HasPrefix(l.path, "edges.tap.") {
		out = drawn{"edges.tap.from": `"caller_text"`, "edges.tap.to": `"mood"`, "edges.tap.strategy": `"latest_only"`}
	}
	above := l.path[:strings.LastIndexByte(l.path, '.')+1]
	switch {
	case strings.HasSuffix(above, ".sync_drop_policy."):
		maps.Copy(out, drawn{above + "policy": `"atomic_drop"`, above + "scope": `"edge_local"`, above + "sync_domain": `"av"`})
	case strings.HasSuffix(l.path, ".retry_after_ms"):
		maps.Copy(out, drawn{above + "max": "10", above + "action": `"defer"`})
	case strings.HasPrefix(l.path, "quotas."):
		maps.Copy(out, drawn{above + "max": "10", above + "action": `"reject"`})
	case strings.HasSuffix(l.path, ".drop_victim"):
		out[above+"strategy"] = `"drop"`
	case strings.HasSuffix(l.path, ".sample_every"):
		out[above+"strategy"] = `"sample"`
	}
	return out
}

// document reads the values as a file.
func (d drawn) document(t *rapid.T, n *Normalizer, layer Layer, name string) *Document {
	root := map[string]any{}
	for path, value := range d {
		names, err := splitPath(path)
		if err != nil {
			t.Fatal(err)
		}
		at := root
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = json.RawMessage(value)
	}
	raw, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return n.Read(layer, name, raw)
}

// facts are the values in force with the layers that they are from.
func facts(e *Effective) map[string]string {
	out := map[string]string{}
	for _, v := range e.Values() {
		out[v.Path] = string(v.JSON) + " " + string(v.Source.Layer) + " " + v.Source.File
	}
	return out
}

func layersAbove() []Layer { return []Layer{Spec, Environment, Tenant, Session} }

// Of each field the highest layer that gives it stands, unchanged, whatever it gives of
// others and in whatever order the layers are handed over; or everything is refused
// (invariants 2 and 4).
func TestHighestLayerStands(t *testing.T) {
	n := normalizer(t)
	all := leaves(n.Fields(), "")
	rapid.Check(t, func(t *rapid.T) {
		var documents []*Document
		want := map[string]setting{}
		for _, l := range layersAbove() {
			gives := layer(t, all)
			if l == Session { // which gives no quotas
				maps.DeleteFunc(gives, func(path, _ string) bool { return strings.HasPrefix(path, "quotas.") })
			}
			d := gives.document(t, n, l, string(l)+".json")
			documents = append(documents, d)
			for path, v := range d.given {
				want[path] = v
			}
		}
		e, faults, err := n.Resolve(nil, documents...)
		if err != nil {
			t.Fatal(err)
		}
		if (e == nil) != Refused(faults) {
			t.Fatalf("settings are %v, and the faults %v", e, faults)
		}
		slices.Reverse(documents)
		again, _, err := n.Resolve(nil, documents...)
		if err != nil || (again == nil) != (e == nil) {
			t.Fatalf("in another order the answer is another: %v", err)
		}
		if e == nil {
			return
		}
		if !reflect.DeepEqual(e.Flow, again.Flow) || !maps.Equal(facts(e), facts(again)) {
			t.Fatal("in another order the settings are others")
		}
		for path, v := range want {
			got, ok := e.values[path]
			switch {
			case v.kind == emptySetting, strings.HasSuffix(path, ".drop_victim") && !ok: // its drop is no longer in force
			case !ok:
				t.Fatalf("%s was given and is gone", path)
			case got.source.Because != "" && isSpelling(path): // strategy and lane say the same
			case got.json() != v.json() || got.source != v.source:
				t.Fatalf("%s is %s from %v, and %s was given by %v", path, got.json(), got.source, v.json(), v.source)
			}
		}
	})
}

// isSpelling says whether the path is one of the two places of an edge's strategy.
func isSpelling(path string) bool {
	return strings.HasSuffix(path, ".strategy") || strings.Contains(path, ".lane_handling.")
}

// What is laid over each other is laid over each other field by field: how layers are
// put together makes no difference, and two documents of one layer are one.
func TestLayeringIsAssociative(t *testing.T) {
	n := normalizer(t)
	all := leaves(n.Fields(), "")
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := layer(t, all), layer(t, all), layer(t, all)
		da, db, dc := a.document(t, n, Spec, "a.json"), b.document(t, n, Spec, "b.json"), c.document(t, n, Spec, "c.json")
		if left, right := dc.given.over(db.given).over(da.given), dc.given.over(db.given.over(da.given)); !reflect.DeepEqual(left, right) {
			t.Fatalf("(c over b) over a is %v, c over (b over a) is %v", left, right)
		}
		joined := drawn{}
		for _, d := range []drawn{a, b, c} {
			maps.Copy(joined, d)
		}
		apart, _, err := n.Resolve(nil, da, db, dc)
		if err != nil {
			t.Fatal(err)
		}
		together, _, err := n.Resolve(nil, joined.document(t, n, Spec, "a.json"))
		if err != nil {
			t.Fatal(err)
		}
		if apart == nil || together == nil {
			return // a fault inside one document is not one inside the other
		}
		for _, v := range apart.Values() {
			if got := together.values[v.Path]; got.json() != string(v.JSON) && !isSpelling(v.Path) {
				t.Fatalf("%s is %s, and in one document %s", v.Path, v.JSON, got.json())
			}
		}
	})
}

// What is in force, written and read again, is in force again (invariant 6), and names its
// layer in the plan as it does here (invariant 3).
func TestDocumentRoundTrip(t *testing.T) {
	n := normalizer(t)
	all := leaves(n.Fields(), "")
	rapid.Check(t, func(t *rapid.T) {
		e, _, err := n.Resolve(nil,
			layer(t, all).document(t, n, Spec, "spec.json"), layer(t, all).document(t, n, Tenant, "tenant.json"))
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return
		}
		checkEffective(t, n, e)
	})
}

func sectionOf(path string) string {
	section, _ := head(path)
	return section
}

// checkEffective holds what is in force to the invariants of the package.
func checkEffective(t interface{ Fatalf(string, ...any) }, n *Normalizer, e *Effective) {
	again, faults, err := n.Resolve(nil, n.Read(Spec, "again.json", e.Document()))
	if err != nil || again == nil {
		t.Fatalf("what is in force is refused: %v %v\n%s", err, faults, e.Document())
	}
	if string(again.Document()) != string(e.Document()) {
		t.Fatalf("written and read again it is\n%s\nand was\n%s", again.Document(), e.Document())
	}
	for _, v := range e.Values() {
		if v.Source.Layer.rank() < 0 || v.Source.File == "" {
			t.Fatalf("%s does not say where it comes from: %+v", v.Path, v.Source)
		}
		path := planPath(e, v.Path)
		switch {
		case strings.HasPrefix(path, "quotas."), path == "profile", path == "tuning", strings.HasSuffix(path, "turn_hard_cap_ms"),
			strings.HasPrefix(path, "nodes."), strings.HasPrefix(path, "edges."), ofSpecAlone(sectionOf(path)),
			strings.HasPrefix(path, "edge_buffer_policies.") && ofRoute(fieldOf(fieldOf(path))): // no field of the plan
		case controlplane.Origin(e.Flow.Provenance, path) != string(v.Source.Layer):
			t.Fatalf("the plan says of %s that it is from %q; it is from %s", path, controlplane.Origin(e.Flow.Provenance, path), v.Source.Layer)
		}
	}
}

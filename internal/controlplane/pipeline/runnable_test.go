// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// failer is what a test and a property test have in common.
type failer interface{ Fatalf(string, ...any) }

// planOf holds a session to its first turn with what is in force, and gives its plan.
func planOf(t failer, e *Effective) controlplane.ResolvedTurnPlan {
	m := session.New()
	boot := &session.Bootstrap{
		Session: "s", Tenant: "t", Pipeline: "p", Profile: controlplane.ProfileSimple, Graph: "voice/1", Epoch: 1,
		STT: "stt", LLM: "llm", TTS: "tts",
	}
	e.Apply(&boot.Settings)
	var in []session.Input
	edges := e.EdgePolicies()
	for i := range edges {
		in = append(in, &edges[i])
	}
	if f := e.FlowPolicy(); f != nil {
		in = append(in, f)
	}
	for _, n := range e.Nodes() {
		if e.Declared() {
			one := &session.GraphNode{Node: n.Node}
			if text := e.Text(n.ID, "line"); text != "" {
				one.Line = session.TextRef{Handle: 1, Runes: 1, Words: 1, Class: session.TextWords}
			}
			in = append(in, one)
		}
	}
	for _, edge := range e.Graph().Edges {
		if e.Declared() {
			in = append(in, &session.GraphEdge{Edge: edge})
		}
	}
	nodes := e.NodePolicies()
	for i := range nodes {
		in = append(in, &nodes[i])
	}
	fresh := &session.Snapshots{}
	for i := range fresh.Versions {
		fresh.Versions[i] = 1
	}
	in = append(in, boot, fresh, &session.TextIn{Epoch: 1, Text: session.TextRef{Handle: 1, Runes: 2, Words: 1, Class: session.TextWords}})
	var fx session.Effects
	for _, one := range in { // each as the recording has it
		text := session.Format(one)
		read, err := session.ParseInput(text)
		if err != nil {
			t.Fatalf("%s cannot be recorded: %v", text, err)
		}
		m.Step(0, []session.Input{read}, &fx)
	}
	plan, ok := m.Plan()
	if !ok {
		var all []string
		for _, f := range fx.List {
			all = append(all, session.Format(f))
		}
		t.Fatalf("no turn was opened:\n%s\n%s", strings.Join(all, "\n"), e.Document())
	}
	return plan
}

// planPath is where a value of the document stands in a plan: of an edge, under the edge that
// has its queue. How much waits in a turn for a node is part of the graph and keeps its path.
func planPath(e *Effective, path string) string {
	section, rest := head(path)
	if section != "edges" {
		return path
	}
	id, field := head(rest)
	for _, edge := range e.Graph().Edges {
		if string(edge.ID) == id && field == roomField && edge.Room > 0 && !slices.ContainsFunc(e.Edges, func(q Edge) bool { return string(q.ID) == id }) {
			return path
		}
	}
	for _, edge := range e.Edges {
		if string(edge.ID) == id {
			id = string(edge.Queue)
		}
	}
	return "edge_buffer_policies." + join(id) + "." + field
}

// samePlan holds a plan to every value in force, and to the layer that it names of it.
func samePlan(t failer, e *Effective, plan *controlplane.ResolvedTurnPlan) {
	inPlan := map[string]string{}
	note := func(section string, fields []controlplane.Field) {
		for _, f := range fields {
			inPlan[section+"."+f.Path] = f.Value
		}
	}
	for i := range plan.EdgeBufferPolicies {
		note("edge_buffer_policies."+plan.EdgeBufferPolicies[i].Key, plan.EdgeBufferPolicies[i].Value.Fields())
	}
	note("flow_control", plan.FlowControl.Fields())
	for _, n := range plan.NodeExecutionPolicies {
		path := join("node_execution_policies", n.Key)
		if _, set := e.values[path+".concurrency_limit"]; set {
			inPlan[path+".concurrency_limit"] = strconv.FormatInt(n.Value.ConcurrencyLimit, 10)
		}
		if n.Value.FairnessKey != "" {
			inPlan[path+".fairness_key"] = n.Value.FairnessKey
		}
	}
	note("budgets", plan.Budgets.Fields())
	var actions []string
	for _, a := range plan.AllowedAdaptiveActions {
		actions = append(actions, string(a))
	}
	inPlan["allowed_adaptive_actions"] = strings.Join(actions, ", ")
	told := map[string]bool{}
	for _, v := range e.Values() {
		path := planPath(e, v.Path)
		got, ok := inPlan[path]
		if !ok {
			continue
		}
		told[path] = true
		if got != v.Text {
			t.Fatalf("the plan has %s = %s; %s is in force", path, got, v.Text)
		}
		if layer := plan.Origin(path); layer != string(v.Source.Layer) {
			t.Fatalf("the plan says that %s is from %q; it is from %s", path, layer, v.Source.Layer)
		}
	}
	if len(told) != len(inPlan) {
		t.Fatalf("the plan has %d values, and %d of them are in force", len(inPlan), len(told))
	}
	for _, edge := range e.Edges {
		if p, _ := plan.EdgeBufferPolicies.Get(string(edge.Queue)); p.DefaultingSource != edge.Policy.DefaultingSource {
			t.Fatalf("the plan says of %s that it is %s; it is %s", edge.ID, p.DefaultingSource, edge.Policy.DefaultingSource)
		}
	}
}

// The plans of a session that was opened with what is in force have its values and name
// its layers, through the inputs that a recording keeps.
func TestSessionsRunWhatIsInForce(t *testing.T) {
	n := normalizer(t)
	for name, text := range files(t, "good") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			e, faults := resolve(t, n,
				n.Read(Spec, filepath.Base(name), text),
				n.Environment([]string{"PARLEY_FLOW_CONTROL__WATERMARKS__DATALANE__LOW=1"}),
				n.Read(Tenant, "tenant.yaml", []byte("edges: {text-client: {max_queue_bytes: 9999}}")),
				set(t, n, "budgets.node_budget_ms_default=14"))
			if e == nil {
				t.Fatalf("refused: %v", faults)
			}
			plan := planOf(t, e)
			samePlan(t, e, &plan)
			for path, want := range map[string]string{
				"edge_buffer_policies.text-client.max_queue_bytes": controlplane.ProvenanceTenant,
				"flow_control.watermarks.DataLane.low":             controlplane.ProvenanceEnvironment,
				"budgets.node_budget_ms_default":                   controlplane.ProvenanceSession,
			} {
				if got := plan.Origin(path); got != want {
					t.Errorf("%s is from %q, want %s", path, got, want)
				}
			}
		})
	}
}

// So do those of any layers that can be drawn.
func TestSessionsRunWhateverIsInForce(t *testing.T) {
	n := normalizer(t)
	all := leaves(n.Fields(), "")
	rapid.Check(t, func(t *rapid.T) {
		e, _, err := n.Resolve(nil,
			layer(t, all).document(t, n, Spec, "spec.json"), layer(t, all).document(t, n, Tenant, "tenant.json"))
		if err != nil {
			t.Fatal(err)
		}
		if e != nil {
			plan := planOf(t, e)
			samePlan(t, e, &plan)
		}
	})
}

// Where nobody set anything the kernel is told nothing, and what somebody else set of the
// bootstrap stays.
func TestNothingSetTellsNothing(t *testing.T) {
	e, _ := resolve(t, normalizer(t))
	s := session.Settings{TurnBudgetMS: 7, Layers: "budgets.turn_budget_ms=tenant"}
	was := s
	e.Apply(&s)
	if len(e.EdgePolicies()) != 0 || len(e.NodePolicies()) != 0 || e.FlowPolicy() != nil || s != was {
		t.Errorf("%v, %v, %+v", e.EdgePolicies(), e.FlowPolicy(), s)
	}
	plan := planOf(t, e)
	samePlan(t, e, &plan)
	plain := turn.VoiceSettings()
	if !slices.Equal(plan.AllowedAdaptiveActions, plain.Actions) || plan.Budgets != plain.Budgets {
		t.Errorf("the plan allows %v within %+v", plan.AllowedAdaptiveActions, plan.Budgets)
	}
}

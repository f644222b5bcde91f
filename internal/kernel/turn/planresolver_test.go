// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema"
)

func request() PlanRequest {
	return PlanRequest{Session: "s1", Pipeline: "p1", Graph: "voice/1", Profile: "simple", STT: "ear", LLM: "mind", TTS: "mouth"}
}

func snapshots() controlplane.SnapshotProvenance {
	return controlplane.SnapshotProvenance{
		RoutingView: "routing_view_snapshot/1", AdmissionPolicy: "admission_policy_snapshot/2", ABICompatibility: "abi_compatibility_snapshot/3",
		VersionResolution: "version_resolution_snapshot/4", PolicyResolution: "policy_resolution_snapshot/5", ProviderHealth: "provider_health_snapshot/6",
	}
}

func resolver(t *testing.T, r PlanRequest) *Resolver {
	t.Helper()
	got, err := NewResolver(r)
	if err != nil {
		t.Fatal(err)
	}
	return &got
}

// Turn-plan section 2: identical inputs give an identical plan, from one resolver or
// from two, whatever was resolved in between.
func TestResolveIsDeterministic(t *testing.T) {
	a, b := resolver(t, request()), resolver(t, request())
	first := a.Resolve("t1", 1, snapshots())
	other := snapshots()
	other.ProviderHealth = "provider_health_snapshot/9"
	second := a.Resolve("t2", 2, other)
	if again := a.Resolve("t1", 1, snapshots()); !reflect.DeepEqual(again, first) {
		t.Error("a resolver remembers what it resolved")
	}
	if apart := b.Resolve("t1", 1, snapshots()); !reflect.DeepEqual(apart, first) {
		t.Error("two resolvers of one request differ")
	}
	if first.PlanHash == second.PlanHash || first.ResolvedTurnPlanID == second.ResolvedTurnPlanID {
		t.Error("different inputs give one plan")
	}
}

// Turn-plan section 3: the hash is that of the canonical plan; every input of a plan
// shows in it. Section 2: the id names turn and hash.
func TestPlanHash(t *testing.T) {
	p := resolver(t, request()).Resolve("t1", 1, snapshots())
	if want := controlplane.PlanHash(&p); p.PlanHash != want || len(want) != 64 || strings.ToLower(want) != want {
		t.Errorf("hash %s, canonical %s", p.PlanHash, want)
	}
	if p.ResolvedTurnPlanID != "rtp-t1-"+p.PlanHash[:16] {
		t.Errorf("id %s", p.ResolvedTurnPlanID)
	}
	if want := controlplane.Seed("s1", "t1", "p1"); p.Determinism.Seed != want || want > controlplane.MaxSeed {
		t.Errorf("seed %d, want %d", p.Determinism.Seed, want)
	}
	hashes := map[string]string{p.PlanHash: "the plain plan"}
	for name, change := range map[string]func(r *PlanRequest){
		"session":  func(r *PlanRequest) { r.Session = "s2" },
		"pipeline": func(r *PlanRequest) { r.Pipeline = "p2" },
		"graph":    func(r *PlanRequest) { r.Graph = "voice/2" },
		"stt":      func(r *PlanRequest) { r.STT = "x" },
		"llm":      func(r *PlanRequest) { r.LLM = "x" },
		"tts":      func(r *PlanRequest) { r.TTS = "x" },
		"budget":   func(r *PlanRequest) { r.Overrides.TurnBudgetMS = 3000 },
		"timeout":  func(r *PlanRequest) { r.Overrides.InvocationMS = 500 },
		"attempts": func(r *PlanRequest) { r.Overrides.Attempts = 1 },
		"edge":     func(r *PlanRequest) { r.Flow = edgeOf(func(e *edge) { e.MaxQueueItems = 63 }) },
		"mode": func(r *PlanRequest) {
			r.Flow = settingsOf(func(s *FlowSettings) { s.Flow.ModeByLane.DataLane = "credit" })
		},
		"node limit": func(r *PlanRequest) {
			r.Flow = settingsOf(func(s *FlowSettings) {
				s.Nodes = controlplane.NewTable(entry("llm", controlplane.NodeExecutionPolicy{ConcurrencyLimit: 2}))
			})
		},
		"action": func(r *PlanRequest) { r.Flow = settingsOf(func(s *FlowSettings) { s.Actions = s.Actions[:1] }) },
		"layer": func(r *PlanRequest) {
			r.Flow = settingsOf(func(s *FlowSettings) {
				s.Provenance = controlplane.NewTable(append(s.Provenance, entry("budgets", controlplane.ProvenanceTenant))...)
			})
		},
		"node":        func(r *PlanRequest) { r.Overrides.NodeBudgetMS = 700 },
		"path":        func(r *PlanRequest) { r.Overrides.PathBudgetMS = 700 },
		"edge budget": func(r *PlanRequest) { r.Overrides.EdgeBudgetMS = 70 },
		"second":      func(r *PlanRequest) { r.Seconds.LLM = "spare" },
		"actions":     func(r *PlanRequest) { r.Overrides.Actions = []controlplane.AdaptiveAction{controlplane.ActionRetry} },
		"none":        func(r *PlanRequest) { r.Overrides.Actions = []controlplane.AdaptiveAction{} },
	} {
		r := request()
		change(&r)
		got := resolver(t, r).Resolve("t1", 1, snapshots())
		if same, ok := hashes[got.PlanHash]; ok {
			t.Errorf("%s does not show in the hash: it is that of %s", name, same)
		}
		hashes[got.PlanHash] = name
	}
}

// Turn-plan sections 2 and 4 to 6: the plan is valid for every reader of the contract,
// and holds the profile's values.
func TestPlanIsValid(t *testing.T) {
	for name, r := range map[string]PlanRequest{
		"plain": request(),
		"set": {
			Session: "s1", Pipeline: "p1", Graph: "g", Profile: "simple/v1", STT: "a", LLM: "b", TTS: "c",
			Seconds: Seconds{STT: "d", TTS: "e"},
			Overrides: PlanOverrides{
				TurnBudgetMS: 1, NodeBudgetMS: 2, PathBudgetMS: 3, EdgeBudgetMS: 4, InvocationMS: 1, Attempts: 1,
				Actions: []controlplane.AdaptiveAction{controlplane.ActionRetry, controlplane.ActionFallback},
			},
		},
		"nothing allowed": {
			Session: "s1", Pipeline: "p1", Graph: "g", Profile: "simple", STT: "a", LLM: "b", TTS: "c",
			Overrides: PlanOverrides{Actions: []controlplane.AdaptiveAction{}},
		},
	} {
		s := snapshots()
		if name == "set" {
			s.ProviderHealth = controlplane.ProvenanceFallbackPrefix + "providerhealth"
		}
		p := resolver(t, r).Resolve("t1", 7, s)
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		report := schema.Validate(schema.ResolvedTurnPlan, raw, schema.Options{UnknownAction: eventabi.UnknownReject})
		for _, f := range report.Faults {
			t.Errorf("%s: %s: %s", name, f.Pointer, f.Message)
		}
		for _, n := range report.Notes {
			t.Errorf("%s: noted: %s: %s", name, n.Pointer, n.Message)
		}
		if p.ExecutionProfile != "simple/v1" || p.AuthorityEpoch != 7 || p.SnapshotProvenance != s {
			t.Errorf("%s: profile %s, epoch %d, provenance %+v", name, p.ExecutionProfile, p.AuthorityEpoch, p.SnapshotProvenance)
		}
		for _, plan := range p.ProviderPlans {
			if plan.PolicySnapshotRef != s.PolicyResolution {
				t.Errorf("%s: the plan of %s comes from policy %s, want %s", name, plan.Modality, plan.PolicySnapshotRef, s.PolicyResolution)
			}
		}
	}
}

// Flow section 8: the defaults; turn-plan section 10: candidates in order, the preferred
// one first, and the set of actions in the plan and in each provider's.
func TestPlanValues(t *testing.T) {
	p := resolver(t, request()).Resolve("t1", 1, snapshots())
	if want := (controlplane.Budgets{TurnBudgetMS: 2000, NodeBudgetMSDefault: 800, PathBudgetMSDefault: 1500, EdgeBudgetMSDefault: 100}); p.Budgets != want {
		t.Errorf("budgets %+v, want %+v", p.Budgets, want)
	}
	r := request()
	r.Seconds.LLM = "spare"
	r.Overrides = PlanOverrides{NodeBudgetMS: 5, PathBudgetMS: 6, EdgeBudgetMS: 7, Actions: []controlplane.AdaptiveAction{controlplane.ActionDegrade}}
	p = resolver(t, r).Resolve("t1", 1, snapshots())
	if p.Budgets.NodeBudgetMSDefault != 5 || p.Budgets.PathBudgetMSDefault != 6 || p.Budgets.EdgeBudgetMSDefault != 7 {
		t.Errorf("budgets %+v", p.Budgets)
	}
	for i, want := range [][]string{{"ear"}, {"mind", "spare"}, {"mouth"}} {
		if plan := p.ProviderPlans[i]; !slices.Equal(plan.OrderedCandidates, want) || !slices.Equal(plan.AllowedAdaptiveActions, p.AllowedAdaptiveActions) {
			t.Errorf("%s: candidates %v, actions %v", plan.Modality, plan.OrderedCandidates, plan.AllowedAdaptiveActions)
		}
	}
	if !slices.Equal(p.AllowedAdaptiveActions, r.Overrides.Actions) {
		t.Errorf("the plan allows %v", p.AllowedAdaptiveActions)
	}
}

// Turn-plan section 5: for every derived field the layer that it came from.
func TestPlanProvenance(t *testing.T) {
	r := request()
	r.Overrides = PlanOverrides{TurnBudgetMS: 3000, PathBudgetMS: 900, Attempts: 1, Actions: []controlplane.AdaptiveAction{}}
	p := resolver(t, r).Resolve("t1", 1, snapshots())
	for path, want := range map[string]string{
		"budgets.turn_budget_ms":                                         controlplane.ProvenanceSession,
		"budgets.path_budget_ms_default":                                 controlplane.ProvenanceSession,
		"budgets.node_budget_ms_default":                                 controlplane.ProvenanceProfile,
		"allowed_adaptive_actions":                                       controlplane.ProvenanceSession,
		"provider_plans.allowed_adaptive_actions":                        controlplane.ProvenanceSession,
		"provider_plans.max_attempts_per_provider":                       controlplane.ProvenanceSession,
		"provider_plans.budget":                                          controlplane.ProvenanceProfile,
		"provider_bindings":                                              controlplane.ProvenanceEnvironment,
		"graph_definition_ref":                                           controlplane.ProvenancePipelineSpec,
		"determinism.merge_rule_version":                                 controlplane.ProvenanceProfile,
		"budgets.edge_budget_ms_default":                                 controlplane.ProvenanceProfile,
		"edge_buffer_policies.llm-tts.max_queue_items":                   controlplane.ProvenancePipelineSpec,
		"edge_buffer_policies.llm-tts.max_queue_bytes":                   controlplane.ProvenanceProfile,
		"edge_buffer_policies.llm-tts.max_block_time_ms":                 controlplane.ProvenanceProfile,
		"edge_buffer_policies.tts-transport.watermarks.queue_ms.high":    controlplane.ProvenancePipelineSpec,
		"edge_buffer_policies.tts-transport.lane_handling.DataLane":      controlplane.ProvenancePipelineSpec,
		"edge_buffer_policies.tts-transport.lane_handling.TelemetryLane": controlplane.ProvenanceProfile,
		"edge_buffer_policies.stt-llm.max_latency_contribution_ms":       controlplane.ProvenanceProfile,
		"edge_buffer_policies.transport-stt.max_latency_contribution_ms": controlplane.ProvenancePipelineSpec,
	} {
		if got := p.Origin(path); got != want {
			t.Errorf("%s comes from %q, want %q", path, got, want)
		}
	}
}

// What the session was given names its layer (turn-plan section 5); without one it is its own.
func TestPlanProvenanceOfLayers(t *testing.T) {
	r := request()
	r.Overrides = PlanOverrides{
		TurnBudgetMS: 3000, PathBudgetMS: 900, NodeBudgetMS: 70, Actions: []controlplane.AdaptiveAction{},
		Layers: "budgets.turn_budget_ms=tenant =environment allowed_adaptive_actions=pipeline_spec budgets.edge_budget_ms_default=tenant",
	}
	p := resolver(t, r).Resolve("t1", 1, snapshots())
	for path, want := range map[string]string{
		"budgets.turn_budget_ms":                  controlplane.ProvenanceTenant,
		"budgets.path_budget_ms_default":          controlplane.ProvenanceEnvironment,
		"budgets.edge_budget_ms_default":          controlplane.ProvenanceProfile, // it was not set
		"allowed_adaptive_actions":                controlplane.ProvenancePipelineSpec,
		"provider_plans.allowed_adaptive_actions": controlplane.ProvenancePipelineSpec,
	} {
		if got := p.Origin(path); got != want {
			t.Errorf("%s comes from %q, want %q", path, got, want)
		}
	}
	for list, want := range map[string]string{"": "session", "b=tenant": "session", "=tenant": "tenant", "=tenant a=environment": "environment", "a=tenant =environment": "tenant"} {
		if got := LayerOf(list, "a"); got != want {
			t.Errorf("LayerOf(%q) is %q, want %q", list, got, want)
		}
	}
}

// F-143: of every value of every edge the plan names the layer, and of the edge whether
// it was written or derived; the two do not contradict each other.
func TestPlanProvenanceCoversTheFlow(t *testing.T) {
	p := resolver(t, request()).Resolve("t1", 1, snapshots())
	for i := range p.EdgeBufferPolicies {
		e := &p.EdgeBufferPolicies[i]
		explicit := false
		for _, f := range e.Value.Fields() {
			layer := p.Origin("edge_buffer_policies." + e.Key + "." + f.Path)
			if layer != controlplane.ProvenanceProfile && layer != controlplane.ProvenancePipelineSpec {
				t.Errorf("%s.%s comes from %q", e.Key, f.Path, layer)
			}
			explicit = explicit || layer == controlplane.ProvenancePipelineSpec
		}
		if explicit != (e.Value.DefaultingSource == controlplane.DefaultedExplicit) {
			t.Errorf("%s: %s, explicit %v", e.Key, e.Value.DefaultingSource, explicit)
		}
	}
	for _, f := range slices.Concat(prefixed("flow_control.", p.FlowControl.Fields()), prefixed("budgets.", p.Budgets.Fields())) {
		if layer := p.Origin(f.Path); layer != controlplane.ProvenanceProfile {
			t.Errorf("%s comes from %q", f.Path, layer)
		}
	}
	for _, e := range p.DefaultProvenance {
		if strings.HasPrefix(e.Key, "edge_buffer_policies.") && !slices.ContainsFunc(p.EdgeBufferPolicies, func(x controlplane.Entry[controlplane.EdgeBufferPolicy]) bool {
			return strings.HasPrefix(e.Key, "edge_buffer_policies."+x.Key+".")
		}) {
			t.Errorf("a layer is named for %s, which is no edge", e.Key)
		}
	}
}

// Of a path that two tables know, the second one's layer stands; the result is a table.
func TestOverlay(t *testing.T) {
	base := controlplane.NewTable(entry("a", "1"), entry("c", "1"), entry("d", "1"))
	for name, over := range map[string]controlplane.Table[string]{
		"none": nil, "before": controlplane.NewTable(entry("A", "2")), "after": controlplane.NewTable(entry("x", "2"), entry("y", "2")),
		"between": controlplane.NewTable(entry("b", "2"), entry("c", "2"), entry("cc", "2")), "all": controlplane.NewTable(entry("a", "2"), entry("c", "2"), entry("d", "2")),
	} {
		if got, want := overlay(base, over), controlplane.NewTable(slices.Concat(base, over)...); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if got, want := overlay(over, base), controlplane.NewTable(slices.Concat(over, base)...); !slices.Equal(got, want) {
			t.Errorf("%s, the other way: %v, want %v", name, got, want)
		}
	}
}

func prefixed(prefix string, fields []controlplane.Field) []controlplane.Field {
	for i := range fields {
		fields[i].Path = prefix + fields[i].Path
	}
	return fields
}

// Sessions with equal settings share them, and a session without a turn holds no plan
// (engine section 5, P8).
func TestResolversShareAndWait(t *testing.T) {
	shared := VoiceSettings()
	r := request()
	r.Flow = &shared
	a, b := resolver(t, r), resolver(t, r)
	if a.template != nil || b.template != nil {
		t.Error("a resolver lays its plans out before one is wanted")
	}
	x, y := a.Resolve("t1", 1, snapshots()), b.Resolve("t1", 1, snapshots())
	if &x.EdgeBufferPolicies[0] != &y.EdgeBufferPolicies[0] || &x.EdgeBufferPolicies[0] != &shared.Edges[0] {
		t.Error("the edges are copied for each session")
	}
	if plain := resolver(t, request()).Resolve("t1", 1, snapshots()); plain.PlanHash != x.PlanHash {
		t.Error("the voice graph's settings, given, make another plan than the same settings, not given")
	}
}

// Turn-plan section 6: an unsupported profile is told apart from a bundle that is not
// whole; the error names field and value.
func TestResolverErrors(t *testing.T) {
	r := request()
	r.Profile = "aggressive"
	if _, err := NewResolver(r); !errors.Is(err, ErrProfile) || errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), `"aggressive"`) {
		t.Errorf("profile: %v", err)
	}
	for field, change := range map[string]func(r *PlanRequest){
		"pipeline_version":      func(r *PlanRequest) { r.Pipeline = "" },
		"graph_definition_ref":  func(r *PlanRequest) { r.Graph = "" },
		"provider_bindings.stt": func(r *PlanRequest) { r.STT = "" },
		"provider_bindings.llm": func(r *PlanRequest) { r.LLM = "" },
		"provider_bindings.tts": func(r *PlanRequest) { r.TTS = "" },
	} {
		r := request()
		change(&r)
		if _, err := NewResolver(r); !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// A plan never changes inside its turn: what two plans share is not written again.
func TestPlansShareNothingThatChanges(t *testing.T) {
	r := resolver(t, request())
	first := r.Resolve("t1", 1, snapshots())
	before := controlplane.CanonicalPlan(&first)
	other := snapshots()
	other.PolicyResolution = "policy_resolution_snapshot/99"
	for i := range 20 {
		r.Resolve(eventabi.TurnID("t"+strings.Repeat("x", i)), eventabi.Epoch(i), other)
	}
	if !bytes.Equal(before, controlplane.CanonicalPlan(&first)) {
		t.Error("a plan changed after it was sealed")
	}
}

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
		"node":     func(r *PlanRequest) { r.Overrides.NodeBudgetMS = 700 },
		"path":     func(r *PlanRequest) { r.Overrides.PathBudgetMS = 700 },
		"edge":     func(r *PlanRequest) { r.Overrides.EdgeBudgetMS = 70 },
		"second":   func(r *PlanRequest) { r.Seconds.LLM = "spare" },
		"actions":  func(r *PlanRequest) { r.Overrides.Actions = []controlplane.AdaptiveAction{controlplane.ActionRetry} },
		"none":     func(r *PlanRequest) { r.Overrides.Actions = []controlplane.AdaptiveAction{} },
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
		"budgets.turn_budget_ms":                   controlplane.ProvenanceSession,
		"budgets.path_budget_ms_default":           controlplane.ProvenanceSession,
		"budgets.node_budget_ms_default":           controlplane.ProvenanceProfile,
		"allowed_adaptive_actions":                 controlplane.ProvenanceSession,
		"provider_plans.allowed_adaptive_actions":  controlplane.ProvenanceSession,
		"provider_plans.max_attempts_per_provider": controlplane.ProvenanceSession,
		"provider_plans.budget":                    controlplane.ProvenanceProfile,
		"provider_bindings":                        controlplane.ProvenanceEnvironment,
		"graph_definition_ref":                     controlplane.ProvenancePipelineSpec,
		"determinism.merge_rule_version":           controlplane.ProvenanceProfile,
	} {
		if got, ok := p.DefaultProvenance.Get(path); !ok || got != want {
			t.Errorf("%s comes from %q, want %q", path, got, want)
		}
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

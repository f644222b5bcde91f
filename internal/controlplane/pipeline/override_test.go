// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parley-voice/parley/api/controlplane"
)

// set reads path=value texts of the session layer.
func set(t *testing.T, n *Normalizer, texts ...string) *Document {
	t.Helper()
	d, err := n.Set(Session, "--set", texts...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// value gives a value in force with its source, in one line.
func value(t *testing.T, e *Effective, path string) string {
	t.Helper()
	for _, v := range e.Values() {
		if v.Path == path {
			return fmt.Sprintf("%s <- %s %s", v.JSON, v.Source.Layer, v.Source)
		}
	}
	return "absent"
}

// turn-plan section 5: profile < pipeline spec < environment < tenant < session.
func TestEveryLayerStandsOverTheOneBelow(t *testing.T) {
	n := normalizer(t)
	const path = "edges.transport-stt.max_queue_ms"
	at := func(layer Layer, file, ms string) *Document {
		return n.Read(layer, file, []byte("edges: {transport-stt: {max_queue_ms: "+ms+"}}"))
	}
	documents := []*Document{}
	for _, step := range []struct {
		add  *Document
		want string
	}{
		{nil, "4000 <- pipeline_spec voice graph"},
		{n.Read(Spec, "spec.yaml", []byte("tuning: latency_first")), "200 <- pipeline_spec spec.yaml:1 (by tuning)"},
		{at(Spec, "spec.yaml", "900"), "900 <- pipeline_spec spec.yaml:1"},
		{n.Environment([]string{"HOME=/", "PARLEY_EDGES__TRANSPORT_STT__MAX_QUEUE_MS=800"}), "800 <- environment PARLEY_EDGES__TRANSPORT_STT__MAX_QUEUE_MS"},
		{at(Tenant, "tenant.yaml", "700"), "700 <- tenant tenant.yaml:1"},
		{set(t, n, path+"=600"), "600 <- session --set " + path + "=600"},
	} {
		if step.add != nil {
			documents = append(documents, step.add)
		}
		e, faults := resolve(t, n, documents...)
		if e == nil {
			t.Fatalf("refused: %v", faults)
		}
		if got := value(t, e, path); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
}

func TestSet(t *testing.T) {
	n := normalizer(t)
	e, faults := resolve(t, n, set(t, n,
		"budgets.turn_budget_ms=1800", "budgets.turn_budget_ms = 1700", // the later one
		"allowed_adaptive_actions=fallback, retry",
		"edges.stt-llm.watermarks.queue_items={high: 30, low: 5}",
		"node_execution_policies.llm={fairness_key: '7'}",
		"edges.llm-tts.strategy=coalesce"))
	if e == nil {
		t.Fatalf("refused: %v", faults)
	}
	for path, want := range map[string]string{
		"budgets.turn_budget_ms":                          "1700",
		"allowed_adaptive_actions":                        `["retry", "fallback"]`,
		"edges.stt-llm.watermarks.queue_items.high":       "30",
		"edges.stt-llm.watermarks.queue_items.low":        "5",
		"edges.llm-tts.strategy":                          `"merge"`,
		"edges.llm-tts.lane_handling.DataLane":            `"merge"`,
		"node_execution_policies.llm.fairness_key":        `"7"`,
		"edges.transport-stt.max_latency_contribution_ms": "4000",
	} {
		if got, _, _ := strings.Cut(value(t, e, path), " <- "); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// What cannot be a path is an error of usage; what cannot be a value is a fault with its
// path.
func TestSetRefuses(t *testing.T) {
	n := normalizer(t)
	for _, c := range []struct{ text, want string }{
		{"budgets.turn_budget_ms", "has no ="},
		{"=3", "is empty"},
		{"a..b=3", "is empty"},
		{`"a=3`, "does not close"},
		{"a.=3", "goes on with"},
		{strings.Repeat("a.", 40) + "b=1", "deeper than any field"},
	} {
		if _, err := n.Set(Session, "--set", c.text); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "--set ") {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	for _, c := range []struct{ text, path, code string }{
		{"budgets.turn_budget_ms=fast", "budgets.turn_budget_ms", "type"},
		{"budgets.turn_budget=3", "budgets.turn_budget", "unknown_field"},
		{"edges.transport-sst.max_queue_ms=3", "edges.transport-sst", CodeUnknownEdge},
		{"budgets.turn_budget_ms={", "budgets.turn_budget_ms", "syntax"},
		{"budgets=", "budgets", "type"},
		{"quotas.defaults.turns_per_minute={max: 1, action: reject}", "quotas.defaults.turns_per_minute.action", CodeNotALayer},
		{`node_execution_policies."a.b"={}`, `node_execution_policies."a.b"`, "pattern"},
		{"profile=balanced", "profile", "enum"},
	} {
		e, faults := resolve(t, n, set(t, n, c.text))
		if e != nil || len(faults) == 0 || faults[0].Path != c.path || faults[0].Code != c.code || faults[0].File != "--set "+c.text || faults[0].Line != 0 {
			t.Errorf("%q: %+v, want %s at %s", c.text, faults, c.code, c.path)
		}
	}
}

// A variable is ours by its prefix and its two underscores, or by the name of a field
// outside every section; it finds the names that a hyphen or a dot is in.
func TestEnvironment(t *testing.T) {
	n := normalizer(t)
	spec := n.Read(Spec, "spec.yaml", []byte(`
edges:
  mood.1: {strategy: drop}
  my-tap: {from: caller_text, to: mood, strategy: drop}
quotas: {tenants: {acme.eu: {turns_per_minute: {max: 5, action: reject}}}}
`))
	spec.Faults = nil // of the name with a dot, which is to be found all the same
	d := n.Environment([]string{
		"PARLEY_TUNING=latency_first", "PARLEY_LLM_BASE_URL=http://127.0.0.1", "PARLEY_HOME=x", "PARLEY_SERVE__LISTEN=x", "PATH=/bin", "PARLEY_EDGES__STT_LLM__SAMPLE_EVERY",
		"PARLEY_EDGES__MY_TAP__MAX_QUEUE_ITEMS=9", "PARLEY_QUOTAS__TENANTS__ACME_EU__TURNS_PER_MINUTE__MAX=7",
		"PARLEY_FLOW_CONTROL__MODE_BY_LANE__DATALANE=credit", "PARLEY_ALLOWED_ADAPTIVE_ACTIONS=degrade",
		"PARLEY_EDGES____MAX=3", "PARLEY_BUDGETS__TURN_BUDGET=3",
	}, spec)
	var got []string
	for _, path := range d.given.sorted() {
		got = append(got, path+"="+d.given[path].json())
	}
	want := []string{
		`allowed_adaptive_actions=["degrade"]`, "budgets={}", "edges.my-tap.max_queue_items=9", "edges.stt-llm={}", `flow_control.mode_by_lane.DataLane="credit"`,
		`quotas.tenants."acme.eu".turns_per_minute.max=7`, `tuning="latency_first"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	var faults []string
	for _, f := range d.Faults {
		faults = append(faults, f.File+" "+f.Code)
	}
	for _, want := range []string{
		"PARLEY_EDGES____MAX path", "PARLEY_BUDGETS__TURN_BUDGET unknown_field", "PARLEY_EDGES__STT_LLM__SAMPLE_EVERY type",
	} {
		if !slices.Contains(faults, want) {
			t.Errorf("%q lacks %q", faults, want)
		}
	}
}

// A constraint is no layer: it changes nothing, and what exceeds it is refused with the
// place of who gave it (turn-plan section 5).
func TestConstraints(t *testing.T) {
	n := normalizer(t)
	limit := []Constraint{
		{Path: "budgets.turn_budget_ms", Max: 2000, By: "policy/7"},
		{Path: "edges.stt-llm.max_queue_items", Max: 10, By: "admission"},
		{Path: "no.such.path", Max: 1, By: "nobody"},
		{Path: "tuning", Max: 1, By: "nobody"},
	}
	e, faults, err := n.Resolve(limit, n.Read(Spec, "spec.yaml", []byte("edges: {stt-llm: {max_queue_items: 10}}")))
	if err != nil || e == nil {
		t.Fatalf("within the constraints it is refused: %v %v", faults, err)
	}
	e, faults, err = n.Resolve(limit, n.Read(Tenant, "tenant.yaml", []byte("budgets: {turn_budget_ms: 2001}")))
	if err != nil || e != nil || len(faults) != 2 {
		t.Fatalf("beyond the constraints it is taken: %v %v", faults, err)
	}
	for i, want := range []string{
		"tenant.yaml:1:27: budgets.turn_budget_ms: constraint_exceeded: turn_budget_ms is 2001 (tenant), but policy/7 allows at most 2000; no layer may exceed it",
		"simple/v1: edges.stt-llm.max_queue_items: constraint_exceeded: max_queue_items is 64 (execution_profile/simple/v1), but admission allows at most 10; no layer may exceed it",
	} {
		if faults[i].String() != want {
			t.Errorf("%s\nwant %s", faults[i], want)
		}
	}
}

// authority-state section 7: a tenant's quotas replace the defaults field by field.
func TestQuotas(t *testing.T) {
	n := normalizer(t)
	e, faults := resolve(t, n, n.Read(Spec, "spec.yaml", []byte(`
quotas:
  defaults:
    concurrent_sessions: {max: 10, action: reject, headroom_per_mille: 100}
    turns_per_minute: {max: 60, action: throttle, retry_after_ms: 500}
    turn: {audio_seconds: {max: 30, action: reject}}
  tenants:
    acme: {turns_per_minute: {max: 600}, session: {tts_characters: {max: 1000, action: degrade}}}
`)), n.Read(Tenant, "tenant.yaml", []byte("quotas: {tenants: {acme: {turns_per_minute: {retry_after_ms: 900}}}}")))
	if e == nil {
		t.Fatalf("refused: %v", faults)
	}
	sessions := Quota{Scope: controlplane.QuotaOfTenant, Limit: controlplane.QuotaConcurrentSessions, Max: 10, Action: controlplane.QuotaReject, HeadroomPerMille: 100}
	turns := Quota{Scope: controlplane.QuotaOfTenant, Limit: controlplane.QuotaTurnsPerMinute, Max: 60, Action: controlplane.QuotaDefer, RetryAfterMS: 500}
	audio := Quota{Scope: controlplane.QuotaOfTurn, Limit: controlplane.QuotaAudioSeconds, Max: 30, Action: controlplane.QuotaReject}
	if got, want := e.Quotas("somebody"), []Quota{sessions, turns, audio}; !slices.Equal(got, want) {
		t.Errorf("everybody has %v, want %v", got, want)
	}
	turns.Max, turns.RetryAfterMS = 600, 900
	words := Quota{Scope: controlplane.QuotaOfSession, Limit: controlplane.QuotaTTSCharacters, Max: 1000, Action: controlplane.QuotaDegrade}
	if got, want := e.Quotas("acme"), []Quota{sessions, turns, words, audio}; !slices.Equal(got, want) {
		t.Errorf("acme has %v, want %v", got, want)
	}
	// What a host is given says the same of each of them.
	p := e.QuotaPolicy()
	if err := p.Validate(controlplane.AdaptiveActions()); err != nil {
		t.Error(err)
	}
	for _, tenant := range []string{"somebody", "acme"} {
		var list []Quota
		quotas := p.For(tenant)
		for _, q := range quotas.List() {
			list = append(list, Quota{Scope: q.Scope, Limit: q.Limit, Max: q.Max, Action: q.Action, HeadroomPerMille: q.HeadroomPerMille, RetryAfterMS: q.RetryAfterMS})
		}
		if want := e.Quotas(tenant); !slices.Equal(list, want) {
			t.Errorf("a host bounds %s by %v, want %v", tenant, list, want)
		}
	}
	if got := e.Quotas(`a".b`); len(got) != 3 {
		t.Errorf("a tenant with an odd name has %v", got)
	}
}

// Whatever names are made of, a path written of them is taken apart into them.
func TestPathsSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringN(1, 8, -1), 1, 5).Draw(t, "names")
		path := join(names...)
		got, err := splitPath(path)
		if err != nil || !slices.Equal(got, names) {
			t.Fatalf("%q is written %s and read %q, %v", names, path, got, err)
		}
		name, rest := head(path)
		if name != names[0] || rest != join(names[1:]...) {
			t.Fatalf("the head of %s is %q, then %s", path, name, rest)
		}
		if back := pathOf("/" + pointerToken(names[0])); back != segment(names[0]) {
			t.Fatalf("the pointer to %q leads to %s", names[0], back)
		}
	})
}

// An integer is one however JSON writes it.
func TestDecimal(t *testing.T) {
	for lit, want := range map[string]string{
		"0": "0", "-0": "0", "1e3": "1000", "1E+2": "100", "2.50e2": "250", "100e-2": "1", "-1.5e1": "-15", "1e999999999999": "100000000000000000000", "0e9": "0", "10.0": "10",
	} {
		if got := decimal(lit); got != want {
			t.Errorf("%s is %s, want %s", lit, got, want)
		}
	}
}

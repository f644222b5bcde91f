// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// generic encodes the plan through reflection and encoding/json, which sorts the
// keys of maps by byte order; the canonical form is the same without the two
// identity fields.
func generic(t *testing.T, p *ResolvedTurnPlan) []byte {
	t.Helper()
	type plain ResolvedTurnPlan // drops the hand-written MarshalJSON
	raw, err := json.Marshal((*plain)(p))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	delete(doc, "plan_hash")
	delete(doc, "resolved_turn_plan_id")
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// fill sets every field reachable from v, so that no field can be forgotten by the
// hand-written encoder without the comparison noticing.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("s\"\\\n\x01é☃😀/<>&" + strings.Repeat("x", *n%5) + string(rune('a'+*n%26)))
	case reflect.Int64:
		v.SetInt(int64(*n) * 7919)
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
		if v.Type() == reflect.TypeFor[[]AdaptiveAction]() {
			v.Set(reflect.ValueOf([]AdaptiveAction{ActionRetry, ActionFallback}))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("fill: no case for " + v.Kind().String())
	}
}

// Turn-plan section 3: keys sorted by code point, no whitespace, shortest integers.
func TestCanonicalPlanAgreesWithGenericEncoder(t *testing.T) {
	var full ResolvedTurnPlan
	n := 0
	fill(reflect.ValueOf(&full).Elem(), &n)
	sparse := samplePlan()
	sparse.ProviderPlans, sparse.NodeExecutionPolicies, sparse.StreamingHandoff = nil, nil, nil
	for name, p := range map[string]*ResolvedTurnPlan{"every field": &full, "sample": samplePlan(), "sparse": sparse} {
		t.Run(name, func(t *testing.T) {
			got, want := CanonicalPlan(p), generic(t, p)
			if !bytes.Equal(got, want) {
				t.Errorf("canonical form differs\n got %s\nwant %s", got, want)
			}
			sum := sha256.Sum256(want)
			if h := PlanHash(p); h != hex.EncodeToString(sum[:]) {
				t.Errorf("PlanHash = %s, want %x", h, sum)
			}
		})
	}
}

func TestPlanHashIgnoresItsOwnFieldsAndNothingElse(t *testing.T) {
	base := PlanHash(samplePlan())
	p := samplePlan()
	p.PlanHash, p.ResolvedTurnPlanID = "x", "y"
	if PlanHash(p) != base {
		t.Error("plan_hash or resolved_turn_plan_id entered the hash")
	}
	typ := reflect.TypeFor[ResolvedTurnPlan]()
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		if name == "PlanHash" || name == "ResolvedTurnPlanID" {
			continue
		}
		p := samplePlan()
		f := reflect.ValueOf(p).Elem().Field(i)
		n := 100 + i
		fill(f, &n)
		if PlanHash(p) == base {
			t.Errorf("changing %s leaves the hash as it was", name)
		}
	}
}

func TestMarshalledPlanReadsBack(t *testing.T) {
	p := samplePlan()
	p.PlanHash = PlanHash(p)
	p.ResolvedTurnPlanID = PlanID(p.TurnID, p.PlanHash)
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back ResolvedTurnPlan
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, p) {
		t.Errorf("round trip differs\n got %+v\nwant %+v", &back, p)
	}
	if p.PlanHash != PlanHash(p) || p.ResolvedTurnPlanID != "rtp-"+string(p.TurnID)+"-"+p.PlanHash[:16] {
		t.Errorf("sealed as %q, %q", p.ResolvedTurnPlanID, p.PlanHash)
	}
}

// Turn-plan section 3: low 53 bits of SHA-256 of the three ids joined by newlines.
func TestSeed(t *testing.T) {
	sum := sha256.Sum256([]byte("s-1\nt-1\npipeline-v1"))
	want := new(big.Int).SetBytes(sum[:])
	want.And(want, big.NewInt(1<<53-1))
	if got := Seed("s-1", "t-1", "pipeline-v1"); got != want.Int64() {
		t.Errorf("Seed = %d, want %s", got, want)
	}
	if Seed("s-1", "t-2", "pipeline-v1") == Seed("s-1", "t-1", "pipeline-v1") {
		t.Error("two turns share a seed")
	}
}

// sealSample seals a plan from the sample's template.
func sealSample(t *PlanTemplate, p *ResolvedTurnPlan) ResolvedTurnPlan {
	return t.Seal(p.TurnID, p.AuthorityEpoch, p.Determinism.Seed, p.SnapshotProvenance)
}

// A template's plan is sealed as the plan by itself would be, whatever of it differs
// from turn to turn, and for the parts that a plan may lack.
func TestTemplateSealsLikeThePlanItself(t *testing.T) {
	bare := samplePlan()
	bare.ProviderPlans, bare.StreamingHandoff, bare.CapabilitySnapshotRef = nil, nil, ""
	for name, p := range map[string]*ResolvedTurnPlan{"whole": samplePlan(), "bare": bare} {
		template := NewPlanTemplate(*p)
		for i := range 6 {
			p.TurnID = eventabi.TurnID("t-" + strings.Repeat("9", i+1))
			p.AuthorityEpoch += eventabi.Epoch(i % 2 * 1000) // two turns in each epoch
			p.Determinism.Seed = int64(i) * 1e15
			p.SnapshotProvenance.PolicyResolution = "policy_resolution_snapshot/" + strings.Repeat("7", i+1)
			got := sealSample(template, p)
			if hash := PlanHash(&got); got.PlanHash != hash {
				t.Errorf("%s, turn %d: sealed as %s, the plan itself has %s", name, i, got.PlanHash, hash)
			}
			if got.ResolvedTurnPlanID != PlanID(p.TurnID, got.PlanHash) || got.TurnID != p.TurnID || got.AuthorityEpoch != p.AuthorityEpoch {
				t.Errorf("%s, turn %d: the plan is of another turn: %+v", name, i, got)
			}
			for _, pp := range got.ProviderPlans {
				if pp.PolicySnapshotRef != p.SnapshotProvenance.PolicyResolution {
					t.Errorf("%s, turn %d: a provider plan names %s", name, i, pp.PolicySnapshotRef)
				}
			}
		}
	}
}

func BenchmarkPlanSeal(b *testing.B) {
	p := samplePlan()
	template := NewPlanTemplate(*p)
	b.ReportAllocs()
	for b.Loop() {
		sealSample(template, p)
	}
	b.ReportMetric(float64(len(CanonicalPlan(p))), "bytes/plan")
}

// The simulator seals a plan for every turn; only the two strings that it keeps may
// cost an allocation each, the digest's text one, and the list of provider plans one.
func TestPlanSealAllocations(t *testing.T) {
	p := samplePlan()
	template := NewPlanTemplate(*p)
	sealSample(template, p)
	if n := testing.AllocsPerRun(100, func() { sealSample(template, p) }); n > 4 {
		t.Errorf("sealing a plan takes %v allocations, at most 4", n)
	}
}

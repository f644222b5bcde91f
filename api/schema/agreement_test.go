// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
)

// compiled are the published schemas under an independent validator.
func compiled(tb testing.TB) map[Kind]*jsonschema.Schema {
	tb.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	for _, k := range PublishedKinds() {
		raw, err := Published(k)
		if err != nil {
			tb.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			tb.Fatal(err)
		}
		if err := c.AddResource(k.URN(), doc); err != nil {
			tb.Fatal(err)
		}
	}
	out := map[Kind]*jsonschema.Schema{}
	for _, k := range PublishedKinds() {
		s, err := c.Compile(k.URN())
		if err != nil {
			tb.Fatal(err)
		}
		out[k] = s
	}
	return out
}

// agree holds one document against both: the schema refuses it if and only if the
// validator has a fault that a schema can express. It reports false when the document
// is not JSON, which only the validator judges.
func agree(t *testing.T, v *Validator, schemas map[Kind]*jsonschema.Schema, kind Kind, data []byte, what string) bool {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return false
	}
	report := v.Validate(kind, data)
	expressible := slices.DeleteFunc(slices.Clone(report.Faults), func(f Fault) bool {
		return slices.Contains(BeyondSchema(), f.Code)
	})
	schemaErr := schemas[kind].Validate(doc)
	if (schemaErr == nil) != (len(expressible) == 0) {
		t.Errorf("%s: schema says %v, validator says %v\n%s", what, schemaErr, brief(report.Faults), data)
	}
	return true
}

func TestSchemasAgreeWithTheValidatorOnTheCorpus(t *testing.T) {
	schemas, v := compiled(t), NewValidator(Options{})
	for _, s := range append(corpus(t, "good"), corpus(t, "bad")...) {
		if slices.ContainsFunc(s.want, func(w string) bool {
			return strings.HasSuffix(w, " too_deep") || strings.HasSuffix(w, " duplicate_key")
		}) {
			continue // what stands behind such a fault differs between readers
		}
		agree(t, v, schemas, s.kind, s.data, s.name)
	}
}

// every is the stride of the mutation test: all of the 300,000 take minutes, and
// a stride that is prime to the number of replacements still meets each of them.
var every = flag.Int("every", 29, "compare one in so many mutants; 1 compares all")

// Every good artifact is changed in one place in every way that may matter: each
// member left out, each value replaced by values of every type, each text by texts
// that mean something elsewhere in the contract. Both sides must agree on each.
func TestSchemasAgreeWithTheValidatorOnMutations(t *testing.T) {
	schemas, v := compiled(t), NewValidator(Options{})
	n, made := 0, 0
	for _, s := range corpus(t, "good") {
		var doc any
		dec := json.NewDecoder(bytes.NewReader(s.data))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		mutate(doc, func(v any) { doc = v }, func() {
			if made++; made%*every != 0 {
				return
			}
			data, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			if agree(t, v, schemas, s.kind, data, s.name+", mutated") {
				n++
			}
		})
		if t.Failed() {
			return
		}
	}
	if n < made / *every / 2 || made < 100000 {
		t.Errorf("only %d of %d mutants were compared", n, made)
	}
	t.Logf("%d of %d mutants compared, all agree", n, made)
}

func replacements() []any {
	var out []any
	for _, v := range []string{
		"", "x", "a b", "v1.0", "v1.1", "v1.2", "v1.10.3", "v2.0", "v01.1", "session", "turn", "DataLane",
		"ControlLane", "TelemetryLane", "audio_raw", "metadata", "audio", "text", "error", "control", "cancel", "abort",
		"route_decision", "RK-07", "RK-24", "RK-25", "CP-05", "provider_invocation", "pre_turn", "active_turn",
		"scheduling_point", "edge_enqueue", "shed", "block", "drop_newest", "newest", "coalesce", "simple", "simple/v1", "Idle", "close", "audio_chunk",
	} {
		out = append(out, v)
	}
	for _, n := range []string{"0", "1", "-1", "1.0", "1.5", "1e2", "9007199254740992", "9223372036854775808", "-0"} {
		out = append(out, json.Number(n))
	}
	return append(out, true, false, nil, []any{}, []any{"x", "x"}, map[string]any{}, map[string]any{"x": json.Number("1")})
}

// mutate walks v and calls check after each single change, which it then undoes.
func mutate(v any, set func(any), check func()) {
	for _, r := range replacements() {
		set(r)
		check()
	}
	set(v)
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			old := v[k]
			delete(v, k)
			check()
			v[k] = old
			mutate(old, func(n any) { v[k] = n }, check)
		}
		v["extra.member"] = "x"
		check()
		delete(v, "extra.member")
	case []any:
		for i := range v {
			mutate(v[i], func(n any) { v[i] = n }, check)
		}
	}
}

// Turn-plan section 3, on raw documents: the canonical form of the reader agrees with
// encoding/json, which sorts keys, where both know the same numbers.
func TestCanonicalDocumentsAgreeWithEncodingJSON(t *testing.T) {
	for _, s := range corpus(t, "good") {
		if bytes.Contains(s.data, []byte("17.0")) {
			continue // encoding/json keeps the spelling of numbers
		}
		tree, perr := jsondoc.Parse(s.data, jsondoc.Limits{MaxBytes: MaxArtifactBytes, MaxDepth: MaxDepth, MaxValues: MaxValues})
		if perr != nil {
			t.Fatal(perr)
		}
		var doc any
		dec := json.NewDecoder(bytes.NewReader(s.data))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(doc); err != nil {
			t.Fatal(err)
		}
		if got := jsondoc.Canonical(tree); !bytes.Equal(got, bytes.TrimSpace(want.Bytes())) {
			t.Errorf("%s\n got %s\nwant %s", s.name, got, want.Bytes())
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the bytes are, the answer is settings that are in force, or faults that each
// have a place, a code and words (invariant 1); and what is in force keeps the invariants.
func FuzzResolve(f *testing.F) {
	n := normalizer(f)
	for _, side := range []string{"good", "bad"} {
		for name, text := range files(f, side) {
			f.Add(filepath.Ext(name) == ".json", text)
		}
	}
	f.Add(true, []byte(`{"edges":{"a":{"from":"b","to":"c","strategy":"drop"},"a":{}}}`))
	f.Fuzz(func(t *testing.T, asJSON bool, text []byte) {
		name := "spec.yaml"
		if asJSON {
			name = "spec.json"
		}
		e, faults, err := n.Resolve(nil, n.Read(Spec, name, text))
		if err != nil {
			t.Fatal(err)
		}
		if (e == nil) != Refused(faults) {
			t.Fatalf("settings %v, faults %v", e != nil, faults)
		}
		lines := bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) + 1
		for _, fault := range faults {
			if fault.File != name || fault.Line < 1 || fault.Line > lines+2 || fault.Column < 1 || fault.Code == "" || fault.Message == "" {
				t.Fatalf("a fault without place, code or words: %+v", fault)
			}
		}
		if e != nil {
			checkEffective(t, n, e)
		}
	})
}

// A path=value of whatever text, and a variable of whatever name, is taken, refused as a
// fault with its path, or no path at all.
func FuzzSet(f *testing.F) {
	n := normalizer(f)
	for _, text := range []string{
		"budgets.turn_budget_ms=1500", "tuning=accuracy_first", `edges."a.b".from=x`, "allowed_adaptive_actions=retry, degrade",
		"edges.transport-stt.watermarks.queue_ms={high: 300, low: 100}", "edges.stt-llm=", "=", "a", "profile=simple", `"=1`, "quotas.defaults=3",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := n.Set(Session, "--set", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "--set ") {
				t.Fatalf("the error does not name the flag: %v", err)
			}
			return
		}
		name, value, _ := strings.Cut(text, "=")
		for _, documents := range [][]*Document{{d}, {n.Environment([]string{"PARLEY_" + name + "=" + value}, d)}} {
			e, faults, err := n.Resolve(nil, documents...)
			if err != nil {
				t.Fatal(err)
			}
			if (e == nil) != Refused(faults) {
				t.Fatalf("settings %v, faults %v", e != nil, faults)
			}
			for _, fault := range faults {
				if fault.File == "" || fault.Code == "" || fault.Message == "" {
					t.Fatalf("a fault without place, code or words: %+v", fault)
				}
			}
			if e != nil {
				checkEffective(t, n, e)
			}
		}
	})
}

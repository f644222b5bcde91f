// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"
)

// A line shows what is wrong, not a name as long as the file.
func TestFaultIsShort(t *testing.T) {
	n, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"key":    {strings.Repeat("k", 10_000) + ": 1\n", "x.yaml:1:1: " + strings.Repeat("k", 79) + "…: unknown_field: "},
		"nested": {"edges:\n  stt-llm:\n    " + strings.Repeat("k", 10_000) + ": 1\n", "edges.stt-llm." + strings.Repeat("k", 79) + "…: unknown_field: "},
		"dots":   {"\"" + strings.Repeat("k.", 1000) + "\": 1\n", "…: unknown_field: "},
		"tab":    {"edges:\n\tstt-llm: {}\n", "x.yaml:2:1: (document): syntax: the file is no YAML: a tab cannot indent; use spaces"},
	} {
		_, faults, err := n.Resolve(nil, n.Read(Spec, "x.yaml", []byte(c.text)))
		if err != nil || len(faults) == 0 {
			t.Fatalf("%s: %v, %v", name, faults, err)
		}
		if got := faults[0].String(); !strings.Contains(got, c.want) || len(got) > 1000 {
			t.Errorf("%s: %d characters\n%.300s\nwant\n%s", name, len(got), got, c.want)
		}
	}
}

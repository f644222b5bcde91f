// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/simulation"
)

func TestSim(t *testing.T) {
	r := runParley(t, "", "sim", "--seeds", "5", "--turns", "3")
	if r.code != exitOK || !strings.Contains(r.out, "every invariant held") || r.errOut != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, "", "sim", "--seeds", "4", "--seed", "7", "--turns", "2", "--faults", "provider,disk", "--json")
	var report simulation.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != exitOK {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.errOut)
	}
	if report.Seeds != 4 || report.First != 7 || report.Turns < 8 || report.FramesAfterFence != 0 || len(report.Violations) != 0 {
		t.Errorf("the report says %+v", report)
	}
	if len(report.Faults) != len(simulation.FaultNames()) || len(report.Invariants) != len(simulation.Invariants()) {
		t.Errorf("the report lists %d faults and %d invariants", len(report.Faults), len(report.Invariants))
	}
	if !strings.Contains(r.out, `"violations": []`) {
		t.Error("no violations must be an empty list, not null")
	}
}

func TestSimUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--seeds", "0"}, "--seeds is 0"},
		{[]string{"--seed", "-1"}, "--seed is -1"},
		{[]string{"--turns", "0"}, "--turns is 0"},
		{[]string{"--workers", "-2"}, "--workers is -2"},
		{[]string{"--faults", "gremlins"}, `unknown fault "gremlins"`},
		{[]string{"seven"}, "1 arguments given"},
	} {
		r := runParley(t, "", append([]string{"sim"}, c.args...)...)
		if r.code != exitUsage || !strings.Contains(r.errOut, c.says) {
			t.Errorf("parley sim %q: exit code %d\n%s", c.args, r.code, r.errOut)
		}
	}
}

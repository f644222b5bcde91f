// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/load"
)

// quickProfile is an overload that is over in a moment.
const quickProfile = `scenario: overload
sessions: 5
capacity: 20
ramp: 100ms
warm_up: 100ms
duration: 300ms
rounds: 1
spec: voice.yaml
callers: {speech: 200ms, listen: 1s}
engines: {stt: 0s, llm: 0s, next: 0s, tts: 0s, reply: 800ms}
tenants:
  - {name: red, share: 1, concurrent_sessions: 4, action: defer}
  - {name: blue, share: 1}
`

// The command runs a profile with its flow settings and quotas on a real host, and says
// who was refused and why.
func TestLoadRunsAProfile(t *testing.T) {
	dir := t.TempDir()
	profile := filepath.Join(dir, "quick.yaml")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("quick.yaml", quickProfile)
	write("voice.yaml", "budgets:\n  turn_budget_ms: 1500\n")
	r := runParley(t, "", "load", profile, "--json")
	var reports []load.Report
	if err := json.Unmarshal([]byte(r.out), &reports); err != nil || r.code != exitOK || len(reports) != 1 {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.errOut)
	}
	report := reports[0]
	if report.Fits != 20 || report.Offered != 60 {
		t.Errorf("%d fit, %d were offered", report.Fits, report.Offered)
	}
	if report.Refusals["tenant_quota:concurrent_sessions"] == 0 || report.Refusals["capacity:max_sessions"] == 0 {
		t.Errorf("refusals: %v", report.Refusals)
	}
	if !strings.Contains(r.errOut, "overload: 20 sessions fit; 60 callers are there") {
		t.Errorf("progress: %s", r.errOut)
	}
	r = runParley(t, "", "load", profile, "--strict", "--set", "bounds.preempt_p95=0s", "--for", "300ms")
	if r.code != exitFailure || !strings.Contains(r.out, "MISSED") || !strings.Contains(r.out, "tenant_quota:concurrent_sessions") {
		t.Errorf("a bound of nothing is kept: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
}

func TestLoadPrintsProfiles(t *testing.T) {
	for _, name := range load.Scenarios() {
		r := runParley(t, "", "load", "--print", name)
		if r.code != exitOK || !strings.HasPrefix(r.out, "scenario: "+name) {
			t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
		}
	}
}

func TestLoadUsage(t *testing.T) {
	dir := t.TempDir()
	bad, lost, wrong := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "lost.yaml"), filepath.Join(dir, "wrong.yaml")
	for name, text := range map[string]string{bad: "seed: 1\nsessions: many\n", lost: "seed: 1\nspec: nowhere.yaml\n", wrong: "spec: bad.yaml\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		says string
		code int
	}{
		{[]string{"storm"}, `"storm" is no scenario and no file; use overload, neighbours, soak`, exitUsage},
		{[]string{filepath.Join(dir, "none.yaml")}, "read the profile", exitUsage},
		{[]string{bad}, `bad.yaml:2: sessions: "many": use a whole number from 1 to 50000`, exitFailure},
		{[]string{lost}, `lost.yaml:2: spec: "nowhere.yaml": name a spec that can be read, beside the profile`, exitUsage},
		{[]string{wrong}, "the pipeline spec is refused", exitFailure},
		{[]string{"soak", "--set", "sample=1h"}, "at most a tenth of the duration", exitFailure},
		{[]string{"soak", "--set", "speed=1"}, "there is no such value", exitFailure},
		{[]string{"soak", "--for", "-3s"}, `duration: "-3s"`, exitFailure},
		{[]string{"--print", "storm"}, `--print: "storm"`, exitUsage},
		{[]string{"--print", "soak", "soak"}, "nothing else", exitUsage},
		{[]string{"soak", "--for", "0s"}, `--for: duration: "0s": use a time`, exitFailure},
		{[]string{"soak", "--set", "sessions=2", "--set", "ramp=0s", "--for", "100ms", "--strict"}, `duration: "100ms": more than ramp and warm_up together`, exitFailure},
	} {
		r := runParley(t, "", append([]string{"load"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.errOut, c.says) || strings.Contains(r.errOut, "parley: parley:") {
			t.Errorf("parley load %q: exit code %d\n%s", c.args, r.code, r.errOut)
		}
	}
}

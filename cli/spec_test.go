// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const specs = "../internal/controlplane/pipeline/testdata"

// specFile writes a spec of one test.
func specFile(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// F-001: the linter gives file, line and field path for each defect; a clean spec passes
// strict mode without a word. F-126: good files pass strict and relaxed.
func TestLint(t *testing.T) {
	var clean, bad []string
	for _, side := range []struct {
		glob string
		into *[]string
	}{{"good/*.yaml", &clean}, {"good/*.json", &clean}, {"bad/*.yaml", &bad}, {"bad/*.json", &bad}} {
		names, err := filepath.Glob(filepath.Join(specs, side.glob))
		if err != nil || len(names) == 0 {
			t.Fatalf("no files for %s: %v", side.glob, err)
		}
		for _, name := range names {
			// Files of graphs name node types that only their own package's tests have.
			if base := filepath.Base(name); base != "warnings.yaml" && !strings.HasPrefix(base, "graph") {
				*side.into = append(*side.into, name)
			}
		}
	}
	for _, mode := range []string{"strict", "relaxed"} {
		if r := runParley(t, "", append([]string{"lint", "--mode", mode}, clean...)...); r.code != exitOK || r.out != "" || r.errOut != "" {
			t.Errorf("%s: exit code %d\n%s%s", mode, r.code, r.out, r.errOut)
		}
	}
	for _, name := range bad {
		r := runParley(t, "", "lint", name)
		want, err := os.ReadFile(name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if r.code != exitFailure || strings.Count(r.out, "\n") != bytes.Count(want, []byte("\n")) || !strings.HasPrefix(r.errOut, "1 file checked, 1 refused: ") {
			t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
		}
		for line := range strings.Lines(r.out) {
			if !strings.HasPrefix(line, name+":") || strings.Count(line, ": ") < 3 {
				t.Errorf("line %q is not FILE:LINE:COLUMN: path: code: message", line)
			}
		}
	}
}

// Warnings are refused by strict and told by relaxed.
func TestLintModes(t *testing.T) {
	name := filepath.Join(specs, "good/warnings.yaml")
	strict := runParley(t, "", "lint", name)
	if strict.code != exitFailure || !strings.Contains(strict.out, "warning: control_mode") || strict.errOut != "1 file checked, 1 refused: 6 warnings\n" {
		t.Errorf("strict: exit code %d\n%s%s", strict.code, strict.out, strict.errOut)
	}
	relaxed := runParley(t, "", "lint", "--mode", "relaxed", name)
	if relaxed.code != exitOK || relaxed.out != "" || relaxed.errOut != strict.out {
		t.Errorf("relaxed: exit code %d\n%s%s", relaxed.code, relaxed.out, relaxed.errOut)
	}
	r := runParley(t, "", "lint", "--json", "--mode", "relaxed", name, filepath.Join(specs, "bad/tabs.yaml"), "nowhere.yaml")
	var doc lintReport
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		t.Fatal(err)
	}
	if r.code != exitUsage || doc.OK || len(doc.Files) != 3 || !doc.Files[0].OK || len(doc.Files[0].Faults) != 6 ||
		doc.Files[1].OK || doc.Files[1].Faults[0].Line == 0 || !strings.Contains(doc.Files[2].Error, "cannot be read") {
		t.Errorf("exit code %d, %+v", r.code, doc)
	}
}

// A file that cannot be read does not hide the faults of the others; standard input is a
// file too, and text from outside stays on its line.
func TestLintInput(t *testing.T) {
	r := runParley(t, "edges: {stt-llm: {strategy: \"a\\nb\"}}", "lint", "-", "nowhere.yaml")
	if r.code != exitUsage || !strings.HasPrefix(r.out, "-:1:29: edges.stt-llm.strategy: enum: ") || strings.Count(r.out, "\n") != 1 ||
		!strings.Contains(r.errOut, "parley: nowhere.yaml cannot be read: ") || !strings.Contains(r.errOut, "a YAML or JSON file") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, strings.Repeat("#", 1<<20+7), "lint", "-")
	if r.code != exitFailure || !strings.HasPrefix(r.out, "-:1:1: (document): too_large: ") {
		t.Errorf("huge input: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	if r := runParley(t, "", "lint", "-"); r.code != exitOK || r.out+r.errOut != "" { // nothing changes nothing
		t.Errorf("empty input: exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	for _, args := range [][]string{{"lint"}, {"lint", "-", "-"}, {"lint", "--mode", "loose", "-"}, {"resolve", "a", "b"}, {"resolve", "--set", "a"}, {"resolve", "--mode", "x"}} {
		if r := runParley(t, "", args...); r.code != exitUsage || r.out != "" || !strings.Contains(r.errOut, "--help") {
			t.Errorf("parley %q: exit code %d\n%s%s", args, r.code, r.out, r.errOut)
		}
	}
}

// F-080: override at every layer; resolved values and their sources follow precedence.
func TestResolve(t *testing.T) {
	spec := specFile(t, "voice.yaml", "tuning: accuracy_first\nbudgets: {turn_budget_ms: 1900, path_budget_ms_default: 1100}\nedges: {text-client: {max_queue_ms: 900}}\n")
	tenant := specFile(t, "acme.yaml", "budgets: {turn_budget_ms: 1800}\n")
	t.Setenv("PARLEY_BUDGETS__PATH_BUDGET_MS_DEFAULT", "1000")
	t.Setenv("PARLEY_LLM_MODEL", "none of ours")
	args := []string{"resolve", spec, "--tenant", tenant, "--set", "edges.text-client.strategy=coalesce"}
	r := runParley(t, "", args...)
	if r.code != exitOK || r.errOut != "" {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	lines := map[string]string{}
	for line := range strings.Lines(r.out) {
		path, rest, ok := strings.Cut(line, " = ")
		if !ok {
			t.Fatalf("line %q is not path = value", line)
		}
		lines[path] = strings.Join(strings.Fields(rest), " ")
	}
	for path, want := range map[string]string{
		"profile":                                       "simple/v1 execution_profile/simple/v1 simple/v1",
		"budgets.turn_budget_ms":                        "1800 tenant " + tenant + ":1",
		"budgets.path_budget_ms_default":                "1000 environment PARLEY_BUDGETS__PATH_BUDGET_MS_DEFAULT",
		"budgets.node_budget_ms_default":                "800 execution_profile/simple/v1 simple/v1",
		"edges.transport-vad.max_queue_ms":              "4000 pipeline_spec " + spec + ":1 (by tuning)",
		"edges.text-client.strategy":                    "merge session --set edges.text-client.strategy=coalesce",
		"edges.text-client.max_latency_contribution_ms": "900 pipeline_spec " + spec + ":3 (by edges.text-client.max_queue_ms)",
		"edges.llm-tts.max_queue_items":                 "512 pipeline_spec voice graph",
	} {
		if lines[path] != want {
			t.Errorf("%s is %q, want %q", path, lines[path], want)
		}
	}
	changed := runParley(t, "", append(args, "--changed")...)
	if n := strings.Count(changed.out, "\n"); n == 0 || n >= len(lines)/2 || strings.Contains(changed.out, "voice graph") || strings.Contains(changed.out, "simple/v1  simple/v1") {
		t.Errorf("of %d values %d are shown as changed:\n%s", len(lines), n, changed.out)
	}
	var doc resolveReport
	r = runParley(t, "", append(args, "--json")...)
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || !doc.OK || len(doc.Values) != len(lines) {
		t.Fatalf("exit code %d, %v\n%s", r.code, err, r.out)
	}
	// What is in force is a spec that is in force.
	again := runParley(t, "", "resolve", specFile(t, "again.json", string(doc.Settings)), "--json")
	var second resolveReport
	if err := json.Unmarshal([]byte(again.out), &second); err != nil || !jsonEqual(t, doc.Settings, second.Settings) {
		t.Errorf("read again it is\n%s\nand was\n%s", second.Settings, doc.Settings)
	}
}

func jsonEqual(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		t.Fatal("no JSON")
	}
	return x.String() == y.String()
}

// What is refused is not in force: every fault is told, and no value.
func TestResolveRefuses(t *testing.T) {
	r := runParley(t, "", "resolve", filepath.Join(specs, "bad/edges.yaml"), "--set", "budgets.turn_budget=1")
	if r.code != exitFailure || r.out != "" || !strings.Contains(r.errOut, "bad/edges.yaml:3:15: ") ||
		!strings.Contains(r.errOut, "--set budgets.turn_budget=1: budgets.turn_budget: unknown_field: ") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, "", "resolve", "--json", "--set", "profile=balanced")
	var doc resolveReport
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || r.code != exitFailure || doc.OK || len(doc.Faults) != 1 || doc.Settings != nil {
		t.Errorf("exit code %d, %+v", r.code, doc)
	}
	warned := filepath.Join(specs, "good/warnings.yaml")
	if r := runParley(t, "", "resolve", warned); r.code != exitOK || r.out == "" || strings.Count(r.errOut, "\n") != 6 {
		t.Errorf("relaxed: exit code %d\n%s", r.code, r.errOut)
	}
	if r := runParley(t, "", "resolve", "--mode", "strict", warned); r.code != exitFailure || r.out != "" {
		t.Errorf("strict: exit code %d\n%s", r.code, r.out)
	}
	for _, args := range [][]string{{"resolve", "nowhere.yaml"}, {"resolve", "--tenant", "nowhere.yaml"}, {"resolve", "-", "--tenant", "-"}} {
		if r := runParley(t, "", args...); r.code != exitUsage || r.out != "" || r.errOut == "" {
			t.Errorf("parley %q: exit code %d\n%s%s", args, r.code, r.out, r.errOut)
		}
	}
}

// The demo refuses flow settings before it begins, with every fault.
func TestDemoRefusesFlowSettings(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		says []string
		code int
	}{
		{[]string{"--spec", "nowhere.yaml"}, []string{"--spec nowhere.yaml cannot be read: "}, exitUsage},
		{[]string{"--spec", filepath.Join(specs, "bad/bounds.yaml"), "--set", "tuning=x"}, []string{"bounds.yaml:4:38: ", "bounds.yaml:16:19: ", "\n--set tuning=x: tuning: enum: "}, exitFailure},
		{[]string{"--set", "tuning"}, []string{"has no ="}, exitUsage},
	} {
		r := runParley(t, "", append([]string{"demo", "--fast", "--out", out}, c.args...)...)
		for _, text := range c.says {
			if r.code != c.code || r.out != "" || !strings.Contains(r.errOut, text) || strings.Contains(r.errOut, "parley: parley:") {
				t.Errorf("demo %q: exit code %d, does not say %q\n%s%s", c.args, r.code, text, r.out, r.errOut)
			}
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was left")
	}
}

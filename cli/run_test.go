// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/parley-voice/parley/api/schema"
)

// result is what one command line left behind.
type result struct {
	code        int
	out, errOut string
}

func runParley(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	code := Program{}.Run(t.Context(), args, strings.NewReader(stdin), &out, &errOut)
	return result{code: code, out: out.String(), errOut: errOut.String()}
}

const samples = "../api/schema/testdata"

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A result that could not be written is no success.
func TestResultsAreWritten(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.pem")
	if r := runParley(t, "", "token", "keygen", "--out", keys); r.code != exitOK {
		t.Fatal(r.errOut)
	}
	for _, args := range [][]string{
		{"sim", "--seeds", "1"},
		{"token", "keygen", "--out", filepath.Join(dir, "other.pem")},
		{"token", "issue", "--keys", "file://" + keys, "--transport", "websocket"},
		{"docs", "nodes"},
		{"resolve"},
		{"graph"},
		{"config", "print"},
		{"load", "--print", "soak"},
		{"version"},
		{"schema"},
	} {
		var errOut bytes.Buffer
		code := (Program{}).Run(t.Context(), args, strings.NewReader(""), fullDisk{}, &errOut)
		if code != exitFailure || !strings.Contains(errOut.String(), "write the output: no space left on device") {
			t.Errorf("parley %q: exit code %d, %s", args, code, errOut.String())
		}
	}
}

func TestUsage(t *testing.T) {
	good := filepath.Join(samples, "good/event_record/text.json")
	for _, c := range []struct {
		args []string
		code int
		says []string // in standard output or standard error
	}{
		{nil, exitOK, []string{"Usage:", "validate", "version"}},
		{[]string{"--help"}, exitOK, []string{"validate"}},
		{[]string{"vaildate"}, exitUsage, []string{`"vaildate"`, "did you mean validate?"}},
		{[]string{"--bogus"}, exitUsage, []string{"--bogus", "Run 'parley --help'"}},
		{[]string{"version", "3"}, exitUsage, []string{"1 arguments given, 0 wanted"}},
		{[]string{"schema", "event", "event"}, exitUsage, []string{"2 arguments given, at most 1 wanted"}},
		{[]string{"bench", "P1"}, exitUsage, []string{"1 arguments given, 0 wanted"}},
		{[]string{"validate"}, exitUsage, []string{"--kind is missing", "artifact_bundle", "Run 'parley validate --help'"}},
		{[]string{"validate", "--kind"}, exitUsage, []string{"--kind"}},
		{[]string{"validate", "--kind", "plan", good}, exitUsage, []string{`"plan"`, "resolved_turn_plan"}},
		{[]string{"validate", "--kind", "pipeline_spec", good}, exitUsage, []string{"parley lint"}},
		{[]string{"validate", "--kind", "event"}, exitUsage, []string{"no FILE"}},
		{[]string{"validate", "--kind", "event", "-", "-"}, exitUsage, []string{"2 times"}},
		{[]string{"validate", "--kind", "event", "--bogus", good}, exitUsage, []string{"--bogus"}},
		{[]string{"validate", "--kind", "event", "--unknown-event-action", "eat", good}, exitUsage, []string{`"eat"`, "pass_through"}},
		{[]string{"validate", "--help"}, exitOK, []string{"FILE: /json/pointer: code: message", "Exit code: 0", "Examples:"}},
		{[]string{"schema", "plan"}, exitUsage, []string{`"plan"`}},
		{[]string{"__complete", "validate", "--kind", "ev"}, exitOK, []string{"event_record"}},
	} {
		r := runParley(t, "", c.args...)
		if r.code != c.code {
			t.Errorf("parley %q: exit code %d, want %d\n%s%s", c.args, r.code, c.code, r.out, r.errOut)
		}
		for _, text := range c.says {
			if !strings.Contains(r.out+r.errOut, text) {
				t.Errorf("parley %q does not say %q\n%s%s", c.args, text, r.out, r.errOut)
			}
		}
		if c.code == exitUsage && r.out != "" {
			t.Errorf("parley %q: a usage error writes to standard output: %s", c.args, r.out)
		}
	}
}

// Issue's words: exit 0 when all are valid, 1 with one line a fault, event is an alias.
func TestValidate(t *testing.T) {
	for _, kind := range schema.Kinds() {
		good, err := filepath.Glob(filepath.Join(samples, "good", string(kind), "*.json"))
		if err != nil || len(good) == 0 {
			t.Fatal(err, "no samples")
		}
		r := runParley(t, "", append([]string{"validate", "--kind", string(kind)}, good...)...)
		if r.code != exitOK || r.out != "" || !strings.Contains(r.errOut, "checked: valid") {
			t.Errorf("%s: exit code %d\n%s%s", kind, r.code, r.out, r.errOut)
		}
		bad, err := filepath.Glob(filepath.Join(samples, "bad", string(kind), "*.json"))
		if err != nil || len(bad) == 0 {
			t.Fatal(err, "no samples")
		}
		for _, file := range bad {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".faults")
			if err != nil {
				t.Fatal(err)
			}
			r := runParley(t, "", "validate", "-q", "--kind", string(kind), file)
			if n := bytes.Count(want, []byte("\n")); r.code != exitFailure || strings.Count(r.out, "\n") != n || r.errOut != "" {
				t.Errorf("%s: exit code %d, want 1 and %d lines\n%s%s", file, r.code, n, r.out, r.errOut)
			}
			for line := range strings.Lines(r.out) {
				if !strings.HasPrefix(line, file+": ") || strings.Count(line, ": ") < 3 {
					t.Errorf("line %q is not FILE: pointer: code: message", line)
				}
			}
		}
	}
	if r := runParley(t, "", "validate", "--kind", "event", filepath.Join(samples, "good/event_record/text.json")); r.code != exitOK {
		t.Errorf("the alias event is not understood: %s", r.errOut)
	}
}

func TestValidateStandardInput(t *testing.T) {
	r := runParley(t, "", "validate", "--kind", "event", "-")
	if r.code != exitFailure || !strings.HasPrefix(r.out, "-: (document): empty_document: ") {
		t.Errorf("empty input: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, "{\n  \"session_id\": oops\n}", "validate", "--kind", "event", "-")
	if r.code != exitFailure || !strings.Contains(r.out, "-: /session_id: syntax: line 2, column 17") {
		t.Errorf("malformed input: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, `{"from_state":"Active","trigger":"commit","to_state":"Terminal","deterministic":true}`, "validate", "--kind", "turn_transition", "-")
	if r.code != exitOK {
		t.Errorf("good input: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
	r = runParley(t, strings.Repeat(" ", schema.MaxArtifactBytes+5), "validate", "--kind", "event", "-")
	if r.code != exitFailure || !strings.Contains(r.out, "too_large") {
		t.Errorf("huge input: exit code %d, %s%s", r.code, r.out, r.errOut)
	}
}

// A file that cannot be read does not hide the faults of the others.
func TestValidateUnreadableFile(t *testing.T) {
	bad := filepath.Join(samples, "bad/turn_transition/extra.json")
	r := runParley(t, "", "validate", "--kind", "turn_transition", "does-not-exist.json", bad, t.TempDir())
	if r.code != exitUsage || !strings.Contains(r.out, "/reason: unknown_field") {
		t.Errorf("exit code %d\n%s", r.code, r.out)
	}
	for _, text := range []string{"does-not-exist.json cannot be read: ", "is a directory", "2 not read"} {
		if !strings.Contains(r.errOut, text) {
			t.Errorf("standard error does not say %q:\n%s", text, r.errOut)
		}
	}
}

// Control characters of an artifact reach neither the line structure nor the terminal.
func TestValidateEscapesControlCharacters(t *testing.T) {
	r := runParley(t, `{"evil\n\u001b[2Jfield":1,"from_state":"\u001b]0;x\u0007"}`, "validate", "-q", "--kind", "turn_transition", "-")
	if r.code != exitFailure || strings.Contains(r.out, "\x1b") || strings.Count(r.out, "\n") != 5 {
		t.Errorf("exit code %d, output %q", r.code, r.out)
	}
}

func TestValidateJSON(t *testing.T) {
	file := filepath.Join(samples, "bad/turn_transition/extra.json")
	r := runParley(t, "", "validate", "--json", "--kind", "turn_transition", file, "nowhere.json")
	var doc validateReport
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil {
		t.Fatalf("%v\n%s", err, r.out)
	}
	if r.code != exitUsage || doc.Valid || len(doc.Files) != 2 {
		t.Fatalf("exit code %d, %+v", r.code, doc)
	}
	first := doc.Files[0]
	if first.Valid || len(first.Faults) != 1 || first.Faults[0].Pointer != "/reason" || first.Faults[0].Code != "unknown_field" || first.Faults[0].Line < 1 {
		t.Errorf("faults are %+v", first.Faults)
	}
	if second := doc.Files[1]; second.Error == "" || second.Valid || !strings.Contains(r.out, `"faults": []`) {
		t.Errorf("the unreadable file is %+v", second)
	}
}

func TestValidateUnknownEventAction(t *testing.T) {
	file := filepath.Join(samples, "good/event_record/v1.7-unknown-additions.json")
	r := runParley(t, "", "validate", "--kind", "event", file)
	if r.code != exitOK || !strings.Contains(r.errOut, "note: /mood: unknown_addition") {
		t.Errorf("drop: exit code %d, %s", r.code, r.errOut)
	}
	r = runParley(t, "", "validate", "--kind", "event", "--unknown-event-action", "reject", file)
	if r.code != exitFailure || strings.Count(r.out, "unknown_addition") != 2 {
		t.Errorf("reject: exit code %d, %s", r.code, r.out)
	}
}

func TestSchemaCommand(t *testing.T) {
	r := runParley(t, "", "schema")
	if r.code != exitOK || strings.Count(r.out, "urn:parley:schema:v1.1:") != len(schema.PublishedKinds()) {
		t.Errorf("exit code %d\n%s", r.code, r.out)
	}
	for _, k := range schema.PublishedKinds() {
		r := runParley(t, "", "schema", string(k))
		var doc map[string]any
		if err := json.Unmarshal([]byte(r.out), &doc); err != nil || doc["$id"] != k.URN() {
			t.Errorf("%s: $id is %v, %v", k, doc["$id"], err)
		}
	}
}

func TestVersionCommand(t *testing.T) {
	r := runParley(t, "", "version", "--json")
	var doc versionReport
	if err := json.Unmarshal([]byte(r.out), &doc); err != nil || doc.Version == "" || doc.Schema != "v1.1" || doc.Profile != "simple/v1" {
		t.Errorf("%+v, %v", doc, err)
	}
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	if v := buildVersion("", info); v != "0123456789ab-dirty" {
		t.Errorf("revision is %s", v)
	}
	info.Main.Version = "v1.2.3"
	if v := buildVersion("", info); v != "v1.2.3" {
		t.Errorf("module version is %s", v)
	}
	if v := buildVersion("given", info); v != "given" {
		t.Errorf("given version is %s", v)
	}
	if v := buildVersion("", &debug.BuildInfo{}); v != "unknown" {
		t.Errorf("no version is %s", v)
	}
}

// full is a disk with no room left.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What could not be written is not passed over: the exit code is not 0.
func TestFullDisk(t *testing.T) {
	for _, args := range [][]string{
		{"version"},
		{"version", "--json"},
		{"schema", "event"},
		{"schema"},
		{"lint", filepath.Join(specs, "bad/edges.yaml")},
		{"lint", "--json", filepath.Join(specs, "good/empty.yaml")},
		{"resolve"},
		{"resolve", "--json"},
		{"validate", "--kind", "turn_transition", filepath.Join(samples, "bad/turn_transition/extra.json")},
		{"validate", "--json", "--kind", "turn_transition", filepath.Join(samples, "good/turn_transition/commit.json")},
	} {
		var errOut bytes.Buffer
		if code := (Program{}).Run(t.Context(), args, strings.NewReader(""), full{}, &errOut); code == exitOK || !strings.Contains(errOut.String(), "no space left") {
			t.Errorf("parley %q: exit code %d, %s", args, code, errOut.String())
		}
	}
}

// The real binary, once: exit codes and streams as a shell sees them.
func TestBinary(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "parley")
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X github.com/parley-voice/parley/cli.version=v9.8.7", "-o", bin, "../cmd/parley")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bad, err := os.Open(filepath.Join(samples, "bad/artifact_bundle/faults-in-every-part.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"version"}, exitOK, "parley v9.8.7\n"},
		{[]string{"validate", "--kind", "artifact_bundle", filepath.Join(samples, "good/artifact_bundle/full.json")}, exitOK, ""},
		{[]string{"validate", "--kind", "artifact_bundle", "-"}, exitFailure, "-: /more: unknown_field: "},
		{[]string{"validate"}, exitUsage, ""},
	} {
		cmd := exec.Command(bin, c.args...)
		cmd.Stdin = bad
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.HasPrefix(string(out), c.out) {
			t.Errorf("parley %q: exit code %d, want %d; output %q", c.args, code, c.code, out)
		}
	}
}

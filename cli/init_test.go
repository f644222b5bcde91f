// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What init writes passes strict mode without a word, names its schema for editors, and is
// written once.
func TestInit(t *testing.T) {
	for _, name := range templateNames() {
		dir := filepath.Join(t.TempDir(), "a", "b")
		r := runParley(t, "", "init", name, dir)
		if r.code != exitOK || r.errOut != "" {
			t.Fatalf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
		}
		first, _, _ := strings.Cut(r.out, "\n")
		text, err := os.ReadFile(first)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=./pipeline_spec.schema.json\n") || strings.Contains(string(text), "{{") {
			t.Errorf("%s begins with %.80q", name, text)
		}
		if _, err := os.Stat(filepath.Join(dir, "pipeline_spec.schema.json")); err != nil {
			t.Error(err)
		}
		r = runParley(t, "", "lint", "--strict", first)
		if name == customNode { // its type is registered by its own program, and of all the rest nothing is said
			if r.code != exitFailure || strings.Count(r.out, "\n") != 1 || !strings.Contains(r.out, "unknown_node_type") {
				t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
			}
		} else if r.code != exitOK || r.out+r.errOut != "" {
			t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
		}
		if err := os.WriteFile(first, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "pipeline_spec.schema.json")); err != nil {
			t.Fatal(err)
		}
		r = runParley(t, "", "init", name, dir)
		kept, err := os.ReadFile(first)
		if r.code != exitUsage || r.out != "" || !strings.Contains(r.errOut, "is there already") || err != nil || string(kept) != "mine" {
			t.Errorf("%s again: exit code %d, %q\n%s", name, r.code, kept, r.errOut)
		}
		if _, err := os.Stat(filepath.Join(dir, "pipeline_spec.schema.json")); err == nil {
			t.Errorf("%s: something was written beside what is there", name)
		}
	}
	for _, args := range [][]string{{"init"}, {"init", "voice-asistant"}, {"init", "ivr", "a", "b"}, {"init", "ivr", ""}} {
		if r := runParley(t, "", args...); r.code != exitUsage || r.out != "" {
			t.Errorf("parley %q: exit code %d\n%s", args, r.code, r.out)
		}
	}
	if r := runParley(t, "", "init", "voice-asistant"); !strings.Contains(r.errOut, "did you mean voice-assistant?") {
		t.Errorf("it says %s", r.errOut)
	}
}

// The node that init writes builds, keeps the contract, and fits its spec.
func TestInitCustomNode(t *testing.T) {
	tree, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "shout")
	if r := runParley(t, "", "init", customNode, dir); r.code != exitOK {
		t.Fatalf("exit code %d\n%s", r.code, r.errOut)
	}
	own, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(own), "\n")
	sums, err := os.ReadFile(filepath.Join(tree, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod := "module example.com/shout\n" + requires + "\nrequire github.com/parley-voice/parley v0.0.0\n\nreplace github.com/parley-voice/parley => " + tree + "\n"
	for name, text := range map[string]string{"go.mod": mod, "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("go %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := tool("test", "-mod=mod", "."); !strings.HasPrefix(out, "ok") {
		t.Error(out)
	}
	// The program beside it is parley with the node.
	if out := tool("run", "-mod=mod", "./agent", "lint", "--strict", "shout.yaml"); out != "" {
		t.Error(out)
	}
	if out := tool("run", "-mod=mod", "./agent", "graph", "--format", "text", "shout.yaml"); !strings.Contains(out, "shout") {
		t.Error(out)
	}
}

// Templates share a folder, and the schema in it; another schema there is refused, and kept.
func TestInitIntoOneFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"voice-assistant", "ivr"} {
		if r := runParley(t, "", "init", name, dir); r.code != exitOK || !strings.Contains(r.out, name+".yaml") {
			t.Fatalf("%s: exit code %d\n%s%s", name, r.code, r.out, r.errOut)
		}
	}
	published := filepath.Join(dir, "pipeline_spec.schema.json")
	if err := os.WriteFile(published, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runParley(t, "", "init", "translator", dir)
	if text, err := os.ReadFile(published); r.code != exitUsage || !strings.Contains(r.errOut, "pipeline_spec.schema.json is there already") || err != nil || string(text) != "{}" {
		t.Errorf("exit code %d, %q\n%s", r.code, text, r.errOut)
	}
	if _, err := os.Stat(filepath.Join(dir, "translator.yaml")); err == nil {
		t.Error("something was written beside what is there")
	}
}

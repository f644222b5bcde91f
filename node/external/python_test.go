// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/nodetest"
)

// python finds the interpreter itself, not what chooses one, and the folder of its library.
func python(t *testing.T) (program, prefix string) {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; sys.version_info >= (3, 10) or sys.exit(1); print(sys.executable); print(sys.base_prefix)").Output()
	if err != nil {
		if os.Getenv(thirdparty.Required) == "required" || os.Getenv("CI") != "" {
			t.Fatalf("no Python 3.10 or later as python3: %v: apt-get install python3", err)
		}
		t.Skipf("no Python 3.10 or later as python3: %v: apt-get install python3 (TestConformance needs none)", err)
	}
	program, prefix, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return program, prefix
}

// A node that is written in Python and packed by its SDK keeps the contract, in the sandbox.
func TestPython(t *testing.T) {
	program, prefix := python(t)
	dir := t.TempDir()
	for from, to := range map[string]string{"../../examples/python/number_normaliser": dir, "../../sdk/python/parley_node": filepath.Join(dir, "parley_node")} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	pack := exec.Command(program, "-B", "-m", "parley_node", "manifest", "number_normaliser.py", "--include", "**/*.py", "--python", program)
	pack.Dir = dir
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	k, log := newKind(t, nil)
	c := config(t, map[string]any{
		"package": filepath.Join(dir, "parley-node.json"), "isolation": map[string]any{"read": []string{prefix}},
		"limits": map[string]any{"start_ms": 60000, "cancel_ms": 30000, "time_ms": 5000, "concurrency": 64},
	})
	n, h := open(t, k, c, "turn-1")
	ev := segment("3 of 4.")
	ev.Invocation, ev.Index, ev.Final = "c1", 7, true
	if err := n.OnEvent(h.context, ev); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if list := h.list(); len(list) != 1 || list[0].Text != "three of four." || list[0].Index != 7 || !list[0].Final || list[0].Invocation != "c1" {
		t.Errorf("%+v", list)
	}
	if h.counted()["numbers_normalised"] == 0 {
		t.Error(h.counted())
	}
	if err := n.Stop(h.context); err != nil {
		t.Error(err)
	}
	var latest node.Node
	nodetest.Test(t, nodetest.Suite{
		New: func(t *testing.T) node.Node {
			t.Helper()
			n, err := k.New(c)
			if err != nil {
				t.Fatal(err)
			}
			latest = n
			return n
		},
		Events: []node.Event{*segment("one"), *segment("2 of 3"), *segment("call 0800123")},
		Settle: func(*nodetest.Harness) { settles(t, latest) },
	})
	if s := status(t, k); s.Failures != 0 || s.Unknown != 0 || s.Starts != 1 {
		t.Errorf("%+v\n%s", s, log)
	}
}

// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/thirdparty"
)

// examples are the folders of nodes that use the SDK.
const examples = "../../examples/python"

// TestSources holds the Python files to the rules of the tree that internal/arch applies to Go.
func TestSources(t *testing.T) {
	note := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	seen := 0
	for _, root := range []string{".", examples} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".py" {
				return err
			}
			seen++
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !bytes.HasPrefix(text, []byte("# SPDX-License-Identifier: Apache-2.0\n")) {
				t.Errorf("%s: must start with the licence line", path)
			}
			if n := bytes.Count(text, []byte("\n")); n > 700 {
				t.Errorf("%s: %d lines, at most 700: split it by concern", path, n)
			}
			if word := note.Find(text); word != nil {
				t.Errorf("%s: %s: do it, or file it as an issue", path, word)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("%d Python files were found", seen)
	}
}

// TestUnittests runs the SDK's own tests.
func TestUnittests(t *testing.T) {
	run(t, ".", "-m", "unittest", "discover", "-s", "tests", "-t", ".")
}

// TestExamples runs the tests of the examples that need nothing but Python; the others name what they need in
// requirements.txt and are tried with that.
func TestExamples(t *testing.T) {
	tests, err := filepath.Glob(filepath.Join(examples, "*", "test_*.py"))
	if err != nil || len(tests) < 2 {
		t.Fatalf("tests of examples: %q, %v", tests, err)
	}
	for _, test := range tests {
		dir := filepath.Dir(test)
		if _, err := os.Stat(filepath.Join(dir, "requirements.txt")); err == nil {
			continue
		}
		run(t, dir, "-m", "unittest", "-v")
		run(t, dir, "-m", "parley_node", "check", filepath.Base(dir)+".py")
	}
}

// TestDocument does what docs/python-nodes.md says.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/python-nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)`dist/shout/(\\w+\\.py)`[^`]*(?:`[^`]*`[^`]*)?```python\n(.*?)```").FindAllSubmatch(text, -1)
	dir := t.TempDir()
	for _, b := range blocks {
		if err := os.WriteFile(filepath.Join(dir, string(b[1])), b[2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("%d files are written out, want the node and its test", len(blocks))
	}
	run(t, dir, "-m", "unittest")
	run(t, dir, "-m", "parley_node", "manifest", "shout.py", "--include", "**/*")
	for line := range strings.Lines(run(t, dir, "-m", "parley_node", "check", "shout.py")) {
		if !bytes.Contains(text, []byte("    "+line)) {
			t.Errorf("the check says %q, which the document does not show", line)
		}
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "parley-node.json"))
	if err != nil || !bytes.Contains(manifest, []byte(`"path": "test_shout.py"`)) {
		t.Errorf("the manifest: %v\n%s", err, manifest)
	}
}

// interpreter finds Python 3.10 or later.
func interpreter(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(path, "-c", "import sys; sys.exit(sys.version_info < (3, 10))").Run()
	}
	if err != nil {
		if os.Getenv(thirdparty.Required) == "required" || os.Getenv("CI") != "" {
			t.Fatalf("no Python 3.10 or later as python3: %v: apt-get install python3", err)
		}
		t.Skipf("no Python 3.10 or later as python3: %v: apt-get install python3 (TestSources needs none)", err)
	}
	return path
}

// run runs Python in a folder with the SDK of this tree, and gives what it says.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	sdk, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, interpreter(t), args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "PYTHONPATH="+sdk, "PYTHONDONTWRITEBYTECODE=1")
	c.WaitDelay = 10 * time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("python3 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

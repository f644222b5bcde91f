// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output of the files in testdata")

func normalizer(tb testing.TB) *Normalizer {
	tb.Helper()
	n, err := New(newTestKinds())
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// resolve resolves documents and says nothing of faults.
func resolve(tb testing.TB, n *Normalizer, documents ...*Document) (*Effective, []Fault) {
	tb.Helper()
	e, faults, err := n.Resolve(nil, documents...)
	if err != nil {
		tb.Fatal(err)
	}
	return e, faults
}

// files lists the sample files of one side, with their text.
func files(tb testing.TB, side string) map[string][]byte {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", side, "*.*"))
	if err != nil || len(names) == 0 {
		tb.Fatalf("no files in testdata/%s: %v", side, err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		out[name] = text
	}
	return out
}

// golden compares what came out with the file beside the sample.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name += ".txt"
	if *rewrite {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look, and run with -rewrite if it is right\n got\n%s\nwant\n%s", name, got, want)
	}
}

// Good files resolve; of what is in force the expected output has what the file made
// different, with the line that made it so.
func TestGoodFiles(t *testing.T) {
	n := normalizer(t)
	plain, _ := resolve(t, n)
	for name, text := range files(t, "good") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			e, faults := resolve(t, n, n.Read(Spec, filepath.Base(name), text))
			var b strings.Builder
			for _, f := range faults {
				fmt.Fprintln(&b, f)
			}
			if e == nil {
				t.Fatalf("refused:\n%s", b.String())
			}
			for _, v := range e.Values() {
				if was, ok := plain.values[v.Path]; !ok || was.source != v.Source {
					fmt.Fprintf(&b, "%s = %s <- %s %s\n", v.Path, v.JSON, v.Source.Layer, v.Source)
				}
			}
			for _, path := range plain.values.sorted() {
				if _, ok := e.values[path]; !ok {
					fmt.Fprintf(&b, "%s = %s is gone\n", path, plain.values[path].json())
				}
			}
			golden(t, name, b.String())
		})
	}
}

// Bad files show every fault at once, each with file, line, column, path, code, value
// and remedy.
func TestBadFiles(t *testing.T) {
	n := normalizer(t)
	for name, text := range files(t, "bad") {
		t.Run(filepath.Base(name), func(t *testing.T) {
			e, faults := resolve(t, n, n.Read(Spec, filepath.Base(name), text))
			if e != nil || !Refused(faults) {
				t.Fatalf("is taken, with %v", faults)
			}
			lines := strings.Count(string(text), "\n") + 1
			var b strings.Builder
			for _, f := range faults {
				fmt.Fprintln(&b, f)
				if f.File == "" || f.Line < 1 || f.Line > lines || f.Column < 1 || f.Code == "" || len(f.Message) < 10 {
					t.Errorf("a fault without its place, code or message: %+v", f)
				}
			}
			golden(t, name, b.String())
		})
	}
}

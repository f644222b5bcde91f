// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
)

// The corpus was written from the norm, not from the tables: testdata/good/<kind> are
// artifacts that must pass, testdata/bad/<kind> artifacts with their faults beside them,
// one "pointer code" a line ("(document)" is the empty pointer).

type sample struct {
	name string
	kind Kind
	data []byte
	want []string // faults, sorted
}

func corpus(tb testing.TB, side string) []sample {
	tb.Helper()
	var out []sample
	for _, kind := range PublishedKinds() {
		files, err := filepath.Glob(filepath.Join("testdata", side, string(kind), "*.json"))
		if err != nil || len(files) == 0 {
			tb.Fatalf("no samples in testdata/%s/%s: %v", side, kind, err)
		}
		for _, file := range files {
			s := sample{name: strings.TrimPrefix(file, "testdata/"), kind: kind, data: read(tb, file)}
			if side == "bad" {
				for line := range strings.Lines(string(read(tb, strings.TrimSuffix(file, ".json")+".faults"))) {
					s.want = append(s.want, strings.TrimSpace(line))
				}
				slices.Sort(s.want)
			}
			out = append(out, s)
		}
	}
	return out
}

func read(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func brief(faults []Fault) []string {
	var out []string
	for _, f := range faults {
		pointer := f.Pointer
		if pointer == "" {
			pointer = "(document)"
		}
		out = append(out, pointer+" "+f.Code)
	}
	slices.Sort(out)
	return out
}

func TestGoodArtifactsPass(t *testing.T) {
	for _, s := range corpus(t, "good") {
		t.Run(s.name, func(t *testing.T) {
			for _, f := range Validate(s.kind, s.data, Options{}).Faults {
				t.Errorf("%s: %s: %s", f.Pointer, f.Code, f.Message)
			}
		})
	}
}

func TestBadArtifactsShowEveryFault(t *testing.T) {
	for _, s := range corpus(t, "bad") {
		t.Run(s.name, func(t *testing.T) {
			faults := Validate(s.kind, s.data, Options{}).Faults
			if got := brief(faults); !slices.Equal(got, s.want) {
				t.Errorf("faults differ\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(s.want, "\n     "))
			}
			for _, f := range faults {
				if f.Line < 1 || f.Column < 1 || f.Offset < 0 || f.Offset > len(s.data) || len(f.Message) < 10 {
					t.Errorf("fault without a place or a message: %+v", f)
				}
				if strings.Contains(f.Message, "hunter2") {
					t.Errorf("a private value is shown: %s", f.Message)
				}
			}
		})
	}
}

// Every signal of the registry has a good sample, and one by an emitter that may not
// emit it.
func TestCorpusCoversTheRegistry(t *testing.T) {
	for _, spec := range eventabi.Signals() {
		for _, file := range []string{"good/control_signal/%s.json", "bad/control_signal/%s-by-another.json"} {
			if _, err := os.Stat(filepath.Join("testdata", fmt.Sprintf(file, spec.Signal))); err != nil {
				t.Errorf("signal %s has no sample: %v", spec.Signal, err)
			}
		}
	}
	if n := len(eventabi.Signals()); n != 48 {
		t.Errorf("the registry has %d signals; event-abi section 5 names 48", n)
	}
}

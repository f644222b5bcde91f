// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"slices"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func always(Step) bool { return true }

// Turn-plan section 7: the steps are ordered, whatever order a graph names them in, and one
// that does not help is passed over.
func TestLadder(t *testing.T) {
	l := NewLadder(TextOnly, ShortenContext, SimplifyTTS)
	var f Fidelity
	for _, want := range []Step{ShortenContext, SimplifyTTS, TextOnly} {
		got, ok := l.Next(f, always)
		if !ok || got != want || !f.Lower(got) || f.Step() != want {
			t.Fatalf("after %q: %q, want %q", f.Step(), got, want)
		}
	}
	if got, ok := l.Next(f, always); ok {
		t.Errorf("below the last step there is %q", got)
	}
	if got, ok := l.Next(Fidelity{}, func(s Step) bool { return s == TextOnly }); !ok || got != TextOnly {
		t.Errorf("the first step that helps is %q", got)
	}
	if _, ok := l.Next(Fidelity{}, func(Step) bool { return false }); ok {
		t.Error("a step that does not help is taken")
	}
	if l.Has(ReduceSampleRate) || !l.Has(SimplifyTTS) {
		t.Error("a ladder has the steps that it was made of")
	}
	var none Ladder
	if _, ok := none.Next(Fidelity{}, always); ok {
		t.Error("the zero ladder has a step")
	}
}

// Monotonic inside a turn: no step leads back up, and each includes those before it.
func TestFidelityOnlyFalls(t *testing.T) {
	r := timebase.NewRandom(3)
	steps := append(Steps(), FullFidelity)
	for range 2_000 {
		var f Fidelity
		lowest := 0
		for range 6 {
			s := steps[r.Below(int64(len(steps)))]
			rank := slices.Index(Steps(), s) + 1
			if lower := f.Lower(s); lower != (rank > lowest) {
				t.Fatalf("at %q, Lower(%q) is %v", f.Step(), s, lower)
			}
			lowest = max(lowest, rank)
			for i, other := range Steps() {
				if f.Takes(other) != (i+1 <= lowest) {
					t.Fatalf("at %q, %q is in force: %v", f.Step(), other, f.Takes(other))
				}
			}
		}
	}
	if f := (Fidelity{}); f.Step() != FullFidelity || f.Takes(ShortenContext) {
		t.Error("a turn begins at full fidelity")
	}
}

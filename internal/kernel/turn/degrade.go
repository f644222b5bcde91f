// SPDX-License-Identifier: Apache-2.0

package turn

import "slices"

// Step is one step of lower fidelity (turn-plan section 7).
type Step string

// The steps, in the order of the ladder. A step includes those before it.
const (
	FullFidelity     Step = ""
	ReduceSampleRate Step = "reduce_sample_rate" // sound of a lower bandwidth
	ShortenContext   Step = "shorten_context"    // the model sees the last items only
	SimplifyTTS      Step = "simplify_tts"       // the synthesiser is asked plainly
	TextOnly         Step = "text_only"          // nothing more is synthesised
)

// Steps lists the whole ladder, highest fidelity first.
func Steps() []Step { return []Step{ReduceSampleRate, ShortenContext, SimplifyTTS, TextOnly} }

// Ladder is the steps that a graph can take, in order. The zero value has none.
type Ladder struct{ steps []Step }

// NewLadder makes the ladder of the steps given, in whatever order they come.
func NewLadder(has ...Step) Ladder {
	var l Ladder
	for _, s := range Steps() {
		if slices.Contains(has, s) {
			l.steps = append(l.steps, s)
		}
	}
	return l
}

// Next gives the first step below a fidelity that helps.
func (l *Ladder) Next(f Fidelity, helps func(Step) bool) (Step, bool) {
	for _, s := range l.steps {
		if s.rank() > f.step.rank() && helps(s) {
			return s, true
		}
	}
	return FullFidelity, false
}

// Has says that the graph can take a step.
func (l *Ladder) Has(s Step) bool { return slices.Contains(l.steps, s) }

// rank is a step's place on the ladder, 0 for full fidelity.
func (s Step) rank() int { return slices.Index(Steps(), s) + 1 }

// Fidelity is where a turn stands on the ladder. It is a value that belongs to the turn:
// the next turn begins with another one, at full fidelity.
type Fidelity struct{ step Step }

// Step is the lowest step taken.
func (f *Fidelity) Step() Step { return f.step }

// Takes says that a step is in force: it was taken, or one below it was.
func (f *Fidelity) Takes(s Step) bool { return f.step.rank() >= s.rank() }

// Lower takes a step; false, and no change, when that would not lower the fidelity:
// steps are monotonic within a turn.
func (f *Fidelity) Lower(s Step) bool {
	if s.rank() <= f.step.rank() {
		return false
	}
	f.step = s
	return true
}

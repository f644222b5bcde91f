// SPDX-License-Identifier: Apache-2.0

package waits

import (
	"github.com/parley-voice/parley/internal/kernel/flow"
)

const (
	// maxSteps bounds the steps of an edge: what a wide screen can show.
	maxSteps = 600
	// firstStretch is how long a step's stretch is at first: one frame of audio.
	firstStretch = 20 // ms
)

// track follows the depth of an edge. Time is cut into stretches of equal length, and the
// deepest of each is kept where it differs from the one before. When there are too many,
// stretches become twice as long.
type track struct {
	stats   flow.Stats
	stretch float64 // ms
	list    []Step  // AtMS at the beginning of a stretch
	open    bool    // last is of a stretch that is not over
	last    Step
	items   int64 // as it stood last
	ms      float64
}

// add notes a depth. Between two calls the edge was as the earlier one says.
func (t *track) add(at float64, items int64, ms float64) {
	if t.stretch == 0 {
		t.stretch = firstStretch
	}
	begin := t.begin(at)
	switch {
	case !t.open:
		t.last, t.open = Step{AtMS: begin, Items: items, MS: ms}, true
	case begin == t.last.AtMS:
		t.last.Items, t.last.MS = max(t.last.Items, items), max(t.last.MS, ms)
	default:
		t.keep(t.last)
		if begin > t.last.AtMS+t.stretch { // nobody looked: it stayed as it was
			t.keep(Step{AtMS: t.last.AtMS + t.stretch, Items: t.items, MS: t.ms})
		}
		t.last = Step{AtMS: t.begin(at), Items: items, MS: ms}
	}
	t.items, t.ms = items, ms
}

func (t *track) begin(at float64) float64 { return float64(int64(at/t.stretch)) * t.stretch }

func (t *track) keep(s Step) {
	if n := len(t.list); n > 0 && t.list[n-1].Items == s.Items && t.list[n-1].MS == s.MS {
		return
	}
	t.list = append(t.list, s)
	if len(t.list) >= maxSteps {
		t.stretch *= 2
		t.list = t.coarser(t.list)
	}
}

// coarser joins the steps that begin in one stretch, and drops those that say nothing new.
// What held at the beginning of a stretch counts as well.
func (t *track) coarser(list []Step) []Step {
	out := list[:0]
	var held Step // as it was when the stretch began
	for _, s := range list {
		begin := t.begin(s.AtMS)
		if n := len(out); n > 0 && out[n-1].AtMS == begin {
			out[n-1].Items, out[n-1].MS = max(out[n-1].Items, s.Items), max(out[n-1].MS, s.MS)
		} else {
			joined := Step{AtMS: begin, Items: s.Items, MS: s.MS}
			if s.AtMS > begin && len(out) > 0 {
				joined.Items, joined.MS = max(s.Items, held.Items), max(s.MS, held.MS)
			}
			out = append(out, joined)
		}
		held = s
	}
	return out
}

// steps gives the steps so far.
func (t *track) steps() []Step {
	out := append([]Step{}, t.list...)
	if n := len(out); t.open && (n == 0 || out[n-1].Items != t.last.Items || out[n-1].MS != t.last.MS) {
		out = append(out, t.last)
	}
	return out
}

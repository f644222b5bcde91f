// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// heldBack is how many frames may be with a node in the sound at a time: beyond that they go on
// as they came.
const heldBack = 8

// inSound says that a node may stand in the sound, the caller's or the agent's.
func inSound(d node.Declaration) bool {
	return d.Scope == node.ScopeSession && slices.Contains(d.Inputs, node.TypeAudioChunk) && slices.Contains(d.Outputs, node.TypeAudioChunk)
}

// sound: each frame comes back once, as long as it was and at its position, also a short one,
// silence, and what is as loud as can be.
func (s Suite) sound(t *testing.T) {
	t.Helper()
	const begins = 16000 // a second into the call, so that a position of 0 is none
	var waiting []node.Event
	for i := range 40 {
		ev := Frame(i, []int16{0, 5000, -32768, 32767}[i/10])
		if i%7 == 6 {
			ev.PCM = ev.PCM[:100]
		}
		ev.Sample = begins
		if n := len(waiting); n > 0 {
			ev.Sample = waiting[n-1].Sample + int64(len(waiting[n-1].PCM))
		}
		waiting = append(waiting, ev)
	}
	h := s.host(t)
	h.Start()
	given, looked, back := 0, 0, make([]bool, len(waiting))
	take := func() {
		t.Helper()
		for _, out := range h.Emitted()[looked:] {
			looked++
			if out.Type != node.TypeAudioChunk {
				continue
			}
			k := slices.IndexFunc(waiting[:given], func(ev node.Event) bool { return ev.Sample == out.Sample })
			if out.Sample == 0 { // which says no position, so it is for the oldest
				k = slices.Index(back[:given], false)
			}
			switch {
			case k < 0:
				t.Errorf("sound comes back at position %d, where no frame was given: keep Sample as it came", out.Sample)
			case back[k]:
				t.Errorf("the frame at position %d comes back twice", waiting[k].Sample)
			case len(out.PCM) != len(waiting[k].PCM):
				t.Errorf("the frame at position %d comes back with %d samples, it has %d", waiting[k].Sample, len(out.PCM), len(waiting[k].PCM))
			case out.Kind != eventabi.KindAudio:
				t.Errorf("the frame at position %d comes back as an event of the kind %q", waiting[k].Sample, out.Kind)
			default:
				back[k] = true
			}
		}
	}
	for i := range waiting {
		h.Event(waiting[i])
		given++
		h.Advance(20 * time.Millisecond)
		take()
	}
	s.settle(h)
	take()
	kept := 0
	for _, came := range back {
		if !came {
			kept++
		}
	}
	if kept > heldBack && !t.Failed() {
		t.Errorf("%d of %d frames do not come back, and go on as they came; a node holds back %d at most", kept, len(waiting), heldBack)
	}
	h.Stop()
}

// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"sync"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Witness stands at the sink and counts what should never come: frames of a fenced
// turn. It does not look at the gates; it is told of a fence after the fence stands,
// and believes only the frames that it sees.
type Witness struct {
	sink transport.Sink

	mu      sync.Mutex
	session bool
	fenced  [witnessDepth]uint32 // generations, the newest overwriting the oldest
	count   int
	newest  uint32 // the highest of them: a frame above it is of none
	frames  int64
	after   int64
	turns   map[eventabi.TurnID]int64 // offences by turn; empty in a sound session
}

// witnessDepth is how many fenced generations are remembered. Egress holds at most a
// few turns at a time, so a frame of an older one would have no audio left.
const witnessDepth = 64

// NewWitness watches the frames that go to sink.
func NewWitness(sink transport.Sink) *Witness { return &Witness{sink: sink} }

// WriteFrame counts the frame and hands it on.
func (w *Witness) WriteFrame(f *transport.Frame) error {
	w.mu.Lock()
	w.frames++
	if w.session || w.knows(f.Generation) {
		w.after++
		if w.turns == nil {
			w.turns = map[eventabi.TurnID]int64{}
		}
		w.turns[f.Turn]++
	}
	w.mu.Unlock()
	return w.sink.WriteFrame(f)
}

// Fence notes that the fence of a scope stands, and tells the sink.
func (w *Witness) Fence(f transport.Fence) {
	w.mu.Lock()
	switch {
	case f.Session:
		w.session = true
	case !w.knows(f.Generation):
		w.fenced[w.count%witnessDepth] = f.Generation
		w.count++
		w.newest = max(w.newest, f.Generation)
	}
	w.mu.Unlock()
	w.sink.Fence(f)
}

func (w *Witness) knows(generation uint32) bool {
	if generation > w.newest {
		return false
	}
	for _, g := range w.fenced[:min(w.count, witnessDepth)] {
		if g == generation {
			return true
		}
	}
	return false
}

// Frames counts the frames that were handed over.
func (w *Witness) Frames() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frames
}

// AfterFence counts the frames that came after the fence of their turn: of one turn,
// or of all when turn is empty.
func (w *Witness) AfterFence(turn eventabi.TurnID) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if turn == "" {
		return w.after
	}
	return w.turns[turn]
}

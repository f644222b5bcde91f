// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// Gate lets the frames of one generation of one turn through, until it is closed.
type Gate struct {
	Turn       eventabi.TurnID
	Generation uint32

	fences *Fences
	// state is gateClosed plus gateProtected for each protected chunk that waits. One
	// word holds both, so that a cancel that spares protected output cannot race it.
	state atomic.Int64
}

const (
	gateClosed    = 1
	gateProtected = 2
)

// Fences is the last line of one session: it knows which generation may pass. The
// owner of the egress opens gates and passes frames; any goroutine may close.
type Fences struct {
	session atomic.Bool
	// writing is the generation whose frame is being handed over right now, 0 = none.
	// Together with the gates it makes closing exact: the writer announces itself, then
	// looks at the gate; the closer shuts the gate, then looks for the writer. One of
	// the two sees the other.
	writing atomic.Uint32
	armed   atomic.Pointer[Gate]
	stuck   atomic.Int64
}

// stuckAfter bounds how long Close waits for a hand-over that is under way. A sink
// returns at once by contract; one that does not must not hang a cancel.
const stuckAfter = 50 * time.Millisecond

// Open makes the gate of a generation and arms it. Generations start at 1.
func (f *Fences) Open(turn eventabi.TurnID, generation uint32) *Gate {
	g := &Gate{Turn: turn, Generation: generation, fences: f}
	f.armed.Store(g)
	return g
}

// Arm makes the gate the one that a cancel fences.
func (f *Fences) Arm(g *Gate) { f.armed.Store(g) }

// Disarm says that the generation has nothing left to fence.
func (f *Fences) Disarm(g *Gate) { f.armed.CompareAndSwap(g, nil) }

// Armed gives the generation that a cancel would fence, 0 = none.
func (f *Fences) Armed() uint32 {
	if g := f.armed.Load(); g != nil {
		return g.Generation
	}
	return 0
}

// Prefence is the first act of a cancel (engine section 2): it closes the armed gate,
// from any goroutine, before the cancel is queued. It spares another turn than the one
// named, and protected output unless forced (lifecycle section 7.1). It returns the
// generation that it fenced, 0 = none.
func (f *Fences) Prefence(turn eventabi.TurnID, force bool) uint32 {
	g := f.armed.Load()
	if g == nil || turn != "" && g.Turn != turn {
		return 0
	}
	for {
		state := g.state.Load()
		if state&gateClosed != 0 {
			f.settle(g.Generation)
			return g.Generation
		}
		if state >= gateProtected && !force {
			return 0
		}
		if g.state.CompareAndSwap(state, state|gateClosed) {
			f.settle(g.Generation)
			return g.Generation
		}
	}
}

// CloseSession fences everything, for good.
func (f *Fences) CloseSession() {
	f.session.Store(true)
	f.settle(0)
}

// Stuck counts closings that gave up waiting for a sink that did not return.
func (f *Fences) Stuck() int64 { return f.stuck.Load() }

// Close fences the generation. When it returns, no frame of it is on its way. It says
// whether this call was the one that closed the gate.
func (g *Gate) Close() bool {
	for {
		state := g.state.Load()
		if state&gateClosed != 0 {
			g.fences.settle(g.Generation)
			return false
		}
		if g.state.CompareAndSwap(state, state|gateClosed) {
			g.fences.settle(g.Generation)
			return true
		}
	}
}

// Closed says whether the generation is fenced, by itself or with its session.
func (g *Gate) Closed() bool {
	return g.state.Load()&gateClosed != 0 || g.fences.session.Load()
}

// protect counts a protected chunk in; false when the gate is closed.
func (g *Gate) protect() bool {
	if g.state.Add(gateProtected)&gateClosed != 0 {
		g.unprotect()
		return false
	}
	return true
}

// unprotect counts a protected chunk out.
func (g *Gate) unprotect() { g.state.Add(-gateProtected) }

// settle waits until no frame of the generation (0 = of any) is being handed over.
func (f *Fences) settle(generation uint32) {
	busy := func() bool {
		w := f.writing.Load()
		return w != 0 && (generation == 0 || w == generation)
	}
	for spin := 0; busy(); spin++ {
		if spin < 64 {
			runtime.Gosched()
			continue
		}
		if f.settleSlowly(busy) {
			return
		}
		f.stuck.Add(1)
		return
	}
}

func (f *Fences) settleSlowly(busy func() bool) bool {
	until := time.Now().Add(stuckAfter)
	for busy() {
		if time.Now().After(until) {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// pass announces a frame and asks the gate; the caller hands the frame over only when
// it says true, and calls passed then.
func (f *Fences) pass(g *Gate) bool {
	f.writing.Store(g.Generation)
	if g.Closed() {
		f.writing.Store(0)
		return false
	}
	return true
}

func (f *Fences) passed() { f.writing.Store(0) }

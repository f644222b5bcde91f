// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/transport"
)

// yieldSink makes the hand-over as long as the scheduler likes, so that closers meet it.
type yieldSink struct {
	inside atomic.Uint32
	frames atomic.Int64
}

func (s *yieldSink) WriteFrame(f *transport.Frame) error {
	s.inside.Store(f.Generation)
	runtime.Gosched()
	s.frames.Add(1)
	s.inside.Store(0)
	return nil
}
func (s *yieldSink) Fence(transport.Fence) {}

// After Close has returned no frame of the generation is handed over and none is on its
// way: closers on other goroutines race a writer that never rests.
func TestCloseIsExact(t *testing.T) {
	var fences Fences
	sink := &yieldSink{}
	witness := NewWitness(sink)
	e := NewEgress(Settings{Fences: &fences, Sink: witness, Release: func(int64) {}})
	const rounds = 5000
	armed := make(chan uint32)
	var closer sync.WaitGroup
	closer.Go(func() {
		for range armed {
			runtime.Gosched()
			g := fences.Prefence("", false)
			if g == 0 {
				t.Error("nothing was armed")
				continue
			}
			if sink.inside.Load() == g {
				t.Errorf("generation %d is on its way after its fence", g)
			}
			witness.Fence(transport.Fence{Turn: "t", Generation: g})
		}
	})
	at := timebase.Instant(0)
	pcm := make([]int16, 10*transport.FrameSamples)
	for g := uint32(1); g <= rounds; g++ {
		e.Play(at, "t", g, 0, pcm, false)
		armed <- g
		for i := 0; !e.streams[0].gate.Closed(); i++ {
			at = at.Add(framePeriod)
			e.Tick(at)
			if e.Queued() < transport.FrameSamples*5 {
				e.Play(at, "t", g, 0, pcm, false)
			}
		}
		at = at.Add(framePeriod)
		e.Tick(at)
		e.Fence(0, "t", g, false)
		e.TakeReports()
	}
	close(armed)
	closer.Wait()
	if n := witness.AfterFence(""); n != 0 {
		t.Errorf("%d frames after their fence in %d cancels", n, rounds)
	}
	if witness.Frames() < rounds {
		t.Errorf("only %d frames: the test did not run", witness.Frames())
	}
	if fences.Stuck() != 0 {
		t.Errorf("%d fences gave up", fences.Stuck())
	}
}

// The witness is not the gate: it must see an offence when there is one.
func TestWitnessCounts(t *testing.T) {
	w := NewWitness(&count{})
	frame := func(g uint32) { _ = w.WriteFrame(&transport.Frame{Turn: "t", Generation: g}) }
	frame(1)
	w.Fence(transport.Fence{Turn: "t", Generation: 1})
	frame(1)
	frame(2)
	if w.AfterFence("") != 1 || w.AfterFence("t") != 1 || w.AfterFence("u") != 0 || w.Frames() != 3 {
		t.Errorf("after fence %d, frames %d: want 1 and 3", w.AfterFence(""), w.Frames())
	}
	w.Fence(transport.Fence{Session: true})
	frame(3)
	if w.AfterFence("") != 2 {
		t.Error("a frame after the session's fence was not counted")
	}
}

// A sink that hangs holds a cancel up only for a bounded time.
func TestHungSinkDoesNotHangACancel(t *testing.T) {
	var fences Fences
	g := fences.Open("t", 1)
	if !fences.pass(g) {
		t.Fatal("an open gate refused")
	}
	if !g.Close() || fences.Stuck() != 1 {
		t.Errorf("stuck %d, want the closing to give up once", fences.Stuck())
	}
	fences.passed()
	if fences.pass(g) {
		t.Error("a closed gate let a frame through")
	}
}

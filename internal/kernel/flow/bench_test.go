// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// voice is the data edge of simple/v1 (turn-plan section 6).
func voice() *Spec {
	return wide(func(s *Spec) {
		s.Strategy, s.Shedding = controlplane.StrategyMerge, controlplane.ShedMerge
		s.Items, s.Bytes, s.Queue, s.Latency = 64, 262144, timebase.MS(200), timebase.MS(100)
		s.HighItems, s.LowItems, s.HighTime, s.LowTime = 48, 16, timebase.MS(150), timebase.MS(50)
		for lane := range laneCount {
			s.Mode[lane] = controlplane.FlowSignal
		}
		s.FlowHigh, s.FlowLow = [laneCount]int64{192, 48, 384}, [laneCount]int64{64, 16, 128}
	})
}

// frames is a line of audio frames, one every 20 ms.
type frames struct {
	now timebase.Instant
	it  Item
	log Log
}

func newFrames() *frames {
	return &frames{it: Item{Kind: Audio, Lane: Data, Stream: 1, Bytes: 640, Media: timebase.MS(timebase.FrameMS)}}
}

func (f *frames) next() Item {
	f.now = f.now.Add(f.it.Media)
	f.it.Seq++
	f.it.Handle = f.it.Seq
	f.it.End += timebase.FrameSamples
	f.log.Reset()
	return f.it
}

// In the steady state nothing is allocated: a frame costs the garbage collector nothing,
// be it taken, read where it lies, shed, superseded or waited for.
func TestFramesDoNotAllocate(t *testing.T) {
	take := func(e *Edge, f *frames) { e.Take(f.now, &f.log) }
	read := func(e *Edge, f *frames) { e.Consume(f.now, 0, f.it.End-4*timebase.FrameSamples, &f.log) }
	nothing := func(*Edge, *frames) {}
	few := func(how controlplane.BufferStrategy) *Spec {
		s := voice()
		s.Strategy, s.Shedding, s.Items, s.HighItems, s.LowItems = how, controlplane.ShedDrop, 4, 4, 1
		s.HighTime, s.LowTime, s.Queue = timebase.MS(60), timebase.MS(20), timebase.MS(70)
		return s
	}
	credit := voice()
	credit.Mode[Data] = controlplane.FlowHybrid
	groups := few(controlplane.StrategyDrop)
	groups.Sync = controlplane.SyncAtomicDrop
	for name, c := range map[string]struct {
		s    *Spec
		next func(e *Edge, f *frames)
	}{
		"taken":       {voice(), take},
		"read":        {voice(), read},
		"credit":      {credit, take},
		"dropped":     {few(controlplane.StrategyDrop), nothing},
		"sampled":     {few(controlplane.StrategySample), nothing},
		"latest_only": {few(controlplane.StrategyLatestOnly), nothing},
		"waits":       {few(controlplane.StrategyBlock), nothing},
		"atomic":      {groups, nothing},
	} {
		e, f := NewEdge(c.s), newFrames()
		step := func() {
			it := f.next()
			it.Group = it.Seq / 3
			e.Offer(f.now, it, &f.log)
			c.next(e, f)
		}
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(1000, step); n != 0 {
			t.Errorf("%s: %v allocations a frame", name, n)
		}
	}
}

func TestBoardDoesNotAllocate(t *testing.T) {
	step := newFanIn()
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations an item", n)
	}
}

// newFanIn gives a step that offers an item to one of four edges with two keys, and hands
// one over.
func newFanIn() func() {
	var b Board
	for _, key := range []string{"k1", "k2", "k1", "k2"} {
		b.Add(Ends{ID: "e", To: "x", Key: key}, voice())
	}
	f := newFrames()
	return func() {
		it := f.next()
		it.End = 0
		b.Edge(int(it.Seq%4)).Offer(f.now, it, &f.log)
		b.Ready("x", 1)
		b.Next(f.now, &f.log)
	}
}

// BenchmarkEdgeFrame is what an edge adds to a frame: offered, and read where it lies.
func BenchmarkEdgeFrame(b *testing.B) {
	e, f := NewEdge(voice()), newFrames()
	b.ReportAllocs()
	for b.Loop() {
		it := f.next()
		e.Offer(f.now, it, &f.log)
		e.Consume(f.now, 0, f.it.End-timebase.FrameSamples, &f.log)
	}
}

// BenchmarkBoardNext is an item through a fan-in of four edges.
func BenchmarkBoardNext(b *testing.B) {
	step := newFanIn()
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

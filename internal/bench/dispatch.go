// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/internal/kernel/flow"
)

// event is what a shard dispatches: 72 bytes, as the published figures of rings use.
type event struct {
	generation uint64
	_          [8]uint64
}

// rawRing is the denominator: a bounded ring of 72-byte events, nothing else.
type rawRing struct {
	slots      [64]event
	head, tail uint32
}

func (r *rawRing) push(e *event) bool {
	if r.tail-r.head == uint32(len(r.slots)) {
		return false
	}
	r.slots[r.tail%uint32(len(r.slots))] = *e
	r.tail++
	return true
}

func (r *rawRing) pop(e *event) bool {
	if r.head == r.tail {
		return false
	}
	*e = r.slots[r.head%uint32(len(r.slots))]
	r.head++
	return true
}

func ringLoop(now func() time.Time) loop {
	ring := &rawRing{}
	return func(n int) time.Duration {
		var in, out event
		start := now()
		for i := range n {
			in.generation = uint64(i)
			ring.push(&in)
			ring.pop(&out)
		}
		took := now().Sub(start)
		if out.generation != uint64(n-1) {
			panic("bench: the ring lost an event")
		}
		return took
	}
}

func lanesLoop(now func() time.Time) loop {
	lanes := flow.NewLanes[event](64, 64, 64)
	var fence atomic.Uint64
	return func(n int) time.Duration {
		var in, out event
		passed := 0
		start := now()
		for i := range n {
			in.generation = uint64(i) + 1
			lanes.Push(flow.Lane(i%3), &in)
			if _, ok := lanes.Pop(&out); ok && out.generation > fence.Load() {
				passed++
			}
		}
		took := now().Sub(start)
		if passed != n {
			panic("bench: the lanes lost an event")
		}
		return took
	}
}

// dispatch is P1: three lanes and the fence against the raw ring.
func dispatch(o Options) Result {
	return pair(o, Result{
		ID: "P1", Subject: "shard dispatch: three lanes and the fence", Denominator: "raw 72-byte ring push+pop",
		Unit: "ns/event", Limit: 2, Target: "<= 2x",
	}, func() float64 { return perOp(o.Each, ringLoop(o.Now)) }, func() float64 { return perOp(o.Each, lanesLoop(o.Now)) })
}

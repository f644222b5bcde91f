// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"runtime"
	"testing"
)

type item struct {
	lane Lane
	n    int
}

func push(t *testing.T, l *Lanes[item], lane Lane, n int) {
	t.Helper()
	if !l.Push(lane, &item{lane, n}) {
		t.Fatalf("lane %d refuses item %d", lane, n)
	}
}

// Flow section 4: strict priority Control, Data, Telemetry; inside a lane first in,
// first out.
func TestLanesPriority(t *testing.T) {
	l := NewLanes[item](4, 4, 4)
	for n, lane := range []Lane{Telemetry, Data, Telemetry, Control, Data, Control} {
		push(t, l, lane, n)
	}
	if l.Len(Control) != 2 || l.Len(Data) != 2 || l.Len(Telemetry) != 2 {
		t.Fatalf("depths %d, %d, %d", l.Len(Control), l.Len(Data), l.Len(Telemetry))
	}
	for _, want := range []item{{Control, 3}, {Control, 5}, {Data, 1}, {Data, 4}, {Telemetry, 0}, {Telemetry, 2}} {
		var got item
		if lane, ok := l.Pop(&got); !ok || got != want || lane != want.lane {
			t.Errorf("popped %+v of lane %d, want %+v", got, lane, want)
		}
	}
	if _, ok := l.Pop(&item{}); ok {
		t.Error("an empty queue gives something")
	}
}

// Control that arrives while data waits goes first, however much waits.
func TestLanesPreempt(t *testing.T) {
	l := NewLanes[item](ControlItems, DataItems, TelemetryItems)
	for n := range DataItems {
		push(t, l, Data, n)
	}
	var got item
	l.Pop(&got)
	push(t, l, Control, 99)
	if lane, _ := l.Pop(&got); lane != Control || got.n != 99 {
		t.Errorf("after control was pushed, lane %d item %d came", lane, got.n)
	}
	if lane, _ := l.Pop(&got); lane != Data || got.n != 1 {
		t.Errorf("data goes on with %d of lane %d, want 1", got.n, lane)
	}
}

// No lane grows past its bound, and what does not fit is told at once (overview section
// 4, invariant 6). A full lane does not close the others.
func TestLanesBound(t *testing.T) {
	l := NewLanes[item](1, 3, 0)
	sizes := []int{1, 4, 1} // rounded up to powers of two
	for lane, size := range sizes {
		for n := range size {
			push(t, l, Lane(lane), n)
		}
		if l.Push(Lane(lane), &item{}) || l.Len(Lane(lane)) != size {
			t.Errorf("lane %d takes more than %d", lane, size)
		}
	}
	var got item
	l.Pop(&got)
	push(t, l, Control, 7) // a place that was freed is a place
}

// Many times around the ring, in step with a model.
func TestLanesWrap(t *testing.T) {
	l := NewLanes[item](4, 8, 2)
	model := [laneCount][]int{}
	size := [laneCount]int{4, 8, 2}
	state := uint64(1)
	for n := range 200_000 {
		state = state*6364136223846793005 + 1442695040888963407
		lane := Lane(state >> 33 % uint64(laneCount))
		if state>>40%2 == 0 {
			fits := len(model[lane]) < size[lane]
			if l.Push(lane, &item{lane, n}) != fits {
				t.Fatalf("step %d: lane %d with %d of %d items", n, lane, len(model[lane]), size[lane])
			}
			if fits {
				model[lane] = append(model[lane], n)
			}
			continue
		}
		var got item
		from, ok := l.Pop(&got)
		want, first := -1, laneCount
		for i := range model {
			if len(model[i]) > 0 {
				want, first = model[i][0], Lane(i)
				model[i] = model[i][1:]
				break
			}
		}
		if ok != (want >= 0) || ok && (got.n != want || from != first) {
			t.Fatalf("step %d: popped %d of lane %d, %v; want %d of lane %d", n, got.n, from, ok, want, first)
		}
	}
}

// The counters of a ring wrap; the ring does not notice.
func TestLanesCounterOverflow(t *testing.T) {
	l := NewLanes[item](2, 2, 2)
	l.rings[Data].head, l.rings[Data].tail = 1<<32-1, 1<<32-1
	for n := range 3 {
		push(t, l, Data, n)
		var got item
		if _, ok := l.Pop(&got); !ok || got.n != n {
			t.Errorf("across the overflow: %d, %v; want %d", got.n, ok, n)
		}
	}
	if l.Len(Data) != 0 {
		t.Errorf("%d items are left", l.Len(Data))
	}
}

// What a slot pointed to is not kept alive by it.
func TestLanesLetGo(t *testing.T) {
	l := NewLanes[*[1 << 20]byte](2, 2, 2)
	freed := make(chan struct{})
	big := new([1 << 20]byte)
	runtime.AddCleanup(big, func(c chan struct{}) { close(c) }, freed)
	l.Push(Data, &big)
	var out *[1 << 20]byte
	l.Pop(&out)
	big, out = nil, nil
	for range 20 {
		runtime.GC()
		select {
		case <-freed:
			return
		default:
			runtime.Gosched()
		}
	}
	runtime.KeepAlive(l)
	t.Error("the queue holds on to what was popped")
}

func TestLanesDoNotAllocate(t *testing.T) {
	l := NewLanes[item](4, 4, 4)
	in, out := item{Data, 1}, item{}
	if n := testing.AllocsPerRun(1000, func() {
		l.Push(Data, &in)
		l.Pop(&out)
	}); n != 0 {
		t.Errorf("push and pop allocate %v times", n)
	}
}

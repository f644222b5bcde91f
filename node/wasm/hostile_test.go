// SPDX-License-Identifier: Apache-2.0

package wasm_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
	"github.com/parley-voice/parley/node"
)

// Each way of breaking out ends the guest's own instance, with a reason and without output.
// Another instance of the same code goes on.
func TestHostileGuestsEndThemselvesOnly(t *testing.T) {
	k := newKind(t)
	short := `"time_ms":200`
	c := config(t, hostile, short)
	inC := func(what, want string) [3]string { return [3]string{"c", what, want} }
	inGo := func(what, want string) [3]string { return [3]string{"go", what, want} }
	configs := map[string]json.RawMessage{"c": c, "go": config(t, probe(t), short, `"memory_mb":32`)}
	for name, way := range map[string][3]string{
		"loop":               inC("l", "passed its time"),
		"empty loop":         inC("L", "passed its time"),
		"bulk loop":          inC("b", "passed its time"),
		"clock":              inC("c", "passed its time"),
		"system calls":       inC("r", "passed its time"),
		"recursion":          inC("d", "nest too deep"),
		"recursion, hidden":  inC("D", "nest too deep"),
		"trap":               inC("t", "unreachable"),
		"bad pointer":        inC("p", "out of bounds"),
		"emits nowhere":      inC("g", "out of the guest's memory"),
		"emits garbage":      inC("G", "emit:"),
		"emits a false type": inC("u", "audio_chunk"),
		"emits, then traps":  inC("e", "unreachable"),
		"flood":              inC("f", "256 events"),
		"flood of bytes":     inC("F", "bytes in a call"),
		"counters":           inC("n", "count:"),
		"long key":           inC("k", "key"),
		"status":             inC("s", "i will not"),
		"exit":               inC("x", "exit code 0"),
		"panic in Go":        inGo("panic", "planned"),
		"error in Go":        inGo("error", "no such luck"),
		"memory in Go":       inGo("eat", "out of memory"),
		"sleep in Go":        inGo("sleep", ""),
	} {
		t.Run(name, func(t *testing.T) {
			sibling := newNode(t, k, configs[way[0]])
			beside := started(t, sibling)
			defer beside.Stop()
			n := newNode(t, k, configs[way[0]])
			h := started(t, n)
			err := tell(h, n, way[1])
			if err == nil || !strings.Contains(err.Error(), way[2]) {
				t.Errorf("got %v, want %q", err, way[2])
			}
			if list := h.Emitted(); len(list) > 0 {
				t.Errorf("%d events of a failed call went out", len(list))
			}
			if again := tell(h, n, "a"); again == nil {
				t.Error("a failed instance takes events")
			}
			h.Stop()
			if err := tell(beside, sibling, "a"); err != nil || len(beside.Emitted()) != 1 {
				t.Errorf("the instance beside it: %v", err)
			}
		})
	}
}

func TestGuestsAreKeptWithinTheirBounds(t *testing.T) {
	k := newKind(t)
	n := newNode(t, k, config(t, hostile, `"memory_mb":8`))
	h := started(t, n)
	defer h.Stop()
	for _, step := range [][2]string{
		{"m", "128"}, // pages of 64 KB: 8 MB and not one more
		{"o", "8"},   // EBADF: there is no folder to look in
		{"C", "0"},   // the session's clock
		{"v", "1"},
		{"v", "2"},
	} {
		before := len(h.Emitted())
		h.Event(text(step[0]))
		if list := h.Emitted()[before:]; len(list) != 1 || list[0].Text != step[1] {
			t.Errorf("%s: %+v", step[0], list)
		}
	}
	next := started(t, newNode(t, k, config(t, hostile, `"memory_mb":8`)))
	defer next.Stop()
	next.Event(text("v"))
	if got := next.Emitted()[0].Text; got != "1" {
		t.Errorf("an instance begins with %s of another one", got)
	}
}

// hosted is an instance in the real host of nodes.
type hosted struct {
	instance *nodehost.Instance
	failed   chan nodehost.Failure
	out      atomic.Int64
}

// wall is an executor on the real clock.
type wall struct {
	*nodehost.Pool
	*nodehost.Seat
	began time.Time
}

func (w *wall) Task(n eventabi.NodeID, counted bool, run func(bool) bool) nodehost.Starter {
	return w.Seat.Task(n, counted, run)
}
func (w *wall) Now() timebase.Instant { return timebase.Instant(time.Since(w.began)) }
func (w *wall) Virtual() bool         { return false }
func (w *wall) After(at timebase.Instant, fn func()) func() {
	t := time.AfterFunc(time.Duration(at.Sub(w.Now())), fn)
	return func() { t.Stop() }
}

func host(t *testing.T, w *wall, n node.Node, id eventabi.NodeID) *hosted {
	t.Helper()
	h := &hosted{failed: make(chan nodehost.Failure, 1)}
	var err error
	h.instance, err = nodehost.New(nodehost.Settings{
		Node: n, ID: id, Session: "s", Turn: "t", Exec: w,
		Out:    func(*node.Event) { h.out.Add(1) },
		Failed: func(f nodehost.Failure) { h.failed <- f },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// In the host of nodes a guest that spins is an F2 of its node, its neighbours go on, and so
// does the collector, which has to stop every goroutine.
func TestASpinningGuestHoldsUpNobody(t *testing.T) {
	k := newKind(t)
	pool := &nodehost.Pool{}
	defer pool.Close()
	w := &wall{Pool: pool, Seat: pool.Seat("s"), began: time.Now()}
	defer w.Leave()
	spin := host(t, w, newNode(t, k, config(t, hostile, `"time_ms":700`)), "spin")
	well := host(t, w, newNode(t, k, config(t, hostile)), "well")
	var wg sync.WaitGroup
	wg.Go(func() { ev := text("l"); spin.instance.Call(&ev) })
	for range 20 {
		runtime.GC()
		ev := text("a")
		if !well.instance.Call(&ev) {
			t.Fatal("the neighbour has failed")
		}
	}
	select {
	case f := <-spin.failed:
		if f.Hook != "on_event" || f.Reason != nodehost.ReasonError || !strings.Contains(f.Detail, "passed its time") {
			t.Errorf("%+v", f)
		}
	case <-time.After(time.Minute):
		t.Fatal("the guest spins on")
	}
	wg.Wait()
	if well.out.Load() != 20 || spin.out.Load() != 0 {
		t.Errorf("%d and %d events", well.out.Load(), spin.out.Load())
	}
	if !well.instance.Alive() || spin.instance.Alive() {
		t.Error("the wrong one has failed")
	}
	well.instance.Stop()
}

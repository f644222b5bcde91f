// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// Virtual runs sessions in virtual time: one goroutine, one heap of events in the order
// (due time, lane, arrival), and a clock that jumps to the next of them. Providers run
// at once; what they deliver arrives when their latency model says. Two equal runs give
// equal passes, byte for byte.
//
// A Virtual and its sessions belong to the goroutine that calls it.
type Virtual struct {
	clock    timebase.Instant
	base     int64 // wall clock at instant 0, Unix milliseconds
	events   eventHeap
	sequence int64
	touched  []*Session
	open     int
	desk     *admission.Controller // nil = everybody is let in
	pool     nodehost.Pool         // it counts the tasks of nodes; nothing runs in it
}

// event is something that is due.
type event struct {
	due      timebase.Instant
	lane     eventabi.Lane
	sequence int64
	run      func()
	stopped  bool
}

// maxAtOnce bounds the events of one instant: more means that time does not go on.
const maxAtOnce = 100_000

// NewVirtual starts a world at a wall-clock base in Unix milliseconds. Equal runs need
// an equal base.
func NewVirtual(wallMS int64) *Virtual { return &Virtual{base: wallMS} }

// Govern has sessions that are opened from now on ask to be let in, and counts what they
// use. Pressure is not measured in virtual time.
func (v *Virtual) Govern(c admission.Config) error {
	desk, err := admission.New(c)
	if err != nil {
		return fmt.Errorf("sessionhost: %w", err)
	}
	v.desk = desk
	return nil
}

// Open opens a session in the world. Its clock starts now. The error of a session that is
// not let in wraps a *Refusal.
func (v *Virtual) Open(ctx context.Context, s Settings) (*Session, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.bind()
	var decision *admission.Decision
	var place *admission.Place
	if v.desk != nil {
		if decision, place = v.desk.Enter(s.Bootstrap.Tenant, s.yield(), v.clock); place == nil {
			return nil, refuse(&s, decision, v.wallMS())
		}
	}
	x := newSession(s, v)
	x.decision, x.place = decision, place
	x.gone = func() { x.place.Leave(v.clock) }
	v.open++
	if err := x.connect(ctx); err != nil {
		v.open--
		x.gone()
		return nil, fmt.Errorf("sessionhost: session %s: %w", x.ID(), err)
	}
	return x, nil
}

// Now is the world's clock.
func (v *Virtual) Now() timebase.Instant { return v.clock }

// At has f run at an instant of the world's clock, before what is due in the data lane
// at the same instant.
func (v *Virtual) At(at timebase.Instant, f func()) {
	v.schedule(at, eventabi.ControlLane, f)
}

// Every has f run at each multiple of a period from the present on, first one period
// from now, until it says false: for a source of caller frames.
func (v *Virtual) Every(period timebase.Span, f func() bool) {
	due := v.clock
	var step func()
	step = func() {
		if f() {
			due = due.Add(period)
			v.schedule(due, eventabi.DataLane, step)
		}
	}
	due = due.Add(period)
	v.schedule(due, eventabi.DataLane, step)
}

// StepWall sets the world's wall clock forward or back, as a time server or an operator
// does. The monotonic clock goes on.
func (v *Virtual) StepWall(by timebase.Span) { v.base += by.MS() }

// Run lets time pass until every session has ended, nothing is due any more, or the
// instant until is reached. It returns ctx's error when ctx ends first.
func (v *Virtual) Run(ctx context.Context, until timebase.Instant) error {
	for n := 0; ; {
		v.settle()
		if v.open == 0 || len(v.events) == 0 || v.events[0].due > until {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		e := heap.Pop(&v.events).(*event)
		if e.due > v.clock {
			v.clock, n = e.due, 0
		}
		if n++; n > maxAtOnce {
			return fmt.Errorf("sessionhost: virtual time stands still at %d ms: %d events at one instant", v.clock.MS(), n)
		}
		if !e.stopped {
			e.run()
		}
	}
}

// settle gives every session that something happened to its turn, when the instant has
// nothing more to bring: everything of one instant is one drain.
func (v *Virtual) settle() {
	if len(v.events) > 0 && v.events[0].due <= v.clock {
		return
	}
	for len(v.touched) > 0 {
		list := v.touched
		v.touched = nil
		for _, s := range list {
			s.touched = false
			s.attend(v.clock - s.born)
		}
	}
}

func (v *Virtual) touch(s *Session) {
	if !s.touched {
		s.touched = true
		v.touched = append(v.touched, s)
	}
}

func (v *Virtual) schedule(at timebase.Instant, lane eventabi.Lane, f func()) *event {
	v.sequence++
	e := &event{due: max(at, v.clock), lane: lane, sequence: v.sequence, run: f}
	heap.Push(&v.events, e)
	return e
}

func (v *Virtual) now() timebase.Instant { return v.clock }

func (v *Virtual) wallMS() int64 { return v.base + v.clock.MS() }

func (v *Virtual) slot() timebase.Span { return 0 }

func (v *Virtual) timing() *timing { return nil }

// post hands over at once: in virtual time nothing waits for its owner.
func (v *Virtual) post(s *Session, it item) post {
	s.collect(&it)
	v.touch(s)
	return taken
}

// rearm keeps one event a session: the one before is taken back.
func (v *Virtual) rearm(s *Session, at timebase.Instant) {
	if s.alarm != nil {
		if s.alarm.due == at && !s.alarm.stopped {
			return
		}
		s.alarm.stopped = true
		s.alarm = nil
	}
	if at == timebase.Never {
		return
	}
	s.alarm = v.schedule(at, eventabi.ControlLane, func() {
		s.alarm = nil
		v.touch(s)
	})
}

func (v *Virtual) forget(s *Session) {
	v.rearm(s, timebase.Never)
	v.open--
}

func (v *Virtual) executor(s *Session) executor {
	return &virtualTime{world: v, session: s, seat: v.pool.Seat(s.ID(), s.settings.nodePolicies()...)}
}

// virtualTime runs work at once. Of the pool there is only what can be counted without
// time: the limits of nodes.
type virtualTime struct {
	world   *Virtual
	session *Session
	seat    *nodehost.Seat
}

func (t *virtualTime) leave()                { t.seat.Leave() }
func (t *virtualTime) Now() timebase.Instant { return t.world.clock - t.session.born }
func (t *virtualTime) Virtual() bool         { return true }
func (t *virtualTime) Go(work func())        { t.session.contained(work)() }

func (t *virtualTime) Stream(work func()) controlplane.ShedReason {
	t.session.contained(work)()
	return ""
}

func (t *virtualTime) Try(_ eventabi.NodeID, work func()) controlplane.ShedReason {
	t.session.contained(work)()
	return ""
}

func (t *virtualTime) Task(_ eventabi.NodeID, _ bool, run func(urgent bool) (again bool)) nodehost.Starter {
	return nodehost.AtOnce(t.session.containedRun(run))
}

func (t *virtualTime) Claim(id eventabi.NodeID, granted func()) (*nodehost.Claim, bool, controlplane.ShedReason) {
	return t.seat.Claim(id, granted)
}

func (t *virtualTime) After(at timebase.Instant, fn func()) (stop func()) {
	e := t.world.schedule(at.Add(timebase.Span(t.session.born)), eventabi.DataLane, t.session.contained(fn))
	return func() { e.stopped = true }
}

// eventHeap orders by due time, lane (control first), arrival.
type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.due != b.due {
		return a.due < b.due
	}
	if control := a.lane == eventabi.ControlLane; control != (b.lane == eventabi.ControlLane) {
		return control
	}
	return a.sequence < b.sequence
}

func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *eventHeap) Push(x any) { *h = append(*h, x.(*event)) }

func (h *eventHeap) Pop() any {
	old := *h
	n := len(old) - 1
	e := old[n]
	old[n] = nil
	*h = old[:n]
	return e
}

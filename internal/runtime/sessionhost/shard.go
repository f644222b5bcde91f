// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// shard owns sessions: one goroutine, one inbox, one wheel. Everything in it but the
// inbox belongs to that goroutine.
type shard struct {
	clock func() timebase.Instant
	wall  func() int64
	pool  *nodehost.Pool

	inbox    *Inbox[item]
	stopping atomic.Bool

	batch    []item // drained, being worked on
	touched  []*Session
	touchFn  func(s *Session)
	wheel    wheel
	sessions atomic.Int64
}

func newShard(clock func() timebase.Instant, wall func() int64, pool *nodehost.Pool) *shard {
	h := &shard{clock: clock, wall: wall, pool: pool, inbox: NewInbox[item]()}
	h.touchFn = h.touch
	return h
}

func (h *shard) now() timebase.Instant { return h.clock() }

func (h *shard) wallMS() int64 { return h.wall() }

func (h *shard) post(it item) { h.inbox.Post(it) }

// drain swaps the inbox against the empty batch of the last round.
func (h *shard) drain() { h.batch = h.inbox.Drain(h.batch) }

func (h *shard) rearm(s *Session, at timebase.Instant) { h.wheel.arm(&s.timer, at) }

func (h *shard) forget(s *Session) {
	h.wheel.arm(&s.timer, timebase.Never)
	h.sessions.Add(-1)
}

// run is the owner: rounds, with sleep between them.
func (h *shard) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !h.round() {
		h.sleep(timer)
	}
}

// round drains the inbox, turns the wheel, and attends to every session that something
// was found for. One clock read serves it. It says when there is nothing left to own.
func (h *shard) round() (over bool) {
	stopping := h.stopping.Load()
	h.drain()
	now := h.now()
	for i := range h.batch {
		it := &h.batch[i]
		it.session.collect(it)
		h.touch(it.session)
	}
	clear(h.batch)
	h.wheel.turn(now, h.touchFn)
	for i, s := range h.touched {
		s.touched = false
		s.attend(now - s.born)
		h.touched[i] = nil
	}
	h.touched = h.touched[:0]
	return stopping && h.sessions.Load() == 0
}

func (h *shard) touch(s *Session) {
	if !s.touched {
		s.touched = true
		h.touched = append(h.touched, s)
	}
}

func (h *shard) sleep(timer *time.Timer) {
	if !h.inbox.Sleep() {
		return
	}
	if h.stopping.Load() && h.sessions.Load() == 0 {
		h.inbox.Awake()
		return
	}
	next := h.wheel.next()
	if next == timebase.Never {
		<-h.inbox.Wake()
		return
	}
	wait := time.Duration(next - h.now())
	if wait <= 0 {
		h.inbox.Awake()
		return
	}
	timer.Reset(wait)
	select {
	case <-h.inbox.Wake():
	case <-timer.C:
		h.inbox.Awake()
	}
}

// stop has the owner return once it has no sessions.
func (h *shard) stop() {
	h.stopping.Store(true)
	h.inbox.Rouse()
}

// executor is the shard's view of time and work for one session.
func (h *shard) executor(s *Session) executor {
	return &realTime{shard: h, session: s, seat: h.pool.Seat(s.ID(), s.settings.nodePolicies()...)}
}

// realTime has work run in the host's pool, from the session's seat there. What panics
// ends the session.
type realTime struct {
	shard   *shard
	session *Session
	seat    *nodehost.Seat
}

func (r *realTime) leave()                { r.seat.Leave() }
func (r *realTime) Now() timebase.Instant { return r.shard.now() - r.session.born }
func (r *realTime) Virtual() bool         { return false }
func (r *realTime) Go(work func())        { r.shard.pool.Go(r.session.contained(work)) }

func (r *realTime) Stream(work func()) controlplane.ShedReason {
	return r.shard.pool.Stream(r.session.contained(work))
}

func (r *realTime) Try(id eventabi.NodeID, work func()) controlplane.ShedReason {
	return r.seat.Try(id, r.session.contained(work))
}

func (r *realTime) Task(id eventabi.NodeID, counted bool, run func(urgent bool) (again bool)) nodehost.Starter {
	return r.seat.Task(id, counted, r.session.containedRun(run))
}

func (r *realTime) Claim(id eventabi.NodeID, granted func()) (*nodehost.Claim, bool, controlplane.ShedReason) {
	return r.seat.Claim(id, granted)
}

// After uses a timer of the runtime: it serves text that waits to be cut, a few times a
// turn, and not frames.
func (r *realTime) After(at timebase.Instant, fn func()) (stop func()) {
	t := time.AfterFunc(time.Duration(at.Sub(r.Now())), r.session.contained(fn))
	return func() { t.Stop() }
}

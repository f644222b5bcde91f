// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// shard owns sessions: one goroutine, one inbox, one wheel. Everything in it but the
// inbox belongs to that goroutine.
type shard struct {
	base time.Time
	wall func() int64
	pool *nodehost.Pool

	mu       sync.Mutex
	inbox    []item
	sleeping atomic.Bool
	wake     chan struct{}
	stopping bool

	batch    []item // drained, being worked on
	touched  []*Session
	touchFn  func(s *Session)
	wheel    wheel
	sessions atomic.Int64
}

func newShard(base time.Time, wall func() int64, pool *nodehost.Pool) *shard {
	h := &shard{base: base, wall: wall, pool: pool, wake: make(chan struct{}, 1)}
	h.touchFn = h.touch
	return h
}

func (h *shard) now() timebase.Instant { return timebase.Instant(time.Since(h.base)) }

func (h *shard) wallMS() int64 { return h.wall() }

// post appends to the inbox and wakes the owner if it sleeps. It is the one lock that
// goroutines share with a shard, and it is held for an append or a swap.
func (h *shard) post(it item) {
	h.mu.Lock()
	h.inbox = append(h.inbox, it)
	h.mu.Unlock()
	h.rouse()
}

func (h *shard) rouse() {
	if h.sleeping.Load() && h.sleeping.CompareAndSwap(true, false) {
		select {
		case h.wake <- struct{}{}:
		default:
		}
	}
}

// drain swaps the inbox against the empty batch of the last round.
func (h *shard) drain() (stopping bool) {
	h.mu.Lock()
	h.inbox, h.batch = h.batch[:0], h.inbox
	stopping = h.stopping
	h.mu.Unlock()
	return stopping
}

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
	stopping := h.drain()
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
	h.sleeping.Store(true)
	h.mu.Lock()
	busy := len(h.inbox) > 0 || h.stopping && h.sessions.Load() == 0
	h.mu.Unlock()
	if busy {
		h.sleeping.Store(false)
		return
	}
	next := h.wheel.next()
	if next == timebase.Never {
		<-h.wake
		return
	}
	wait := time.Duration(next - h.now())
	if wait <= 0 {
		h.sleeping.Store(false)
		return
	}
	timer.Reset(wait)
	select {
	case <-h.wake:
	case <-timer.C:
		h.sleeping.Store(false)
	}
}

// stop has the owner return once it has no sessions.
func (h *shard) stop() {
	h.mu.Lock()
	h.stopping = true
	h.mu.Unlock()
	h.rouse()
}

// executor is the shard's view of time and work for one session.
func (h *shard) executor(s *Session) nodehost.Executor { return &realTime{shard: h, session: s} }

type realTime struct {
	shard   *shard
	session *Session
}

func (r *realTime) Now() timebase.Instant              { return r.shard.now() - r.session.born }
func (r *realTime) Go(work func())                     { r.shard.pool.Go(work) }
func (r *realTime) Worker(work func()) (launch func()) { return r.shard.pool.Worker(work) }
func (r *realTime) Virtual() bool                      { return false }

// After uses a timer of the runtime: it serves text that waits to be cut, a few times a
// turn, and not frames.
func (r *realTime) After(at timebase.Instant, fn func()) (stop func()) {
	t := time.AfterFunc(time.Duration(at.Sub(r.Now())), fn)
	return func() { t.Stop() }
}

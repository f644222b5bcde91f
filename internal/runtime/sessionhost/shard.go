// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// shard owns sessions: one goroutine at a time, one inbox, one wheel. The owner holds mu
// but while it attends to a session, so that it can be relieved of one that does not come
// back (see relieve).
type shard struct {
	clock func() timebase.Instant
	wall  func() int64
	pool  *nodehost.Pool
	crew  *sync.WaitGroup // the goroutines that own and attend

	inbox    *Inbox[*Session]
	stopping atomic.Bool
	sessions atomic.Int64
	measured timing
	stalls   atomic.Int64 // times that an owner was relieved

	mu      sync.Mutex
	term    int64 // of the owner; it has been relieved when this is another
	attends int64
	current *Session // who is attended to by the owner
	guard   lookout
	queues  [queues]queue
	wheel   wheel
	dueFn   func(s *Session)
	drained [lanes][]*Session
	items   []item
	crowd   crowd
	alarm   *alarm // nil = timers serve
	fetched int64  // what was read ahead; it means nothing
}

// The queues of an owner, in the order in which they are served.
const (
	queueControl = iota // control waits for them
	queueDue            // a frame or a deadline is due
	queueWoken          // the kernel has to hear of what was due
	queueData
	queueTelemetry
	queues
)

// queue is a list of sessions, first in, first out.
type queue struct {
	list    []*Session
	head    int
	fetched int // up to here
}

func (q *queue) push(s *Session) { q.list = append(q.list, s) }

func (q *queue) empty() bool { return q.head == len(q.list) }

func (q *queue) pop() *Session {
	s := q.list[q.head]
	q.list[q.head] = nil
	if q.head++; q.head == len(q.list) {
		q.list, q.head, q.fetched = q.list[:0], 0, 0
	}
	return s
}

func newShard(clock func() timebase.Instant, wall func() int64, pool *nodehost.Pool, crew *sync.WaitGroup) *shard {
	h := &shard{clock: clock, wall: wall, pool: pool, crew: crew, inbox: NewInbox[*Session]()}
	h.dueFn = func(s *Session) { h.queues[queueDue].push(s) }
	return h
}

func (h *shard) now() timebase.Instant { return h.clock() }

func (h *shard) wallMS() int64 { return h.wall() }

func (h *shard) slot() timebase.Span { return wheelSlot }

func (h *shard) timing() *timing { return &h.measured }

// post leaves an item in the session's mailbox, and has the owner look there.
func (h *shard) post(s *Session, it item) post {
	lane := it.kind.lane()
	p, dropped := s.box.put(&it)
	if dropped != nil {
		s.spill(dropped)
	}
	switch p {
	case lost:
		s.counts.lost[lane].Add(1)
	case first:
		if it.kind.patient() {
			h.inbox.Leave(lane, s)
		} else {
			h.inbox.Post(lane, s)
		}
	case taken:
		if !it.kind.patient() {
			h.inbox.Rouse() // what was there may have let the owner nap
		}
	case merged:
	}
	return p
}

// rearm notes when the session wants its turn; the wheel has it when it has ended.
func (h *shard) rearm(s *Session, at timebase.Instant) { s.wanted = at }

func (h *shard) forget(s *Session) {
	s.wanted = timebase.Never
	h.sessions.Add(-1)
}

// run is the owner: rounds, with sleep between them, until nothing is left to own or the
// owner was relieved.
func (h *shard) run(term int64) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		over, relieved := h.round(term)
		if over || relieved {
			return
		}
		h.sleep(timer)
	}
}

// clockEvery is after how many sessions the clock is read again, and it is looked whether
// control has come or another frame is due. One reading a frame would cost more than the
// frame (engine section 2: 53 to 65 ns), and one a round would call every frame on time that
// a long round made late: what is measured is off by what eight frames take at most, since
// the clock is read again after a pass that decides, too.
const clockEvery = 8

// round serves sessions one by one, whoever is the most urgent, until nothing is left to
// do: first those that control waits for, then the frames that are due, the deadlines, the
// data, and of what is left telemetry. A session has one turn, of bounded length, and stands
// behind the others again. It says when there is nothing left to own.
func (h *shard) round(term int64) (over, relieved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term != term {
		return false, true
	}
	h.guard.begin()
	var now timebase.Instant
	for left := 0; ; left-- {
		if left <= 0 {
			now, left = h.now(), clockEvery
			h.crowd.turn(now)
			h.gather(flow.Control)
			h.wheel.turn(now, h.dueFn)
		}
		which := h.urgent()
		if which == queues {
			if left < clockEvery { // look again before there is nothing
				left = 0
				continue
			}
			over = h.stopping.Load() && h.sessions.Load() == 0
			if over {
				h.guard.end()
				if h.alarm != nil {
					h.alarm.close()
				}
			}
			return over, false
		}
		h.fetch(which)
		if h.serve(which, h.queues[which].pop(), now) {
			left = 0
		}
		if h.term != term {
			return false, true
		}
	}
}

// urgent gives the queue that is served next, queues when there is nothing to do.
func (h *shard) urgent() int {
	for which := range h.queues {
		q := &h.queues[which]
		if which == queueData && q.empty() {
			h.gather(flow.Data)
		}
		if which == queueTelemetry && q.empty() {
			h.gather(flow.Telemetry)
		}
		if !q.empty() {
			return which
		}
	}
	return queues
}

// gather takes over who is listed on a lane.
func (h *shard) gather(lane flow.Lane) {
	h.drained[lane] = h.inbox.Drain(lane, h.drained[lane])
	q := &h.queues[[lanes]int{queueControl, queueData, queueTelemetry}[lane]]
	for i, s := range h.drained[lane] {
		q.push(s)
		h.drained[lane][i] = nil
	}
}

// serve gives a session its turn. long says that it may have taken a while.
func (h *shard) serve(which int, s *Session, now timebase.Instant) (long bool) {
	if which == queueWoken {
		s.woken = false
	}
	if s.busy {
		s.missed = true
		s.box.unlist(listedOn(which))
		return false
	}
	if which == queueDue && s.exile == 0 {
		if h.attend(s, func() bool { return s.tick(now - s.born) }) {
			h.wake(s)
		}
		return false
	}
	if which == queueData {
		h.crowd.now++
	}
	if !h.collect(which, s) {
		return false
	}
	if s.exile > 0 {
		h.alone(s)
		return false
	}
	h.attend(s, func() bool {
		s.turn(now - s.born)
		return false
	})
	return s.deciding
}

// collect brings the session what its turn is about, and says whether there is anything. A
// deadline that has come is judged by everything that came before it.
func (h *shard) collect(which int, s *Session) bool {
	on := listedOn(which)
	all := on == unlisted
	items, lost, more := s.box.take(on, all, h.items)
	for i := range items {
		if it := &items[i]; it.bare() {
			it.frame.Heard, it.frame.Listened = s.graph.positions()
		}
		s.collect(&items[i])
	}
	clear(items)
	h.items = items[:0]
	s.overflowed(&lost)
	if more {
		h.queues[which].push(s)
	}
	return len(s.pending) > 0 || all || s.playouts.waiting.Load()
}

// unlisted is the lane of who was on no list.
const unlisted = flow.Lane(lanes)

// listedOn gives the lane that a queue's sessions were listed on.
func listedOn(which int) flow.Lane {
	switch which {
	case queueControl:
		return flow.Control
	case queueData:
		return flow.Data
	case queueTelemetry:
		return flow.Telemetry
	default:
		return unlisted
	}
}

// attend has a session worked on, without the lock.
func (h *shard) attend(s *Session, work func() bool) (more bool) {
	term := h.term
	s.busy, h.current = true, s
	h.attends++
	h.mu.Unlock()
	more = work()
	h.mu.Lock()
	h.settled(s)
	if h.term == term {
		h.current = nil
	} else {
		h.inbox.Rouse() // who took over may sleep, and knows nothing of what the session wants
	}
	return more
}

// settled puts a session that was worked on where it wants to be.
func (h *shard) settled(s *Session) {
	s.busy = false
	h.wheel.arm(&s.timer, s.wanted)
	if s.missed && !s.over {
		h.wake(s)
	}
	s.missed = false
}

// wake has the session's kernel hear of what was due, once.
func (h *shard) wake(s *Session) {
	if !s.woken {
		s.woken = true
		h.queues[queueWoken].push(s)
	}
}

// sleep waits until something is due or comes.
func (h *shard) sleep(timer *time.Timer) {
	lie := h.inbox.Sleep
	if h.crowd.dense() {
		lie = h.inbox.Nap
	}
	if !lie() {
		return
	}
	next, busy := h.rest()
	now := h.now()
	if h.crowd.dense() {
		next = timebase.Earliest(next, slotAfter(now))
	}
	wait := time.Duration(next - now)
	if busy || wait <= 0 {
		h.inbox.Awake()
		return
	}
	if h.alarm != nil {
		// Who posts between the mark and here has rung before the alarm was set anew, and
		// has taken the mark away.
		if h.alarm.set(min(wait, time.Hour)) && (!h.inbox.Asleep() || h.alarm.wait()) {
			h.inbox.Awake()
			return
		}
		panic("sessionhost: the alarm of a shard fails")
	}
	if next == timebase.Never {
		<-h.inbox.Wake()
		return
	}
	timer.Reset(wait)
	select {
	case <-h.inbox.Wake():
	case <-timer.C:
		h.inbox.Awake()
	}
}

// rest says until when there is nothing to do, as far as the owner itself knows.
func (h *shard) rest() (next timebase.Instant, busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping.Load() && h.sessions.Load() == 0 {
		return 0, true
	}
	for i := range h.queues {
		if !h.queues[i].empty() {
			return 0, true
		}
	}
	return h.wheel.next(), false
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

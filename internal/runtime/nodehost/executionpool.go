// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
)

// Executor is where work runs that is not the session owner's, and how time passes for
// it. One Executor is one session's view: its instants are the session's.
type Executor interface {
	// Now is the present instant.
	Now() timebase.Instant
	// Virtual says that time stands still while work runs, and that work runs before
	// whoever hands it over goes on.
	Virtual() bool
	// After calls fn at or after an instant, off the owner; fn is short. stop takes it
	// back if it has not begun.
	After(at timebase.Instant, fn func()) (stop func())
	// Go runs upkeep, whatever the load is.
	Go(work func())
	// Stream runs a call that mostly waits for a provider, or says why it does not.
	Stream(work func()) controlplane.ShedReason
	// Try runs work of a node once, as soon as it is its turn, or says why it does not.
	Try(node eventabi.NodeID, work func()) controlplane.ShedReason
	// Task prepares work of a node that is started again and again, and waits when it has
	// to. run says whether it wants to run again; an urgent run is short, because it holds
	// up all others.
	// counted has its runs be tasks of the node, of which there may be a limit.
	Task(node eventabi.NodeID, counted bool, run func(urgent bool) (again bool)) Starter
	// Claim counts a task of a node that is no work on a worker; see Seat.Claim.
	Claim(node eventabi.NodeID, granted func()) (c *Claim, now bool, why controlplane.ShedReason)
}

// Starter starts prepared work. It allocates nothing and does not wait. Only one goroutine
// at a time says Launch or Restart, and not before the run that it started has said that it
// will not run again.
type Starter interface {
	// Launch starts it when it is its turn.
	Launch()
	// Restart starts it ahead of everything that waits: it has a hook to run.
	Restart()
	// Urge puts it ahead, if it has been started and waits.
	Urge()
	// Crowded says that others wait for a worker, Counts that there is a limit to the runs.
	Crowded() bool
	Counts() bool
}

// PoolConfig bounds a Pool. The zero value of each field is its default.
type PoolConfig struct {
	// Workers is how many pieces of work run at a time; 0 = WorkersPerCPU for each
	// processor (flow section 7).
	Workers int
	// Queue is how many may wait for a worker; 0 = DefaultQueue.
	Queue int
	// Streams is how many calls of providers may be under way at a time; 0 =
	// DefaultStreams.
	Streams int
}

// The defaults and bounds of a Pool.
const (
	WorkersPerCPU  = 4
	DefaultQueue   = 1024
	DefaultStreams = 32768
	maxPoolSetting = controlplane.MaxTasks
)

// Validate reports all faults at once.
func (c PoolConfig) Validate() error {
	var faults []error
	for _, f := range [...]struct {
		name  string
		value int
	}{{"workers", c.Workers}, {"queue", c.Queue}, {"streams", c.Streams}} {
		if f.value < 0 || f.value > maxPoolSetting {
			faults = append(faults, fmt.Errorf("pool.%s: %d: use 0 for the default, or 1 to %d", f.name, f.value, maxPoolSetting))
		}
	}
	return errors.Join(faults...)
}

// withDefaults fills the zero fields.
func (c PoolConfig) withDefaults() PoolConfig {
	fill := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	fill(&c.Workers, WorkersPerCPU*runtime.GOMAXPROCS(0))
	fill(&c.Queue, DefaultQueue)
	fill(&c.Streams, DefaultStreams)
	return c
}

// Pool runs the work of nodes for all sessions of a process (flow section 7): a bounded
// number of workers, a bounded queue, fairness keys that are served in turn. Calls of
// providers, which mostly wait, are streams: they are counted and bounded by themselves
// and take no worker. The zero value is ready, with the default bounds.
//
// A worker is a goroutine that lives for as long as there is work, and for as long as Keep
// says after that; then an idle pool has none.
type Pool struct {
	running atomic.Int64 // what was accepted and has not ended: queued, running, streams
	queued  atomic.Int64 // changed under the lock

	mu       sync.Mutex
	config   PoolConfig
	ready    bool
	closed   bool
	began    time.Time
	plain    func() // a worker; prepared once, so that starting one allocates nothing
	reserve  func() // the reserved worker
	control  tasks
	ring     *Key // keys that have something to run and may run it; the next to be served
	active   int  // workers that are not stalled and do not rest
	coming   bool // one of them has been called and has not looked yet
	reserved bool // the reserved worker is there, and not stalled
	spare    *worker
	rest     *worker // those that stay without work, the last to have worked first
	resting  int
	stay     time.Duration
	unneeded int // workers that have rested since the sweep before
	sweep    *time.Timer
	sweeps   bool
	busy     *worker // those that run something
	stalled  int
	watched  int64 // when the watch looks next; 0 = it does not
	watch    *time.Timer
	streams  int
	keys     map[string]*Key
	counts   PoolCounts

	waits, runs histogram.Histogram
}

// PoolCounts is what a Pool counted since it began.
type PoolCounts struct {
	Waited    int64 // pieces that found the queue full and waited in their edge
	Limited   int64 // pieces that waited for their node's limit
	Saturated int64 // refused: execution_pool_saturated
	Closed    int64 // refused: execution_pool_closed
	AtLimit   int64 // refused: node_concurrency_limited
	Stalls    int64 // workers that did not come back in time and were replaced
	Panics    int64 // of what had no boundary of its own
}

// PoolStats is how a Pool stands.
type PoolStats struct {
	PoolCounts
	Queued, Active, Stalled, Streams int
}

// NewPool makes a pool within bounds.
func NewPool(c PoolConfig) (*Pool, error) {
	p := &Pool{}
	return p, p.Configure(c)
}

// Configure sets the bounds of a pool that has not been used yet.
func (p *Pool) Configure(c PoolConfig) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("nodehost: %w", err)
	}
	p.mu.Lock()
	p.config = c
	p.mu.Unlock()
	return nil
}

// setUp completes a pool on first use. The lock is held.
func (p *Pool) setUp() {
	if p.ready {
		return
	}
	p.ready = true
	p.config = p.config.withDefaults()
	p.began = time.Now()
	p.plain = func() { p.work(false) }
	p.reserve = func() { p.work(true) }
}

// Keep has workers that find nothing to do stay for about as long as d: to call one that
// is there costs less than to start one, whose stack has to grow first. Close ends it.
func (p *Pool) Keep(d time.Duration) {
	p.mu.Lock()
	p.stay = d
	p.mu.Unlock()
}

// now is the pool's clock, in nanoseconds; never 0.
func (p *Pool) now() int64 { return int64(time.Since(p.began)) + 1 }

// share is how many workers one key may hold at most: half of them, so that there is
// always one for somebody else.
func (p *Pool) share() int { return max(1, p.config.Workers/2) }

// admits says that a key may have another worker. Those that stall are replaced, so that
// its share is free again; but a key that only stalls gets no more than twice its share.
func (p *Pool) admits(k *Key) bool {
	return k.running < p.share() && k.running+k.stalled < 2*p.share()
}

// Go runs upkeep on a goroutine of its own: what has to be done whatever the load is, and
// is bounded by what it is for, such as the end of a session.
func (p *Pool) Go(work func()) {
	p.running.Add(1)
	go func() {
		defer p.running.Add(-1)
		work()
	}()
}

// Stream runs a call that mostly waits for a provider. Where there are as many as there may
// be, it gives the reason and runs nothing.
func (p *Pool) Stream(work func()) controlplane.ShedReason {
	p.mu.Lock()
	p.setUp()
	switch {
	case p.closed:
		p.counts.Closed++
		p.mu.Unlock()
		return controlplane.ShedPoolClosed
	case p.streams >= p.config.Streams:
		p.counts.Saturated++
		p.mu.Unlock()
		return controlplane.ShedPoolSaturated
	}
	p.streams++
	p.mu.Unlock()
	p.Go(func() {
		defer func() {
			p.mu.Lock()
			p.streams--
			p.mu.Unlock()
		}()
		work()
	})
	return ""
}

// Close takes no more work but control: hooks that wait are still run, and what was
// accepted is.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.release(p.resting)
	p.mu.Unlock()
}

// Running counts the work that was accepted and has not ended.
func (p *Pool) Running() int64 { return p.running.Load() }

// QueuePerMille is how full the queue is. What waits in its edge because the queue is full
// does not count above 1000.
func (p *Pool) QueuePerMille() int64 {
	p.mu.Lock()
	p.setUp()
	bound := int64(p.config.Queue)
	p.mu.Unlock()
	return min(1000, p.queued.Load()*1000/bound)
}

// Stats tells how the pool stands.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{
		PoolCounts: p.counts, Queued: int(p.queued.Load()), Active: p.active, Stalled: p.stalled, Streams: p.streams,
	}
}

// Waits and Runs give how long pieces of work waited for a worker, and how long they kept
// one. What is counted in the one is not in the other.
func (p *Pool) Waits() histogram.Snapshot { return p.waits.Snapshot() }

// Runs is the time on a worker.
func (p *Pool) Runs() histogram.Snapshot { return p.runs.Snapshot() }

// Wait waits until nothing runs and, in a closed pool, no worker is left, at most for d, and
// gives what still runs.
func (p *Pool) Wait(d time.Duration) int64 {
	until := time.Now().Add(d)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		n := p.running.Load()
		if n == 0 && p.empty() || !time.Now().Before(until) {
			return n
		}
		time.Sleep(pause)
	}
}

// empty says that a closed pool has no worker any more.
func (p *Pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed || p.active == 0
}

// admit takes a piece of work. A patient one waits whatever there is; of another the reason
// is given why it cannot be scheduled. The lock is held.
func (p *Pool) admit(t *Task, patient bool) controlplane.ShedReason {
	p.setUp()
	k := t.key
	switch {
	case p.closed:
		p.counts.Closed++
		return controlplane.ShedPoolClosed
	case !t.counted && (t.tally.full(t.max) || t.max > 0 && t.tally.waits()):
		if !patient {
			p.counts.AtLimit++
			return controlplane.ShedNodeLimited
		}
		p.counts.Limited++
		p.running.Add(1)
		t.state = taskLimited
		t.tally.waiting.push(t)
		return ""
	}
	queued, bound := int(p.queued.Load()), p.config.Queue
	if p.active >= p.config.Workers || !p.admits(k) {
		// A key may hold no more of the queue than is left of it, so one that floods leaves
		// room for the others, however many flood.
		if queued >= bound || k.queue.len >= bound-queued {
			if !patient {
				p.counts.Saturated++
				return controlplane.ShedPoolSaturated
			}
			p.counts.Waited++
		}
	}
	t.count()
	p.running.Add(1)
	p.enqueue(t)
	return ""
}

// enqueue puts a counted piece behind those of its key, and sees that somebody comes for
// it.
func (p *Pool) enqueue(t *Task) {
	t.state, t.since = taskQueued, p.now()
	t.key.queue.push(t)
	p.queued.Add(1)
	p.link(t.key)
	p.summon()
}

// urge puts a piece ahead of everything that waits: it has a hook to run.
func (p *Pool) urge(t *Task) {
	t.state, t.since = taskUrgent, p.now()
	p.control.push(t)
	p.summon()
}

// summon calls a worker where there is something to do and room for one. One is called at
// a time, and calls the next when it has looked: so there are as many as find a processor
// to look on, and short pieces do not wake a worker each.
func (p *Pool) summon() {
	switch {
	case p.active < p.config.Workers && (p.ring != nil || p.control.len > 0):
		if p.coming {
			return
		}
		p.active++
		p.coming = true
		if w := p.rest; w != nil {
			p.rest = w.next
			p.resting--
			p.unneeded = min(p.unneeded, p.resting)
			w.call <- true
			return
		}
		go p.plain()
	case p.control.len > 0 && !p.reserved:
		p.reserved = true
		go p.reserve()
	case p.control.len > 0:
		p.look(urgentStall)
	case p.queued.Load() > 0:
		p.look(stallAfter)
	}
}

// take gives a worker its next piece: control first, then the next key's oldest. The
// reserved worker takes control only. The lock is held.
func (p *Pool) take(w *worker) (t *Task, urgent bool) {
	if t = p.control.pop(); t != nil {
		return t, true
	}
	k := p.ring
	if w.reserved || k == nil {
		return nil, false
	}
	t = k.queue.pop()
	p.queued.Add(-1)
	k.running++
	t.charged = true
	p.ring = k.next
	p.link(k)
	return t, false
}

// link puts a key into the ring or takes it out, by whether it has something to run and may
// run it. A key that comes in is served last.
func (p *Pool) link(k *Key) {
	in := k.queue.len > 0 && p.admits(k)
	switch {
	case in == k.linked:
		return
	case !in:
		if k.next == k {
			p.ring = nil
		} else {
			k.prev.next, k.next.prev = k.next, k.prev
			if p.ring == k {
				p.ring = k.next
			}
		}
		k.next, k.prev = nil, nil
	case p.ring == nil:
		k.next, k.prev, p.ring = k, k, k
	default:
		last := p.ring.prev
		k.prev, k.next = last, p.ring
		last.next, p.ring.prev = k, k
	}
	k.linked = in
}

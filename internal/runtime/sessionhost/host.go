// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/admission"
	"github.com/parley-voice/parley/internal/runtime/nodehost"
)

// Config is how a Host runs. The zero value of each field is its default.
type Config struct {
	// Shards is the number of owner goroutines; 0 = one a core.
	Shards int
	// MaxSessions bounds the sessions that are open at a time; 0 = DefaultMaxSessions, and
	// of an adaptive host what its processors can carry.
	MaxSessions int
	// Quotas bound what tenants, their sessions and turns use.
	Quotas gate.Policy
	// Adaptive has the host measure its pressure every 250 ms, on one goroutine: it sheds
	// by the levels of package gate, and, where MaxSessions is 0, estimates how many
	// sessions its processors can carry.
	Adaptive bool
	// What an adaptive host goes by. MemoryLimit is in bytes; 0 = that of the Go runtime
	// (GOMEMLIMIT), if there is one. ProcessorTime is what the process has used so far;
	// nil = as the system says, and unknown on systems other than Unix and Windows.
	Ladder        gate.LadderConfig
	Capacity      gate.SlotConfig // MaxSessions and Processors are the host's to fill in
	MemoryLimit   int64
	ProcessorTime func() time.Duration
	Gauges        Gauges // nil = the host's own
	// Pool bounds the execution pool that the host's sessions share.
	Pool nodehost.PoolConfig
}

// DefaultMaxSessions is the bound of sessions a host.
const DefaultMaxSessions = 20000

// workersStay is how long a worker of the pool stays without work.
const workersStay = time.Second

// Errors of a Host.
var (
	ErrClosed  = errors.New("sessionhost: the host is closed")
	ErrFull    = errors.New("sessionhost: the host is full")
	ErrSession = errors.New("sessionhost: a session of this id is open")
)

// Host runs sessions in real time.
type Host struct {
	config Config
	desk   *admission.Controller
	clock  func() timebase.Instant
	shards []*shard
	pool   nodehost.Pool
	owners sync.WaitGroup

	mu       sync.Mutex
	sessions map[eventabi.SessionID]*Session // also those that are being bound
	next     int
	closed   bool
	load     *session.Load // the level that sessions know, nil = there was none yet

	// binding counts the sessions whose transports are being bound; closing ends that.
	binding sync.WaitGroup
	closing context.Context
	refuse  context.CancelFunc
}

// New starts a host.
func New(c Config) (*Host, error) {
	if c.Shards < 0 || c.MaxSessions < 0 {
		return nil, fmt.Errorf("sessionhost: shards: %d, max_sessions: %d: use 0 for the default, or a positive number", c.Shards, c.MaxSessions)
	}
	if c.Shards == 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	desk, err := admission.New(c.admission())
	if err != nil {
		return nil, fmt.Errorf("sessionhost: %w", err)
	}
	began := time.Now()
	clock := func() timebase.Instant { return timebase.Instant(time.Since(began)) }
	h := &Host{config: c, desk: desk, clock: clock, sessions: map[eventabi.SessionID]*Session{}}
	if err := h.pool.Configure(c.Pool); err != nil {
		return nil, fmt.Errorf("sessionhost: %w", err)
	}
	h.pool.Keep(workersStay)
	h.closing, h.refuse = context.WithCancel(context.Background())
	wall := func() int64 { return time.Now().UnixMilli() }
	for range c.Shards {
		s := newShard(clock, wall, &h.pool, &h.owners)
		h.shards = append(h.shards, s)
		s.launch()
	}
	if c.Adaptive {
		h.owners.Go(h.watch)
	}
	return h, nil
}

// admission is what the host lets in.
func (c *Config) admission() admission.Config {
	slots := c.Capacity
	slots.MaxSessions, slots.Processors = int64(c.MaxSessions), 0
	if c.MaxSessions == 0 {
		slots.MaxSessions = DefaultMaxSessions
		if c.Adaptive {
			slots.Processors = newBarometer(c).processors
		}
	}
	return admission.Config{Quotas: c.Quotas, Slots: slots, Ladder: c.Ladder}
}

// Open opens a session and returns when its transport is bound; the kernel takes the
// bootstrap from there. ctx bounds the binding only, and so does Close. The error of a
// session that is not let in wraps a *Refusal.
func (h *Host) Open(ctx context.Context, s Settings) (*Session, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.bind()
	h.mu.Lock()
	err := h.room(s.Bootstrap.Session)
	if err != nil {
		h.mu.Unlock()
		return nil, err
	}
	sh := h.shards[h.next%len(h.shards)]
	decision, place := h.desk.Enter(s.Bootstrap.Tenant, s.yield(), h.clock())
	if place == nil {
		h.mu.Unlock()
		return nil, refuse(&s, decision, sh.wallMS())
	}
	h.next++
	x := newSession(s, sh)
	x.decision, x.place = decision, place
	x.gone = func() { h.remove(x) }
	h.sessions[x.ID()] = x
	sh.sessions.Add(1)
	h.binding.Add(1)
	h.mu.Unlock()
	defer h.binding.Done()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.closing, stop)()
	bound := false
	defer func() {
		if !bound { // also when the adapter has panicked
			sh.sessions.Add(-1)
			sh.inbox.Rouse() // it may be waiting for its last session
			h.remove(x)
		}
	}()
	if err := x.connect(ctx); err != nil {
		return nil, fmt.Errorf("sessionhost: session %s: %w", x.ID(), err)
	}
	bound = true
	h.tellNew(x)
	return x, nil
}

func (h *Host) room(id eventabi.SessionID) error {
	switch {
	case h.closed:
		return ErrClosed
	case h.sessions[id] != nil:
		return fmt.Errorf("%w: %s", ErrSession, id)
	}
	return nil
}

func (h *Host) remove(x *Session) {
	h.mu.Lock()
	delete(h.sessions, x.ID())
	h.mu.Unlock()
	x.place.Leave(h.clock())
}

// Admission gives what the host counted of the sessions that came, and its capacity and
// level.
func (h *Host) Admission() admission.Stats { return h.desk.Stats() }

// Tenants gives what the host counted of each tenant.
func (h *Host) Tenants() []admission.TenantStats { return h.desk.Tenants(h.clock()) }

// Sessions counts the open sessions.
func (h *Host) Sessions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// Working counts the work of nodes and the calls of providers that are under way or wait for
// a worker.
func (h *Host) Working() int64 { return h.pool.Running() }

// Pool tells how the execution pool stands.
func (h *Host) Pool() nodehost.PoolStats { return h.pool.Stats() }

// closeGrace is how long a forced end may take.
const closeGrace = 2 * time.Second

// Close takes no more sessions and ends those that are open: they drain until ctx is
// over, and end by force after it. It returns when all have ended and the host's
// goroutines have returned, or says what is left. A session that is being bound is
// refused; one whose transport was quicker ends like the others.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.refuse()
	if err := h.bound(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	open := make([]*Session, 0, len(h.sessions))
	for _, x := range h.sessions {
		open = append(open, x)
	}
	h.mu.Unlock()
	for _, x := range open {
		x.Close("shutdown")
	}
	left := wait(ctx, open)
	if len(left) > 0 {
		h.pool.Close() // from here on it refuses work, and runs hooks alone
		for _, x := range left {
			x.post(&session.RuntimeFault{Reason: "shutdown_deadline"})
		}
		grace, stop := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer stop()
		left = wait(grace, left)
	}
	for _, s := range h.shards {
		s.stop()
	}
	if len(left) > 0 {
		return fmt.Errorf("sessionhost: %d sessions did not end, the first is %s", len(left), left[0].ID())
	}
	h.owners.Wait()
	h.pool.Close()
	if n := h.pool.Wait(closeGrace); n > 0 {
		return fmt.Errorf("sessionhost: %d calls of nodes or providers have not returned; every session has ended", n)
	}
	return nil
}

// bound waits until no transport is being bound any more, for as long as ctx and a
// grace behind it.
func (h *Host) bound(ctx context.Context) error {
	all := make(chan struct{})
	go func() {
		h.binding.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-all:
		return nil
	case <-time.After(closeGrace):
		return fmt.Errorf("sessionhost: a transport does not return from binding a session: it has to when its context ends: %w", ctx.Err())
	}
}

// wait gives the sessions that have not ended when ctx is over.
func wait(ctx context.Context, list []*Session) (left []*Session) {
	for _, x := range list {
		select {
		case <-x.done:
			continue
		default:
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			left = append(left, x)
		}
	}
	return left
}

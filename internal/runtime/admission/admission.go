// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Config is what a host lets in. The zero value of each field is its default.
type Config struct {
	Quotas gate.Policy
	Slots  gate.SlotConfig
	Ladder gate.LadderConfig
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	return errors.Join(c.Quotas.Validate(turn.AllowedActions()), c.Slots.Validate(), c.Ladder.Validate())
}

// Controller counts for one host. Its methods may be called from any goroutine; instants
// are the host's.
type Controller struct {
	quotas gate.Policy
	starts tally

	mu      sync.Mutex
	slots   gate.Slots
	ladder  gate.Ladder
	tenants map[string]*tenant
	sweepAt int // number of tenants at which the idle ones are looked for
}

// New makes a controller that has counted nothing.
func New(c Config) (*Controller, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Controller{
		quotas: c.Quotas, slots: gate.NewSlots(c.Slots), ladder: gate.NewLadder(c.Ladder),
		tenants: map[string]*tenant{}, sweepAt: minSweep,
	}, nil
}

// Entry is what was decided about one session, and from what; if it was let in, it is the
// session's place as well. Nil is a place where nothing is counted.
type Entry struct {
	// Quotas are in force for the session, Counts what was used before it came, Host is
	// the word of capacity and load, and Verdict what all of it comes to.
	Quotas  []gate.Quota
	Counts  gate.Counts
	Host    gate.Verdict
	Verdict gate.Verdict

	controller *Controller
	tenant     *tenant
	meter      meter
	ticket     gate.Ticket
	left       sync.Once
}

// Enter decides whether a session of a tenant is let in: the load first, then the
// capacity, then the tenant's quotas. One that is has a place until it leaves.
func (c *Controller) Enter(name string, at timebase.Instant) *Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenant(name, at)
	e := &Entry{controller: c, tenant: t, Quotas: t.quotas.List()}
	t.put(&e.Counts, at)
	e.Host = c.ladder.Verdict()
	if e.Host.Passes() {
		e.Host = c.slots.Verdict(at)
	}
	e.Verdict = e.Host
	if e.Verdict.Passes() {
		e.Verdict = t.quotas.Verdict(gate.SessionStart, &e.Counts)
	}
	for _, count := range [...]*tally{&c.starts, &t.starts} {
		count.add(e.Verdict.Outcome, e.Verdict.Reason, e.Verdict.Degrades())
	}
	if e.Verdict.Passes() {
		e.ticket = c.slots.Enter(at)
		t.sessions.Add(1)
		t.begun.add(at, 1)
	}
	return e
}

// Leave gives the place back, once.
func (e *Entry) Leave(at timebase.Instant) {
	if e == nil || !e.Verdict.Passes() {
		return
	}
	e.left.Do(func() {
		e.tenant.seen(at)
		e.tenant.sessions.Add(-1)
		e.controller.mu.Lock()
		e.controller.slots.Leave(at, e.ticket)
		e.controller.mu.Unlock()
	})
}

// Bounded says that something of what the session uses is bounded.
func (e *Entry) Bounded() bool { return e != nil && len(e.Quotas) > 0 }

// Used gives what was used of what is bounded, at an instant.
func (e *Entry) Used(at timebase.Instant) (c gate.Counts) {
	e.tenant.put(&c, at)
	e.meter.put(&c, at)
	return c
}

// TurnOpened counts a turn.
func (e *Entry) TurnOpened(at timebase.Instant) {
	if e != nil {
		e.meter.turns.add(at, 1)
		e.tenant.turns.add(at, 1)
	}
}

// Tokens counts what a language model took and gave.
func (e *Entry) Tokens(at timebase.Instant, n int64) {
	if e != nil {
		e.meter.tokens.add(at, n)
		e.tenant.tokens.add(at, n)
	}
}

// Audio counts what a recogniser was given.
func (e *Entry) Audio(at timebase.Instant, n timebase.Samples) {
	if e != nil {
		e.meter.samples.Add(int64(n))
		e.tenant.samples.add(at, int64(n))
	}
}

// Characters counts what a synthesiser was given.
func (e *Entry) Characters(at timebase.Instant, n int64) {
	if e != nil {
		e.meter.characters.Add(n)
		e.tenant.characters.add(at, n)
	}
}

// Call counts a provider call that begins (1) or ends (-1).
func (e *Entry) Call(n int64) {
	if e != nil {
		e.meter.calls.Add(n)
		e.tenant.calls.Add(n)
	}
}

// Decided counts what the session decided about one of its proposals.
func (e *Entry) Decided(o *controlplane.DecisionOutcome) {
	if e != nil && o.Phase == controlplane.PhasePreTurn && o.Scope == controlplane.OutcomeTurn {
		degraded := o.OutcomeKind == controlplane.OutcomeAdmit && o.Reason != string(controlplane.AuthorityAuthorized)
		e.tenant.turnings.add(o.OutcomeKind, o.Reason, degraded)
	}
}

// Sample takes a measurement of the host's pressure and the processor time that it has
// used so far, and gives the overload level, the reason for it, and whether it has
// changed. Sessions against the capacity are the controller's own to measure.
func (c *Controller) Sample(at timebase.Instant, p gate.Pressure, busy timebase.Span) (level gate.Level, reason string, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots.Measure(at, busy)
	p.SessionsPerMille = c.slots.Open() * 1000 / c.slots.Capacity()
	return c.ladder.Take(at, p)
}

// Level gives the overload level in force.
func (c *Controller) Level() gate.Level {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ladder.Level()
}

// The bounds of what is kept of tenants.
const (
	// minSweep is the number of tenants below which nobody looks for idle ones.
	minSweep = 64
	// maxIdle is how many tenants without sessions are remembered; beyond it those that
	// were seen longest ago are forgotten, and their counts per minute with them.
	maxIdle = 4096
)

// tenant finds a tenant or makes it. The lock is held.
func (c *Controller) tenant(name string, at timebase.Instant) *tenant {
	t := c.tenants[name]
	if t == nil {
		if len(c.tenants) >= c.sweepAt {
			c.sweep(at)
		}
		t = &tenant{name: name, quotas: c.quotas.For(name)}
		c.tenants[name] = t
	}
	t.seen(at)
	return t
}

// sweep forgets tenants of whom nothing counts any more, and the oldest of those who have
// no session when there are too many. It runs when their number has doubled.
func (c *Controller) sweep(at timebase.Instant) {
	var resting []*tenant
	for name, t := range c.tenants {
		switch {
		case t.idle(at):
			delete(c.tenants, name)
		case t.sessions.Load() == 0:
			resting = append(resting, t)
		}
	}
	if over := len(resting) - maxIdle; over > 0 {
		slices.SortFunc(resting, func(a, b *tenant) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
		for _, t := range resting[:over] {
			delete(c.tenants, t.name)
		}
	}
	c.sweepAt = max(minSweep, min(2*len(c.tenants), len(c.tenants)+maxIdle/4))
}

// Stats is what a host counted of those who came.
type Stats struct {
	Sessions int64 // that hold a place
	Capacity int64 // gate.MaxSlots while it is not known
	CostNS   int64 // processor time of a second of a session, 0 = not known
	Level    gate.Level
	Starts   Outcomes
}

// Stats gives what was counted so far.
func (c *Controller) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		Sessions: c.slots.Open(), Capacity: c.slots.Capacity(), CostNS: c.slots.Cost(), Level: c.ladder.Level(),
		Starts: c.starts.get(),
	}
}

// TenantStats is what a host counted of one tenant.
type TenantStats struct {
	Tenant string
	// Used is by scope tenant and limit.
	Used gate.Counts
	// Starts are decisions about sessions, Turns about proposals.
	Starts, Turns Outcomes
}

// Tenants gives what was counted of every tenant that is remembered, by name.
func (c *Controller) Tenants(at timebase.Instant) []TenantStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]TenantStats, 0, len(c.tenants))
	for _, t := range c.tenants {
		s := TenantStats{Tenant: t.name, Starts: t.starts.get(), Turns: t.turnings.get()}
		t.put(&s.Used, at)
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b TenantStats) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return list
}

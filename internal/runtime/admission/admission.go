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
)

// Config is what a host lets in. The zero value of each field is its default.
type Config struct {
	Quotas gate.Policy
	Slots  gate.SlotConfig
	Ladder gate.LadderConfig
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	return errors.Join(c.Quotas.Validate(controlplane.AdaptiveActions()), c.Slots.Validate(), c.Ladder.Validate())
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

// Decision is what was decided about one session, and from what.
type Decision struct {
	// Quotas are in force for the session, Counts what was used before it came, Host is
	// the word of capacity and load, and Verdict what all of it comes to.
	Quotas  []gate.Quota
	Counts  gate.Counts
	Host    gate.Verdict
	Verdict gate.Verdict
}

// Place is what a session that was let in holds until it leaves. Nil is a place where
// nothing is counted.
type Place struct {
	controller *Controller
	tenant     *tenant
	meter      *meter // nil = nothing of the session is bounded
	ticket     gate.Ticket
	left       sync.Once
}

// Enter decides whether a session of a tenant is let in: the load first, then the
// capacity, then the tenant's quotas. One that is gets a place; else it is nil. y is
// what of its fidelity the session can give up.
func (c *Controller) Enter(name string, y gate.Yield, at timebase.Instant) (*Decision, *Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenant(name, at)
	d := &Decision{Quotas: t.quotas.List()}
	t.put(&d.Counts, at)
	d.Host = c.ladder.Verdict()
	if d.Host.Passes() {
		d.Host = c.slots.Verdict(at)
	}
	d.Verdict = d.Host
	if d.Verdict.Passes() {
		d.Verdict = t.quotas.Verdict(gate.SessionStart, &d.Counts, y)
	}
	for _, count := range [...]*tally{&c.starts, &t.starts} {
		count.add(d.Verdict.Outcome, d.Verdict.Reason, d.Verdict.Degrades())
	}
	if !d.Verdict.Passes() {
		return d, nil
	}
	p := &Place{controller: c, tenant: t, ticket: c.slots.Enter(at)}
	if t.quotas.Any() {
		p.meter = &meter{}
	}
	t.sessions.Add(1)
	t.begun.add(at, 1)
	return d, p
}

// Leave gives the place back, once.
func (p *Place) Leave(at timebase.Instant) {
	if p == nil {
		return
	}
	p.left.Do(func() {
		p.tenant.seen(at)
		p.tenant.sessions.Add(-1)
		p.controller.mu.Lock()
		p.controller.slots.Leave(at, p.ticket)
		p.controller.mu.Unlock()
	})
}

// Bounded says that something of what the session or its tenant uses is bounded.
func (p *Place) Bounded() bool { return p != nil && p.meter != nil }

// Used gives what was used of what can be bounded, at an instant; what the session itself
// used only where something is.
func (p *Place) Used(at timebase.Instant) (c gate.Counts) {
	p.tenant.put(&c, at)
	if p.meter != nil {
		p.meter.put(&c, at)
	}
	return c
}

// TurnOpened counts a turn.
func (p *Place) TurnOpened(at timebase.Instant) {
	p.count(func(t *tenant) { t.turns.add(at, 1) }, func(m *meter) { m.turns.add(at, 1) })
}

// Tokens counts what a language model took and gave.
func (p *Place) Tokens(at timebase.Instant, n int64) {
	p.count(func(t *tenant) { t.tokens.add(at, n) }, func(m *meter) { m.tokens.add(at, n) })
}

// Audio counts what a recogniser was given.
func (p *Place) Audio(at timebase.Instant, n timebase.Samples) {
	p.count(func(t *tenant) { t.samples.add(at, int64(n)) }, func(m *meter) { m.samples.Add(int64(n)) })
}

// Characters counts what a synthesiser was given.
func (p *Place) Characters(at timebase.Instant, n int64) {
	p.count(func(t *tenant) { t.characters.add(at, n) }, func(m *meter) { m.characters.Add(n) })
}

// Call counts a provider call that begins (1) or ends (-1).
func (p *Place) Call(n int64) {
	p.count(func(t *tenant) { t.calls.Add(n) }, func(m *meter) { m.calls.Add(n) })
}

func (p *Place) count(of func(*tenant), own func(*meter)) {
	if p == nil {
		return
	}
	of(p.tenant)
	if p.meter != nil {
		own(p.meter)
	}
}

// Decided counts what the session decided about one of its proposals.
func (p *Place) Decided(o *controlplane.DecisionOutcome) {
	if p != nil && o.Phase == controlplane.PhasePreTurn && o.Scope == controlplane.OutcomeTurn {
		degraded := o.OutcomeKind == controlplane.OutcomeAdmit && o.Reason != string(controlplane.AuthorityAuthorized)
		p.tenant.turnings.add(o.OutcomeKind, o.Reason, degraded)
	}
}

// Sample takes a measurement of the host's pressure and the processor time that it has
// used so far, and gives the overload level, the reason for it, and whether it has
// changed. Sessions against the capacity are the controller's own to measure.
func (c *Controller) Sample(at timebase.Instant, p gate.Pressure, busy timebase.Span) (level gate.Level, reason string, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots.Measure(at, busy, c.ladder.Late(&p))
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

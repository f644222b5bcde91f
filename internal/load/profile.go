// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/internal/kernel/gate"
)

// Scenario says what a profile runs.
type Scenario string

// The scenarios.
const (
	// Overload finds what fits, measures a small crowd, and then offers a multiple of what
	// fits.
	Overload Scenario = "overload"
	// Neighbours measures well-behaved callers in turn without and with bad neighbours.
	Neighbours Scenario = "neighbours"
	// Soak has calls come and go and watches memory and what is left behind.
	Soak Scenario = "soak"
)

// Scenarios lists them.
func Scenarios() []string { return []string{string(Overload), string(Neighbours), string(Soak)} }

// Profile says what to run and by what to judge it.
type Profile struct {
	Scenario Scenario
	Seed     int64
	Sessions int64
	Ramp     time.Duration
	WarmUp   time.Duration
	Duration time.Duration
	Capacity int64
	Settle   time.Duration
	Offer    int64
	Rounds   int64
	Sample   time.Duration
	SpecName string // file of a pipeline spec with flow settings; empty = none

	Callers      Habits
	Engines      Engines
	Tenants      []Tenant
	Disturbances []Disturbance
	Bounds       Bounds

	origin origin
}

// origin is the file that a profile was read from, and the lines of its fields.
type origin struct {
	file  string
	lines map[string]int
}

// line gives the line of a field, or of what it stands in; 0 = the file does not say it.
func (o *origin) line(field string) int {
	for field != "" {
		if n := o.lines[field]; n > 0 {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return 0
}

// Fault is a fault of one value, with the place where the profile gives it.
func (p *Profile) Fault(field, value, want string) *ProfileError {
	e := &ProfileError{File: "profile", Field: field, Value: value, Want: want}
	if p.origin.file != "" {
		e.File, e.Line = p.origin.file, p.origin.line(field)
	}
	return e
}

// Tenant is whose callers come, and what they may use.
type Tenant struct {
	Name   string
	Share  int64
	Action string
	// The limits, by the names of package gate; 0 = no bound.
	ConcurrentSessions, SessionsPerMinute, TurnsPerMinute, TokensPerMinute int64
	AudioSeconds, TTSCharacters, ProviderConcurrency                       int64
}

// Kind is a way to disturb.
type Kind string

// The kinds of disturbance.
const (
	// Stall is a call whose endpointer hangs.
	Stall Kind = "stall"
	// Panic is a call whose endpointer and segmenter panic, again and again.
	Panic Kind = "panic"
	// Flood is a tenant that opens calls, and sends frames and texts, at a rate.
	Flood Kind = "flood"
	// SlowReader is a call whose transport blocks, which a transport must not do.
	SlowReader Kind = "slow_reader"
)

func kinds() []string {
	return []string{string(Stall), string(Panic), string(Flood), string(SlowReader)}
}

// Disturbance is one bad neighbour, or several of a kind.
type Disturbance struct {
	Kind            Kind
	Sessions        int64
	Tenant          string
	OpensPerSecond  int64
	FramesPerSecond int64
	TextsPerSecond  int64
	Block           time.Duration
}

// Bounds are what makes a run pass.
type Bounds struct {
	// LatenessFloor is below what a figure of lateness says nothing: the resolution of the
	// timers. What is less counts as that much.
	LatenessFloor time.Duration
	LatenessTimes float64       // overload: p99 against that of the small crowd
	PreemptP95    time.Duration // of control, under overload
	MovePercent   float64       // neighbours: how much their p99 may grow
	HeapPercent   float64       // growth of the heap from the warm-up to the end
}

// The largest values of a profile: what one process can hold, and a day.
const (
	maxSessions = 50_000
	maxTime     = 24 * time.Hour
	maxRate     = 1_000_000
)

// Builtin gives a built-in profile.
func Builtin(s Scenario) Profile {
	p := Profile{
		Scenario: s, Seed: 1, Sessions: 50, Ramp: 3 * time.Second, WarmUp: 4 * time.Second, Duration: 20 * time.Second,
		Settle: 2 * time.Minute, Offer: 3, Rounds: 1, Sample: 10 * time.Second,
		Callers: Habits{
			Speech: Span{3 * time.Second, 5 * time.Second}, Listen: Span{8 * time.Second, 11 * time.Second},
			InterruptPercent: 10, CutIn: Span{1600 * time.Millisecond, 2400 * time.Millisecond},
		},
		Engines: Engines{
			STT: Span{80 * time.Millisecond, 200 * time.Millisecond}, LLM: Span{150 * time.Millisecond, 400 * time.Millisecond},
			Next: Span{20 * time.Millisecond, 80 * time.Millisecond}, TTS: Span{60 * time.Millisecond, 200 * time.Millisecond},
			Reply: Span{2 * time.Second, 6 * time.Second},
		},
		Tenants: []Tenant{{Name: "load", Share: 1, Action: "reject"}},
		Bounds: Bounds{
			LatenessFloor: time.Millisecond, LatenessTimes: 2, PreemptP95: 5 * time.Millisecond, MovePercent: 10,
			HeapPercent: 1,
		},
	}
	switch s {
	case Overload:
		p.Rounds, p.Callers.Life = 3, Span{30 * time.Second, 90 * time.Second}
		p.Bounds.HeapPercent = 5
	case Neighbours:
		p.Sessions, p.Capacity, p.Duration, p.Rounds = 200, 400, 6*time.Second, 5
		p.Tenants = append(p.Tenants, Tenant{Name: "flooder", Action: "reject", ConcurrentSessions: 4, SessionsPerMinute: 1000, TurnsPerMinute: 120})
		p.Disturbances = []Disturbance{
			{Kind: Stall, Sessions: 1, Tenant: "staller"},
			{Kind: Panic, Sessions: 1, Tenant: "panicker"},
			{Kind: Flood, Sessions: 4, Tenant: "flooder", OpensPerSecond: 200, FramesPerSecond: 1000, TextsPerSecond: 100},
		}
	case Soak:
		p.Sessions, p.Capacity, p.Duration, p.WarmUp, p.Sample = 200, 400, 10*time.Minute, time.Minute, 2*time.Second
		p.Callers.Life = Span{15 * time.Second, 45 * time.Second}
	}
	return p
}

// quotas are the bounds of the tenants as the host takes them.
func (p *Profile) quotas() gate.Policy {
	policy := gate.Policy{Tenants: map[string][]gate.Override{}}
	for i := range p.Tenants {
		t := &p.Tenants[i]
		action := gate.Action(t.Action)
		for _, l := range t.limits() {
			if *l.most > 0 {
				policy.Tenants[t.Name] = append(policy.Tenants[t.Name], gate.Override{
					Scope: gate.ScopeTenant, Limit: l.limit, Max: l.most, Action: &action,
				})
			}
		}
	}
	return policy
}

type tenantLimit struct {
	limit gate.Limit
	most  *int64
}

func (t *Tenant) limits() []tenantLimit {
	return []tenantLimit{
		{gate.ConcurrentSessions, &t.ConcurrentSessions},
		{gate.SessionsPerMinute, &t.SessionsPerMinute},
		{gate.TurnsPerMinute, &t.TurnsPerMinute},
		{gate.TokensPerMinute, &t.TokensPerMinute},
		{gate.AudioSeconds, &t.AudioSeconds},
		{gate.TTSCharacters, &t.TTSCharacters},
		{gate.ProviderConcurrency, &t.ProviderConcurrency},
	}
}

// ProfileError is one fault of a profile.
type ProfileError struct {
	File  string
	Line  int // from 1; 0 = the value is not from a file
	Field string
	Value string
	Want  string
}

func (e *ProfileError) Error() string {
	where := e.File
	if e.Line > 0 {
		where += fmt.Sprintf(":%d", e.Line)
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s%s: %q: %s", where, e.Field, e.Value, e.Want)
}

// Validate reports what the values of a profile say against each other.
func (p *Profile) Validate() error {
	var faults []error
	fault := func(field, value, want string) {
		faults = append(faults, p.Fault(field, value, want))
	}
	names, shares := map[string]bool{}, int64(0)
	for i, t := range p.Tenants {
		if t.Name == "" || names[t.Name] {
			fault(fmt.Sprintf("tenants[%d].name", i), t.Name, "give each tenant a name of its own")
		}
		names[t.Name] = true
		shares += t.Share
	}
	if shares == 0 {
		fault("tenants", fmt.Sprint(len(p.Tenants)), "give at least one tenant a share above 0: the callers are theirs")
	}
	p.checkDisturbances(names, fault)
	if p.Scenario == Soak && p.Callers.Life.Most == 0 {
		fault("callers.life", "0s", "say how long a call lasts: a soak is of calls that come and go")
	}
	if p.Scenario == Soak && p.Duration <= p.Ramp+p.WarmUp {
		fault("duration", short(p.Duration), fmt.Sprintf("more than ramp and warm_up together, %s: nothing is measured before", short(p.Ramp+p.WarmUp)))
	}
	if p.Scenario == Soak && p.Duration < 10*p.Sample {
		fault("sample", p.Sample.String(), "at most a tenth of the duration: growth is seen in ten samples or more")
	}
	quotas := p.quotas()
	if err := quotas.Validate(nil); err != nil {
		faults = append(faults, fmt.Errorf("load: tenants: %w", err))
	}
	return errors.Join(faults...)
}

// checkDisturbances reports faults of the bad neighbours.
func (p *Profile) checkDisturbances(tenants map[string]bool, fault func(field, value, want string)) {
	for i, d := range p.Disturbances {
		at := fmt.Sprintf("disturbances[%d].", i)
		if d.Kind == "" {
			fault(at+"kind", "", "use "+strings.Join(kinds(), ", "))
		}
		if d.Tenant == "" {
			fault(at+"tenant", "", "name whose call it is; its lateness is not that of the others")
		}
		if d.Kind == Flood && d.Tenant != "" && !tenants[d.Tenant] {
			fault(at+"tenant", d.Tenant, "declare it below tenants, with its limits and no share: what a flood gets is what they say")
		}
		if d.Kind == Flood && d.OpensPerSecond+d.FramesPerSecond+d.TextsPerSecond == 0 {
			fault(at+"opens_per_second", "0", "give a rate of calls, frames or texts")
		}
		if d.Kind == SlowReader && d.Block == 0 {
			fault(at+"block", "0s", "say how long a write blocks")
		}
		if slices.ContainsFunc(p.Tenants, func(t Tenant) bool { return t.Name == d.Tenant && t.Share > 0 }) {
			fault(at+"tenant", d.Tenant, "name a tenant that has no share of the callers: the quotas are the tenant's")
		}
	}
	if p.Scenario == Neighbours && len(p.Disturbances) == 0 {
		fault("disturbances", "0", "name at least one: without it there is nothing to compare")
	}
	if p.Scenario != Neighbours && len(p.Disturbances) > 0 {
		fault("disturbances", fmt.Sprint(len(p.Disturbances)), "leave them out, or use the scenario neighbours")
	}
}

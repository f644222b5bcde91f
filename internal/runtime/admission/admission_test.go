// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func ms(n int64) timebase.Instant { return timebase.Instant(timebase.MS(n)) }

func newController(t *testing.T, c Config) *Controller {
	t.Helper()
	if c.Slots == (gate.SlotConfig{}) {
		c.Slots.MaxSessions = 1000
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A count per minute covers the last 60 s at least and 65 s at most, whatever the rhythm.
func TestWindow(t *testing.T) {
	r := timebase.NewRandom(2)
	for range 200 {
		var w window
		type counted struct {
			at timebase.Instant
			n  int64
		}
		var all []counted
		at := timebase.Instant(r.Below(1 << 50))
		for range 400 {
			at = at.Add(timebase.Span(r.Below(int64(timebase.MS(r.Between(1, 9000))))))
			if r.Chance(1, 40) {
				at = at.Add(timebase.MS(r.Between(10_000, 200_000)))
			}
			n := r.Below(5)
			w.add(at, n)
			all = append(all, counted{at, n})
			var least, most int64
			for _, c := range all {
				if age := at.Sub(c.at); age < 60*timebase.Second {
					least += c.n
					most += c.n
				} else if age < windowSpan {
					most += c.n
				}
			}
			if got := w.sum(at); got < least || got > most {
				t.Fatalf("at %d the sum is %d, want %d to %d", at.MS(), got, least, most)
			}
		}
		if got := w.sum(at.Add(windowSpan)); got != 0 {
			t.Fatalf("after the window %d are left", got)
		}
	}
}

// Who comes late with an earlier instant is counted all the same, and a count that does not
// fit stays at the most.
func TestWindowEdges(t *testing.T) {
	var w window
	w.add(ms(66_000), 3)
	w.add(ms(4_000), 2) // its bucket belongs to 65..70 s by now
	if got := w.sum(ms(66_000)); got != 5 {
		t.Errorf("%d, want 5", got)
	}
	w.add(ms(66_000), countMask)
	w.add(ms(66_000), 5)
	if got := w.sum(ms(66_000)); got != countMask {
		t.Errorf("%d, want the most that fits", got)
	}
	w = window{}
	w.add(ms(10), -3)
	w.add(ms(10), 0)
	if got := w.sum(ms(10)); got != 0 {
		t.Errorf("%d of nothing", got)
	}
}

// Nothing that is counted at once by many gets lost.
func TestWindowShared(t *testing.T) {
	var w window
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range int64(2_000) {
				w.add(ms(int64(i)*700+n), 1)
			}
		})
	}
	all.Wait()
	if got := w.sum(ms(7_000)); got != 16_000 {
		t.Errorf("%d of 16000 are there", got)
	}
}

// Places are given one by one: whoever many ask at once, no more get in than there are, and
// each that leaves makes room for one.
func TestEnterRace(t *testing.T) {
	for name, row := range map[string]struct {
		config Config
		reason string
		want   int
	}{
		"slots": {Config{Slots: gate.SlotConfig{MaxSessions: 50}}, "capacity:max_sessions", 50},
		"tenant": {
			Config{Quotas: gate.Policy{Quotas: []gate.Quota{{Scope: gate.ScopeTenant, Limit: gate.ConcurrentSessions, Max: 30}}}},
			"tenant_quota:concurrent_sessions", 30,
		},
		"rate": {
			Config{Quotas: gate.Policy{Quotas: []gate.Quota{{Scope: gate.ScopeTenant, Limit: gate.SessionsPerMinute, Max: 40, Action: gate.ActionDefer}}}},
			"tenant_quota:sessions_per_minute", 40,
		},
		"slow start": {Config{Slots: gate.SlotConfig{Processors: 2, Burst: 9}}, "capacity:slow_start", 9},
	} {
		c := newController(t, row.config)
		type entry struct {
			*Decision
			*Place
		}
		entries := make([]entry, 400)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := i; n < len(entries); n += 8 {
					d, p := c.Enter("acme", gate.YieldFidelity, ms(100))
					entries[n] = entry{d, p}
				}
			})
		}
		all.Wait()
		in := 0
		var one *Place
		for _, e := range entries {
			if e.Verdict.Passes() != (e.Place != nil) {
				t.Errorf("%s: %+v, and a place: %v", name, e.Verdict, e.Place != nil)
			}
			if e.Place != nil {
				in++
				one = e.Place
			} else if e.Verdict.Reason != row.reason {
				t.Errorf("%s: refused with %+v", name, e.Verdict)
			}
		}
		if in != row.want || c.Stats().Sessions != int64(in) {
			t.Errorf("%s: %d were let in, want %d", name, in, row.want)
		}
		one.Leave(ms(200))
		one.Leave(ms(200)) // it has no second place
		if got := c.Stats().Sessions; got != int64(in-1) {
			t.Errorf("%s: %d hold places after one has left", name, got)
		}
		_, again := c.Enter("acme", gate.YieldFidelity, ms(200))
		if _, more := c.Enter("acme", gate.YieldFidelity, ms(200)); (again != nil) != (name != "rate") || more != nil {
			t.Errorf("%s: after one has left, one more gets in: %v, and another: %v", name, again != nil, more != nil)
		}
	}
}

// Authority-state section 7: what is counted of whom. A tenant's amounts are of the last
// minute, a session's since it began.
func TestCounts(t *testing.T) {
	c := newController(t, Config{Quotas: gate.Policy{
		Quotas:  []gate.Quota{{Scope: gate.ScopeSession, Limit: gate.TTSCharacters, Max: 1000}},
		Tenants: map[string][]gate.Override{"umbrella": {{Scope: gate.ScopeSession, Limit: gate.TTSCharacters, Max: new(int64)}}},
	}})
	place := func(tenant string) *Place {
		_, p := c.Enter(tenant, gate.YieldFidelity, ms(0))
		return p
	}
	a, b, other := place("acme"), place("acme"), place("umbrella")
	if !a.Bounded() || other.Bounded() {
		t.Errorf("bounded: %v and %v", a.Bounded(), other.Bounded())
	}
	a.TurnOpened(ms(1_000))
	a.Tokens(ms(1_000), 120)
	a.Audio(ms(1_000), 5*timebase.SampleRate+timebase.SampleRate/2)
	a.Characters(ms(1_000), 80)
	a.Call(1)
	a.Call(1)
	b.TurnOpened(ms(2_000))
	b.Audio(ms(2_000), timebase.SampleRate/2)
	b.Call(1)
	b.Call(-1)
	other.TurnOpened(ms(2_000))
	want := func(name string, e *Place, at int64, counts ...int64) {
		t.Helper()
		got := e.Used(ms(at))
		for i, n := range counts {
			if got[i] != n {
				t.Errorf("%s at %d: %s is %d, want %d", name, at, gate.CountName(i), got[i], n)
			}
		}
	}
	//                     sessions, begun, turns, tokens, audio, characters, calls
	want("a", a, 3_000, 2, 2, 2, 120, 6, 80, 2, 1, 120, 5, 80, 2)
	want("b", b, 3_000, 2, 2, 2, 120, 6, 80, 2, 1, 0, 0, 0, 0)
	want("other", other, 3_000, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0) // nobody asks for the session's own
	want("a", a, 70_000, 2, 0, 0, 0, 0, 0, 2, 0, 0, 5, 80, 2)
	b.Leave(ms(70_000))
	want("a", a, 70_000, 1)
	stats := c.Tenants(ms(3_000))
	if len(stats) != 2 || stats[0].Tenant != "acme" || *stats[0].Used.At(gate.ScopeTenant, gate.TokensPerMinute) != 120 {
		t.Errorf("tenants %+v", stats)
	}
}

// A place where nothing is counted counts nothing and fails at nothing.
func TestNoEntry(t *testing.T) {
	var e *Place
	e.TurnOpened(0)
	e.Tokens(0, 1)
	e.Audio(0, 1)
	e.Characters(0, 1)
	e.Call(1)
	e.Decided(&controlplane.DecisionOutcome{})
	e.Leave(0)
	if e.Bounded() {
		t.Error("nothing is bounded")
	}
}

// Metrics per tenant (authority-state section 7): what was decided, and why.
func TestOutcomes(t *testing.T) {
	limit := func(l gate.Limit, n int64, a gate.Action) gate.Quota {
		return gate.Quota{Scope: gate.ScopeTenant, Limit: l, Max: n, Action: a}
	}
	c := newController(t, Config{Quotas: gate.Policy{Quotas: []gate.Quota{
		limit(gate.ConcurrentSessions, 3, gate.ActionReject), limit(gate.SessionsPerMinute, 1, gate.ActionDegrade),
	}}})
	for range 5 {
		c.Enter("acme", gate.YieldFidelity, ms(0))
	}
	_, e := c.Enter("umbrella", gate.YieldFidelity, ms(0))
	for _, o := range []controlplane.DecisionOutcome{
		{OutcomeKind: controlplane.OutcomeAdmit, Phase: controlplane.PhasePreTurn, Scope: controlplane.OutcomeTurn, Reason: "authorized"},
		{OutcomeKind: controlplane.OutcomeAdmit, Phase: controlplane.PhasePreTurn, Scope: controlplane.OutcomeTurn, Reason: "tenant_quota:tokens_per_minute"},
		{OutcomeKind: controlplane.OutcomeDefer, Phase: controlplane.PhasePreTurn, Scope: controlplane.OutcomeTurn, Reason: "headroom:tokens_per_minute"},
		{OutcomeKind: controlplane.OutcomeAdmit, Phase: controlplane.PhasePreTurn, Scope: controlplane.OutcomeSession, Reason: "authorized"},
		{OutcomeKind: controlplane.OutcomeShed, Phase: controlplane.PhaseSchedulingPoint, Scope: controlplane.OutcomeNodeDispatch, Reason: "execution_pool_saturated"},
	} {
		e.Decided(&o)
	}
	got := fmt.Sprint(c.Tenants(ms(0))[0].Starts, c.Tenants(ms(0))[1].Turns, c.Stats().Starts)
	want := "{1 2 0 2 map[tenant_quota:concurrent_sessions:2 tenant_quota:sessions_per_minute:2]}" +
		" {1 1 1 0 map[headroom:tokens_per_minute:1 tenant_quota:tokens_per_minute:1]}" +
		" {2 2 0 2 map[tenant_quota:concurrent_sessions:2 tenant_quota:sessions_per_minute:2]}"
	if got != want {
		t.Errorf("counted\n%s\nwant\n%s", got, want)
	}
	for i := range 2 * maxReasons {
		e.Decided(&controlplane.DecisionOutcome{
			OutcomeKind: controlplane.OutcomeReject, Phase: controlplane.PhasePreTurn, Scope: controlplane.OutcomeTurn, Reason: fmt.Sprint(i),
		})
	}
	if turns := c.Tenants(ms(0))[1].Turns; len(turns.Reasons) != maxReasons+1 || turns.Reasons["other"] != maxReasons+2 || turns.Rejected != 2*maxReasons {
		t.Errorf("%d reasons, %d of them others", len(turns.Reasons), turns.Reasons["other"])
	}
}

// Tenants are forgotten when nothing of them counts any more, and there are never many
// more of them than hold sessions and can be remembered.
func TestTenantsAreForgotten(t *testing.T) {
	c := newController(t, Config{
		Quotas: gate.Policy{Quotas: []gate.Quota{{Scope: gate.ScopeTenant, Limit: gate.SessionsPerMinute, Max: 1}}},
		Slots:  gate.SlotConfig{MaxSessions: 100},
	})
	_, stays := c.Enter("stays", gate.YieldFidelity, ms(0))
	_, rests := c.Enter("rests", gate.YieldFidelity, ms(0))
	rests.Leave(ms(0))
	if _, again := c.Enter("rests", gate.YieldFidelity, ms(30_000)); again != nil {
		t.Error("a tenant that rests for a moment is forgotten")
	}
	most, at := 0, ms(0)
	for i := range 30_000 {
		at = at.Add(timebase.MS(1))
		if i == 20_000 { // a minute and a half in which nobody comes
			at = at.Add(90 * timebase.Second)
		}
		_, p := c.Enter(fmt.Sprint("t", i), gate.YieldFidelity, at)
		p.Leave(at)
		most = max(most, len(c.tenants))
	}
	if most > maxIdle+maxIdle/4+minSweep {
		t.Errorf("%d tenants were kept", most)
	}
	if c.tenants["stays"] == nil || c.tenants["t29999"] == nil || c.tenants["rests"] != nil || c.tenants["t19999"] != nil {
		t.Error("the wrong ones were forgotten")
	}
	stays.Leave(at)
	if got := c.Stats().Sessions; got != 0 {
		t.Errorf("%d hold places", got)
	}
}

// The host's word goes before the quotas: load first, then the capacity. What was counted
// stands beside it either way.
func TestEntryOrder(t *testing.T) {
	c := newController(t, Config{
		Quotas: gate.Policy{Quotas: []gate.Quota{{Scope: gate.ScopeTenant, Limit: gate.ConcurrentSessions, Max: 1}}},
		Slots:  gate.SlotConfig{MaxSessions: 1},
		Ladder: gate.LadderConfig{RiseMS: 1, FallMS: 1},
	})
	var got []string
	enter := func(at int64) {
		e, _ := c.Enter("acme", gate.YieldFidelity, ms(at))
		got = append(got, fmt.Sprintf("%s %s %s %d %d", e.Verdict.Outcome, e.Verdict.Reason, e.Host.Reason, e.Counts[0], len(e.Quotas)))
	}
	enter(0)
	enter(1)
	for at := range int64(3) {
		level, _, changed := c.Sample(ms(10+at), gate.Pressure{MemoryPerMille: 980}, 0)
		if at == 1 && (level != gate.LevelLowPriority || !changed || c.Level() != level) {
			t.Errorf("level %d", level)
		}
	}
	enter(20)
	want := "   0 1|defer capacity:max_sessions capacity:max_sessions 1 1|defer overload:new_sessions overload:new_sessions 1 1"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %q\nwant %q", s, want)
	}
	if p := c.Stats(); p.Capacity != 1 || p.Sessions != 1 || p.Level != gate.LevelLowPriority {
		t.Errorf("stats %+v", p)
	}
}

func TestBadConfig(t *testing.T) {
	_, err := New(Config{
		Quotas: gate.Policy{Quotas: []gate.Quota{{Scope: gate.ScopeTenant, Limit: gate.TurnsPerMinute, Max: -1}}},
		Slots:  gate.SlotConfig{MaxSessions: -1},
		Ladder: gate.LadderConfig{EasePerMille: 2000},
	})
	for _, part := range []string{"quota tenant:turns_per_minute: max", "capacity.max_sessions", "ladder.ease_per_mille"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not in %v", part, err)
		}
	}
}

// What a late host measures of the cost does not raise its capacity (gate.Slots.Measure).
func TestLatenessKeepsTheCapacity(t *testing.T) {
	for lateUS, grows := range map[int64]bool{0: true, 4_999: true, 5_000: false} {
		c, err := New(Config{Slots: gate.SlotConfig{Processors: 2, Burst: 100}})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if d, p := c.Enter("t", gate.YieldNothing, ms(0)); p == nil {
				t.Fatal(d.Verdict)
			}
		}
		busy, known := timebase.Span(0), int64(0)
		for n := range int64(40) {
			p, spent := gate.Pressure{}, 100*timebase.Millisecond
			if n >= 20 {
				known = max(known, c.Stats().Capacity)
				p.FrameLatenessUS, spent = lateUS, timebase.Millisecond
			}
			busy += spent
			c.Sample(ms(10_000+n*1000), p, busy)
		}
		if got := c.Stats().Capacity; (got > known) != grows {
			t.Errorf("%d us late: of %d slots there are %d", lateUS, known, got)
		}
	}
}

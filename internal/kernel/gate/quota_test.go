// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func using(s Scope, l Limit, n int64) *Counts {
	var c Counts
	*c.At(s, l) = n
	return &c
}

// Authority-state section 7, as a table: what a quota says of a count, at the edges.
func TestQuotaVerdict(t *testing.T) {
	const reject, deferred = controlplane.OutcomeReject, controlplane.OutcomeDefer
	for name, row := range map[string]struct {
		quota Quota
		used  int64
		want  Verdict
	}{
		"below the limit": {Quota{Max: 60}, 59, Verdict{}},
		"at the limit": {
			Quota{Max: 60}, 60, Verdict{Outcome: reject, Reason: "tenant_quota:turns_per_minute", Used: 60, Max: 60},
		},
		"past the limit": {
			Quota{Max: 60, Action: ActionReject}, 75, Verdict{Outcome: reject, Reason: "tenant_quota:turns_per_minute", Used: 75, Max: 60},
		},
		"defer says when": {
			Quota{Max: 6, Action: ActionDefer}, 6, Verdict{Outcome: deferred, Reason: "tenant_quota:turns_per_minute", Used: 6, Max: 6, RetryAfterMS: 10000},
		},
		"throttle is defer": {
			Quota{Max: 6, Action: ActionThrottle, RetryAfterMS: 700},
			6,
			Verdict{Outcome: deferred, Reason: "tenant_quota:turns_per_minute", Used: 6, Max: 6, RetryAfterMS: 700},
		},
		"degrade lets in": {Quota{Max: 6, Action: ActionDegrade}, 6, Verdict{Reason: "tenant_quota:turns_per_minute", Used: 6, Max: 6}},
		"no bound":        {Quota{Action: ActionReject}, 1 << 50, Verdict{}},
		"below headroom":  {Quota{Max: 60, HeadroomPerMille: 200}, 47, Verdict{}},
		"in the headroom": {
			Quota{Max: 60, HeadroomPerMille: 200}, 48, Verdict{Outcome: reject, Reason: "headroom:turns_per_minute", Used: 48, Max: 60},
		},
		"in the headroom of what defers": {
			Quota{Max: 60, Action: ActionDefer, HeadroomPerMille: 200},
			48,
			Verdict{Outcome: deferred, Reason: "headroom:turns_per_minute", Used: 48, Max: 60, RetryAfterMS: 1000},
		},
		"headroom ends at the limit": {
			Quota{Max: 60, HeadroomPerMille: 200}, 60, Verdict{Outcome: reject, Reason: "tenant_quota:turns_per_minute", Used: 60, Max: 60},
		},
		"a part of one is not kept free":   {Quota{Max: 7, HeadroomPerMille: 500}, 3, Verdict{}},
		"the smallest headroom is nothing": {Quota{Max: 60, HeadroomPerMille: 1}, 59, Verdict{}},
		"the largest is not everything":    {Quota{Max: 60, HeadroomPerMille: 999}, 0, Verdict{}},
	} {
		row.quota.Scope, row.quota.Limit = ScopeTenant, TurnsPerMinute
		if row.want != (Verdict{}) {
			row.want.Scope, row.want.Limit = ScopeTenant, TurnsPerMinute
		}
		if err := row.quota.Validate(controlplane.AdaptiveActions()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var q Quotas
		q.Set(row.quota)
		got := q.Verdict(TurnStart, using(ScopeTenant, TurnsPerMinute, row.used), YieldVoice)
		if got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
		if q.Verdict(SessionStart, using(ScopeTenant, TurnsPerMinute, row.used), YieldVoice) != (Verdict{}) {
			t.Errorf("%s: turns are asked about when a session starts", name)
		}
	}
}

// The strictest word counts, and a deferral names the longest time of all.
func TestQuotaPrecedence(t *testing.T) {
	var q Quotas
	var c Counts
	for _, step := range []struct {
		quota Quota
		want  string // reason
		wait  int64
	}{
		{Quota{Scope: ScopeTurn, Limit: AudioSeconds, Max: 1, Action: ActionDegrade}, "turn_quota:audio_seconds", 0},
		{Quota{Scope: ScopeSession, Limit: AudioSeconds, Max: 2, Action: ActionDefer, HeadroomPerMille: 500, RetryAfterMS: 300}, "headroom:audio_seconds", 300},
		{Quota{Scope: ScopeSession, Limit: TTSCharacters, Max: 1, Action: ActionDefer, RetryAfterMS: 200}, "headroom:audio_seconds", 300},
		{Quota{Scope: ScopeTenant, Limit: TTSCharacters, Max: 1, Action: ActionDefer, RetryAfterMS: 900}, "tenant_quota:tts_characters", 900},
		{Quota{Scope: ScopeSession, Limit: ProviderConcurrency, Max: 1}, "session_quota:provider_concurrency", 0},
		{Quota{Scope: ScopeTenant, Limit: TokensPerMinute, Max: 1}, "tenant_quota:tokens_per_minute", 0},
		// Taken back, in the same order from the end.
		{Quota{Scope: ScopeTenant, Limit: TokensPerMinute}, "session_quota:provider_concurrency", 0},
		{Quota{Scope: ScopeSession, Limit: ProviderConcurrency}, "tenant_quota:tts_characters", 900},
		{Quota{Scope: ScopeTenant, Limit: TTSCharacters}, "headroom:audio_seconds", 300},
		{Quota{Scope: ScopeSession, Limit: TTSCharacters}, "headroom:audio_seconds", 300},
		{Quota{Scope: ScopeSession, Limit: AudioSeconds}, "turn_quota:audio_seconds", 0},
		{Quota{Scope: ScopeTurn, Limit: AudioSeconds}, "", 0},
	} {
		q.Set(step.quota)
		*c.At(step.quota.Scope, step.quota.Limit) = 1
		v := q.Verdict(TurnStart, &c, YieldVoice)
		if v.Reason != step.want || v.RetryAfterMS != step.wait {
			t.Errorf("after %+v: %+v, want %q in %d ms", step.quota, v, step.want, step.wait)
		}
	}
	if q.Any() || len(q.List()) != 0 {
		t.Errorf("quotas that were taken back are left: %v", q.List())
	}
}

// Degrade is carried out where the session can yield what the limit counts, and where it
// cannot, the limit holds. Of two that degrade, the one that takes the voice has its word.
func TestDegradeTakesWhatTheSessionYields(t *testing.T) {
	for _, row := range []struct {
		limits []Limit
		yield  Yield
		want   string
		lets   bool
	}{
		{[]Limit{TokensPerMinute}, YieldNothing, "tenant_quota:tokens_per_minute", false},
		{[]Limit{TokensPerMinute}, YieldFidelity, "tenant_quota:tokens_per_minute", true},
		{[]Limit{TTSCharacters}, YieldFidelity, "tenant_quota:tts_characters", false},
		{[]Limit{TTSCharacters}, YieldVoice, "tenant_quota:tts_characters", true},
		{[]Limit{ProviderConcurrency}, YieldFidelity, "tenant_quota:provider_concurrency", false},
		{[]Limit{TokensPerMinute, TTSCharacters}, YieldVoice, "tenant_quota:tts_characters", true},
		{[]Limit{TokensPerMinute, TTSCharacters}, YieldFidelity, "tenant_quota:tts_characters", false},
		{[]Limit{TurnsPerMinute, TokensPerMinute}, YieldVoice, "tenant_quota:turns_per_minute", true},
	} {
		var q Quotas
		var c Counts
		for _, l := range row.limits {
			q.Set(Quota{Scope: ScopeTenant, Limit: l, Max: 5, Action: ActionDegrade})
			*c.At(ScopeTenant, l) = 5
		}
		v := q.Verdict(TurnStart, &c, row.yield)
		if v.Reason != row.want || v.Degrades() != row.lets || v.Passes() != row.lets {
			t.Errorf("%v of a session that yields %d: %+v", row.limits, row.yield, v)
		}
	}
}

// Each limit is asked for at one point, and of the scopes that it can be counted of.
func TestLimitsHaveTheirPlace(t *testing.T) {
	for _, s := range Scopes() {
		for _, l := range Limits() {
			q := Quota{Scope: s, Limit: l, Max: 5}
			err := q.Validate(nil)
			if Applies(l, s) != (err == nil) {
				t.Errorf("%s %s: applies %v, error %v", s, l, Applies(l, s), err)
			}
			if !Applies(l, s) {
				if (&Counts{}).At(s, l) != nil || (&Quotas{}).Get(s, l) != (Quota{}) {
					t.Errorf("%s %s is counted and does not apply", s, l)
				}
				continue
			}
			var set Quotas
			set.Set(q)
			starts := set.Verdict(SessionStart, using(s, l, 5), YieldVoice).Passes()
			opens := set.Verdict(TurnStart, using(s, l, 5), YieldVoice).Passes()
			if starts == opens {
				t.Errorf("%s %s: session start passes %v, turn start passes %v: it is one point's", s, l, starts, opens)
			}
			if !starts && s != ScopeTenant {
				t.Errorf("%s %s is asked for when a session starts", s, l)
			}
		}
	}
}

// The shell reports what it counts; the names are those of recordings.
func TestCountNames(t *testing.T) {
	seen := map[string]bool{}
	for i := range Counted {
		name := CountName(i)
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
		if strings.HasPrefix(name, "turn_") != (i >= Reported) {
			t.Errorf("%s: a turn's count is not reported, and only that", name)
		}
	}
	if CountName(0) != "tenant_concurrent_sessions" {
		t.Errorf("the first is %s", CountName(0))
	}
}

// Bad values are refused with field, value and remedy, all at once.
func TestQuotaValidation(t *testing.T) {
	good := Quota{Scope: ScopeTenant, Limit: TurnsPerMinute, Max: 5}
	for name, row := range map[string]struct {
		harm   func(q *Quota)
		fields []string
	}{
		"scope":                {func(q *Quota) { q.Scope = "city" }, []string{"scope"}},
		"limit":                {func(q *Quota) { q.Limit = "smiles" }, []string{"limit"}},
		"limit of a scope":     {func(q *Quota) { q.Scope, q.Limit = ScopeSession, SessionsPerMinute }, []string{"limit"}},
		"limit of a turn":      {func(q *Quota) { q.Scope = ScopeTurn }, []string{"limit"}},
		"negative":             {func(q *Quota) { q.Max = -1 }, []string{"max"}},
		"too large":            {func(q *Quota) { q.Max = MaxQuota + 1 }, []string{"max"}},
		"action":               {func(q *Quota) { q.Action = "panic" }, []string{"action"}},
		"headroom":             {func(q *Quota) { q.HeadroomPerMille = 1000 }, []string{"headroom_per_mille"}},
		"negative headroom":    {func(q *Quota) { q.HeadroomPerMille = -1 }, []string{"headroom_per_mille"}},
		"retry":                {func(q *Quota) { q.RetryAfterMS = -5 }, []string{"retry_after_ms"}},
		"a day":                {func(q *Quota) { q.RetryAfterMS = 24 * maxRetryAfterSet }, []string{"retry_after_ms"}},
		"degrade":              {func(q *Quota) { q.Action = ActionDegrade }, []string{"action"}},
		"degrade and headroom": {func(q *Quota) { q.Action, q.HeadroomPerMille = ActionDegrade, 800 }, []string{"action", "headroom_per_mille"}},
		"all":                  {func(q *Quota) { *q = Quota{Scope: "x", Max: -1, Action: "y", HeadroomPerMille: -1, RetryAfterMS: -1} }, []string{"scope", "max", "headroom_per_mille", "retry_after_ms", "action"}},
	} {
		q := good
		row.harm(&q)
		err := q.Validate([]controlplane.AdaptiveAction{controlplane.ActionRetry})
		var faults []string
		for _, one := range faultsOf(err, "") {
			var fault *QuotaError
			if !errors.As(one, &fault) || fault.Want == "" || !strings.Contains(one.Error(), fault.Want) {
				t.Errorf("%s: %v has no remedy", name, one)
				continue
			}
			faults = append(faults, fault.Field)
		}
		if strings.Join(faults, " ") != strings.Join(row.fields, " ") {
			t.Errorf("%s: faults in %v, want %v", name, faults, row.fields)
		}
	}
	if err := good.Validate(nil); err != nil {
		t.Errorf("a good quota: %v", err)
	}
	degrade := Quota{Scope: ScopeTenant, Limit: TurnsPerMinute, Max: 5, Action: ActionDegrade}
	if err := degrade.Validate([]controlplane.AdaptiveAction{controlplane.ActionDegrade}); err != nil {
		t.Errorf("a plan that may degrade: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// Authority-state section 7: "Tenant overrides replace defaults field by field."
func TestOverrides(t *testing.T) {
	base := Quota{Scope: ScopeTenant, Limit: TurnsPerMinute, Max: 60, Action: ActionDefer, HeadroomPerMille: 800, RetryAfterMS: 2000}
	other := Quota{Scope: ScopeTenant, Limit: TokensPerMinute, Max: 1000}
	o := Override{Scope: ScopeTenant, Limit: TurnsPerMinute}
	for name, row := range map[string]struct {
		change func(o *Override)
		want   func(q *Quota)
	}{
		"max":      {func(o *Override) { o.Max = ptr[int64](90) }, func(q *Quota) { q.Max = 90 }},
		"no bound": {func(o *Override) { o.Max = ptr[int64](0) }, func(q *Quota) { *q = Quota{} }},
		"action":   {func(o *Override) { o.Action = ptr(ActionReject) }, func(q *Quota) { q.Action = ActionReject }},
		"headroom": {func(o *Override) { o.HeadroomPerMille = ptr[int64](0) }, func(q *Quota) { q.HeadroomPerMille = 0 }},
		"retry":    {func(o *Override) { o.RetryAfterMS = ptr[int64](1) }, func(q *Quota) { q.RetryAfterMS = 1 }},
		"nothing":  {func(*Override) {}, func(*Quota) {}},
	} {
		changed, want := o, base
		row.change(&changed)
		row.want(&want)
		p := Policy{Quotas: []Quota{base, other}, Tenants: map[string][]Override{"acme": {changed}}}
		if err := p.Validate(nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mine, theirs := p.For("acme"), p.For("umbrella")
		if got := mine.Get(ScopeTenant, TurnsPerMinute); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if mine.Get(ScopeTenant, TokensPerMinute) != other || theirs.Get(ScopeTenant, TurnsPerMinute) != base {
			t.Errorf("%s: an override changed what it does not name", name)
		}
	}
	// What has no bound of its own still has its other fields for who has one.
	unbounded := base
	unbounded.Max = 0
	some := o
	some.Max = ptr[int64](7)
	q := (&Policy{Quotas: []Quota{unbounded}, Tenants: map[string][]Override{"acme": {some}}}).For("acme")
	if got := q.Get(ScopeTenant, TurnsPerMinute); got.Max != 7 || got.Action != base.Action || got.RetryAfterMS != base.RetryAfterMS {
		t.Errorf("a bound for one tenant: %+v", got)
	}
	// An override may also bound what nobody else has bounded.
	p := Policy{Tenants: map[string][]Override{"acme": {{Scope: ScopeSession, Limit: AudioSeconds, Max: ptr[int64](600)}}}}
	mine, theirs := p.For("acme"), p.For("umbrella")
	if mine.Get(ScopeSession, AudioSeconds).Max != 600 || theirs.Any() {
		t.Errorf("acme has %v, umbrella %v", mine.List(), theirs.List())
	}
}

// An override is judged by what it makes of the quota, and the fault names the tenant.
func TestPolicyValidation(t *testing.T) {
	base := Quota{Scope: ScopeTenant, Limit: TurnsPerMinute, Max: 60, HeadroomPerMille: 800}
	p := Policy{
		Quotas: []Quota{base, base, {Scope: ScopeTenant, Limit: AudioSeconds, Max: -3}},
		Tenants: map[string][]Override{
			"b": {{Scope: ScopeTenant, Limit: TurnsPerMinute, Action: ptr(ActionDegrade)}},
			"a": {{Scope: ScopeTurn, Limit: AudioSeconds}, {Scope: ScopeTurn, Limit: AudioSeconds}},
		},
	}
	err := p.Validate(controlplane.AdaptiveActions())
	for _, part := range []string{
		"quota tenant:turns_per_minute: limit is", "each limit of a scope once",
		"quota tenant:audio_seconds: max is \"-3\"",
		"quota turn:audio_seconds of tenant a: limit is",
		"quota tenant:turns_per_minute of tenant b: headroom_per_mille is \"800\"",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if n := len(faultsOf(err, "")); n != 4 {
		t.Errorf("%d faults, want 4: %v", n, err)
	}
}

// For any quotas and counts: a verdict that refuses has a reason that names a limit in
// force which the count has reached, a deferral has a time, and more use never makes a
// verdict milder.
func TestQuotaProperties(t *testing.T) {
	r := timebase.NewRandom(7)
	rank := func(v Verdict) int {
		switch {
		case v.Outcome == controlplane.OutcomeReject:
			return 3
		case v.Outcome == controlplane.OutcomeDefer:
			return 2
		case v.Degrades():
			return 1
		}
		return 0
	}
	refused, degraded := 0, 0
	for range 20_000 {
		var q Quotas
		var c Counts
		for _, s := range Scopes() {
			for _, l := range Limits() {
				if !Applies(l, s) || r.Chance(1, 2) {
					continue
				}
				one := Quota{Scope: s, Limit: l, Max: r.Between(0, 9), Action: [...]Action{"", ActionReject, ActionDefer, ActionThrottle, ActionDegrade}[r.Below(5)]}
				if one.Action != ActionDegrade && r.Chance(1, 2) {
					one.HeadroomPerMille = r.Between(0, 999)
				}
				if err := one.Validate(controlplane.AdaptiveActions()); err != nil {
					t.Fatal(err)
				}
				q.Set(one)
				*c.At(s, l) = r.Between(0, 9)
			}
		}
		yield := Yield(r.Below(3))
		for _, at := range []Point{SessionStart, TurnStart} {
			v := q.Verdict(at, &c, yield)
			if v.Passes() && !v.Degrades() {
				continue
			}
			refused++
			if v.Degrades() {
				degraded++
				if yield == YieldNothing || yield == YieldFidelity && Spoken(v.Limit) {
					t.Fatalf("%+v of a session that yields %d", v, yield)
				}
			}
			named := strings.HasPrefix(v.Reason, "headroom:") || strings.HasPrefix(v.Reason, string(v.Scope)+"_quota:")
			if !named || v.Max == 0 || v.Reason[strings.Index(v.Reason, ":")+1:] == "" {
				t.Fatalf("%+v of %v", v, q.List())
			}
			if (v.Outcome == controlplane.OutcomeDefer) != (v.RetryAfterMS > 0) {
				t.Fatalf("%+v: only a deferral has a time", v)
			}
			if strings.HasPrefix(v.Reason, "headroom:") == (v.Used >= v.Max) {
				t.Fatalf("%+v: the headroom ends at the limit", v)
			}
		}
		if yield > YieldNothing {
			if less, more := q.Verdict(TurnStart, &c, yield-1), q.Verdict(TurnStart, &c, yield); rank(less) < rank(more) {
				t.Fatalf("what yields less is met by %+v, what yields more by %+v", less, more)
			}
		}
		before := q.Verdict(TurnStart, &c, yield)
		s, l := Scopes()[r.Below(3)], Limits()[r.Below(7)]
		if p := c.At(s, l); p != nil {
			*p += r.Between(1, 5)
			if after := q.Verdict(TurnStart, &c, yield); rank(after) < rank(before) {
				t.Fatalf("more of %s %s turned %+v into %+v", s, l, before, after)
			}
		}
	}
	if refused < 5000 || degraded < 500 {
		t.Errorf("only %d refusals and %d degradations were looked at", refused, degraded)
	}
}

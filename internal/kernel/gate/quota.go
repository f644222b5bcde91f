// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"cmp"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
)

// The words of quotas are those in which they are published and authored.
type (
	Scope  = controlplane.QuotaScope
	Limit  = controlplane.QuotaLimit
	Action = controlplane.QuotaAction
)

// The scopes (authority-state section 7).
const (
	ScopeTenant  = controlplane.QuotaOfTenant
	ScopeSession = controlplane.QuotaOfSession
	ScopeTurn    = controlplane.QuotaOfTurn
)

// The limits (authority-state section 7). What is counted of audio and characters
// follows the scope: a tenant's of the last minute, a session's since it began, a turn's
// of the utterance that proposes it.
const (
	ConcurrentSessions  = controlplane.QuotaConcurrentSessions  // sessions that are open
	SessionsPerMinute   = controlplane.QuotaSessionsPerMinute   // sessions let in
	TurnsPerMinute      = controlplane.QuotaTurnsPerMinute      // turns opened
	TokensPerMinute     = controlplane.QuotaTokensPerMinute     // of language models, in and out
	AudioSeconds        = controlplane.QuotaAudioSeconds        // given to recognisers
	TTSCharacters       = controlplane.QuotaTTSCharacters       // given to synthesisers
	ProviderConcurrency = controlplane.QuotaProviderConcurrency // provider calls under way
)

// The actions. ActionThrottle is another word for ActionDefer: a deferral always says
// after what time to come again.
const (
	ActionReject          = controlplane.QuotaReject // the default
	ActionDefer           = controlplane.QuotaDefer
	ActionThrottle Action = "throttle"
	ActionDegrade         = controlplane.QuotaDegrade // let in, with reduced fidelity
)

// Yield is what of its fidelity a session can give up, so that ActionDegrade can be
// carried out. Where it cannot, the limit holds and the action is ActionReject: what was to
// be bounded must not run without a bound.
type Yield uint8

// The yields, each with what the ones before it give.
const (
	YieldNothing  Yield = iota // its plans allow no degrade step
	YieldFidelity              // something, but not the voice: its client cannot show text
	YieldVoice                 // it can answer in text
)

// Point is where quotas are asked.
type Point uint8

// The points: whether a session may begin, and whether a proposal may become a turn.
const (
	SessionStart Point = iota
	TurnStart
)

// Spoken says that what a limit counts comes of speaking: only a turn that answers in text
// uses less of it.
func Spoken(l Limit) bool { return l == TTSCharacters || l == ProviderConcurrency }

// Scopes lists the scopes, the widest first.
func Scopes() [3]Scope { return [...]Scope{ScopeTenant, ScopeSession, ScopeTurn} }

// Limits lists the limits.
func Limits() [7]Limit {
	return [...]Limit{
		ConcurrentSessions, SessionsPerMinute, TurnsPerMinute, TokensPerMinute, AudioSeconds, TTSCharacters, ProviderConcurrency,
	}
}

// pointOf is where a limit is asked for.
func pointOf(l Limit) Point {
	if l == ConcurrentSessions || l == SessionsPerMinute {
		return SessionStart
	}
	return TurnStart
}

const (
	// Counted is the number of counts that quotas can bound: of each scope each limit that
	// applies to it.
	Counted = 13
	// Reported are those of them that the shell counts, the first ones. Of a turn that has
	// not opened yet, only its utterance is known, and that the session knows itself.
	Reported = Counted - 1
)

// place is a limit of a scope.
type place struct {
	scope Scope
	limit Limit
}

// counted lists what can be bounded, the widest scope first. Sessions are counted of a
// tenant only. What a turn may cost while it runs is a cost cap of its plan (turn-plan
// section 10), not a gate.
func counted() [Counted]place {
	return [...]place{
		{ScopeTenant, ConcurrentSessions},
		{ScopeTenant, SessionsPerMinute},
		{ScopeTenant, TurnsPerMinute},
		{ScopeTenant, TokensPerMinute},
		{ScopeTenant, AudioSeconds},
		{ScopeTenant, TTSCharacters},
		{ScopeTenant, ProviderConcurrency},
		{ScopeSession, TurnsPerMinute},
		{ScopeSession, TokensPerMinute},
		{ScopeSession, AudioSeconds},
		{ScopeSession, TTSCharacters},
		{ScopeSession, ProviderConcurrency},
		{ScopeTurn, AudioSeconds},
	}
}

// placeOf finds a count, -1 when the limit does not apply to the scope.
func placeOf(s Scope, l Limit) int {
	for i, c := range counted() {
		if c.scope == s && c.limit == l {
			return i
		}
	}
	return -1
}

// Applies says whether a limit can bound a scope.
func Applies(l Limit, s Scope) bool { return placeOf(s, l) >= 0 }

// CountName names a count in records: its scope and its limit.
func CountName(i int) string {
	return [Counted]string{
		"tenant_concurrent_sessions", "tenant_sessions_per_minute", "tenant_turns_per_minute", "tenant_tokens_per_minute",
		"tenant_audio_seconds", "tenant_tts_characters", "tenant_provider_concurrency",
		"session_turns_per_minute", "session_tokens_per_minute", "session_audio_seconds", "session_tts_characters",
		"session_provider_concurrency",
		"turn_audio_seconds",
	}[i]
}

// Counts is what was used when quotas are asked. The zero value is nothing.
type Counts [Counted]int64

// At gives the place of a count, nil when the limit does not apply to the scope.
func (c *Counts) At(s Scope, l Limit) *int64 {
	if i := placeOf(s, l); i >= 0 {
		return &c[i]
	}
	return nil
}

// Quota bounds one count of one scope.
type Quota struct {
	Scope Scope
	Limit Limit
	// Max is how much there may be; who comes when that much is used is met by Action.
	// 0 = no bound.
	Max    int64
	Action Action // empty = reject
	// HeadroomPerMille is the share of Max that is kept free: Action meets who comes that
	// much before the limit is reached (F-172); 0 = only the limit counts.
	HeadroomPerMille int64
	// RetryAfterMS is what a deferral says; 0 = by the limit, see DefaultRetryAfterMS.
	RetryAfterMS int64
}

// The least and the most that a deferral says by itself (decided here).
const (
	minRetryAfterMS = 1000
	maxRetryAfterMS = 60000
)

// DefaultRetryAfterMS is after how long to come again when a quota does not say. Of a
// count per minute one leaves the window after a minute's Max-th part, on the average; of
// others nobody can know.
func (q *Quota) DefaultRetryAfterMS() int64 {
	switch q.Limit {
	case SessionsPerMinute, TurnsPerMinute, TokensPerMinute:
		return min(max(60000/max(q.Max, 1), minRetryAfterMS), maxRetryAfterMS)
	case ConcurrentSessions, AudioSeconds, TTSCharacters, ProviderConcurrency:
	}
	return 5 * minRetryAfterMS
}

func (q *Quota) retryAfterMS() int64 {
	if q.RetryAfterMS > 0 {
		return q.RetryAfterMS
	}
	return q.DefaultRetryAfterMS()
}

// threshold is the use from which on Action meets who comes.
func (q *Quota) threshold() int64 { return q.Max - q.Max*q.HeadroomPerMille/1000 }

// severity orders what quotas say of one arrival: the strictest counts.
type severity uint8

const (
	lets severity = iota
	degrades
	silences // degrades, and only giving up the voice spares what the limit counts
	defers
	rejects
)

// judge holds a count against the quota.
func (q *Quota) judge(used int64, y Yield) severity {
	if q.Max == 0 || used < q.threshold() {
		return lets
	}
	switch q.Action {
	case ActionDegrade:
		switch {
		case Spoken(q.Limit) && y >= YieldVoice:
			return silences
		case !Spoken(q.Limit) && y >= YieldFidelity:
			return degrades
		}
	case ActionDefer, ActionThrottle:
		return defers
	case ActionReject:
	}
	return rejects
}

// verdict says what a severity comes to. The reason of a limit names its scope, that of
// its headroom is the limit's alone: the scope stands beside it.
func (q *Quota) verdict(s severity, used int64) Verdict {
	v := Verdict{Reason: string(q.Scope) + "_quota:" + string(q.Limit), Scope: q.Scope, Limit: q.Limit, Used: used, Max: q.Max}
	if used < q.Max {
		v.Reason = "headroom:" + string(q.Limit)
	}
	switch s {
	case lets:
		return Verdict{}
	case degrades, silences:
	case defers:
		v.Outcome, v.RetryAfterMS = controlplane.OutcomeDefer, q.retryAfterMS()
	case rejects:
		v.Outcome = controlplane.OutcomeReject
	}
	return v
}

// Quotas are the quotas in force for one session, the widest scope first. The zero value
// bounds nothing, and costs nothing: most sessions have a few or none.
type Quotas struct{ list []Quota }

// Set puts a valid quota in force, in place of the one of its scope and limit; with Max 0
// it takes that one back.
func (q *Quotas) Set(one Quota) {
	i, found := q.find(one.Scope, one.Limit)
	switch {
	case found && one.Max == 0:
		q.list = slices.Delete(q.list, i, i+1)
	case found:
		q.list[i] = one
	case one.Max > 0:
		q.list = slices.Insert(q.list, i, one)
	}
}

// find gives the place of a quota in the list, or where it would stand.
func (q *Quotas) find(s Scope, l Limit) (int, bool) {
	return slices.BinarySearchFunc(q.list, placeOf(s, l), func(one Quota, place int) int {
		return cmp.Compare(placeOf(one.Scope, one.Limit), place)
	})
}

// Get gives the quota of a scope and a limit, the zero Quota when there is none.
func (q *Quotas) Get(s Scope, l Limit) Quota {
	if i, found := q.find(s, l); found {
		return q.list[i]
	}
	return Quota{}
}

// Any says that something is bounded.
func (q *Quotas) Any() bool { return len(q.list) > 0 }

// List gives what is bounded, the widest scope first.
func (q *Quotas) List() []Quota { return slices.Clone(q.list) }

// Verdict holds recorded counts against the quotas of a point, for a session that can give
// up what y says. The strictest word counts:
// reject before defer before degrade; among equal ones the widest scope's, in the order of
// Limits. A deferral says the longest time of all that defer: to come earlier is to be
// deferred again.
func (q *Quotas) Verdict(at Point, c *Counts, y Yield) Verdict {
	worst, verdict, wait := lets, Verdict{}, int64(0)
	for i := range q.list {
		one := &q.list[i]
		if pointOf(one.Limit) != at {
			continue
		}
		used := c[placeOf(one.Scope, one.Limit)]
		found := one.judge(used, y)
		if found == defers {
			wait = max(wait, one.retryAfterMS())
		}
		if found > worst {
			worst, verdict = found, one.verdict(found, used)
		}
	}
	if verdict.Outcome == controlplane.OutcomeDefer {
		verdict.RetryAfterMS = wait
	}
	return verdict
}

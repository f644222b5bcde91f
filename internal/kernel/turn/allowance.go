// SPDX-License-Identifier: Apache-2.0

package turn

import "github.com/parley-voice/parley/internal/kernel/timebase"

// WarningPercent is the share of a budget at which a warning is due (flow section 8).
const WarningPercent = 80

// Scope is what a budget measures (flow section 8).
type Scope string

// The scopes, as signals name them. The hard cap is the turn's second budget: on the
// whole of it, where the first is on the way to its first output.
const (
	ScopeTurn       Scope = "turn"
	ScopeNode       Scope = "node"
	ScopePath       Scope = "path"
	ScopeEdge       Scope = "edge"
	ScopeInvocation Scope = "provider_invocation"
)

// Allowance is the budget of one scope: so much time from an instant on, with a warning
// at 80 % and exhaustion at the end, each once. It is a value; the zero value has no
// limit. A budget that is not elapsed time but reported (what a node used, how long an
// item waited) is an allowance from instant 0 whose present is the amount used.
type Allowance struct {
	from   timebase.Instant
	limit  timebase.Span // 0 = none
	nested timebase.Span // the warning is that of this limit, 0 = of its own
	warned bool
	spent  bool
}

// Allow begins an allowance.
func Allow(at timebase.Instant, limit timebase.Span) Allowance {
	return Allowance{from: at, limit: limit}
}

// Nest begins an allowance inside this one: its limit is its own, or what is left here
// where that is less (flow section 8). Where nothing is left it is over as it begins, with
// its warning: no limit is something else.
func (a *Allowance) Nest(at timebase.Instant, own timebase.Span) Allowance {
	if left := a.Remaining(at); left > 0 {
		return Allow(at, min(own, left))
	}
	return Allow(at.Add(-1), 1)
}

// Warn has the warning come at 80 % of a lower limit: of what a parent leaves, where the
// end of the parent is the parent's to tell.
func (a *Allowance) Warn(limit timebase.Span) { a.nested = max(1, min(limit, a.limit)) }

// Within sets the limit of an account whose amounts are reported: each of them has its own.
func (a *Allowance) Within(limit timebase.Span) { a.limit = max(1, limit) }

// Warned is the limit that the warning is about, 0 = no limit.
func (a *Allowance) Warned() timebase.Span {
	if a.nested != 0 {
		return a.nested
	}
	return a.limit
}

// Limit is how much was allowed, 0 = no limit.
func (a *Allowance) Limit() timebase.Span { return a.limit }

// Used is how much is gone.
func (a *Allowance) Used(at timebase.Instant) timebase.Span { return at.Sub(a.from) }

// Remaining is how much is left, never below zero; without a limit it is the longest
// span there is.
func (a *Allowance) Remaining(at timebase.Instant) timebase.Span {
	if a.limit == 0 {
		return timebase.Span(timebase.Never)
	}
	return max(0, a.limit-a.Used(at))
}

// Ends is when the allowance is over, warned or not.
func (a *Allowance) Ends() timebase.Instant {
	if a.limit == 0 {
		return timebase.Never
	}
	return a.from.Add(a.limit)
}

// Renew lets the time run anew, as a stream's does with each result. The warning stays
// given: it is given once.
func (a *Allowance) Renew(at timebase.Instant) { a.from, a.spent = at, false }

// Close ends the account: nothing comes of it any more.
func (a *Allowance) Close() { *a = Allowance{} }

// Due gives the next event that an instant brings, each once and the warning before the
// exhaustion, however late the instant: ask until it says BudgetNothing.
func (a *Allowance) Due(at timebase.Instant) BudgetEvent {
	switch {
	case a.limit == 0:
	case !a.warned && a.Used(at) >= a.warnAt():
		a.warned = true
		return BudgetWarning
	case !a.spent && a.Used(at) >= a.limit:
		a.spent = true
		return BudgetExhausted
	}
	return BudgetNothing
}

// Deadline is when Due has something to say next.
func (a *Allowance) Deadline() timebase.Instant {
	switch {
	case a.limit == 0:
	case !a.warned:
		return a.from.Add(a.warnAt())
	case !a.spent:
		return a.from.Add(a.limit)
	}
	return timebase.Never
}

func (a *Allowance) warnAt() timebase.Span { return a.Warned() / 100 * WarningPercent }

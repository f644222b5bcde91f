// SPDX-License-Identifier: Apache-2.0

package turn

import "github.com/parley-voice/parley/internal/kernel/timebase"

// WarningPercent is the share of a budget at which a warning is due (flow section 8).
const WarningPercent = 80

// Budget accounts a turn's envelope: from its start to the first output, and a hard cap
// on the whole generation (flow section 8). The zero value has no limit.
type Budget struct {
	from     timebase.Instant
	limit    timebase.Span
	hardCap  timebase.Span
	running  bool
	warned   bool
	spent    bool // the envelope is over, and output flows
	producer bool // output has begun: exhaustion means continue
}

// BudgetEvent is what a budget reports.
type BudgetEvent uint8

// The budget events.
const (
	BudgetNothing   BudgetEvent = iota
	BudgetWarning               // 80 % is gone
	BudgetExhausted             // nothing left and no output yet
	BudgetOverrun               // nothing left, but output flows: continue, with a warning
	BudgetHardCap               // the turn has lasted too long altogether
)

// Start begins the account.
func (b *Budget) Start(at timebase.Instant, limit, hardCap timebase.Span) {
	*b = Budget{from: at, limit: limit, hardCap: hardCap, running: true}
}

// Output marks the first assistant output.
func (b *Budget) Output() { b.producer = true }

// Stop ends the account.
func (b *Budget) Stop() { b.running = false }

// Remaining is what is left for the turn's work, never below zero: of the envelope
// until the first output, of the hard cap from then on.
func (b *Budget) Remaining(at timebase.Instant) timebase.Span {
	limit := b.hardCap
	if !b.producer {
		limit = min(b.limit, b.hardCap)
	}
	return max(0, limit-at.Sub(b.from))
}

// Used is how much of the account is gone.
func (b *Budget) Used(at timebase.Instant) timebase.Span { return at.Sub(b.from) }

// Due gives the next event that an instant brings, each once and in the order of flow
// section 8, however late the instant: ask until it says BudgetNothing.
func (b *Budget) Due(at timebase.Instant) BudgetEvent {
	if !b.running {
		return BudgetNothing
	}
	used := b.Used(at)
	switch {
	case used >= b.warnAt() && !b.warned && !b.producer:
		b.warned = true
		return BudgetWarning
	case used >= b.limit && !b.spent && !b.producer:
		b.running = false
		return BudgetExhausted
	case used >= b.limit && !b.spent:
		b.warned, b.spent = true, true
		return BudgetOverrun
	case used >= b.hardCap:
		b.running = false
		return BudgetHardCap
	}
	return BudgetNothing
}

// Deadline is when Due has something to say next.
func (b *Budget) Deadline() timebase.Instant {
	switch {
	case !b.running:
		return timebase.Never
	case !b.warned && !b.producer:
		return b.from.Add(min(b.warnAt(), b.hardCap))
	case !b.spent:
		return b.from.Add(min(b.limit, b.hardCap))
	}
	return b.from.Add(b.hardCap)
}

func (b *Budget) warnAt() timebase.Span { return b.limit / 100 * WarningPercent }

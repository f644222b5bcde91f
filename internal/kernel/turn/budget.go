// SPDX-License-Identifier: Apache-2.0

package turn

import "github.com/parley-voice/parley/internal/kernel/timebase"

// Budget accounts for a turn: an envelope from its start to the first output, inside a
// hard cap on the whole generation (flow section 8). The zero value has no limit.
type Budget struct {
	envelope Allowance
	hardCap  Allowance
	own      timebase.Span // what the envelope was to be; the hard cap may be less
	running  bool
	output   bool // output has begun: the end of the envelope means continue
	over     bool // the envelope is over, and the turn goes on
}

// BudgetEvent is what a budget reports.
type BudgetEvent uint8

// The budget events.
const (
	BudgetNothing   BudgetEvent = iota
	BudgetWarning               // 80 % is gone
	BudgetExhausted             // nothing left, and no output yet
	BudgetOverrun               // nothing left, but output flows: continue, with a warning
	BudgetHardCap               // the turn has lasted too long altogether
)

// Start begins the account.
func (b *Budget) Start(at timebase.Instant, limit, hardCap timebase.Span) {
	*b = Budget{hardCap: Allow(at, hardCap), own: limit, running: true}
	b.envelope = b.hardCap.Nest(at, limit)
}

// Started says that the account has begun: a turn that opened while its caller still
// speaks has none yet.
func (b *Budget) Started() bool { return b.hardCap.limit != 0 }

// Output marks the first assistant output.
func (b *Budget) Output() { b.output = true }

// Continue says that the plan had a way on when the envelope was exhausted: from now on
// the hard cap is what is left.
func (b *Budget) Continue() { b.running, b.over = true, true }

// Wait says that the turn waits for something whose time is not its own, a tool: until it
// goes on, the hard cap is all that bounds the way to the first output.
func (b *Budget) Wait(at timebase.Instant) { b.renew(at, b.hardCap.limit) }

// Again says that it goes on: the envelope begins anew.
func (b *Budget) Again(at timebase.Instant) { b.renew(at, b.own) }

func (b *Budget) renew(at timebase.Instant, limit timebase.Span) {
	if b.running && !b.output && !b.over {
		b.envelope = b.hardCap.Nest(at, limit)
	}
}

// Stop ends the account.
func (b *Budget) Stop() { b.running = false }

// Spent says that the envelope is over and nothing has come of it: there is no time for
// another attempt at anything.
func (b *Budget) Spent() bool { return b.over && !b.output }

// Remaining is what is left for the turn's work, never below zero: of the envelope
// until the first output or its end, of the hard cap from then on.
func (b *Budget) Remaining(at timebase.Instant) timebase.Span { return b.current().Remaining(at) }

// Nest begins the allowance of a part of the turn's work.
func (b *Budget) Nest(at timebase.Instant, own timebase.Span) Allowance {
	return b.current().Nest(at, own)
}

// Ends is when what is left of the turn's time is over.
func (b *Budget) Ends() timebase.Instant {
	if !b.running {
		return timebase.Never
	}
	return b.current().Ends()
}

// current is the account that the turn's work draws upon.
func (b *Budget) current() *Allowance {
	if b.output || b.over {
		return &b.hardCap
	}
	return &b.envelope
}

// Used is how much of the account is gone.
func (b *Budget) Used(at timebase.Instant) timebase.Span { return b.hardCap.Used(at) }

// Capped says that the hard cap is over as well.
func (b *Budget) Capped(at timebase.Instant) bool { return b.Started() && b.hardCap.Remaining(at) == 0 }

// Due gives the next event that an instant brings, each once and in the order of flow
// section 8, however late the instant: ask until it says BudgetNothing. After
// BudgetExhausted the account rests until Continue.
func (b *Budget) Due(at timebase.Instant) BudgetEvent {
	switch {
	case !b.running:
		return BudgetNothing
	case !b.output && !b.over:
		event := b.envelope.Due(at)
		if event == BudgetExhausted {
			b.running = false
		}
		return event
	case !b.over && !b.cut() && at >= b.envelope.Ends():
		b.over = true
		return BudgetOverrun
	case b.cut() && !b.envelope.warned && b.envelope.Used(at) >= b.envelope.warnAt():
		b.envelope.warned = true
		return BudgetWarning
	case b.Capped(at):
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
	case !b.output && !b.over:
		return b.envelope.Deadline()
	case !b.over && !b.cut():
		return b.envelope.Ends()
	case b.cut() && !b.envelope.warned:
		return b.envelope.Deadline()
	}
	return b.hardCap.Ends()
}

// cut says that the hard cap leaves the envelope less than its own: then its warning is
// the hard cap's, since no overrun will give one.
func (b *Budget) cut() bool { return b.own >= b.hardCap.limit }

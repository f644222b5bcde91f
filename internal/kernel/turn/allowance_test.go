// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"slices"
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func told(a *Allowance, at timebase.Instant) []BudgetEvent {
	var list []BudgetEvent
	for e := a.Due(at); e != BudgetNothing; e = a.Due(at) {
		list = append(list, e)
	}
	return list
}

// Flow section 8: a warning at 80 %, then exhaustion, each once, at the deadline and not
// before, and both at once where the timer is late.
func TestAllowance(t *testing.T) {
	for name, row := range map[string]struct {
		at   []int64
		want [][]BudgetEvent
	}{
		"in time":          {[]int64{100, 899, 900, 901, 1099, 1100, 1101}, [][]BudgetEvent{nil, nil, {BudgetWarning}, nil, nil, {BudgetExhausted}, nil}},
		"one late timer":   {[]int64{1050, 1200, 9000}, [][]BudgetEvent{{BudgetWarning}, {BudgetExhausted}, nil}},
		"one for it all":   {[]int64{5000, 5001}, [][]BudgetEvent{{BudgetWarning, BudgetExhausted}, nil}},
		"long after both ": {[]int64{1 << 40, 1 << 41}, [][]BudgetEvent{{BudgetWarning, BudgetExhausted}, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			a := Allow(ms(100), timebase.MS(1000))
			for i, at := range row.at {
				if due := a.Deadline() <= ms(at); due != (len(row.want[i]) > 0) {
					t.Errorf("at %d: the deadline is %d", at, a.Deadline().MS())
				}
				if got := told(&a, ms(at)); !same(got, row.want[i]) {
					t.Errorf("at %d: %v, want %v", at, got, row.want[i])
				}
			}
			if a.Deadline() != timebase.Never {
				t.Errorf("an account that is over has the deadline %d", a.Deadline().MS())
			}
		})
	}
}

func TestAllowanceAmounts(t *testing.T) {
	a := Allow(ms(100), timebase.MS(1000))
	if a.Remaining(ms(400)) != timebase.MS(700) || a.Used(ms(400)) != timebase.MS(300) || a.Ends() != ms(1100) || a.Limit() != timebase.MS(1000) {
		t.Errorf("left %d ms, used %d ms, ends at %d ms", a.Remaining(ms(400)).MS(), a.Used(ms(400)).MS(), a.Ends().MS())
	}
	if a.Remaining(ms(5000)) != 0 {
		t.Error("what is left is never below zero")
	}
	// A stream's time runs anew with each result; its one warning stays given.
	told(&a, ms(950))
	a.Renew(ms(1000))
	if got := told(&a, ms(1900)); got != nil {
		t.Errorf("renewed at 1000, it says %v at 1900", got)
	}
	if got := told(&a, ms(2000)); !same(got, []BudgetEvent{BudgetExhausted}) {
		t.Errorf("renewed at 1000, it says %v at 2000", got)
	}
	a.Renew(ms(2000)) // an exhausted one that goes on is exhausted again
	if got := told(&a, ms(3000)); !same(got, []BudgetEvent{BudgetExhausted}) {
		t.Errorf("renewed at 2000, it says %v at 3000", got)
	}
	for name, none := range map[string]Allowance{"the zero value": {}, "a closed one": closed(a)} {
		if none.Remaining(ms(1<<40)) != timebase.Span(timebase.Never) || none.Deadline() != timebase.Never ||
			none.Ends() != timebase.Never || told(&none, timebase.Never-1) != nil {
			t.Errorf("%s has a limit", name)
		}
	}
}

func closed(a Allowance) Allowance {
	a.Close()
	return a
}

// A parent that is spent leaves nothing: what begins in it is over at once, and not without
// a limit.
func TestNestInASpentParent(t *testing.T) {
	parent := Allow(ms(100), timebase.MS(1000))
	for _, at := range []timebase.Instant{ms(1100), ms(1500)} {
		child := parent.Nest(at, timebase.MS(300))
		if got := told(&child, at); !slices.Equal(got, []BudgetEvent{BudgetWarning, BudgetExhausted}) {
			t.Errorf("at %d ms it tells %v", at.MS(), got)
		}
		if child.Ends() != at || child.Remaining(at) != 0 {
			t.Errorf("at %d ms it goes on until %d, %d left", at.MS(), child.Ends(), child.Remaining(at))
		}
	}
}

// A warning that is about what the parent leaves comes at 80 % of that, and the end with the
// own limit.
func TestWarnWithinAParent(t *testing.T) {
	a := Allow(ms(1000), timebase.MS(1000))
	a.Warn(timebase.MS(500))
	if a.Deadline() != ms(1400) || a.Warned() != timebase.MS(500) || a.Due(ms(1399)) != BudgetNothing {
		t.Errorf("the warning is due at %d ms", a.Deadline().MS())
	}
	if got := told(&a, ms(1400)); !slices.Equal(got, []BudgetEvent{BudgetWarning}) || a.Deadline() != ms(2000) {
		t.Errorf("it tells %v, and ends at %d ms", got, a.Deadline().MS())
	}
	b := Allow(ms(0), timebase.MS(100))
	if b.Warn(timebase.MS(500)); b.Warned() != timebase.MS(100) {
		t.Errorf("a parent that leaves more lets it warn at %d ms", b.Warned().MS())
	}
}

// Properties of nesting, over drawn amounts: a child never outlives its parent, its
// warning never follows its end, and each is told once however the timers come.
func TestNestingProperties(t *testing.T) {
	r := timebase.NewRandom(1)
	span := func() timebase.Span { return timebase.Span(r.Between(1, int64(timebase.MS(4000)))) }
	for range 20_000 {
		from := timebase.Instant(r.Below(int64(timebase.MS(5000))))
		parent := Allow(from, span())
		at := from.Add(timebase.Span(r.Below(int64(parent.Limit()))))
		own := span()
		child := parent.Nest(at, own)
		if child.Ends() > parent.Ends() || child.Limit() > own {
			t.Fatalf("parent %+v, own %d: the child %+v outlives it", parent, own, child)
		}
		if child.Limit() != own && child.Ends() != parent.Ends() {
			t.Fatalf("parent %+v, own %d: the child %+v has less than both", parent, own, child)
		}
		counts := [BudgetHardCap + 1]int{}
		last := BudgetNothing
		for now := at; counts[BudgetExhausted] == 0; now = now.Add(1 + timebase.Span(r.Below(int64(timebase.MS(700))))) {
			for _, e := range told(&child, now) {
				if counts[e]++; counts[e] > 1 || e < last {
					t.Fatalf("own %d: %d after %d, or twice", own, e, last)
				}
				if e == BudgetExhausted && now < child.Ends() || e == BudgetWarning && child.Used(now) < child.Limit()/100*WarningPercent {
					t.Fatalf("own %d: %d came early, at %d of %d", own, e, child.Used(now), child.Limit())
				}
				last = e
			}
			if child.Deadline() <= now {
				t.Fatalf("the deadline %d is not ahead of %d", child.Deadline(), now)
			}
		}
		if counts[BudgetWarning] != 1 {
			t.Fatalf("own %d: exhausted without a warning", own)
		}
	}
}

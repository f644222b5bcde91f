// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"testing"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func ms(n int64) timebase.Instant { return timebase.Instant(timebase.MS(n)) }

func due(b *Budget, at int64) []BudgetEvent {
	var list []BudgetEvent
	for e := b.Due(ms(at)); e != BudgetNothing; e = b.Due(ms(at)) {
		list = append(list, e)
	}
	return list
}

func same(a, b []BudgetEvent) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// Flow section 8: budget_warning at 80 %, then budget_exhausted; with output flowing the
// turn continues and the hard cap terminates. Each once, at its deadline and not before.
func TestBudget(t *testing.T) {
	const never = -1
	for name, row := range map[string]struct {
		output int64 // when the first output comes
		at     []int64
		want   [][]BudgetEvent
	}{
		"no output": {
			never,
			[]int64{100, 1699, 1700, 1701, 2099, 2100, 2101, 60100},
			[][]BudgetEvent{nil, nil, {BudgetWarning}, nil, nil, {BudgetExhausted}, nil, nil},
		},
		"output before the warning": {
			300,
			[]int64{1700, 2099, 2100, 2101, 60099, 60100, 60101},
			[][]BudgetEvent{nil, nil, {BudgetOverrun}, nil, nil, {BudgetHardCap}, nil},
		},
		"output after the warning": {
			1800,
			[]int64{1700, 2100, 60100},
			[][]BudgetEvent{{BudgetWarning}, {BudgetOverrun}, {BudgetHardCap}},
		},
		"a late timer without output": {
			never,
			[]int64{90000, 90001},
			[][]BudgetEvent{{BudgetWarning, BudgetExhausted}, nil},
		},
		"a late timer with output": {
			300,
			[]int64{90000, 90001},
			[][]BudgetEvent{{BudgetOverrun, BudgetHardCap}, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b Budget
			b.Start(ms(100), timebase.MS(2000), timebase.MS(60000))
			for i, at := range row.at {
				if row.output != never && at >= row.output {
					b.Output()
				}
				if d := b.Deadline(); d > ms(at) && len(row.want[i]) > 0 {
					t.Errorf("at %d: the deadline is %d and something is due", at, d.MS())
				} else if d <= ms(at) && len(row.want[i]) == 0 {
					t.Errorf("at %d: nothing is due at the deadline %d", at, d.MS())
				}
				if got := due(&b, at); !same(got, row.want[i]) {
					t.Errorf("at %d: %v, want %v", at, got, row.want[i])
				}
			}
		})
	}
}

func TestBudgetRemaining(t *testing.T) {
	var b Budget
	b.Start(ms(100), timebase.MS(2000), timebase.MS(60000))
	if got := b.Remaining(ms(600)); got != timebase.MS(1500) {
		t.Errorf("remaining %d ms, want 1500", got.MS())
	}
	if b.Remaining(ms(5000)) != 0 || b.Used(ms(600)) != timebase.MS(500) {
		t.Error("remaining is never below zero, used is what went by")
	}
	b.Output() // from now on the hard cap counts
	if got := b.Remaining(ms(5100)); got != timebase.MS(55000) {
		t.Errorf("remaining %d ms of the hard cap, want 55000", got.MS())
	}
	b.Start(ms(0), timebase.MS(9000), timebase.MS(1000))
	if got := b.Remaining(ms(0)); got != timebase.MS(1000) {
		t.Errorf("a nested budget is the smaller one: %d ms", got.MS())
	}
}

func TestBudgetAtRest(t *testing.T) {
	var b Budget
	if b.Deadline() != timebase.Never || b.Due(ms(1e6)) != BudgetNothing {
		t.Error("the zero budget has a limit")
	}
	b.Start(ms(0), timebase.MS(100), timebase.MS(200))
	b.Stop()
	if b.Deadline() != timebase.Never || b.Due(ms(1e6)) != BudgetNothing {
		t.Error("a budget that was stopped goes on")
	}
}

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

// What is nested in a turn is nested in its envelope, and in the hard cap once the envelope
// is over: by output, or because the plan had a way on.
func TestBudgetNests(t *testing.T) {
	var b Budget
	if b.Started() || b.Ends() != timebase.Never || b.Remaining(ms(9e9)) != timebase.Span(timebase.Never) {
		t.Error("a turn whose caller still speaks has no budget yet")
	}
	b.Start(ms(100), timebase.MS(2000), timebase.MS(5000))
	first := b.Nest(ms(1600), timebase.MS(1000))
	if first.Ends() != ms(2100) || b.Ends() != ms(2100) {
		t.Errorf("the child ends at %d, the turn's work at %d, want 2100", first.Ends().MS(), b.Ends().MS())
	}
	due(&b, 2100)
	if b.Deadline() != timebase.Never || b.Ends() != timebase.Never {
		t.Error("exhausted, the account rests until it is decided what follows")
	}
	b.Continue()
	second := b.Nest(ms(2100), timebase.MS(9000))
	if !b.Spent() || second.Ends() != ms(5100) || b.Deadline() != ms(5100) {
		t.Errorf("spent %v, the child ends at %d, the deadline is %d; want the hard cap, 5100", b.Spent(), second.Ends().MS(), b.Deadline().MS())
	}
	b.Output()
	if b.Spent() {
		t.Error("with output the envelope was not in vain")
	}
	if got := due(&b, 5100); !same(got, []BudgetEvent{BudgetHardCap}) || !b.Capped(ms(5100)) || b.Capped(ms(5099)) {
		t.Errorf("%v at the hard cap", got)
	}
}

// A hard cap below the envelope is the end of both.
func TestHardCapBelowTheEnvelope(t *testing.T) {
	for name, output := range map[string]bool{"silent": false, "speaking": true} {
		var b Budget
		b.Start(ms(0), timebase.MS(9000), timebase.MS(1000))
		want := []BudgetEvent{BudgetWarning, BudgetExhausted}
		if output {
			b.Output()
			want = []BudgetEvent{BudgetWarning, BudgetHardCap}
		}
		if got := due(&b, 1000); !same(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// However the timers come, and whatever happens meanwhile: each event once, in order, and
// the deadline always ahead.
func TestBudgetProperties(t *testing.T) {
	r := timebase.NewRandom(2)
	for range 5_000 {
		var b Budget
		b.Start(ms(r.Below(1000)), timebase.MS(r.Between(1, 3000)), timebase.MS(r.Between(1, 6000)))
		counts := [BudgetHardCap + 1]int{}
		at := b.hardCap.from
		for at < b.hardCap.Ends().Add(timebase.Second) {
			for _, e := range due(&b, at.MS()) {
				if counts[e]++; counts[e] > 1 {
					t.Fatalf("%+v: %d twice", b, e)
				}
				if (e == BudgetExhausted || e == BudgetHardCap) && counts[BudgetWarning]+counts[BudgetOverrun] == 0 {
					t.Fatalf("%+v: exhausted without a warning", b)
				}
				if e == BudgetExhausted && r.Chance(1, 2) && !b.Capped(at) {
					b.Continue()
				}
			}
			if b.Deadline() <= at {
				t.Fatalf("%+v: the deadline %d is not ahead of %d", b, b.Deadline(), at)
			}
			if r.Chance(1, 8) {
				b.Output()
			}
			at = ms(at.MS() + r.Between(1, 700))
		}
		if counts[BudgetExhausted]+counts[BudgetHardCap] == 0 {
			t.Fatalf("%+v: nothing ended it", b)
		}
	}
}

// While a turn waits for a tool its envelope stands still; when it goes on it begins anew.
// The hard cap bounds both, and is told.
func TestBudgetWaits(t *testing.T) {
	begin := func() *Budget {
		b := &Budget{}
		b.Start(ms(100), timebase.MS(2000), timebase.MS(20000))
		return b
	}
	b := begin()
	b.Wait(ms(1500))
	if got := due(b, 15000); got != nil || b.Remaining(ms(15000)) != timebase.MS(5100) {
		t.Errorf("while it waits: %v, %d ms left", got, b.Remaining(ms(15000)).MS())
	}
	b.Again(ms(15000))
	if got := due(b, 16599); got != nil {
		t.Errorf("before 80 %% of the new envelope: %v", got)
	}
	if got := due(b, 17000); !same(got, []BudgetEvent{BudgetWarning, BudgetExhausted}) {
		t.Errorf("at its end: %v", got)
	}
	b = begin()
	b.Wait(ms(1500))
	if got := due(b, 20100); !same(got, []BudgetEvent{BudgetWarning, BudgetExhausted}) || !b.Capped(ms(20100)) {
		t.Errorf("at the hard cap: %v", got)
	}
	b = begin()
	b.Wait(ms(1500))
	b.Again(ms(19000))
	if b.Remaining(ms(19000)) != timebase.MS(1100) {
		t.Errorf("%d ms of the hard cap are left", b.Remaining(ms(19000)).MS())
	}
	b = begin()
	b.Output()
	b.Wait(ms(1500))
	b.Again(ms(1900))
	if got := due(b, 2100); !same(got, []BudgetEvent{BudgetOverrun}) {
		t.Errorf("with output, at the end of the envelope: %v", got)
	}
	b = begin()
	b.Wait(ms(1500))
	b.Again(ms(15000))
	b.Output()
	if b.Deadline() != ms(17000) {
		t.Errorf("with output after the wait the next word is due at %d", b.Deadline().MS())
	}
	if got := due(b, 17000); !same(got, []BudgetEvent{BudgetOverrun}) {
		t.Errorf("at the end of the new envelope: %v", got)
	}
	b = &Budget{}
	b.Wait(ms(1500))
	if b.Deadline() != timebase.Never {
		t.Error("an account that has not begun has a deadline")
	}
}

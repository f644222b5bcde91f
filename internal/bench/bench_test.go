// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"
)

func TestMedianAndPercentile(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("median of four: %v", got)
	}
	list := []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}
	if p50, p99, p1 := percentile(list, 50), percentile(list, 99), percentile(list, 1); p50 != 50 || p99 != 100 || p1 != 10 {
		t.Errorf("percentiles by nearest rank: p50 %d, p99 %d, p1 %d", p50, p99, p1)
	}
}

// TestVoidRunsAreRepeated: stolen time makes a run void; it is not averaged in.
func TestVoidRunsAreRepeated(t *testing.T) {
	calls := 0
	o := Options{Runs: 3, Stole: func() float64 {
		calls++
		if calls == 2 {
			return 0.5
		}
		return 0
	}, Pause: func(time.Duration) {}}.withDefaults()
	value := 0.0
	r := pair(o, Result{Limit: 10}, func() float64 { return 1 }, func() float64 { value++; return value })
	if r.Void != 1 || r.Value != 3 { // 1 is void; 2, 3, 4 count
		t.Errorf("void %d, median %v", r.Void, r.Value)
	}
}

// TestVoidRunsAreGivenUp: where every run is void, each is repeated so often and no more, with a
// pause that grows, and the row says what it is.
func TestVoidRunsAreGivenUp(t *testing.T) {
	var said int
	var waited []time.Duration
	o := Options{
		Runs: 2, Stole: func() float64 { return 0.5 }, Say: func(string) { said++ }, Pause: func(d time.Duration) { waited = append(waited, d) },
	}.withDefaults()
	runs := 0
	r := pair(o, Result{Limit: 10}, func() float64 { return 2 }, func() float64 { runs++; return 4 })
	if runs != voids*2 || r.Void != runs || said != runs || len(waited) != runs-1 || waited[0] != time.Second || waited[4] != longestPause {
		t.Errorf("%d runs, %d void, %d told, pauses %v", runs, r.Void, said, waited)
	}
	if r.Met || r.Value != 4 || r.Base != 2 || r.Note != voidNote {
		t.Errorf("a void row: %+v", r)
	}
}

func TestDispatchMeasures(t *testing.T) {
	o := Options{Runs: 1, Each: time.Millisecond, Now: time.Now}.withDefaults()
	if r := dispatch(o); r.Ratio <= 0 || r.Base <= 0 {
		t.Errorf("P1: %+v", r)
	}
}

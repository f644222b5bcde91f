// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
)

// account collects what an instance tells of its budget.
type account struct {
	mu   sync.Mutex
	list []string
}

func (a *account) spent(exec *wall) func(Spending) {
	began := exec.Now()
	return func(s Spending) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.list = append(a.list, fmt.Sprintf("%d: %s %s %d of %d", exec.Now().Sub(began).MS(), s.Node, s.Turn, s.Used.MS(), s.Limit.MS()))
	}
}

func (a *account) told() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

func takes(d *time.Duration) map[string]func(*node.Context, *node.Event) error {
	return map[string]func(*node.Context, *node.Event) error{
		"event": func(*node.Context, *node.Event) error { time.Sleep(*d); return nil },
	}
}

// Flow section 8, scope node: told at 80 % and at the end, once an event, while the hook
// still runs; a node of the session when its event is over.
func TestNodeTellsOfItsBudget(t *testing.T) {
	for name, row := range map[string]struct {
		scope  node.ExecutionScope
		limits node.Limits
		events []time.Duration
		want   []string
	}{
		"within":         {node.ScopeTurn, node.Limits{}, []time.Duration{639 * time.Millisecond}, nil},
		"most":           {node.ScopeTurn, node.Limits{}, []time.Duration{700 * time.Millisecond}, []string{"640: n1 t1 640 of 800"}},
		"all":            {node.ScopeTurn, node.Limits{}, []time.Duration{time.Second}, []string{"640: n1 t1 640 of 800", "800: n1 t1 800 of 800"}},
		"each event":     {node.ScopeTurn, node.Limits{}, []time.Duration{700 * time.Millisecond, time.Millisecond, 700 * time.Millisecond}, []string{"640: n1 t1 640 of 800", "1341: n1 t1 640 of 800"}},
		"own limit":      {node.ScopeTurn, node.Limits{Event: 100 * time.Millisecond}, []time.Duration{90 * time.Millisecond}, []string{"80: n1 t1 80 of 100"}},
		"turn":           {node.ScopeTurn, node.Limits{Turn: time.Second}, []time.Duration{500 * time.Millisecond, 400 * time.Millisecond, 400 * time.Millisecond, time.Second}, []string{"800: n1 t1 800 of 1000", "1000: n1 t1 1000 of 1000"}},
		"session":        {node.ScopeSession, node.Limits{}, []time.Duration{time.Second}, []string{"1000: n1  1000 of 800"}},
		"session, twice": {node.ScopeSession, node.Limits{Turn: time.Hour}, []time.Duration{700 * time.Millisecond, 700 * time.Millisecond}, []string{"700: n1  700 of 800", "1400: n1  700 of 800"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d time.Duration
				var a account
				b := host(t, row.scope, takes(&d))
				b.settings.Limits = row.limits.WithDefaults()
				b.watch.init(b.Instance)
				b.settings.Spent = a.spent(b.exec)
				for _, d = range row.events {
					if !b.Call(event()) {
						t.Fatal("the node did not go on")
					}
				}
				synctest.Wait()
				if got := a.told(); !slices.Equal(got, row.want) {
					t.Errorf("told %q, want %q", got, row.want)
				}
				b.finish(t)
			})
		})
	}
}

// What is left: of the event's budget while it is handled, nested in the turn's; of the
// turn's else; nothing that is known, -1; never below zero.
func TestBudgetHandle(t *testing.T) {
	for name, row := range map[string]struct {
		ends   time.Duration // of the turn, 0 = no budget
		want   []int64       // at 0, 500 and 1000 ms of one event, and after it, at 1500
		limits node.Limits
	}{
		"no turn's":       {0, []int64{800, 300, 0, -1}, node.Limits{}},
		"the turn's ends": {700 * time.Millisecond, []int64{700, 200, 0, 0}, node.Limits{}},
		"the node's ends": {2 * time.Second, []int64{800, 300, 0, 500}, node.Limits{}},
		"all events'":     {5 * time.Second, []int64{3000, 2500, 2000, 3500}, node.Limits{Turn: 3 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []int64
				b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{
					"event": func(ctx *node.Context, _ *node.Event) error {
						for range 3 {
							got = append(got, ctx.Budget.RemainingMS())
							time.Sleep(500 * time.Millisecond)
						}
						return nil
					},
				})
				b.settings.Limits = row.limits.WithDefaults()
				b.watch.init(b.Instance)
				b.settings.Ends = func() timebase.Instant {
					if row.ends == 0 {
						return timebase.Never
					}
					return timebase.Instant(row.ends)
				}
				b.Call(event())
				if got = append(got, b.context.Budget.RemainingMS()); !slices.Equal(got, row.want) {
					t.Errorf("left %v, want %v", got, row.want)
				}
				b.finish(t)
			})
		})
	}
}

// A hook that passes its limit says which.
func TestFailureNamesItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := time.Hour
		b := host(t, node.ScopeTurn, takes(&d))
		var called sync.WaitGroup
		called.Go(func() { b.Call(event()) })
		time.Sleep(node.DefaultEventHard + time.Millisecond)
		synctest.Wait()
		if f := b.failures(); len(f) != 1 || f[0].Limit != timebase.Span(node.DefaultEventHard) {
			t.Errorf("failures %+v", f)
		}
		called.Wait()
		b.finish(t)
	})
}

// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
)

// wall is an executor on the clock of the test (a bubble's, mostly).
type wall struct {
	*Pool
	*Seat
	began time.Time
}

func newWall() *wall { return newWallIn(&Pool{}) }

func newWallIn(p *Pool, list ...NodePolicy) *wall {
	return &wall{Pool: p, Seat: p.Seat("s1", list...), began: time.Now()}
}

func (w *wall) Task(n eventabi.NodeID, counted bool, run func(bool) bool) Starter {
	return w.Seat.Task(n, counted, run)
}

func (w *wall) Now() timebase.Instant { return timebase.Instant(time.Since(w.began)) }
func (w *wall) Virtual() bool         { return false }
func (w *wall) After(at timebase.Instant, fn func()) func() {
	t := time.AfterFunc(time.Duration(at.Sub(w.Now())), fn)
	return func() { t.Stop() }
}

// probe is a node that writes down what is called, and does in a hook what it is told.
type probe struct {
	about node.Declaration
	do    map[string]func(ctx *node.Context, ev *node.Event) error

	mu    sync.Mutex
	calls []string
}

func (p *probe) Declaration() node.Declaration { return p.about }

func (p *probe) hook(name string, ctx *node.Context, ev *node.Event) error {
	p.mu.Lock()
	p.calls = append(p.calls, name)
	p.mu.Unlock()
	if f := p.do[name]; f != nil {
		return f(ctx, ev)
	}
	return nil
}

func (p *probe) Init(ctx *node.Context) error  { return p.hook("init", ctx, nil) }
func (p *probe) Start(ctx *node.Context) error { return p.hook("start", ctx, nil) }
func (p *probe) OnEvent(ctx *node.Context, ev *node.Event) error {
	return p.hook("event", ctx, ev)
}
func (p *probe) OnBargeIn(ctx *node.Context) error { return p.hook("barge_in", ctx, nil) }
func (p *probe) OnCancel(ctx *node.Context, c node.Cancel) error {
	return p.hook("cancel:"+c.Reason, ctx, nil)
}

func (p *probe) OnBudgetExhausted(ctx *node.Context, o node.BudgetOutcome) error {
	return p.hook("budget:"+string(o), ctx, nil)
}
func (p *probe) Stop(ctx *node.Context) error { return p.hook("stop", ctx, nil) }

func (p *probe) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.calls)
}

// bench is a hosted probe with what came of it.
type bench struct {
	*Instance
	probe  *probe
	exec   *wall
	mu     sync.Mutex
	out    []node.Type
	failed []Failure
	counts map[string]int64
}

func host(t *testing.T, scope node.ExecutionScope, do map[string]func(*node.Context, *node.Event) error) *bench {
	t.Helper()
	return hostIn(t, newWall(), scope, do)
}

func hostIn(t *testing.T, w *wall, scope node.ExecutionScope, do map[string]func(*node.Context, *node.Event) error) *bench {
	t.Helper()
	b := &bench{exec: w, counts: map[string]int64{}}
	b.probe = &probe{do: do, about: node.Declaration{
		Type: "probe", Package: "p", Version: "v1", Inputs: []node.Type{node.TypeTextDelta}, Streaming: node.StreamFinal,
		Scope: scope, Class: node.Preemptible, BuffersAudio: true, LongRunning: true,
	}}
	s := Settings{
		Node: b.probe, ID: "n1", Session: "s1", Exec: b.exec, Seed: 9,
		Out:    func(ev *node.Event) { b.mu.Lock(); b.out = append(b.out, ev.Type); b.mu.Unlock() },
		Failed: func(f Failure) { b.mu.Lock(); b.failed = append(b.failed, f); b.mu.Unlock() },
		Count:  func(name string, n int64) { b.mu.Lock(); b.counts[name] += n; b.mu.Unlock() },
	}
	if scope == node.ScopeTurn {
		s.Turn = "t1"
	}
	i, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	b.Instance = i
	return b
}

// finish stops the instance and waits until nothing of it runs.
func (b *bench) finish(t *testing.T) {
	t.Helper()
	b.Stop()
	synctest.Wait()
	if n := b.exec.Running(); n != 0 {
		t.Errorf("%d goroutines are left", n)
	}
}

func (b *bench) failures() []Failure {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.failed)
}

func event() *node.Event { return &node.Event{Type: node.TypeTextDelta} }

func TestHooksRunInOrderAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := host(t, node.ScopeTurn, nil)
		for range 2 {
			if !b.Call(event()) {
				t.Fatal("a sound node refused an event")
			}
		}
		b.BargeIn()
		b.Cancel(node.Cancel{Scope: eventabi.CancelTurn, Reason: "barge_in"})
		b.Budget(node.BudgetTerminate)
		synctest.Wait()
		b.Stop()
		b.Stop()
		b.finish(t)
		if want := "[init start event event barge_in cancel:barge_in budget:terminate stop]"; b.probe.seen() != want {
			t.Errorf("hooks %s, want %s", b.probe.seen(), want)
		}
		if b.Call(event()) || b.Alive() || len(b.failures()) != 0 {
			t.Errorf("after stop: alive %v, failures %v", b.Alive(), b.failures())
		}
	})
}

// An instance that never had an event was never started: it has nothing to be told.
func TestUnusedInstanceIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := host(t, node.ScopeTurn, nil)
		b.Cancel(node.Cancel{Scope: eventabi.CancelTurn})
		b.finish(t)
		if b.probe.seen() != "[]" {
			t.Errorf("hooks %s, want none", b.probe.seen())
		}
	})
}

func TestFailureIsContained(t *testing.T) {
	for name, c := range map[string]struct {
		hook   string
		f      func(*node.Context, *node.Event) error
		reason string
	}{
		"panic in init":   {"init", func(*node.Context, *node.Event) error { panic("x") }, ReasonPanic},
		"error in start":  {"start", func(*node.Context, *node.Event) error { return errors.New("x") }, ReasonError},
		"panic in event":  {"event", func(*node.Context, *node.Event) error { panic("x") }, ReasonPanic},
		"error in event":  {"event", func(*node.Context, *node.Event) error { return errors.New("x") }, ReasonError},
		"runtime error":   {"event", func(_ *node.Context, ev *node.Event) error { _ = ev.PCM[3]; return nil }, ReasonPanic},
		"panic in cancel": {"cancel:", func(*node.Context, *node.Event) error { panic("x") }, ReasonPanic},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{c.hook: c.f})
				b.Call(event())
				b.Cancel(node.Cancel{})
				synctest.Wait()
				if len(b.failures()) != 1 || b.failures()[0].Reason != c.reason || b.failures()[0].Node != "n1" || b.failures()[0].Turn != "t1" {
					t.Errorf("failures %+v, want one %s", b.failures(), c.reason)
				}
				if b.Call(event()) {
					t.Error("a failed instance took an event")
				}
				b.context.Emit(event())
				if len(b.out) != 0 || b.Late() != 1 {
					t.Errorf("a failed instance emitted %v, late %d", b.out, b.Late())
				}
				b.finish(t)
			})
		})
	}
}

func TestHookTimeLimits(t *testing.T) {
	hang := func(*node.Context, *node.Event) error { time.Sleep(time.Hour); return nil }
	for name, c := range map[string]struct {
		hook  string
		limit time.Duration
	}{
		"init": {"init", node.DefaultInit}, "start": {"start", node.DefaultStart}, "event": {"event", node.DefaultEventHard},
		"cancel": {"cancel:", node.DefaultCancel}, "barge-in": {"barge_in", node.DefaultCancel},
		"budget": {"budget:terminate", node.DefaultBudget}, "stop": {"stop", node.DefaultStop},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{c.hook: hang})
				var called sync.WaitGroup
				called.Go(func() { b.Call(event()) })
				synctest.Wait()
				switch name {
				case "cancel":
					b.Cancel(node.Cancel{})
				case "barge-in":
					b.BargeIn()
				case "budget":
					b.Budget(node.BudgetTerminate)
				case "stop":
					b.Stop()
				}
				time.Sleep(c.limit - time.Millisecond)
				synctest.Wait()
				if len(b.failures()) != 0 {
					t.Fatalf("failed before its limit: %+v", b.failures())
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				if len(b.failures()) != 1 || b.failures()[0].Reason != ReasonTimeout {
					t.Fatalf("failures %+v after %v, want %s", b.failures(), c.limit, ReasonTimeout)
				}
				if b.Call(event()) {
					t.Error("an instance that hangs took an event")
				}
				time.Sleep(2 * time.Hour) // the hook that hangs ends by itself in the end
				called.Wait()
				b.finish(t)
			})
		})
	}
}

// on_cancel has its 75 ms from the cancel on, also while the node is busy with an event.
func TestCancelLimitRunsWhileAnEventDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error { time.Sleep(time.Second); return nil },
		})
		var called sync.WaitGroup
		called.Go(func() { b.Call(event()) })
		synctest.Wait()
		b.Cancel(node.Cancel{})
		if _, over := b.token.Cancelled(); !over {
			t.Error("the token does not tell the node that it is cancelled")
		}
		time.Sleep(node.DefaultCancel + time.Millisecond)
		synctest.Wait()
		if len(b.failures()) != 1 || b.failures()[0].Reason != ReasonTimeout {
			t.Errorf("failures %+v", b.failures())
		}
		called.Wait()
		b.finish(t)
	})
}

// The budget of an event is soft: passing it is counted, and the node goes on.
func TestEventBudgetIsSoft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error { time.Sleep(time.Second); return nil },
		})
		well := b.Call(event())
		b.mu.Lock()
		exceeded := b.counts["node_budget_exceeded"]
		b.mu.Unlock()
		if !well || exceeded != 1 || len(b.failures()) != 0 {
			t.Errorf("went on %v, exceeded %d times, failures %v", well, exceeded, b.failures())
		}
		b.finish(t)
	})
}

func TestPulledEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var queue, got []string
		b := host(t, node.ScopeSession, map[string]func(*node.Context, *node.Event) error{
			"event": func(_ *node.Context, ev *node.Event) error {
				mu.Lock()
				got = append(got, ev.Text)
				mu.Unlock()
				return nil
			},
		})
		b.Feed(func(ev *node.Event) bool {
			mu.Lock()
			defer mu.Unlock()
			if len(queue) == 0 {
				return false
			}
			ev.Text, queue = queue[0], queue[1:]
			return true
		})
		var want []string
		var feeders sync.WaitGroup
		for i := range 4 {
			feeders.Go(func() {
				for k := range 100 {
					mu.Lock()
					queue = append(queue, fmt.Sprint(i, " ", k))
					want = append(want, fmt.Sprint(i, " ", k))
					mu.Unlock()
					b.Kick()
				}
			})
		}
		feeders.Wait()
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("%d events of %d, or out of order", len(got), len(want))
		}
		b.finish(t)
	})
}

func TestTimerReplacesTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		b := host(t, node.ScopeTurn, map[string]func(*node.Context, *node.Event) error{
			"event": func(ctx *node.Context, ev *node.Event) error {
				if ev.Type == node.TypeTimer {
					at = append(at, time.Duration(ctx.Timebase.Now()))
					return nil
				}
				ctx.Timebase.WakeAt(ctx.Timebase.Now() + node.Instant(50*time.Millisecond))
				return nil
			},
		})
		b.Call(event())
		time.Sleep(30 * time.Millisecond)
		b.Call(event())
		time.Sleep(time.Second)
		synctest.Wait()
		if !slices.Equal(at, []time.Duration{80 * time.Millisecond}) {
			t.Errorf("timers at %v, want one at 80 ms", at)
		}
		b.Call(event())
		b.finish(t)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(at) != 1 {
			t.Error("a stopped instance got a timer")
		}
	})
}

// What a hard node emits after its turn was cancelled is late; outside a turn a cancel
// of one call silences nobody.
func TestEmissionsAfterACancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for scope, want := range map[node.ExecutionScope]int{node.ScopeTurn: 0, node.ScopeSession: 1} {
			b := host(t, scope, nil)
			b.Call(event())
			b.Cancel(node.Cancel{Scope: eventabi.CancelInvocation})
			synctest.Wait()
			b.context.Emit(event())
			if len(b.out) != want || b.Late() != int64(1-want) {
				t.Errorf("scope %s: %d emitted, %d late", scope, len(b.out), b.Late())
			}
			b.finish(t)
		}
	})
}

func TestHandles(t *testing.T) {
	b := host(t, node.ScopeTurn, nil)
	ctx := &b.context
	if ctx.Session != "s1" || ctx.Turn != "t1" || ctx.Node != "n1" || ctx.Budget.RemainingMS() != -1 || ctx.State.Conversation() != nil {
		t.Errorf("context %+v", ctx)
	}
	if a, c := newChance(9), newChance(9); ctx.Determinism.Seed() != 9 || a.Uint64() != c.Uint64() {
		t.Error("equal seeds give unequal chance")
	}
	store := b.settings.Store
	other := &stateHandle{store: store}
	if err := ctx.State.Put(node.StateTurn, "k", []byte("v")); err != nil {
		t.Error(err)
	}
	if err := ctx.State.Put(node.StateHot, "k", []byte("hot")); err != nil {
		t.Error(err)
	}
	if err := other.Put(node.StateTurn, "k", nil); err == nil {
		t.Error("turn-ephemeral state outside a turn")
	}
	if err := ctx.State.Put("eternal", "k", nil); err == nil {
		t.Error("a class that does not exist")
	}
	if err := ctx.State.Put(node.StateHot, "big", make([]byte, maxState)); err == nil {
		t.Error("the bound on state does not hold")
	}
	store.EndTurn("t1")
	if _, ok := ctx.State.Get(node.StateTurn, "k"); ok {
		t.Error("the turn's state outlived it")
	}
	if v, ok := other.Get(node.StateHot, "k"); !ok || string(v) != "hot" {
		t.Errorf("hot state: %q %v", v, ok)
	}
	if store.bytes != len("session-hot/k")+3 {
		t.Errorf("%d bytes are accounted for", store.bytes)
	}
}

func TestNewRefuses(t *testing.T) {
	b := host(t, node.ScopeTurn, nil)
	s := b.settings
	s.Turn = ""
	if _, err := New(s); err == nil {
		t.Error("a turn-scoped node outside a turn")
	}
	b.probe.about.Version = ""
	if _, err := New(b.settings); err == nil {
		t.Error("a false declaration")
	}
}

func TestPoolWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pool
		p.Go(func() { time.Sleep(time.Second) })
		if n := p.Wait(100 * time.Millisecond); n != 1 {
			t.Errorf("%d are said to run", n)
		}
		if n := p.Wait(time.Minute); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// A node that is warmed begins ahead of its first event, and once.
func TestWarmBeginsAheadOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := host(t, node.ScopeSession, nil)
		b.Warm()
		b.Warm()
		synctest.Wait()
		if got := b.probe.seen(); got != "[init start]" {
			t.Errorf("it has begun with %s", got)
		}
		b.Call(&node.Event{Type: node.TypeTextDelta})
		b.finish(t)
		if got := b.probe.seen(); got != "[init start event stop]" {
			t.Errorf("it was asked %s", got)
		}
		broken := host(t, node.ScopeSession, map[string]func(*node.Context, *node.Event) error{
			"init": func(*node.Context, *node.Event) error { return errors.New("of a test") },
		})
		broken.Warm()
		synctest.Wait()
		broken.finish(t)
		if f := broken.failures(); len(f) != 1 || f[0].Hook != "init" {
			t.Errorf("the failures are %+v", f)
		}
	})
}

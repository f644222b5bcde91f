// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/node"
)

// inlined hosts a probe that is declared inline and has n events to take, on a wall.
func inlined(t *testing.T, w *wall, n int, do map[string]func(*node.Context, *node.Event) error) *bench {
	t.Helper()
	b := hostIn(t, w, node.ScopeSession, do)
	b.probe.about.LongRunning = false
	b.probe.about.Inline = true
	b.more(n)
	return b
}

// more gives the instance n more events.
func (b *bench) more(n int) {
	b.Feed(func(ev *node.Event) bool {
		*ev = *event()
		n--
		return n >= 0
	})
}

// Init and Start are the pool's; after that an event has been taken when KickHere returns,
// and no worker had anything to do with it.
func TestInlineNodeRunsWhereItsEventsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inlined(t, newWall(), 1, nil)
		b.KickHere()
		synctest.Wait()
		if want := "[init start event]"; b.probe.seen() != want || b.exec.Runs().Count != 1 {
			t.Fatalf("hooks %s in %d runs of the pool, want %s in one", b.probe.seen(), b.exec.Runs().Count, want)
		}
		b.more(2)
		b.KickHere()
		if want := "[init start event event event]"; b.probe.seen() != want || b.exec.Runs().Count != 1 {
			t.Errorf("hooks %s in %d runs of the pool, want %s and none more", b.probe.seen(), b.exec.Runs().Count, want)
		}
		b.finish(t)
	})
}

// What is more than a few events is the pool's.
func TestInlineBacklogGoesToThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inlined(t, newWall(), 1, nil)
		b.KickHere()
		synctest.Wait()
		b.more(3 * inlineEvents)
		b.KickHere()
		if n := strings.Count(b.probe.seen(), "event"); n != 1+inlineEvents {
			t.Errorf("%d events were taken at once, want %d", n-1, inlineEvents)
		}
		synctest.Wait()
		if n := strings.Count(b.probe.seen(), "event"); n != 1+3*inlineEvents || b.exec.Runs().Count != 2 {
			t.Errorf("%d events in %d runs of the pool, want all of %d in two", n-1, b.exec.Runs().Count, 3*inlineEvents)
		}
		b.finish(t)
	})
}

// A node that does not say that it is quick, and one of whose runs there may be so many only,
// run in the pool.
func TestWhatIsNotInlineRunsInThePool(t *testing.T) {
	for name, row := range map[string]struct {
		inline bool
		limit  []NodePolicy
	}{"not declared": {false, nil}, "counted": {true, []NodePolicy{{Node: "n1", Limit: 1}}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWallIn(&Pool{}, row.limit...)
				b := inlined(t, w, 1, nil)
				b.probe.about.Inline = row.inline
				b.worker = w.Task("n1", true, b.run)
				b.KickHere()
				synctest.Wait()
				b.more(1)
				b.KickHere()
				synctest.Wait()
				if want := "[init start event event]"; b.probe.seen() != want || b.exec.Runs().Count != 2 {
					t.Errorf("hooks %s in %d runs of the pool, want %s in two", b.probe.seen(), b.exec.Runs().Count, want)
				}
				b.finish(t)
			})
		})
	}
}

// A node that takes longer than it said, again and again, has its events in the pool from
// then on; one that did so now and then keeps its place.
func TestInlineIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		takes := time.Duration(0)
		b := inlined(t, newWall(), 1, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error { time.Sleep(takes); return nil },
		})
		b.KickHere()
		synctest.Wait()
		one := func(d time.Duration) {
			takes = d
			b.more(1)
			b.KickHere()
			synctest.Wait()
		}
		for range 3 {
			for range inlineStrikes - 1 {
				one(2 * InlineMost)
			}
			one(InlineMost)
		}
		if n := b.exec.Runs().Count; n != 1 || b.counts["node_inline_revoked"] != 0 {
			t.Fatalf("it lost its place by single events: %d runs of the pool, %v", n, b.counts)
		}
		for range inlineStrikes {
			one(2 * InlineMost)
		}
		one(0)
		if n := b.exec.Runs().Count; n != 2 || b.counts["node_inline_revoked"] != 1 {
			t.Errorf("%d runs of the pool, %v: want the last event there", n, b.counts)
		}
		b.finish(t)
	})
}

// A panic ends the instance and nothing else, and a hook that is asked for meanwhile runs
// behind the event, before anything else.
func TestInlineHooksAndFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		act := func() {}
		b = inlined(t, newWall(), 1, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error { act(); return nil },
		})
		b.KickHere()
		synctest.Wait()
		act = func() { act = func() {}; b.Cancel(node.Cancel{Reason: "x"}) }
		b.more(2)
		b.KickHere()
		if want := "[init start event event cancel:x event]"; b.probe.seen() != want || b.exec.Running() != 0 {
			t.Errorf("hooks %s, %d in the pool, want %s and none", b.probe.seen(), b.exec.Running(), want)
		}
		act = func() { panic("x") }
		b.more(2)
		b.KickHere()
		if f := b.failures(); len(f) != 1 || f[0].Reason != ReasonPanic {
			t.Errorf("failures %+v, want one panic", f)
		}
		b.finish(t)
	})
}

// An event that comes when the node has just found none is not lost, and a hook that is asked
// for at the end of what is taken at once does not wait behind the backlog.
func TestInlineLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWallIn(pool(t, PoolConfig{Workers: 1}))
		events := 0
		var b *bench
		b = inlined(t, w, 1, map[string]func(*node.Context, *node.Event) error{
			"event": func(*node.Context, *node.Event) error {
				if events++; events == 2+inlineEvents {
					b.Cancel(node.Cancel{Reason: "x"})
				}
				return nil
			},
		})
		b.KickHere()
		synctest.Wait()
		asked := 0
		b.Feed(func(ev *node.Event) bool {
			if asked++; asked == 1 {
				b.Kick()
			}
			*ev = *event()
			return asked == 2
		})
		b.KickHere()
		if events != 2 {
			t.Errorf("%d events were taken, want the second as well", events)
		}
		release := hold(t, w.Pool.Seat("other"), "n")
		b.more(2 * inlineEvents)
		b.KickHere()
		synctest.Wait()
		if n := strings.Count(b.probe.seen(), "event"); n != 2+inlineEvents || !strings.HasSuffix(b.probe.seen(), "cancel:x]") {
			t.Errorf("hooks %s: want the cancel behind what was taken at once", b.probe.seen())
		}
		close(release)
		synctest.Wait()
		if events != 2+2*inlineEvents {
			t.Errorf("%d events of %d", events, 2+2*inlineEvents)
		}
		b.finish(t)
	})
}

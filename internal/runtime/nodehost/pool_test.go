// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

func pool(t *testing.T, c PoolConfig) *Pool {
	t.Helper()
	p, err := NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// diary is who did what, in order.
type diary struct {
	mu   sync.Mutex
	list []string
}

func (d *diary) note(what string) {
	d.mu.Lock()
	d.list = append(d.list, what)
	d.mu.Unlock()
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.list, " ")
}

// hold keeps a worker until release is closed, and says when it has one.
func hold(t *testing.T, s *Seat, node eventabi.NodeID) (release chan struct{}) {
	t.Helper()
	began := make(chan struct{})
	release = make(chan struct{})
	if why := s.Try(node, func() { close(began); <-release }); why != "" {
		t.Fatal(why)
	}
	<-began
	return release
}

// "Between keys service is round-robin" (flow section 7), and within one in order.
func TestKeysAreServedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		var d diary
		seats := map[string]*Seat{"a": p.Seat("a"), "b": p.Seat("b"), "c": p.Seat("c")}
		for _, work := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			if why := seats[work[:1]].Try("n", func() { d.note(work) }); why != "" {
				t.Fatal(why)
			}
		}
		close(release)
		synctest.Wait()
		if got, want := d.String(), "a1 b1 c1 a2 b2 a3"; got != want {
			t.Errorf("the order is %s, want %s", got, want)
		}
	})
}

// Two sessions with one key are one in the turn of the keys.
func TestSessionsShareANamedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		var d diary
		shared := NodePolicy{Node: "n", Key: "batch"}
		one, two, own := p.Seat("one", shared), p.Seat("two", shared), p.Seat("own")
		for i := range 2 {
			one.Try("n", func() { d.note(fmt.Sprint("one", i)) })
			two.Try("n", func() { d.note(fmt.Sprint("two", i)) })
			own.Try("n", func() { d.note(fmt.Sprint("own", i)) })
		}
		close(release)
		synctest.Wait()
		if got, want := d.String(), "one0 own0 two0 own1 one1 two1"; got != want {
			t.Errorf("the order is %s, want %s", got, want)
		}
		one.Leave()
		if len(p.keys) != 1 {
			t.Errorf("%d keys while a session has one", len(p.keys))
		}
		two.Leave()
		if len(p.keys) != 0 {
			t.Error("a key that no session has is kept")
		}
	})
}

// The queue is bounded, what does not fit is refused with its reason, and one key cannot
// have all of it: somebody else's work still fits.
func TestQueueIsBoundedAndShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1, Queue: 8})
		release := hold(t, p.Seat("warm"), "n")
		ran := atomic.Int64{}
		accept := func(s *Seat) (n int) {
			for s.Try("n", func() { ran.Add(1) }) == "" {
				n++
			}
			return n
		}
		flood, second, third := p.Seat("flood"), p.Seat("second"), p.Seat("third")
		got := []int{accept(flood), accept(second), accept(third)}
		if !slices.Equal(got, []int{4, 2, 1}) {
			t.Errorf("%v pieces were taken of three that flood a queue of 8, want 4, 2 and 1", got)
		}
		if n := p.QueuePerMille(); n != 875 {
			t.Errorf("the queue is at %d per mille, want 875", n)
		}
		if why := p.Seat("late").Try("n", func() { ran.Add(1) }); why != "" {
			t.Errorf("there was no room for one who came later: %s", why)
		}
		close(release)
		synctest.Wait()
		if s := p.Stats(); ran.Load() != 8 || s.Saturated != 3 || s.Queued != 0 || s.Active != 0 || p.Running() != 0 {
			t.Errorf("%d ran; %+v, %d", ran.Load(), s, p.Running())
		}
		if waits, runs := p.Waits(), p.Runs(); waits.Count != 9 || runs.Count != 9 {
			t.Errorf("%d waits and %d runs were measured of 9 pieces", waits.Count, runs.Count)
		}
	})
}

// What can wait is never refused: it waits in its edge, once, however full the queue is.
func TestPatientWorkWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1, Queue: 1})
		release := hold(t, p.Seat("warm"), "n")
		runs := make([]int, 5)
		for i := range runs {
			task := p.Seat(eventabi.SessionID(fmt.Sprint(i))).Task("n", false, func(bool) bool { runs[i]++; return false })
			for range 3 {
				task.Launch()
			}
		}
		if s := p.Stats(); s.Queued != 5 || s.Waited != 4 || s.Saturated != 0 || p.QueuePerMille() != 1000 {
			t.Errorf("%+v, %d per mille", s, p.QueuePerMille())
		}
		close(release)
		synctest.Wait()
		if !slices.Equal(runs, []int{1, 1, 1, 1, 1}) {
			t.Errorf("runs %v, want one each", runs)
		}
	})
}

// "Queue wait and run time are metered apart" (flow section 7).
func TestWaitAndRunAreMeteredApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		s := p.Seat("s")
		for range 2 {
			s.Try("n", func() { time.Sleep(20 * time.Millisecond) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
		waits, runs := p.Waits(), p.Runs()
		if waits.Max != int64(20*time.Millisecond) || runs.Sum != int64(40*time.Millisecond) || runs.Max != int64(20*time.Millisecond) {
			t.Errorf("waited for at most %d ns, ran for %d ns", waits.Max, runs.Sum)
		}
	})
}

// "Excess data waits in the edge; what cannot wait is shed": a node's limit, by key.
func TestNodeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 8})
		limit := NodePolicy{Node: "n", Key: "gpu", Limit: 2}
		var now, most, runs atomic.Int64
		for i := range 5 {
			p.Seat(eventabi.SessionID(fmt.Sprint(i)), limit).Task("n", true, func(bool) bool {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(10 * time.Millisecond)
				now.Add(-1)
				runs.Add(1)
				return false
			}).Launch()
		}
		free := false
		p.Seat("x").Task("n", true, func(bool) bool { free = true; return false }).Launch()
		synctest.Wait()
		if !free {
			t.Error("a node of another key waits for the limit")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if most.Load() != 2 || runs.Load() != 5 || p.Stats().Limited != 3 {
			t.Errorf("%d of 5 ran, %d at a time; %+v", runs.Load(), most.Load(), p.Stats())
		}

		s := p.Seat("calls", limit)
		first, ok, why := s.Claim("n", nil)
		second, _, _ := s.Claim("n", nil)
		if !ok || why != "" {
			t.Fatal(why)
		}
		if c, ok, why := s.Claim("n", nil); c != nil || ok || why != controlplane.ShedNodeLimited {
			t.Errorf("a third call: %v, %q", ok, why)
		}
		granted := 0
		patient, ok, why := s.Claim("n", func() { granted++ })
		gone, _, _ := s.Claim("n", func() { t.Error("who has gone was told") })
		if ok || why != "" {
			t.Errorf("a call that can wait: %v, %q", ok, why)
		}
		gone.Give()
		first.Give()
		first.Give()
		second.Give()
		if granted != 1 {
			t.Errorf("the call that waited was told %d times", granted)
		}
		patient.Give()
		if n := p.keys["gpu"].tally("n").outstanding; n != 0 {
			t.Errorf("%d are counted when all have ended", n)
		}
		if c, ok, _ := p.Seat("none").Claim("n", nil); c != nil || !ok {
			t.Error("there is a limit where none was set")
		}
	})
}

// What is outstanding counts when the seat that began it has left, and nobody goes ahead of
// those that wait because its own limit is higher.
func TestClaimsOutlastTheirSeat(t *testing.T) {
	p := pool(t, PoolConfig{Workers: 1})
	seat := func(limit int64) *Seat { return p.Seat("s", NodePolicy{Node: "n", Key: "gpu", Limit: limit}) }
	left := seat(1)
	held, ok, _ := left.Claim("n", nil)
	if !ok {
		t.Fatal("the first is not taken")
	}
	left.Leave()
	next := seat(1)
	if _, ok, why := next.Claim("n", nil); ok || why != controlplane.ShedNodeLimited {
		t.Errorf("a call beyond the limit is taken, %q", why)
	}
	var order []string
	low, ok, _ := next.Claim("n", func() { order = append(order, "low") })
	wide := seat(3)
	first, ahead, _ := wide.Claim("n", func() { order = append(order, "first") })
	if ok || ahead {
		t.Fatal("it went ahead of one that waits")
	}
	if _, ahead, why := wide.Claim("n", nil); ahead || why != controlplane.ShedNodeLimited {
		t.Errorf("one that cannot wait went ahead, %q", why)
	}
	gone, _, _ := next.Claim("n", func() { t.Error("who has gone was told") })
	second, _, _ := wide.Claim("n", func() { order = append(order, "second") })
	held.Give()
	if !slices.Equal(order, []string{"low", "first"}) {
		t.Errorf("served %v", order)
	}
	gone.Give() // stood in front of the second, which has room
	if !slices.Equal(order, []string{"low", "first", "second"}) {
		t.Errorf("served %v", order)
	}
	next.Leave()
	wide.Leave()
	if p.keys["gpu"] == nil {
		t.Error("the key is gone, and three are outstanding")
	}
	for _, c := range []*Claim{low, first, second} {
		c.Give()
	}
	if len(p.keys) != 0 {
		t.Errorf("keys are left: %v", p.keys)
	}
}

// Control goes ahead of queued data, and has a worker of its own while all others are busy
// (flow section 4).
func TestControlOvertakesData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		var d diary
		p.Seat("a").Try("n", func() { d.note("data") })
		task := p.Seat("b").Task("n", false, func(urgent bool) bool {
			d.note(fmt.Sprint("urgent:", urgent))
			return urgent
		})
		task.Launch() // it waits as data
		task.Urge()
		synctest.Wait()
		if got := d.String(); got != "urgent:true" {
			t.Errorf("with every worker busy %q has run, want the hook", got)
		}
		close(release)
		synctest.Wait()
		if got, want := d.String(), "urgent:true data urgent:false"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// A piece that does not end loses its worker to the others; when it ends, there is not one
// worker more than before.
func TestStalledWorkerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		stuck := hold(t, p.Seat("bad"), "n")
		var ran atomic.Int64
		p.Seat("good").Try("n", func() { ran.Add(1) })
		synctest.Wait()
		if ran.Load() != 0 {
			t.Error("there are two workers")
		}
		time.Sleep(2 * stallAfter)
		synctest.Wait()
		if s := p.Stats(); ran.Load() != 1 || s.Stalls != 1 || s.Stalled != 1 || s.Active != 0 {
			t.Errorf("%d ran behind a stall; %+v", ran.Load(), s)
		}
		other := hold(t, p.Seat("other"), "n") // in the place of the one that is stuck
		close(stuck)
		synctest.Wait()
		p.Seat("good").Try("n", func() { ran.Add(1) })
		synctest.Wait()
		if s := p.Stats(); ran.Load() != 1 || s.Stalled != 0 || s.Active != 1 {
			t.Errorf("a worker too many: %d; %+v", ran.Load(), s)
		}
		close(other)
		synctest.Wait()
		if ran.Load() != 2 {
			t.Error("the last piece did not run")
		}
	})
}

// A hook that does not end does not hold up the hooks of others either.
func TestStalledControlIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		stuck := make(chan struct{})
		p.Seat("bad").Task("n", false, func(bool) bool { <-stuck; return false }).Restart()
		var ran atomic.Bool
		p.Seat("good").Task("n", false, func(bool) bool { ran.Store(true); return false }).Restart()
		time.Sleep(4 * urgentStall)
		synctest.Wait()
		if !ran.Load() {
			t.Error("one hook waits for another's")
		}
		close(stuck)
		close(release)
		synctest.Wait()
		if s := p.Stats(); p.Running() != 0 || s.Active != 0 || s.Stalled != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A key that only stalls gets twice its share of workers and no more, and the others have
// all of theirs.
func TestOneKeyCannotStallThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 4, Queue: 100})
		stuck := make(chan struct{})
		bad := p.Seat("bad")
		for range 40 {
			bad.Try("n", func() { <-stuck })
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Stalled != 4 || s.Active != 0 {
			t.Errorf("a key that only stalls has %d workers and %d more", s.Active, s.Stalled)
		}
		ran := 0
		for range 10 {
			p.Seat("good").Try("n", func() { ran++ })
			synctest.Wait()
		}
		if ran != 10 {
			t.Errorf("%d of 10 pieces of others ran at once", ran)
		}
		close(stuck)
		synctest.Wait()
		if n, s := p.Running(), p.Stats(); n != 0 || s.Active != 0 || s.Stalled != 0 {
			t.Errorf("%d are left; %+v", n, s)
		}
	})
}

// Calls of providers take no worker, and are bounded by themselves.
func TestStreamsAreBoundedByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1, Streams: 3})
		wait := make(chan struct{})
		for range 3 {
			if why := p.Stream(func() { <-wait }); why != "" {
				t.Fatal(why)
			}
		}
		if why := p.Stream(func() { t.Error("ran") }); why != controlplane.ShedPoolSaturated {
			t.Errorf("a fourth: %q", why)
		}
		ran := false
		p.Seat("s").Try("n", func() { ran = true })
		synctest.Wait()
		if s := p.Stats(); !ran || s.Streams != 3 || s.Stalls != 0 {
			t.Errorf("ran %v, %+v", ran, s)
		}
		close(wait)
		synctest.Wait()
		if why := p.Stream(func() {}); why != "" {
			t.Errorf("after their end: %s", why)
		}
		synctest.Wait()
	})
}

// A closed pool takes nothing but hooks; what it had taken is run.
func TestClosedPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		var d diary
		s := p.Seat("s")
		s.Try("n", func() { d.note("taken") })
		patient := s.Task("n", false, func(urgent bool) bool { d.note(fmt.Sprint("hook:", urgent)); return urgent })
		p.Close()
		patient.Launch()
		if why := s.Try("n", func() { d.note("too late") }); why != controlplane.ShedPoolClosed {
			t.Errorf("work: %q", why)
		}
		if why := p.Stream(func() { d.note("too late") }); why != controlplane.ShedPoolClosed {
			t.Errorf("a stream: %q", why)
		}
		if _, ok, why := s.Claim("n", func() {}); ok || why != controlplane.ShedPoolClosed {
			t.Errorf("a claim: %v, %q", ok, why)
		}
		patient.Urge()
		close(release)
		synctest.Wait()
		if got := d.String(); got != "hook:true taken" && got != "taken hook:true" {
			t.Errorf("ran: %s", got)
		}
		if n := p.Running(); n != 0 || p.Stats().Closed != 5 {
			t.Errorf("%d are left; %+v", n, p.Stats())
		}
	})
}

func TestPoolConfigIsChecked(t *testing.T) {
	for _, c := range []PoolConfig{{Workers: -1}, {Queue: 1 << 30}, {Streams: -5}} {
		if _, err := NewPool(c); err == nil || !strings.Contains(err.Error(), "use 0 for the default") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if c := (PoolConfig{}).withDefaults(); c != (PoolConfig{WorkersPerCPU * runtime.GOMAXPROCS(0), DefaultQueue, DefaultStreams}) {
		t.Errorf("%+v", c)
	}
}

// What panics costs its own piece of work.
func TestPanicKeepsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		ran := false
		p.Seat("bad").Try("n", func() { panic("no") })
		p.Seat("good").Try("n", func() { ran = true })
		synctest.Wait()
		if s := p.Stats(); !ran || s.Panics != 1 || p.Running() != 0 {
			t.Errorf("%v, %+v", ran, s)
		}
	})
}

// The bounds hold with real goroutines, whoever stalls, panics and floods beside: work of
// others completes, counts are exact, and nothing is left.
func TestPoolUnderFire(t *testing.T) {
	p := pool(t, PoolConfig{Workers: 4, Queue: 64})
	stuck := make(chan struct{})
	var taken, refused, ran, most, now, waitRuns atomic.Int64
	var all sync.WaitGroup
	all.Go(func() { // stalls
		s := p.Seat("stall")
		for range 3 {
			for s.Try("n", func() { <-stuck }) != "" {
				runtime.Gosched()
			}
		}
	})
	for _, name := range []string{"flood", "flood2"} {
		all.Go(func() {
			s := p.Seat(eventabi.SessionID(name))
			for i := range 5000 {
				why := s.Try("n", func() {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					ran.Add(1)
					if i%100 == 0 {
						panic("one of many")
					}
				})
				if why == "" {
					taken.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	for i := range 8 { // those who can wait
		all.Go(func() {
			s := p.Seat(eventabi.SessionID(fmt.Sprint("calm", i)), NodePolicy{Node: "n", Key: "calm", Limit: 2})
			var again atomic.Int64
			task := s.Task("n", true, func(urgent bool) bool {
				if urgent {
					return true
				}
				waitRuns.Add(1)
				return again.Add(-1) > 0
			})
			for j := range 500 {
				again.Store(2)
				task.Launch()
				if j%7 == 0 {
					task.Urge()
				}
			}
		})
	}
	all.Wait()
	close(stuck)
	if n := p.Wait(20 * time.Second); n != 0 {
		t.Fatalf("%d pieces are left", n)
	}
	s := p.Stats()
	if taken.Load() != ran.Load() || taken.Load()+refused.Load() != 10000 || s.Saturated < refused.Load() {
		t.Errorf("%d taken, %d ran, %d refused; %+v", taken.Load(), ran.Load(), refused.Load(), s)
	}
	if s.Queued != 0 || s.Active != 0 || s.Stalled != 0 || waitRuns.Load() == 0 || most.Load() > 8 {
		t.Errorf("%+v, %d at a time, %d patient runs", s, most.Load(), waitRuns.Load())
	}
	if y := len(p.keys); y != 1 {
		t.Errorf("%d keys", y)
	}
}

// An instance that has much to do lets others have the worker in between, and its hooks do
// not wait behind its events.
func TestInstancesShareTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 1})
		release := hold(t, p.Seat("warm"), "n")
		var d diary
		started := func(name string) *bench {
			b := hostIn(t, newWallIn(p), node.ScopeSession, map[string]func(*node.Context, *node.Event) error{
				"event": func(*node.Context, *node.Event) error { d.note(name); return nil },
			})
			left := 6
			b.Feed(func(*node.Event) bool { left--; return left >= 0 })
			b.Kick()
			return b
		}
		a, b := started("a"), started("b")
		close(release)
		synctest.Wait()
		if got, want := d.String(), "a a a a b b b b a a b b"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		a.finish(t)
		b.finish(t)
	})
}

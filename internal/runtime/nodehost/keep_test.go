// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// resters counts the workers that stay without work, and says whether w is one of them.
func (p *Pool) resters(w *worker) (n int, there bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := p.rest; x != nil; x = x.next {
		there = there || x == w
	}
	return p.resting, there
}

// Workers that are kept stay for the next piece, go when nobody has called them for a while,
// and go at once when the pool is closed.
func TestWorkersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 4})
		p.Keep(time.Second)
		s := p.Seat("s")
		one := func() { // two at a time
			release := []chan struct{}{hold(t, s, "n"), hold(t, s, "n")}
			for _, c := range release {
				close(c)
			}
			synctest.Wait()
		}
		one()
		p.mu.Lock()
		first := p.rest
		p.mu.Unlock()
		if n, _ := p.resters(nil); n != 2 || p.Stats().Active != 0 || p.Running() != 0 {
			t.Fatalf("%d workers rest, %+v: want two", n, p.Stats())
		}
		one()
		if n, there := p.resters(first); n != 2 || !there {
			t.Errorf("%d workers rest: want the two that were there", n)
		}
		for range 30 { // one of them is used on
			close(hold(t, s, "n"))
			time.Sleep(100 * time.Millisecond)
		}
		if n, _ := p.resters(nil); n != 1 {
			t.Errorf("%d workers rest: want the one that is used", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n, _ := p.resters(nil); n != 0 {
			t.Errorf("%d workers rest in a pool that nobody uses", n)
		}
		one()
		p.Close()
		n := p.Wait(time.Minute)
		if left, _ := p.resters(nil); n != 0 || left != 0 {
			t.Errorf("%d pieces, %d workers are left in a closed pool", n, left)
		}
	})
}

// Short pieces that come at once do not call a worker each; pieces that keep theirs get as
// many workers as there may be.
func TestOneWorkerIsCalledAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(t, PoolConfig{Workers: 8})
		free := make(chan struct{})
		p.mu.Lock()
		p.setUp()
		for i := range 16 {
			s := &Seat{pool: p, own: Key{name: string(eventabi.SessionID(rune('a' + i)))}}
			task := s.task("n", false, func(bool) bool { <-free; return false })
			if why := p.admit(task, true); why != "" {
				t.Error(why)
			}
		}
		if p.active != 1 || !p.coming {
			t.Errorf("%d workers were called for pieces that came at once, want one", p.active)
		}
		p.mu.Unlock()
		synctest.Wait()
		if s := p.Stats(); s.Active != 8 || s.Queued != 8 {
			t.Errorf("%+v: want all workers at work, since none gets on", s)
		}
		close(free)
		synctest.Wait()
		if s := p.Stats(); s.Active != 0 || p.Running() != 0 {
			t.Errorf("%+v, %d: something is left", s, p.Running())
		}
	})
}

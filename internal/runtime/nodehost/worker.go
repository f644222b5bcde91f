// SPDX-License-Identifier: Apache-2.0

package nodehost

import "time"

// worker is a goroutine that takes pieces of work until there are none.
type worker struct {
	reserved bool
	stalled  bool // it was replaced
	task     *Task
	since    int64 // when the piece at hand began
	prev     *worker
	next     *worker
	call     chan bool // to one that rests: there is work, or it is to go
}

const (
	// stallAfter is how long a piece of work may keep a worker, while others wait for
	// one, before the worker is replaced; urgentStall is that of the reserved worker.
	stallAfter  = 50 * time.Millisecond
	urgentStall = 5 * time.Millisecond
	// sparesPerQueue bounds the replaced workers: as many as may wait.
	sparesPerQueue = 1
)

// work is the life of a worker.
func (p *Pool) work(reserved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		w := p.hire(reserved)
		p.serve(w)
		if !p.dismiss(w) {
			return
		}
		p.mu.Unlock()
		called := <-w.call
		p.mu.Lock()
		if !called {
			return
		}
		w.next, p.spare = p.spare, w
	}
}

// serve has a worker work until nothing is left to do, or it is not needed any more. One
// clock reading ends a piece and begins the next. The lock is held, but while a piece runs.
func (p *Pool) serve(w *worker) {
	now := p.now()
	for first := !w.reserved; ; {
		t, urgent := p.take(w)
		if first {
			first, p.coming = false, false
			p.summon()
		}
		if t == nil {
			return
		}
		t.state, w.task, w.since = taskRunning, t, now
		waited := now - t.since
		p.mu.Unlock()
		p.waits.Record(waited)
		again := p.perform(t, urgent)
		end := p.now()
		p.runs.Record(end - now)
		now = end
		p.mu.Lock()
		w.task = nil
		granted := p.finish(t, again)
		stays := p.comeBack(w)
		if granted != nil {
			p.mu.Unlock()
			granted()
			p.mu.Lock()
		}
		if !stays {
			return
		}
	}
}

// perform runs a piece. Whoever handed it over has a boundary of their own for panics;
// this one keeps the worker.
func (p *Pool) perform(t *Task, urgent bool) (again bool) {
	defer func() {
		if r := recover(); r != nil {
			p.mu.Lock()
			p.counts.Panics++
			p.mu.Unlock()
			again = false
		}
	}()
	return t.run(urgent)
}

// finish puts a piece back where it belongs, and gives what is to be told to somebody who
// waited for its place. The lock is held.
func (p *Pool) finish(t *Task, again bool) (granted func()) {
	k := t.key
	if t.charged {
		k.running--
	}
	if t.stalled {
		k.stalled--
	}
	t.charged, t.stalled = false, false
	p.link(k)
	granted = p.uncount(t)
	again, urge := again || t.again, t.urge
	t.again, t.urge, t.state = false, false, taskIdle
	p.running.Add(-1)
	switch {
	case again && urge:
		p.running.Add(1)
		p.urge(t)
	case again:
		p.admit(t, true)
	}
	return granted
}

// hire makes a worker, or takes one that was dismissed.
func (p *Pool) hire(reserved bool) *worker {
	w := p.spare
	if w == nil {
		w = &worker{call: make(chan bool, 1)}
	} else {
		p.spare = w.next
	}
	*w = worker{reserved: reserved, next: p.busy, call: w.call}
	if p.busy != nil {
		p.busy.prev = w
	}
	p.busy = w
	return w
}

// dismiss has a worker go that found nothing to do, or is not needed any more; or rest, if
// workers are kept.
func (p *Pool) dismiss(w *worker) (rests bool) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		p.busy = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	switch {
	case w.stalled: // somebody else has its place
	case w.reserved:
		p.reserved = false
	default:
		p.active--
	}
	w.prev = nil
	if p.stay == 0 || p.closed || w.stalled || w.reserved {
		w.next, p.spare = p.spare, w
		return false
	}
	w.next, p.rest = p.rest, w
	p.resting++
	if !p.sweeps {
		p.sweeps, p.unneeded = true, 0
		if p.sweep == nil {
			p.sweep = time.AfterFunc(p.stay, p.tidy)
		} else {
			p.sweep.Reset(p.stay)
		}
	}
	return true
}

// tidy lets the workers go that nobody has called since it looked before.
func (p *Pool) tidy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeps = false
	p.release(p.unneeded)
	if p.resting > 0 {
		p.sweeps, p.unneeded = true, p.resting
		p.sweep.Reset(p.stay)
	}
}

// release lets n of the resting workers go. The lock is held.
func (p *Pool) release(n int) {
	for ; n > 0 && p.rest != nil; n-- {
		w := p.rest
		p.rest = w.next
		p.resting--
		w.call <- false
	}
}

// comeBack is a worker's end of a piece: one that was replaced meanwhile goes on only where
// there is room. It says whether the worker stays.
func (p *Pool) comeBack(w *worker) bool {
	if !w.stalled {
		return true
	}
	p.stalled--
	switch {
	case w.reserved && !p.reserved:
		w.stalled, p.reserved = false, true
	case !w.reserved && p.active < p.config.Workers:
		w.stalled = false
		p.active++
	}
	return !w.stalled
}

// look has the watch look after a while, if it does not look earlier. The lock is held.
func (p *Pool) look(after time.Duration) {
	at := p.now() + int64(after)
	if p.watched != 0 && p.watched <= at {
		return
	}
	p.watched = at
	if p.watch == nil {
		p.watch = time.AfterFunc(after, p.seek)
		return
	}
	p.watch.Reset(after)
}

// seek is the watch: while work waits, it replaces a worker whose piece does not end, as a
// runtime does with a thread that sits in a system call. It replaces one at a time, so
// that processors which are merely busy do not get ever more goroutines.
func (p *Pool) seek() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = 0
	now := p.now()
	if p.control.len > 0 {
		if w := p.oldest(true, now-int64(urgentStall)); w != nil {
			p.replace(w)
			p.reserved = false
		}
	}
	if p.queued.Load() > 0 {
		if w := p.oldest(false, now-int64(stallAfter)); w != nil {
			p.replace(w)
			p.active--
			if t := w.task; t.charged {
				t.charged, t.stalled = false, true
				t.key.running--
				t.key.stalled++
				p.link(t.key)
			}
		}
	}
	p.summon()
	if p.control.len > 0 {
		p.look(urgentStall)
	} else if p.queued.Load() > 0 {
		p.look(stallAfter / 4)
	}
}

// oldest gives the worker whose piece has run for longest, of those that began before an
// instant and may be replaced.
func (p *Pool) oldest(reserved bool, before int64) (found *worker) {
	if p.stalled >= sparesPerQueue*p.config.Queue {
		return nil
	}
	for w := p.busy; w != nil; w = w.next {
		if w.stalled || w.task == nil || w.reserved != reserved || w.since > before {
			continue
		}
		if found == nil || w.since < found.since {
			found = w
		}
	}
	return found
}

func (p *Pool) replace(w *worker) {
	w.stalled = true
	p.stalled++
	p.counts.Stalls++
}

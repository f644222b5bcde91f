// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// watch holds an instance's hooks to their limits. Its one timer is left running while
// hooks come and go, so that a hook within its limit costs two short locks and no timer.
type watch struct {
	instance *Instance

	mu       sync.Mutex
	timer    *time.Timer
	fires    timebase.Instant // when the timer does; 0 = it does not
	current  hook
	due      timebase.Instant // of the hook that runs; 0 = none runs
	expected []timebase.Instant
}

func (i *Instance) limit(h hook) time.Duration {
	l := i.settings.Limits
	switch h {
	case hookInit:
		return l.Init
	case hookStart:
		return l.Start
	case hookEvent:
		return l.EventHard
	case hookBargeIn, hookCancel:
		return l.Cancel
	case hookBudget:
		return l.Budget
	case hookStop:
		return l.Stop
	}
	return l.EventHard
}

// due is when a hook that is asked for now has to be over.
func (i *Instance) due(h hook) timebase.Instant {
	return i.settings.Exec.Now().Add(timebase.Span(i.limit(h)))
}

// begin says that a hook runs from now on.
func (w *watch) begin(h hook) timebase.Instant {
	exec := w.instance.settings.Exec
	now := exec.Now()
	if exec.Virtual() {
		return now
	}
	w.mu.Lock()
	w.current = h
	w.due = now.Add(timebase.Span(w.instance.limit(h)))
	w.arm(now, w.due)
	w.mu.Unlock()
	return now
}

// end says that it is over.
func (w *watch) end() {
	w.mu.Lock()
	w.due = 0
	w.mu.Unlock()
}

// expect notes the limit of a requested hook; met takes the oldest back.
func (w *watch) expect(due timebase.Instant) {
	exec := w.instance.settings.Exec
	if exec.Virtual() {
		return
	}
	w.mu.Lock()
	w.expected = append(w.expected, due)
	w.arm(exec.Now(), due)
	w.mu.Unlock()
}

func (w *watch) met() {
	w.mu.Lock()
	if len(w.expected) > 0 {
		w.expected = append(w.expected[:0], w.expected[1:]...)
	}
	w.mu.Unlock()
}

// arm makes sure that the timer fires no later than due.
func (w *watch) arm(now, due timebase.Instant) {
	if w.fires != 0 && w.fires <= due {
		return
	}
	w.fires = due
	wait := time.Duration(due.Sub(now))
	if w.timer == nil {
		w.timer = time.AfterFunc(wait, w.fire)
		return
	}
	w.timer.Reset(wait)
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.fires = 0
}

// fire looks whether a limit has passed, and waits for the next one.
func (w *watch) fire() {
	now := w.instance.settings.Exec.Now()
	w.mu.Lock()
	w.fires = 0
	over, next, h := false, timebase.Never, w.current
	look := func(due timebase.Instant) {
		if due != 0 && due <= now {
			over = true
		} else if due != 0 {
			next = timebase.Earliest(next, due)
		}
	}
	look(w.due)
	if !over {
		h = hookCancel
	}
	for _, due := range w.expected {
		look(due)
	}
	if !over && next != timebase.Never {
		w.arm(now, next)
	}
	w.mu.Unlock()
	if over {
		w.instance.fail(h, ReasonTimeout, "the hook has passed its limit of "+w.instance.limit(h).String())
	}
}

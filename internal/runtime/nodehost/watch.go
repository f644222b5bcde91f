// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// watch holds an instance's hooks to their limits, and its events to the node's budget.
// Its one timer is left running while hooks come and go, so that a hook within its limit
// costs two short locks and no timer.
type watch struct {
	instance *Instance
	budget   timebase.Span // of an event, or of all events of the turn
	perTurn  bool

	mu       sync.Mutex
	timer    *time.Timer
	fires    timebase.Instant // when the timer does; 0 = it does not
	current  hook
	due      timebase.Instant // of the hook that runs; 0 = none runs
	expected []timebase.Instant

	began timebase.Instant // of the event that is handled; negative = none is
	used  timebase.Span    // perTurn: by the events before
	told  gone
}

// gone is how much of the budget was told to be gone.
type gone uint8

const (
	goneLittle gone = iota
	goneMost        // 80 % (flow section 8)
	goneAll
)

func (w *watch) init(i *Instance) {
	w.instance, w.budget, w.began = i, timebase.Span(i.settings.Limits.Event), -1
	if l := i.settings.Limits.Turn; l > 0 && i.settings.Turn != "" {
		w.budget, w.perTurn = timebase.Span(l), true
	}
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
func (w *watch) begin(h hook) {
	exec := w.instance.settings.Exec
	now := exec.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if h == hookEvent {
		w.began = now
		if !w.perTurn {
			w.told = goneLittle
		}
	}
	if exec.Virtual() {
		return
	}
	w.current = h
	w.due = now.Add(timebase.Span(w.instance.limit(h)))
	w.arm(now, timebase.Earliest(w.due, w.mark()))
}

// end says that it is over, and tells what of the budget is gone, if the timer has not.
func (w *watch) end() {
	now := w.instance.settings.Exec.Now()
	w.mu.Lock()
	w.due = 0
	s, told := w.spend(now)
	took := now.Sub(w.began)
	event := w.began >= 0
	if event && w.perTurn {
		w.used += took
	}
	w.began = -1
	w.mu.Unlock()
	if event {
		w.instance.judgeInline(took)
	}
	if told {
		w.instance.spent(s)
	}
}

// ends is when the node's budget for the event at hand is over.
func (w *watch) ends() timebase.Instant {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.began < 0 {
		return timebase.Never
	}
	return w.began.Add(w.budget - w.used)
}

// mark is when there will be something to tell of the budget. Only a turn can be helped
// by being told in time; a node of the session, whose events are many and short, is looked
// at when the event is over.
func (w *watch) mark() timebase.Instant {
	if w.began < 0 || w.instance.settings.Turn == "" {
		return timebase.Never
	}
	switch w.told {
	case goneLittle:
		return w.began.Add(w.budget/100*turn.WarningPercent - w.used)
	case goneMost:
		return w.began.Add(w.budget - w.used)
	case goneAll:
	}
	return timebase.Never
}

// spend says what of the budget is to be told. The lock is held.
func (w *watch) spend(now timebase.Instant) (s Spending, told bool) {
	if w.began < 0 || w.instance.settings.Exec.Virtual() {
		return s, false
	}
	used := w.used + now.Sub(w.began)
	by := goneLittle
	switch {
	case used >= w.budget:
		by = goneAll
	case used >= w.budget/100*turn.WarningPercent:
		by = goneMost
	}
	if by <= w.told {
		return s, false
	}
	w.told = by
	i := w.instance
	return Spending{Node: i.settings.ID, Turn: i.settings.Turn, Used: used, Limit: w.budget}, true
}

// spent passes on how much of the budget is gone.
func (i *Instance) spent(s Spending) {
	if s.Used >= s.Limit {
		i.context.Telemetry.Count("node_budget_exceeded", 1)
	}
	if i.settings.Spent != nil {
		i.settings.Spent(s)
	}
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

// fire looks whether a limit or a mark of the budget has passed, and waits for the next.
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
	s, told := w.spend(now)
	next = timebase.Earliest(next, w.mark())
	if !over && next != timebase.Never {
		w.arm(now, next)
	}
	w.mu.Unlock()
	if told {
		w.instance.spent(s)
	}
	if over {
		limit := w.instance.limit(h)
		w.instance.fail(Failure{
			Reason: ReasonTimeout, Hook: h.String(), Detail: "the hook has passed its limit of " + limit.String(),
			Limit: timebase.Span(limit),
		})
	}
}

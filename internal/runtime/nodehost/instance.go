// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
)

// Settings is what an Instance is built from. Node, ID and Exec are required.
type Settings struct {
	Node    node.Node
	ID      eventabi.NodeID
	Session eventabi.SessionID
	Turn    eventabi.TurnID // empty in session scope
	Exec    Executor
	// Counted has the node's events be outstanding tasks, of which there may be a limit.
	// Of a provider's node it is the calls that count.
	Counted bool
	Limits  node.Limits
	Parent  context.Context // ends with the session; nil = never
	// Out takes what the node emits, on the goroutine that emits it.
	Out func(ev *node.Event)
	// Hold keeps the event at hand open until done is called; nil = nobody waits for answers.
	Hold func() (done func())
	// Failed is told once when the instance fails, on any goroutine.
	Failed func(f Failure)
	// Spent is told when 80 % of the node's budget are gone, and when nothing is left, each
	// once an event (once a turn where the budget is the turn's), on any goroutine; nil =
	// nobody listens. In virtual time hooks take none.
	Spent func(s Spending)
	// Ends is when the turn's time is over, timebase.Never when it has no budget (yet); the
	// node's is nested in it. nil = there is none. It may be called from any goroutine.
	Ends func() timebase.Instant
	// Count takes telemetry; nil = nobody listens.
	Count        func(name string, n int64)
	Conversation func() []node.Message
	Store        *Store
	Seed         int64
}

// Failure says how an instance ended before its time.
type Failure struct {
	Node   eventabi.NodeID
	Turn   eventabi.TurnID
	Reason string // ReasonPanic, ReasonError, ReasonTimeout
	Hook   string
	Detail string
	Limit  timebase.Span // ReasonTimeout: what was passed
}

// Spending says how much of a node's budget is gone while it goes on.
type Spending struct {
	Node        eventabi.NodeID
	Turn        eventabi.TurnID
	Used, Limit timebase.Span
}

// The reasons of a failure, as the kernel's NodeFailed has them.
const (
	ReasonPanic   = "panic"
	ReasonError   = "error"
	ReasonTimeout = "hook_timeout"
)

// Instance is one hosted node.
type Instance struct {
	settings Settings
	context  node.Context
	token    *node.CancelToken
	finishes bool // cancel_mode soft: what is in hand at a cancel goes out

	// turnstile admits one hook at a time; dead is closed by the first failure and by
	// the end of Stop.
	turnstile turnstile
	dead      chan struct{}
	state     atomic.Int32
	phase     phase       // guarded by the turnstile
	owed      atomic.Bool // a failed instance is to be stopped
	watch     watch

	mu     sync.Mutex
	hooks  []pending
	asked  atomic.Bool // there are hooks; changed under mu
	pull   func(ev *node.Event) bool
	work   atomic.Int32 // workIdle, workBusy, ...
	worker Starter
	inline atomic.Bool  // its events may run on the goroutine of whoever has them
	slow   int          // inline events in a row that took too long; guarded by the turnstile
	rang   atomic.Int64 // when the timer that fired was due; 0 = none did
	cold   atomic.Bool  // it is to begin ahead of its first event
	event  node.Event   // the one that was pulled; lent to the node
	timer  func()       // takes the timer back
	late   atomic.Int64
}

type phase uint8

const (
	phaseNew phase = iota
	phaseRunning
	phaseStopped
)

const (
	alive int32 = iota
	failed
	stopped
)

// New hosts a node. It checks the declaration and runs no hook.
func New(s Settings) (*Instance, error) {
	if err := node.Check(s.Node); err != nil {
		return nil, fmt.Errorf("nodehost: node %s is not registered: %w", s.ID, err)
	}
	if scope := s.Node.Declaration().Scope; (scope == node.ScopeTurn) != (s.Turn != "") {
		return nil, fmt.Errorf("nodehost: node %s: execution_scope: %q does not fit turn %q: a turn-scoped node runs in a turn, a session-scoped one outside", s.ID, scope, s.Turn)
	}
	if s.Parent == nil {
		s.Parent = context.Background()
	}
	if s.Store == nil {
		s.Store = &Store{}
	}
	s.Limits = s.Limits.WithDefaults()
	i := &Instance{
		settings:  s,
		token:     node.NewCancelToken(s.Parent),
		finishes:  s.Node.Declaration().Mode == node.CancelSoft,
		turnstile: turnstile{freed: make(chan struct{}, 1)},
		dead:      make(chan struct{}),
	}
	i.worker = s.Exec.Task(s.ID, s.Counted, i.run)
	i.watch.init(i)
	i.context = node.Context{
		Session:   s.Session,
		Turn:      s.Turn,
		Node:      s.ID,
		Cancel:    i.token,
		Budget:    (*budget)(i),
		Timebase:  (*clock)(i),
		State:     &stateHandle{store: s.Store, turn: s.Turn, conversation: s.Conversation},
		Telemetry: telemetry(s.Count),
		Out:       i.emit,
		Hold:      s.Hold,
	}
	if s.Turn != "" {
		i.context.Determinism = newChance(s.Seed)
	}
	return i, nil
}

// Alive says that the instance takes events.
func (i *Instance) Alive() bool { return i.state.Load() == alive }

// Touch reads what an event needs, and gives a sum that means nothing. Who is about to bring
// events to many instances has the processor bring all of them from memory at once with it.
func (i *Instance) Touch() int64 {
	return int64(len(i.settings.ID)+len(i.settings.Turn)) + int64(i.settings.Limits.Event) + i.settings.Seed + int64(len(i.context.Session)+len(i.context.Node)) +
		int64(i.state.Load()) + int64(i.watch.budget) + int64(i.work.Load()) + i.late.Load()
}

// Late counts what the node emitted after its turn was cancelled.
func (i *Instance) Late() int64 { return i.late.Load() }

// Call gives the node one event, on the goroutine of the caller, and waits for the hook. It
// says false when the instance does not take events (any more).
func (i *Instance) Call(ev *node.Event) bool {
	if !i.settings.Exec.Virtual() && i.worker.Counts() {
		granted := make(chan struct{})
		claim, now, why := i.settings.Exec.Claim(i.settings.ID, func() { close(granted) })
		defer claim.Give()
		if !now && why == "" { // a closed pool counts nothing any more
			select {
			case <-granted:
			case <-i.dead:
				return false
			}
		}
	}
	return i.call(ev)
}

func (i *Instance) call(ev *node.Event) bool {
	if !i.enter() {
		return false
	}
	defer i.leave()
	return i.prepare() && i.perform(hookEvent, ev, pending{})
}

// enter waits for the turnstile, or for the instance's end.
func (i *Instance) enter() bool {
	if !i.turnstile.try() && !i.turnstile.wait(i.dead) {
		return false
	}
	if i.Alive() {
		return true
	}
	i.turnstile.leave()
	return false
}

// leave lets the next hook in. It is here that a failed instance stops whose hook came back
// late.
func (i *Instance) leave() {
	i.turnstile.leave()
	if i.owed.Load() {
		i.release()
	}
}

// release runs the Stop that a failed instance is owed, once none of its hooks runs any more.
// One that never comes back is never stopped: nothing may run beside it.
func (i *Instance) release() {
	if !i.turnstile.try() {
		return // whoever is in there does it on leaving
	}
	if i.owed.Swap(false) && i.phase == phaseRunning {
		i.phase = phaseStopped
		if err := i.invoke(hookStop, nil, pending{}); err != nil {
			i.context.Telemetry.Count("node_stop_failed", 1)
		}
	}
	i.turnstile.leave()
	if i.owed.Load() {
		i.release()
	}
}

// prepare runs Init and Start before the first event.
func (i *Instance) prepare() bool {
	if i.phase == phaseNew {
		i.phase = phaseRunning
		if !i.perform(hookInit, nil, pending{}) || !i.perform(hookStart, nil, pending{}) {
			return false
		}
		i.allowInline()
		return true
	}
	return i.phase == phaseRunning
}

// perform runs one hook under its limit. It says whether the instance is still well.
func (i *Instance) perform(h hook, ev *node.Event, p pending) bool {
	i.watch.begin(h)
	err := i.invoke(h, ev, p)
	i.watch.end()
	if err != nil {
		reason := ReasonError
		if errors.As(err, new(*panicError)) {
			reason = ReasonPanic
		}
		i.fail(Failure{Reason: reason, Hook: h.String(), Detail: err.Error()})
	}
	return i.Alive() || i.state.Load() == stopped
}

// panicError is a recovered panic.
type panicError struct{ value any }

func (p *panicError) Error() string { return fmt.Sprint("panic: ", p.value) }

// invoke calls the hook. It is the one place where a node's panic is caught.
func (i *Instance) invoke(h hook, ev *node.Event, p pending) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{r}
		}
	}()
	n := i.settings.Node
	switch h {
	case hookInit:
		return n.Init(&i.context)
	case hookStart:
		return n.Start(&i.context)
	case hookEvent:
		return n.OnEvent(&i.context, ev)
	case hookBargeIn:
		if b, ok := n.(node.BargeInHandler); ok {
			return b.OnBargeIn(&i.context)
		}
	case hookCancel:
		return n.OnCancel(&i.context, p.cancel)
	case hookBudget:
		if b, ok := n.(node.BudgetHandler); ok {
			return b.OnBudgetExhausted(&i.context, p.budget)
		}
	case hookStop:
		return n.Stop(&i.context)
	}
	return nil
}

// ID is the node's id.
func (i *Instance) ID() eventabi.NodeID { return i.settings.ID }

// fail ends the instance: nothing goes in or comes out any more.
func (i *Instance) fail(f Failure) {
	if !i.state.CompareAndSwap(alive, failed) {
		return
	}
	i.token.Trip(node.Cancel{Reason: "node_failure"})
	close(i.dead)
	i.stopTimer()
	i.context.Telemetry.Count("node_failed_"+f.Reason, 1)
	if i.settings.Failed != nil {
		f.Node, f.Turn = i.settings.ID, i.settings.Turn
		i.settings.Failed(f)
	}
	i.request(pending{hook: hookStop})
}

// Overdue fails an instance that keeps an event open beyond the limit of an event.
func (i *Instance) Overdue() {
	limit := i.limit(hookEvent)
	i.fail(Failure{
		Reason: ReasonTimeout, Hook: hookEvent.String(), Detail: "the event was not done within its limit of " + limit.String(),
		Limit: timebase.Span(limit),
	})
}

// Dead is closed when the instance has failed or stopped.
func (i *Instance) Dead() <-chan struct{} { return i.dead }

// emit is the node's way out.
func (i *Instance) emit(ev *node.Event) {
	if !i.Alive() {
		i.late.Add(1)
		return
	}
	if i.settings.Turn != "" && !i.finishes {
		if _, over := i.token.Cancelled(); over {
			i.late.Add(1)
			return
		}
	}
	if i.settings.Out != nil {
		i.settings.Out(ev)
	}
}

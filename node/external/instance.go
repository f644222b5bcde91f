// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/protocol"
)

type stage uint8

const (
	stageNew stage = iota
	stageOpening
	stageOpen
	stageLeaving // stop was said; its place is its own until it has stopped
	stageGone
)

// instance is one node of a session or of a turn; its other half is in the process.
type instance struct {
	program *program
	config  json.RawMessage
	about   node.Declaration
	context *node.Context
	process *process
	number  uint32
	turn    bool // it serves one turn

	mu      sync.Mutex
	stage   stage
	fault   error         // why it takes no more
	woken   bool          // the host was told of the fault
	changed chan struct{} // something has changed for who waits; one waits at a time
	window  int
	sent    uint64
	open    int // events under way
	lateTo  uint64
	muted   bool // what comes is late
	over    bool // its turn was cancelled
	wanted  string
	until   time.Duration // when what is wanted has to be there; 0 = nothing is
	began   time.Duration // of the instance
	left    time.Duration // since when its turn was cancelled and nobody stopped it
	freed   bool
	since   [protocol.MaxCredits]time.Duration // of the events under way, by sequence; 0 = done
	counted counted
}

// counted is what telemetry was not told yet.
type counted struct {
	events   int64
	overhead time.Duration
}

var (
	_ node.Node           = (*instance)(nil)
	_ node.BargeInHandler = (*instance)(nil)
	_ node.BudgetHandler  = (*instance)(nil)
)

func newInstance(g *program, config json.RawMessage) *instance {
	return &instance{program: g, config: config, about: g.plan.declaration.Node(), changed: make(chan struct{}, 1)}
}

// Declaration is that of the package.
func (i *instance) Declaration() node.Declaration { return i.about }

// Init takes a place in the process, which it starts where none runs, and opens the other half:
// that runs its Init and its Start.
func (i *instance) Init(ctx *node.Context) error {
	i.context, i.turn = ctx, ctx.Turn != ""
	p, err := i.program.acquire(ctx.Cancel.Done())
	if err != nil {
		return i.give(err)
	}
	i.process = p
	l := &i.program.plan.limits
	i.mu.Lock()
	i.stage, i.window = stageOpening, protocol.DefaultCredits
	i.wanted, i.until, i.began = protocol.TypeOpened, p.now()+node.DefaultInit+node.DefaultStart, p.now()
	i.mu.Unlock()
	if err := p.admit(i); err != nil {
		i.program.leave()
		return i.give(err)
	}
	at := int64(ctx.Timebase.Now())
	m := &protocol.Message{
		Type: protocol.TypeOpen, Instance: i.number, Session: ctx.Session, Turn: ctx.Turn, Node: ctx.Node, At: &at, Config: i.config, Grease: "skip me",
		Limits: &protocol.Limits{
			InitMS: node.DefaultInit.Milliseconds(), StartMS: node.DefaultStart.Milliseconds(), EventMS: l.time.Milliseconds(),
			EventHardMS: l.time.Milliseconds(), CancelMS: l.cancel.Milliseconds(), BudgetMS: budgetLimit.Milliseconds(), StopMS: stopLimit.Milliseconds(),
		},
	}
	if len(m.Config) == 0 {
		m.Config = json.RawMessage("{}")
	}
	if ctx.Determinism != nil {
		seed := ctx.Determinism.Seed()
		m.Seed = &seed
	}
	ctx.Telemetry.Count("boundary_process_opened", 1)
	if err := p.send(m); err != nil {
		i.fail(err)
		return i.give(err)
	}
	return i.await(ctx.Cancel.Done())
}

// give is what the host is told of an error, which it is told once.
func (i *instance) give(err error) error {
	i.mu.Lock()
	i.woken = true
	i.mu.Unlock()
	if e := (*Error)(nil); errors.As(err, &e) {
		i.context.Telemetry.Count("external_"+e.Code, 1)
	}
	return err
}

// Start was done by Init.
func (*instance) Start(*node.Context) error { return nil }

// OnEvent gives an event to the other half. Audio does not wait for what becomes of it, as long as
// there are credits; anything else does.
func (i *instance) OnEvent(ctx *node.Context, ev *node.Event) error {
	seq, err := i.credit(ctx)
	if err != nil {
		return i.give(err)
	}
	if seq == 0 {
		return nil // its scope is over
	}
	i.program.events.Add(1)
	if protocol.Plain(ev) {
		a := protocol.Audio{Instance: i.number, Sequence: seq, At: int64(ev.At), Sample: ev.Sample, Final: ev.Final, Protected: ev.Protected, PCM: ev.PCM}
		if err := i.process.sendAudio(&a); err != nil {
			return i.give(err)
		}
		return nil
	}
	m := &protocol.Message{Type: protocol.TypeEvent, Instance: i.number, Seq: seq, Event: protocol.FromEvent(ev)}
	if left := ctx.Budget.RemainingMS(); left >= 0 {
		m.BudgetMS = &left
	}
	if err := i.process.send(m); err != nil {
		i.fail(err)
		return i.give(err)
	}
	return i.finished(ctx, seq)
}

// credit takes a credit and gives the event's sequence, 0 where the scope is over.
func (i *instance) credit(ctx *node.Context) (uint64, error) {
	for {
		i.mu.Lock()
		slot := &i.since[(i.sent+1)%protocol.MaxCredits]
		switch {
		case i.fault != nil:
			defer i.mu.Unlock()
			return 0, i.fault
		case i.stage != stageOpen || i.over:
			i.mu.Unlock()
			i.late()
			return 0, nil
		case i.open < i.window && *slot == 0:
			i.sent++
			i.open++
			*slot = max(1, i.process.now())
			seq := i.sent
			i.mu.Unlock()
			return seq, nil
		}
		i.mu.Unlock()
		select {
		case <-i.changed:
		case <-i.cancelled(ctx):
			return 0, nil
		}
	}
}

// finished waits until an event is done, or its scope is over.
func (i *instance) finished(ctx *node.Context, seq uint64) error {
	for {
		i.mu.Lock()
		fault, done := i.fault, i.since[seq%protocol.MaxCredits] == 0
		i.mu.Unlock()
		switch {
		case fault != nil:
			return i.give(fault)
		case done:
			return nil
		}
		select {
		case <-i.changed:
		case <-i.cancelled(ctx):
			return nil
		}
	}
}

// cancelled is closed when the instance's scope is over. A turn that was cancelled is no end of a
// session's instance, whose token tells it all the same.
func (i *instance) cancelled(ctx *node.Context) <-chan struct{} {
	if c, over := ctx.Cancel.Cancelled(); over && !i.turn && (c.Scope == eventabi.CancelTurn || c.Scope == eventabi.CancelInvocation) {
		return nil
	}
	return ctx.Cancel.Done()
}

// OnBargeIn closes the credit, then tells the other half to drop what it buffers.
func (i *instance) OnBargeIn(*node.Context) error {
	return i.relay(&protocol.Message{Type: protocol.TypeBargeIn}, protocol.TypeBargedIn, i.program.plan.limits.cancel, true)
}

// OnCancel closes the credit, then relays the cancel. In turn scope nothing comes out any more.
func (i *instance) OnCancel(_ *node.Context, c node.Cancel) error {
	if i.turn && c.Scope != eventabi.CancelInvocation {
		i.mu.Lock()
		i.over = true
		i.mu.Unlock()
	}
	m := &protocol.Message{Type: protocol.TypeCancel, Scope: c.Scope, Invocation: c.Invocation, Reason: c.Reason}
	return i.relay(m, protocol.TypeCancelled, i.program.plan.limits.cancel, true)
}

// OnBudgetExhausted tells the other half what follows.
func (i *instance) OnBudgetExhausted(_ *node.Context, outcome node.BudgetOutcome) error {
	return i.relay(&protocol.Message{Type: protocol.TypeBudget, Outcome: outcome}, protocol.TypeBudgeted, max(budgetLimit, i.program.plan.limits.cancel), false)
}

// relay sends a control message and waits for its answer.
func (i *instance) relay(m *protocol.Message, answer string, limit time.Duration, mutes bool) error {
	i.mu.Lock()
	if i.stage != stageOpen || i.fault != nil {
		defer i.mu.Unlock()
		return i.fault
	}
	if mutes && i.about.Mode != node.CancelSoft && m.Scope != eventabi.CancelInvocation {
		i.muted = true
	}
	i.wanted, i.until = answer, i.process.now()+limit
	i.mu.Unlock()
	m.Instance = i.number
	if err := i.process.send(m); err != nil {
		i.fail(err)
		return i.give(err)
	}
	return i.await(nil)
}

// await waits for what is wanted. The watch sees to it that it ends.
func (i *instance) await(stop <-chan struct{}) error {
	for {
		i.mu.Lock()
		fault, there := i.fault, i.wanted == ""
		i.mu.Unlock()
		switch {
		case fault != nil:
			return i.give(fault)
		case there:
			return nil
		}
		select {
		case <-i.changed:
		case <-stop:
			err := i.program.fault(codeCancelled, "nobody waits for the instance any more")
			i.fail(err)
			return i.give(err)
		}
	}
}

// Stop ends the instance. Its place is free when the other half has stopped.
func (i *instance) Stop(ctx *node.Context) error {
	i.tell(ctx)
	i.mu.Lock()
	if over := i.stage != stageOpen || i.fault != nil; over {
		i.mu.Unlock()
		return nil
	}
	i.stage = stageLeaving
	i.wanted, i.until = protocol.TypeStopped, i.process.now()+stopLimit
	i.mu.Unlock()
	if err := i.process.send(&protocol.Message{Type: protocol.TypeStop, Instance: i.number}); err != nil {
		return i.give(err)
	}
	return i.await(nil)
}

// tell counts what was not counted yet, and where it was done.
func (i *instance) tell(ctx *node.Context) {
	i.mu.Lock()
	c := i.counted
	i.counted = counted{overhead: c.overhead % time.Millisecond}
	i.mu.Unlock()
	if c.events > 0 {
		ctx.Telemetry.Count("boundary_process_events", c.events)
		ctx.Telemetry.Count("sandbox_overhead_ms", c.overhead.Milliseconds())
	}
}

// Settled says whether all events that were given are done.
func (i *instance) Settled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open == 0 || i.fault != nil
}

func (i *instance) late() {
	i.program.late.Add(1)
	i.context.Telemetry.Count("external_late", 1)
}

// wake lets who waits look again.
func (i *instance) wake() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

// fail ends the instance: the host is told by its next event, which the host is asked to send.
func (i *instance) fail(err error) {
	i.mu.Lock()
	if i.fault != nil {
		i.mu.Unlock()
		return
	}
	i.fault, i.muted = err, true
	was := i.stage
	tell := was == stageOpen && !i.woken
	if was == stageOpening || was == stageOpen {
		i.stage = stageLeaving
		i.wanted, i.until = protocol.TypeStopped, i.process.now()+hangLimit
	}
	leaving := i.stage == stageLeaving
	i.mu.Unlock()
	i.program.log.Warn("an instance of a node has failed", "error", err, "session", i.context.Session, "turn", i.context.Turn, "node_id", i.context.Node)
	i.wake()
	if tell {
		i.context.Timebase.WakeAt(i.context.Timebase.Now())
	}
	if leaving && i.process.alive() {
		// Whoever is here must not wait for a process that may not read.
		go func() { _ = i.process.send(&protocol.Message{Type: protocol.TypeStop, Instance: i.number}) }()
	}
}

// free gives the place back, once.
func (i *instance) free() {
	i.mu.Lock()
	was := i.freed
	i.freed, i.stage = true, stageGone
	i.mu.Unlock()
	if !was {
		i.program.leave()
	}
}

// check fails an instance whose time is over.
func (i *instance) check(now time.Duration) {
	l := &i.program.plan.limits
	i.mu.Lock()
	wanted, until, stage := i.wanted, i.until, i.stage
	oldest := time.Duration(0)
	for k := uint64(0); i.open > 0 && k < protocol.MaxCredits; k++ {
		if s := i.since[k]; s != 0 && (oldest == 0 || s < oldest) {
			oldest = s
		}
	}
	began, left := i.began, i.left
	if i.over && left == 0 {
		i.left = now
	}
	i.mu.Unlock()
	switch {
	case wanted == protocol.TypeStopped && now > until:
		i.process.end(i.program.fault(protocol.CodeTimeout, "instance %d has not stopped when it was told to: the process hangs", i.number))
	case wanted != "" && wanted != protocol.TypeStopped && now > until:
		i.fail(i.program.fault(protocol.CodeTimeout, "no %s in time", wanted))
		i.process.ask()
	case stage == stageOpen && oldest != 0 && now-oldest > l.time:
		i.fail(i.program.fault(protocol.CodeTimeout, "an event was not done within limits.time_ms, which is %d", l.time.Milliseconds()))
		i.process.ask()
	case stage == stageOpen && l.wall != 0 && now-began > l.wall:
		i.fail(i.program.fault(protocol.CodeTimeout, "the instance has lived for limits.wall_ms, which is %d", l.wall.Milliseconds()))
	case stage == stageOpen && (i.abandoned() || left != 0 && now-left > lingers):
		i.fail(i.program.fault(codeCancelled, "the host has given the instance up"))
	}
}

// lingers is how long an instance whose turn was cancelled is kept for its Stop.
const lingers = 10 * time.Second

// abandoned says whether the host has ended the instance without a Stop: it has failed there, or
// the session is gone.
func (i *instance) abandoned() bool {
	c, over := i.context.Cancel.Cancelled()
	return over && (c == node.Cancel{} || c.Reason == "node_failure")
}

// deliver gives what the other half emits to the host.
func (i *instance) deliver(ev *node.Event, seq uint64) error {
	i.mu.Lock()
	sent := i.sent
	ok := (i.stage == stageOpen || i.stage == stageOpening) && !i.muted && (seq == 0 || seq > i.lateTo) && (!i.over || i.about.Mode == node.CancelSoft)
	i.mu.Unlock()
	switch {
	case seq > sent:
		return &protocol.Violation{Field: "seq", Value: seq, Remedy: fmt.Sprintf("answer an event that was sent; the last was %d", sent)}
	case !ok:
		i.late()
	case !slices.Contains(i.about.Outputs, ev.Type):
		i.fail(i.program.fault(protocol.CodeViolation, "event.type: %.40q: the declaration's outputs are %q: declare it, or do not emit it", ev.Type, i.about.Outputs))
	default:
		i.emit(ev)
	}
	return nil
}

// emit hands over. What breaks there is the session's: its node fails, and the process serves on.
func (i *instance) emit(ev *node.Event) {
	defer func() {
		if r := recover(); r != nil {
			i.fail(i.program.fault(protocol.CodeNode, "what takes its output has panicked: %v", r))
		}
	}()
	i.context.Emit(ev)
}

// tellEvery is after how many events telemetry is told.
const tellEvery = 50

// done gives a credit back.
func (i *instance) done(seq uint64, tookUS uint32) error {
	i.mu.Lock()
	slot := &i.since[seq%protocol.MaxCredits]
	if seq == 0 || seq > i.sent || *slot == 0 {
		sent := i.sent
		i.mu.Unlock()
		return &protocol.Violation{Field: "done.seq", Value: seq, Remedy: fmt.Sprintf("say done once for each event; the last was %d", sent)}
	}
	trip := i.process.now() - *slot
	*slot = 0
	i.open--
	i.counted.events++
	over := time.Duration(0)
	if own := time.Duration(tookUS) * time.Microsecond; own < trip {
		over = trip - own
	}
	i.counted.overhead += over
	tell := i.counted.events >= tellEvery
	i.mu.Unlock()
	i.program.overhead.record(over)
	if tell {
		i.tell(i.context)
	}
	i.wake()
	return nil
}

func audioEvent(a *protocol.Audio) node.Event {
	return node.Event{
		Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw, At: node.Instant(a.At), Sample: a.Sample,
		Final: a.Final, Protected: a.Protected, PCM: a.PCM,
	}
}

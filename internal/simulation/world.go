// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// world is everything around one session at a time. Its memory is used again by the
// next session; nothing else is.
type world struct {
	random timebase.Random
	kernel *session.Machine
	fx     session.Effects
	digest session.Digest
	queue  queue
	pool   inputs
	front  []session.Input // reports of egress, ahead of everything
	body   []session.Input
	in     []session.Input
	egress egress
	watch  watch
	trace  *trace // nil unless a failure is being shown

	now         timebase.Instant
	until       timebase.Instant // the conversation goes on no longer, or comes to rest
	passAt      timebase.Instant // what the step is told, now unless the clock went back
	solo        bool             // the pass holds a single message that came alone
	pausedUntil timebase.Instant
	lateFor     timebase.Instant // the deadline that lateness was drawn for
	lateness    timebase.Span

	habits habits
	faults FaultSet // drawn for this session
	bad    []Fault  // faults of providers among them
	calm   bool     // faults have stopped
	phase  phase
	turns  int64
	want   int64

	host       host
	wires      wires
	client     client
	graph      graph
	epoch      eventabi.Epoch
	versions   int64
	linkDown   bool // nothing comes from the client
	linkSaid   session.LinkState
	speech     speech
	planned    int // acts of the caller that are due
	calls      []call
	running    []toolRun // tools, of the session
	texts      []text    // by handle
	owners     int32     // utterances and typed texts so far
	lastHandle int64     // of the last chunk of audio
	keys       int64
	lastKeyed  keyed
	frames     int64
	device     soundDevice
	wallOff    timebase.Span     // how far the wall clock was set
	readNext   timebase.Instant  // when it is read again
	heldUp     timebase.Instant  // caller audio comes no earlier
	live       eventabi.TurnID   // the turn that was opened last and not closed
	owed       []eventabi.TurnID // turns whose evidence was asked for
	denied     int               // proposals refused in a row
	shown      eventabi.TurnID   // the turn that was opened last

	// blind leaves the watch out: equal digests of a second run say that every decision
	// that the first run's watch approved came again.
	blind   bool
	covered [faultCount]int64
	steps   int64
	tamper  func(w *world) // tests only: spoils the effects of the step
}

type phase uint8

const (
	talking  phase = iota // the caller does things, faults happen
	settling              // faults have stopped, everything comes to rest
	closing               // the session was told to end
	over                  // it has ended
)

// text is what a handle stands for.
type text struct {
	owner     int32 // utterance or typed text; 0 = the assistant's
	ref       session.TextRef
	protected bool
	segment   int64 // of a reply: the segment that it was made of, counted over the session
}

// newWorld makes a world that can be used for any number of sessions, by one goroutine.
func newWorld() *world {
	w := &world{}
	w.fx.Recycle = true
	w.egress.sink = func(generation uint32, c *chunk, samples timebase.Samples) {
		if !w.blind {
			w.watch.sunk(generation, c, samples)
		}
	}
	w.watch.init()
	return w
}

// enter begins one conversation of at most want turns.
func (w *world) enter(seed uint64, allowed FaultSet, want int64) {
	w.random = timebase.NewRandom(seed)
	w.queue.reset()
	w.egress.reset()
	w.kernel = session.New()
	w.now, w.pausedUntil, w.lateFor, w.lateness = 0, 0, 0, 0
	w.calm, w.phase, w.turns, w.want = false, talking, 0, want
	w.epoch, w.versions, w.linkDown, w.linkSaid = 1, 1, false, session.LinkResumed
	w.speech, w.planned, w.calls, w.running = speech{}, 0, w.calls[:0], w.running[:0]
	w.device, w.wallOff, w.readNext, w.heldUp = soundDevice{}, 0, 0, 0
	w.texts, w.owners, w.lastHandle, w.keys = append(w.texts[:0], text{}), 0, 0, 0
	w.lastKeyed, w.frames, w.live, w.shown, w.owed, w.denied = keyed{}, 0, "", "", w.owed[:0], 0
	w.drawFaults(seed, allowed)
	w.drawHabits()
	w.drawClient(seed)
	w.drawGraph(seed, allowed)
	w.watch.begin(w)
	w.until = horizon
	w.open()
}

// leave ends it.
func (w *world) leave() {
	w.afterwards()
	if !w.blind {
		w.watch.finish()
	}
}

// patience is how many refused proposals in a row the caller puts up with.
const patience = 8

// horizon bounds the virtual time of one conversation.
const horizon = timebase.Instant(3600 * timebase.Second)

// advance goes on to the next event, and says false when the session has ended.
func (w *world) advance() bool {
	if w.phase == over || w.watch.failed() {
		return false
	}
	due := min(w.queue.next(), w.egress.nextReport(), w.deadline())
	switch {
	case w.phase == talking && (w.turns >= w.want && w.live == "" || w.denied > patience || due > w.until):
		w.settle()
		w.until = w.now.Add(settleBound)
		return true
	case w.phase == settling && due == timebase.Never:
		if !w.blind {
			w.watch.atRest(w)
		}
		w.close("caller_done")
		return true
	case w.phase == settling && due > w.until:
		w.watch.restless(w)
		return false
	case w.phase == closing && due == timebase.Never:
		w.watch.stuck(w)
		return false
	}
	w.now = max(w.now, due, w.pausedUntil)
	w.gather()
	w.pass()
	return true
}

// settleBound is how long a session may take to come to rest without faults: the hard
// cap on a turn, the longest utterance, the audio that egress may hold, and patience.
const settleBound = 300 * timebase.Second

// deadline is when the kernel's wake is delivered.
func (w *world) deadline() timebase.Instant {
	d := w.kernel.Deadline()
	if d == timebase.Never || w.calm || !w.faults.Has(TimeLateTimer) {
		return d
	}
	if d != w.lateFor {
		w.lateFor, w.lateness = d, 0
		if w.random.Chance(1, 4) {
			w.lateness = timebase.MS(w.random.Between(1, 400))
			w.covered[TimeLateTimer]++
		}
	}
	return d.Add(w.lateness)
}

// gather takes everything that is due into one pass.
func (w *world) gather() {
	w.pool.reset()
	w.front, w.body = w.front[:0], w.body[:0]
	w.solo = false
	w.passAt = w.now
	window := w.now
	if !w.calm && w.habits.window > 0 {
		window = w.now.Add(w.habits.window)
	}
	for w.queue.next() <= window {
		if w.queue.heap[0].kind.alone() {
			if len(w.body) > 0 {
				break // it is the next pass
			}
			e := w.queue.pop()
			w.handle(&e)
			w.solo = len(w.body) == 1
			break
		}
		e := w.queue.pop()
		w.now = max(w.now, e.at)
		w.handle(&e)
	}
	w.passAt = max(w.passAt, w.now)
	w.egress.advance(w.now)
}

// pass steps the kernel over what was gathered.
func (w *world) pass() {
	if w.kernel.Deadline() <= w.now {
		w.body = append(w.body, &w.pool.wake)
	}
	w.takeReports()
	if len(w.front) == 0 && len(w.body) == 0 {
		return
	}
	w.readClock()
	w.in = append(append(w.in[:0], w.front...), w.body...)
	w.step()
}

// step performs one pass: watch, kernel, watch, world.
func (w *world) step() {
	if !w.calm && w.faults.Has(TimeWallStep) && w.random.Chance(1, 32) {
		w.passAt = max(0, w.passAt.Add(-timebase.MS(w.random.Between(1, 5000))))
		w.covered[TimeWallStep]++
	}
	w.steps++
	w.fx.Reset()
	if !w.blind {
		w.watch.before(w)
	}
	if w.trace != nil {
		w.trace.inputs(w)
	}
	w.kernel.Step(w.passAt, w.in, &w.fx)
	w.watch.deadline = w.kernel.Deadline()
	w.watch.mapped, _ = w.kernel.Projection(w.watch.now)
	if w.tamper != nil {
		w.tamper(w)
	}
	if w.trace != nil {
		w.trace.effects(w)
	}
	w.digest.Add(w.fx.List)
	if !w.blind && len(w.wires.list) > 0 {
		w.watch.sequenced(w)
	}
	for i, e := range w.fx.List {
		if !w.blind {
			w.watch.effect(e)
		}
		w.perform(e)
		if _, fence := e.(*session.Fence); fence && !w.fenceAt(i+1) {
			w.egress.wake(w.now) // what stands behind the fenced goes on when all fences stand
		}
	}
	if !w.blind {
		w.watch.settled(w)
	}
}

// fenceAt says that the i-th decision of the step is a fence as well.
func (w *world) fenceAt(i int) bool {
	if i >= len(w.fx.List) {
		return false
	}
	_, fence := w.fx.List[i].(*session.Fence)
	return fence
}

// takeReports puts what egress has to say in front of the pass, and the playout
// position of what is playing behind it, as the shell does.
func (w *world) takeReports() {
	reports := w.egress.reports
	if len(reports) > 1 && w.fault(TransportReorder, 2) {
		last := len(reports) - 1
		reports[0], reports[last] = reports[last], reports[0]
	}
	for i := range reports {
		r := &reports[i]
		if (w.habits.protect == 0 || r.event != session.DeliveryCompleted) && w.fault(TransportLoss, 16) {
			continue
		}
		w.deliver(r.turn, r.event, r.played)
		if w.fault(TransportDuplicate, 16) {
			w.deliver(r.turn, r.event, r.played)
		}
	}
	w.egress.reports = w.egress.reports[:0]
	if w.solo && w.quiet() {
		return
	}
	if turn, played, ok := w.egress.progress(); ok && len(w.front)+len(w.body) > 0 {
		w.deliver(turn, session.DeliveryProgress, played)
	}
}

// quiet says that the pass holds caller audio alone.
func (w *world) quiet() bool {
	if len(w.body) != 1 {
		return false
	}
	_, audio := w.body[0].(*session.AudioIn)
	return audio
}

func (w *world) deliver(turn eventabi.TurnID, event session.DeliveryEvent, played timebase.Samples) {
	d := w.pool.deliveries.get()
	d.Turn, d.Event, d.Played = turn, event, played
	if w.habits.stamped {
		d.Epoch = w.epoch
	}
	w.front = append(w.front, d)
}

func (w *world) add(in session.Input) {
	w.describes(in)
	w.body = append(w.body, in)
}

// after schedules something.
func (w *world) after(at timebase.Instant, ms int64, kind eventKind, who int32, arg int64) {
	w.queue.push(event{at: at.Add(timebase.MS(ms)), kind: kind, who: who, arg: arg})
}

// handle lets one event happen. What follows from it counts from when it was due.
func (w *world) handle(e *event) {
	switch e.kind {
	case evAct:
		w.act(e)
	case evVoiceOn, evVoiceOff, evEndpoint:
		w.sound(e)
	case evHear, evHeard, evThink, evVoice, evStopped:
		w.serve(e)
	case evAppended:
		w.appended(e)
	case evSnapshot:
		w.snapshot(e)
	case evRenew:
		w.renew(e)
	case evTrouble:
		w.trouble(e)
	case evLink:
		w.link(e)
	case evIdle:
		w.idle(e)
	case evPressure:
		w.pressure(e)
	case evOffer:
		w.offers(e)
	case evReady:
		w.reads(e)
	case evWork:
		w.worked(e)
	case evTool:
		w.toolAnswers(e)
	case evClient:
		w.speaks(e)
	case evDuplicate:
		w.again()
	case evFrame:
		w.frame(timebase.Samples(e.arg))
	}
}

// settle stops the faults and the caller, and puts the surroundings in order.
func (w *world) settle() {
	if w.phase != talking {
		return
	}
	w.calm, w.phase = true, settling
	w.pool.reset()
	w.front, w.body = w.front[:0], w.body[:0]
	w.now = max(w.now, w.pausedUntil)
	w.passAt, w.solo = w.now, false
	if w.linkDown || w.linkSaid != session.LinkResumed {
		w.sayLink(session.LinkResumed)
	}
	w.unmute(w.now)
	w.fresh()
	w.relieve()
	w.readAll()
	w.egress.advance(w.now)
	w.pass()
}

// close asks the session to end.
func (w *world) close(reason string) {
	w.phase = closing
	w.pool.reset()
	w.front, w.body = w.front[:0], w.body[:0]
	w.passAt, w.solo = w.now, false
	w.add(&session.CloseRequest{Reason: reason})
	w.pass()
}

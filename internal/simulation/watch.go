// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// watch checks one session at a time. It believes what goes into the kernel, what comes
// out, and what reaches the sink. Where the specification gives a rule, the rule stands
// here once more in its own words; the kernel's state is never looked at.
type watch struct {
	counts [invariantCount]int64
	broken *broken // the first violation, nil while all is well

	commits    int64
	aborts     [abortReasons]int64
	adapted    [adaptations]int64
	afterFence int64 // writes that reached the sink behind a fence

	registry map[eventabi.Signal]*eventabi.SignalSpec
	step     int64
	now      timebase.Instant
	deadline timebase.Instant // what the kernel reported after this step
	mapped   timebase.Anchor  // what it says that the clocks show then
	state    controlplane.SessionState
	ended    bool
	ending   bool // the session ended in this step
	faulted  bool // the shell reported a fault of its own in this pass

	rules     rules
	epoch     eventabi.Epoch
	revoked   bool
	snapshots session.Snapshots
	snapAt    timebase.Instant
	snapHave  bool
	snapBack  bool
	snapHigh  [session.SnapshotKinds]int64 // the highest versions seen
	link      controlplane.ConnectionState
	linkSince timebase.Instant // since when it is not connected
	drainBy   timebase.Instant
	keys      []eventabi.IdempotencyKey

	sequence eventabi.Sequence
	events   int64 // number in the last event id
	stampMS  int64

	turns  []turnWatch
	live   int // index of the live turn, -1 = none
	gens   []genWatch
	topGen uint32      // the highest generation so far
	open   []callWatch // calls that have not ended
	paid   []budgetWatch
	ids    map[eventabi.InvocationID]struct{}
	spoken []spokenWatch
	items  []itemWatch
	owners []ownerWatch
	texts  []text // the world's, by handle

	pass  passWatch
	talk  talkWatch
	time  timeWatch
	loads loadWatch
	edges edgesWatch
	tools toolsWatch
	flow  graphWatch
	graph []turn.VoiceEdge
	said  clientWatch
}

// broken is a violation as the watch saw it.
type broken struct {
	invariant Invariant
	detail    string
}

// rules are the settings in force, the profile's values filled in (turn-plan section 6,
// lifecycle section 7.1).
type rules struct {
	minInterruption, falseInterruption, transcriptWait timebase.Span
	invocation, envelope, hardCap, tool                timebase.Span
	drain, disconnect, utterance                       timebase.Span
	attempts                                           int64
	candidates                                         [3]int64 // of each modality
	allowed                                            string   // adaptive actions
	line                                               bool     // there is a fallback line
	shows                                              bool     // the client can show text
	dedupe                                             int
	available                                          bool
	plain                                              bool // the profile's policy and a streaming recogniser
	binds                                              bool // a turn answers the words that ended last
	early                                              bool // turns open at speech start
	queues                                             bool // a proposal waits for the live turn
}

// passWatch is what one pass brought.
type passWatch struct {
	live      int           // the turn that was live when it began
	rank      int           // precedence of the strongest cause against it, 0 = none
	speeches  []speechWatch // chunks that arrived and were neither played nor discarded yet
	fences    bool          // only fences so far
	admitted  bool
	accepted  eventabi.TurnID // of the output_accepted whose Play must come next
	barge     eventabi.TurnID
	stage     int // of the barge-in's sequence
	terminal  eventabi.TurnID
	prefenced uint32
	again     bool // it holds nothing but a message that was delivered before
	stale     bool // it holds nothing but a message of another epoch
	due       bool // time was to act as well
	signal    *eventabi.Envelope
	epoch     eventabi.Epoch // of the last signal
	load      passLoad
	turned    []turned // refused by the execution pool and not told yet
}

// init lays out what all sessions share.
func (k *watch) init() {
	specs := eventabi.Signals()
	k.registry = make(map[eventabi.Signal]*eventabi.SignalSpec, len(specs))
	for i := range specs {
		k.registry[specs[i].Signal] = &specs[i]
	}
	k.ids = map[eventabi.InvocationID]struct{}{}
	k.graph = turn.VoiceGraph()
}

// begin starts to watch a new session.
func (k *watch) begin(w *world) {
	clear(k.ids)
	*k = watch{
		counts: k.counts, registry: k.registry, ids: k.ids, graph: k.graph,
		state: controlplane.SessionConnecting, link: controlplane.ConnectionDisconnected,
		live: -1, epoch: 0, drainBy: timebase.Never, stampMS: -1,
		turns: k.turns[:0], gens: k.gens[:0], open: k.open[:0], paid: k.paid[:0], spoken: k.spoken[:0], items: k.items[:0],
		owners: k.owners[:0], keys: k.keys[:0], texts: w.texts,
		pass:  passWatch{speeches: k.pass.speeches[:0], turned: k.pass.turned[:0]},
		talk:  talkWatch{pending: k.talk.pending[:0]},
		loads: loadWatch{quotas: k.loads.quotas[:0]},
		tools: toolsWatch{list: k.tools.list[:0]},
		flow:  graphWatch{hands: k.flow.hands, placed: k.flow.placed, seen: k.flow.seen},
		edges: edgesWatch{list: k.edges.list[:0], readers: k.edges.readers[:0], flow: turn.ProfileFlow()},
	}
	k.said.begin(w)
	k.flow.begin(w.graph.on)
	k.flow.sound, k.flow.spare = w.graph.sound, w.graph.branch
	k.talk.calmWorld = w.faults == 0 && w.habits.window == 0
}

func (k *watch) failed() bool { return k.broken != nil }

// ok counts a question and notes the first answer that is no.
func (k *watch) ok(i Invariant, holds bool, detail string) bool {
	k.counts[i]++
	if !holds {
		k.fail(i, detail)
	}
	return holds
}

func (k *watch) fail(i Invariant, detail string) {
	if k.broken == nil {
		k.broken = &broken{invariant: i, detail: detail}
	}
}

// by checks a bound in time that something open has: it is not passed, and the kernel
// has asked to be woken no later (doc.go, rule 4).
func (k *watch) by(i Invariant, bound timebase.Instant, detail string) {
	k.counts[i]++
	switch {
	case k.now >= bound:
		k.fail(i, detail+": the time is over")
	case k.deadline > bound:
		k.fail(i, detail+": the kernel's deadline lies behind the bound")
	}
}

// effect checks one decision.
func (k *watch) effect(e session.Effect) {
	if fence, is := e.(*session.Fence); is {
		k.ok(FencesFirst, k.pass.fences, "a fence stands behind another decision")
		k.fence(fence)
		return
	}
	k.pass.fences = false
	k.edgeEffect(e)
	if k.ended && !k.ending {
		k.ok(EndsOnce, leftover(e), "a decision after the session has ended")
		return
	}
	if k.pass.accepted != "" {
		k.acceptedChunk(e)
		return
	}
	k.decided(e)
}

// decided checks a decision by its kind.
func (k *watch) decided(e session.Effect) {
	switch e := e.(type) {
	case *session.Emit:
		k.emit(&e.Envelope)
	case *session.Decide:
		k.decide(&e.Outcome)
	case *session.SessionChange:
		k.sessionChange(e)
	case *session.TurnChange:
		k.turnChange(e)
	case *session.Play:
		k.ok(AcceptedWhileActive, false, "a chunk without output_accepted")
	case *session.Discard:
		k.took(e.Handle, 0)
	case *session.Hold:
		k.hold(e)
	case *session.Resume:
		k.resume(e.Generation)
	case *session.EndOfAudio:
		k.endOfAudio(e)
	case *session.Open:
		k.start(e.Invocation, recognise, "", 1, e.Candidate)
	case *session.Finalize:
		k.finalize(e)
	case *session.CallTool:
		k.callTool(e)
	case *session.Work, *session.Place, *session.Detour:
		k.graphEffect(e)
	case *session.Generate:
		k.thinks(e)
	case *session.Say:
		k.says(e)
	case *session.Degrade:
		k.degrade(e)
	case *session.Fallback:
		k.fallback(e)
	case *session.CancelCall:
		k.cancelCall(e)
	case *session.Detach:
		k.detach(e)
	case *session.Hook:
		k.hook(e)
	case *session.Converse:
		k.converse(&e.Item)
	case *session.AppendTerminal:
		k.appendTerminal(e)
	case *session.Evidence:
		k.evidence(e)
	case *session.Ended:
		k.end()
	case *session.Refused:
		k.refused(e)
	case *session.Nondeterministic:
		k.nondeterministic(e)
	case *session.Fence, *session.Superseded, *session.Combine, *session.Deliver, *session.Merged, *session.Release, *session.Skip:
	}
}

// leftover says that a decision only turns something away, which a session does that has
// ended.
func leftover(e session.Effect) bool {
	_, refused := e.(*session.Refused)
	_, discarded := e.(*session.Discard)
	_, released := e.(*session.Release)
	return refused || discarded || released
}

// acceptedChunk checks that an output_accepted is followed by its chunk; where the turn
// was fenced in the same step the chunk is discarded instead.
func (k *watch) acceptedChunk(e session.Effect) {
	id := k.pass.accepted
	k.pass.accepted = ""
	if p, ok := e.(*session.Play); ok {
		k.ok(AcceptedWhileActive, p.Turn == id, "output_accepted with another turn's chunk")
		k.play(p)
		return
	}
	d, ok := e.(*session.Discard)
	if !k.ok(AcceptedWhileActive, ok, "output_accepted without its chunk") {
		return
	}
	g := k.genOf(id)
	k.ok(AcceptedWhileActive, g >= 0 && k.gens[g].fencedNow, "an accepted chunk was discarded without a fence")
	k.took(d.Handle, 0)
}

// settled checks what must hold between two steps.
func (k *watch) settled(w *world) {
	p := &k.pass
	k.ok(DeadlineAhead, k.deadline > k.now, "the deadline does not lie ahead")
	k.chunksSettled(w)
	k.ok(AcceptedWhileActive, p.accepted == "", "output_accepted without its chunk")
	k.ok(TerminalThenClose, p.terminal == "", "a terminal without its close")
	k.ok(BargeInSequence, p.stage == 0 || p.stage >= stageCancel, "a barge-in without its cancel")
	if p.live >= 0 && p.rank > 0 {
		k.ok(TiesResolved, k.turns[p.live].closed, "a cause that ends the turn left it live")
	}
	if p.prefenced != 0 {
		g := k.gen(p.prefenced)
		k.ok(PrefenceConfirmed, g < 0 || k.gens[g].fenced || k.gens[g].over || k.gens[g].handed == 0 && !k.liveGen(g), "what was fenced ahead stays unfenced")
	}
	k.bounds(w)
	k.words(w)
	k.toolsSettled()
	k.graphSettled()
	k.loadSettled(w)
	k.shedSettled()
	k.clocks(w)
	k.edgesSettled(w)
	k.saidSettled()
	for i := max(0, len(k.gens)-maxOutputs); i < len(k.gens); i++ {
		k.gens[i].fencedNow = false
	}
	if p.again || p.stale {
		k.inert(w.fx.List)
	}
}

// liveGen says that the live turn's sound is of a generation.
func (k *watch) liveGen(g int) bool { return k.live >= 0 && k.turns[k.live].id == k.gens[g].turn }

// bounds checks everything that has a time.
func (k *watch) bounds(w *world) {
	if k.ended {
		return
	}
	if k.drainBy != timebase.Never {
		k.by(DrainBounded, k.drainBy, "the drain")
	}
	if k.linkSince != 0 && k.state == controlplane.SessionActive {
		k.by(LinkBounded, k.linkSince.Add(k.rules.disconnect), "the lost link")
	}
	if k.live >= 0 {
		k.by(TurnBounded, k.turnBound(), "the live turn")
		if t := &k.turns[k.live]; !k.rules.early && !t.flows && !t.answered && !t.waits {
			k.by(BudgetAnswered, min(max(t.opened, t.again).Add(k.rules.envelope), t.opened.Add(k.rules.hardCap)), "a turn without output")
		}
	}
	k.callBounds()
	k.holdBounds(w)
}

// turnBound is when the live turn must have ended: the hard cap after it opened. A turn
// that opened at speech start has the cap from the end of its utterance.
func (k *watch) turnBound() timebase.Instant {
	from := k.turns[k.live].opened
	if k.rules.early {
		from = max(from.Add(k.rules.utterance), k.talk.over)
	}
	return from.Add(k.rules.hardCap)
}

// inert checks that a repeated or stale message changed nothing.
func (k *watch) inert(list []session.Effect) {
	i, detail := DuplicateNoEffect, "a message that was delivered before had an effect"
	if k.pass.stale {
		i, detail = StaleNoEffect, "a message of another epoch had an effect"
	}
	if k.pass.due {
		return
	}
	for _, e := range list {
		_, refused := e.(*session.Refused)
		_, decided := e.(*session.Decide)
		emit, emitted := e.(*session.Emit)
		k.ok(i, refused || decided || emitted && emit.Envelope.Signal == eventabi.SignalStaleEpochReject, detail)
	}
	k.counts[i]++
}

// end checks the last decision of a session.
func (k *watch) end() {
	k.ok(EndsOnce, !k.ended, "the session ended twice")
	k.ok(EndsOnce, k.state == controlplane.SessionEnded, "ended, but not in ENDED")
	k.ok(OneLiveTurn, k.live < 0, "the session ended with a live turn")
	k.ended, k.ending = true, true
	for i := range k.open {
		c := &k.open[i]
		k.ok(CallsEndOnce, c.state != running, "the session ended with a call running")
	}
	k.open = k.open[:0]
	for i := range k.gens {
		k.gens[i].fenced, k.gens[i].held = true, false
	}
}

// finish checks a session as a whole.
func (k *watch) finish() {
	if k.failed() || !k.ended {
		return
	}
	k.edgesOver()
	for i := range k.turns {
		t := &k.turns[i]
		if t.wasOpen {
			k.ok(EvidenceOnce, t.evidence == 1, "a turn without its evidence")
			k.ok(TerminalThenClose, t.closed, "a turn without close")
		}
		if t.started {
			k.ok(PlaybackAccounted, t.playbackOver, "playback started and never ended")
		}
	}
}

// atRest checks a session in which nothing happens any more: faults and caller are
// quiet, no timer runs and no audio is left.
func (k *watch) atRest(w *world) {
	if k.ended {
		return
	}
	k.ok(ComesToRest, k.live < 0, "a turn is live and nothing will end it")
	for i := range k.open {
		k.ok(ComesToRest, k.open[i].forgiven, "a call is open and nothing will end it")
	}
	k.edgesAtRest()
	k.ok(ComesToRest, !w.egress.standing(), "audio is held and nothing will let it go")
}

func (k *watch) restless(*world) {
	k.ok(ComesToRest, false, "the session does not come to rest")
}

func (k *watch) stuck(*world) {
	k.ok(ComesToRest, false, "the session was told to close, has not ended, and waits for nothing")
}

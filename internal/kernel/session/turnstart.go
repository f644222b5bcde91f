// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// liveTurn is the accepted turn, the last one when none is live.
type liveTurn struct {
	id         eventabi.TurnID
	index      int64
	plan       controlplane.ResolvedTurnPlan
	budget     turn.Budget
	speech     turn.Allowance // of the path from the first piece of the reply to its first sound
	output     *output
	utterance  int64 // adopted; 0 = typed
	text       TextRef
	attributes []graph.Attribute // of the words
	order      int64             // typed: place in the conversation
	recorded   bool              // the user's words are in the conversation
	bare       bool              // it answers what was said before, without words of its own
	key        eventabi.IdempotencyKey
	asked      bool // the model was asked, or there was nothing to ask
	appending  bool // terminal evidence is being appended
	calls      int64
	tools      toolRounds
	run        *graphRun       // what goes through the session's graph, nil without one
	apology    eventabi.TurnID // the turn that ended badly and for which this one is: it says the responder's line

	troubles   []trouble        // of this pass, not answered yet
	spent      trouble          // the budget that is exhausted with nothing left to do
	adapted    timebase.Instant // when an action was taken last; negative = never
	fidelity   turn.Fidelity
	stoodIn    bool             // the fallback line stands in for the answer
	candidates [callKinds]int64 // which of the ordered candidates serves, of each modality

	proposed, opened, endOfSpeech, firstOutput, cancelled, fenced timebase.Instant
	rejected                                                      int64

	// What the client had chosen when it opened; empty = the session's own.
	instructions    int64
	voice, language string
}

// openNext arbitrates the next proposal. It reports whether anything moved.
func (m *Machine) openNext() bool {
	if len(m.proposals) == 0 && len(m.queue) > 0 && !m.arbiter.Live() && !m.barge.wanted {
		m.proposals = append(m.proposals, m.queue[0])
		m.queue = append(m.queue[:0], m.queue[1:]...)
	}
	if len(m.proposals) == 0 {
		return false
	}
	p := m.proposals[0]
	switch {
	case m.closing() && !(m.authority.Revoked && m.state == controlplane.SessionActive): // revoked: T4
		m.proposals = append(m.proposals[:0], m.proposals[1:]...)
		m.turnAway(p, "session_draining")
	case m.barge.wanted: // a protected output is still to be heard out
		return false
	case m.preempts(p) && m.speaking():
		m.requestBargeIn()
	case p.bare && (m.arbiter.Live() || len(m.queue) > 0):
		m.proposals = append(m.proposals[:0], m.proposals[1:]...)
		m.turnAway(p, reasonBusy)
	case m.arbiter.Live():
		m.proposals = append(m.proposals[:0], m.proposals[1:]...)
		m.postpone(p)
	default:
		m.proposals = append(m.proposals[:0], m.proposals[1:]...)
		m.openTurn(p)
	}
	return true
}

// preempts says whether a proposal ends what the assistant is saying (lifecycle section
// 7). With interruption off, speech is kept for the next proposal. Who asks for an answer
// without words interrupts nobody.
func (m *Machine) preempts(p proposal) bool {
	if p.bare {
		return false
	}
	typed := p.utterance == 0 && !p.recorded
	return m.policy.Overlap == turn.OverlapPreempt && (m.policy.Interruption != turn.Off || typed)
}

// postpone settles a proposal that meets a live turn and does not end it.
func (m *Machine) postpone(p proposal) {
	if m.policy.Overlap == turn.OverlapReject {
		m.turnAway(p, "turn_in_progress")
		return
	}
	if len(m.queue) >= int(m.policy.MaxQueued) { // newest wins
		m.dropProposal(m.queue[0], "proposal_superseded")
		m.queue = append(m.queue[:0], m.queue[1:]...)
	}
	if m.load.Sheds(gate.WorkQueuedProposal) {
		m.turnAway(p, gate.WorkQueuedProposal.Reason())
		return
	}
	m.queue = append(m.queue, p)
}

// openTurn takes a proposal through the gates and opens its turn.
func (m *Machine) openTurn(p proposal) {
	id := m.identity.nextTurn()
	m.move(id, controlplane.TriggerTurnOpenProposed)
	v := m.verdict(p)
	if !v.Passes() {
		m.refuseBy(v, controlplane.OutcomeTurn, id).IdempotencyKey = p.key
		m.move(id, controlplane.Trigger(v.Outcome))
		m.abandon(p)
		return
	}
	plan := m.plans.resolver.Resolve(id, m.authority.Epoch, m.plans.snapshots.Provenance())
	m.admitBy(v, controlplane.OutcomeTurn, id)
	m.caller.spoken()
	m.identity.opened++
	m.generation++
	m.turn = liveTurn{
		id: id, index: m.identity.opened, plan: plan, proposed: p.at, opened: m.now, endOfSpeech: p.at,
		text: p.text, attributes: p.attributes, order: p.order, recorded: p.recorded, bare: p.bare, key: p.key,
		apology: p.apology, adapted: -1, instructions: m.wished.instructions, voice: m.wished.voice, language: m.wished.language,
	}
	m.turn.output = m.addOutput(id)
	if m.wished.textOnly { // by choice: nothing is lost, so it is no degrade step
		m.turn.output.reply.Mute()
	}
	if m.graph != nil {
		m.turn.run = m.graph.begin()
	}
	m.meters = m.meters[:0]
	m.openSignal()
	m.move(id, controlplane.TriggerTurnOpen)
	m.counters.Turns++
	m.openDegraded(v)
	m.expireWaits() // the accounts begin anew, and what waits still is told in this turn as well
	m.adopt(p)
	m.ask()
}

// openSignal emits turn_open. Plan hash, seed and ordering markers travel in its
// payload (event-abi section 5).
func (m *Machine) openSignal() {
	t := &m.turn
	signal := m.emit(eventabi.SignalTurnOpen, eventabi.EmitterArbiter, t.id, "")
	signal.IdempotencyKey = t.key
	body := m.fx.body(320)
	body.int("turn_index", t.index)
	body.str("resolved_turn_plan_id", t.plan.ResolvedTurnPlanID)
	body.str("plan_hash", t.plan.PlanHash)
	body.int("seed", t.plan.Determinism.Seed)
	body.strs("ordering_markers", t.plan.Determinism.OrderingMarkers)
	if t.apology != "" {
		body.str("error_responder_for", string(t.apology))
	}
	signal.Payload = body.done()
}

// adopt ties the turn to the utterance that proposed it and starts its budget. Speech
// that goes on from another utterance is judged as an interruption from now on.
func (m *Machine) adopt(p proposal) {
	t := &m.turn
	t.utterance = p.utterance
	started := true
	if u := m.utterance(p.utterance); u != nil {
		u.waiting, u.turn = false, t.id
		t.endOfSpeech = u.endedAt
		started = u.ended
	}
	if started {
		m.startBudget()
	}
	if u := m.open(); u != nil && u.voiced && u.turn == "" && u.number != p.utterance {
		u.voicedFrom = m.heard
		m.overlap(u, 0)
	}
}

// startBudget begins the turn's envelope: at turn_open, with early opening at the end
// of the utterance (flow section 8).
func (m *Machine) startBudget() {
	t := &m.turn
	t.budget.Start(m.now, timebase.MS(t.plan.Budgets.TurnBudgetMS), timebase.MS(m.settings.TurnHardCapMS))
}

// ask hands the caller's words to the model once they are final, and once everything
// said before them is: the model reads the conversation in the order of what happened,
// not of arrival. A turn in which nothing was said has nothing to answer.
func (m *Machine) ask() {
	t := &m.turn
	if t.asked || m.arbiter.State() != controlplane.TurnActive {
		return
	}
	if t.run != nil && m.asksGraph() {
		return
	}
	if t.utterance != 0 {
		u := m.utterance(t.utterance)
		if u == nil || !u.final || !u.ended || m.wordsAwaited(u.number) {
			return
		}
		if u.failed && u.text.Class == TextNone {
			m.nothingHeard(u.shed)
			return
		}
		t.text = u.text
		if t.run == nil {
			m.recordUser(u)
		} else {
			t.attributes = u.attributes
		}
	} else {
		if m.wordsAwaited(m.talk.utterances + 1) {
			return
		}
		if t.run == nil {
			m.recordTyped()
		}
	}
	if t.run != nil && !t.bare && !t.recorded && t.text.Class != TextNone {
		m.routeWords(t.attributes)
		return
	}
	t.asked = true
	m.wished.owed = false
	if t.text.Class == TextNone && !t.bare {
		t.output.reply.End()
		m.finished()
		return
	}
	m.refreshHeard()
	m.generate(1)
}

// move takes an edge of the turn's machine; an illegal one is refused and evidenced.
func (m *Machine) move(id eventabi.TurnID, trigger controlplane.Trigger) {
	transition, err := m.arbiter.Move(trigger)
	if err != nil {
		m.counters.TransitionsInvalid++
		m.refuse(controlplane.CodeInvalidTurnTransition, string(trigger), id)
		return
	}
	m.fx.turnChange(TurnChange{Turn: id, Transition: transition})
}

// newOutput makes the delivery side of a turn.
func (m *Machine) newOutput(id eventabi.TurnID) *output {
	return &output{turn: id, generation: m.generation, reply: graph.Reply{}}
}

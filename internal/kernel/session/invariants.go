// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// InvariantError is what the machine panics with when one of its invariants is broken.
// That is a bug of the kernel: the shell catches it at the session's boundary, ends
// that session and keeps the recording, which reproduces it.
type InvariantError struct{ Name string }

func (e *InvariantError) Error() string {
	return fmt.Sprintf("session: invariant %s is broken", e.Name)
}

// ensure panics with the invariant's name when the statement does not hold.
func ensure(holds bool, name string) {
	if !holds {
		panic(&InvariantError{Name: name})
	}
}

// verify checks every invariant after a step. list holds the step's decisions.
func (m *Machine) verify(list []Effect) {
	if len(list) > 0 {
		m.verifyDecisions(list)
	}
	if m.arbiter.Live() {
		m.verifyLiveTurn()
	}
	m.verifyWaiting()
	m.verifyTools()
	m.verifyGraph()
	m.verifyAudio()
	m.verifySession()
}

// verifyDecisions speaks of the decisions of one step.
func (m *Machine) verifyDecisions(list []Effect) {
	there := kindsOf(list)
	if there.play {
		ensure(m.fencedUnplayed(list), "fenced_turn_gets_no_play")
	}
	if there.decide || there.signal {
		ensure(openAfterAdmit(list), "turn_open_follows_admit")
	}
	if there.decide {
		ensure(refusalsReasoned(list), "refusals_have_reasons")
		ensure(m.shedAsLoaded(list), "overload_sheds_in_order")
	}
	if there.signal {
		ensure(terminalThenClose(list), "terminal_then_close")
	}
	if there.signal || there.evidence {
		ensure(evidencePerClose(list), "evidence_once_per_close")
	}
	ensure(m.sequenceRises(list), "sequence_strictly_rises")
	if there.signal || there.adapt {
		ensure(m.adaptsAsAllowed(list), "adaptation_is_authorised")
	}
	if there.adapt {
		ensure(m.fidelityFalls(list), "fidelity_only_falls_in_a_turn")
	}
}

// kinds says which kinds of decisions a step has, as far as an invariant speaks of them:
// most steps have few, and are not asked about the others.
type kinds struct{ play, decide, evidence, adapt, signal bool }

// kindsOf looks through the decisions of a step. Only signals that an invariant knows
// besides their order count as signals.
func kindsOf(list []Effect) (k kinds) {
	for _, e := range list {
		switch e := e.(type) { //nolint:gochecksumtype // no invariant speaks of the others
		case *Emit:
			switch e.Envelope.Signal { //nolint:exhaustive // no invariant speaks of the others
			case eventabi.SignalTurnOpen, eventabi.SignalCommit, eventabi.SignalAbort, eventabi.SignalClose, eventabi.SignalProviderSwitch,
				eventabi.SignalFallback:
				k.signal = true
			}
		case *Play:
			k.play = true
		case *Decide:
			k.decide = true
		case *Evidence:
			k.evidence = true
		case *Degrade, *Fallback:
			k.adapt = true
		}
	}
	return k
}

// verifyLiveTurn speaks of the turn between turn_open and close.
func (m *Machine) verifyLiveTurn() {
	t := &m.turn
	ensure(m.arbiter.State() == controlplane.TurnActive, "terminal_is_passed_through")
	ensure(t.id != "" && m.outputOf(t.id) == t.output, "active_turn_has_output")
	ensure(m.deadline != timebase.Never, "active_turn_has_deadline")
	ensure(len(t.troubles) == 0 && !m.undecided(), "troubles_are_answered")
	ensure(t.plan.TurnID == t.id && len(t.plan.PlanHash) == 64, "active_turn_has_sealed_plan")
	ensure(!m.authority.Revoked && t.plan.AuthorityEpoch == m.authority.Epoch, "active_turn_has_authority")
}

// verifyWaiting speaks of what waits: proposals, interruptions, calls.
func (m *Machine) verifyWaiting() {
	live := m.arbiter.Live()
	ensure(!m.barge.wanted || m.state == controlplane.SessionEnded || m.protected(), "barge_in_waits_only_for_protected_output")
	ensure(len(m.proposals) == 0 || m.barge.wanted, "proposals_wait_only_for_a_barge_in")
	ensure(len(m.queue) == 0 || live || m.barge.wanted, "queue_waits_only_for_a_turn")
	ensure(len(m.queue) == 0 || !m.load.Sheds(gate.WorkQueuedProposal), "overload_queues_nothing")
	ensure(m.judgedOnce(), "judged_start_is_the_only_one")
	ensure(m.waitingProposed(), "waiting_utterance_has_a_proposal")
	ensure(m.callsOwned(), "running_calls_have_an_owner")
	ensure(m.callsUnique(), "call_ids_are_unique")
}

// verifyAudio speaks of what is with egress.
func (m *Machine) verifyAudio() {
	ensure(m.holdReasoned(), "hold_has_a_reason")
	last := uint32(0)
	for _, out := range m.outputs {
		ensure(!out.held || m.holds != 0, "output_held_only_by_a_reason")
		ensure(out.played >= 0 && out.played <= out.accepted, "played_within_accepted")
		ensure(out.generation > last, "generations_rise")
		last = out.generation
	}
}

// verifySession speaks of the session as a whole.
func (m *Machine) verifySession() {
	live := int64(0)
	if m.arbiter.Live() {
		live = 1
	}
	ensure(m.counters.Commits+m.counters.Aborts+live == m.counters.Turns, "turns_add_up")
	ensure(!m.authority.Revoked || m.state != controlplane.SessionActive, "revoked_session_is_not_active")
	ensure(m.state != controlplane.SessionDraining || m.deadline != timebase.Never, "draining_has_deadline")
	ensure(m.state != controlplane.SessionEnded || m.holdsNothing(), "ended_holds_nothing")
	ensure(m.withinBounds(), "bounds_hold")
	ensure(m.clock.Covers(m.now), "present_is_projected")
}

func (m *Machine) holdsNothing() bool {
	return len(m.calls)+len(m.outputs)+len(m.utterances)+len(m.proposals)+len(m.queue) == 0 && !m.arbiter.Live()
}

func (m *Machine) withinBounds() bool {
	return len(m.utterances) <= maxUtterances && len(m.calls) <= maxCalls && len(m.outputs) <= maxOutputs &&
		len(m.proposals) <= maxProposals && len(m.queue) <= max(int(m.policy.MaxQueued), 0) && m.fences.Len() <= turn.MaxFences
}

func (m *Machine) callsUnique() bool {
	for i := range m.calls {
		for j := range m.calls[:i] {
			if m.calls[i].id == m.calls[j].id {
				return false
			}
		}
	}
	return true
}

func (m *Machine) fencedUnplayed(list []Effect) bool {
	for _, e := range list {
		if play, ok := e.(*Play); ok && m.fences.Has(eventabi.CancelTurn, string(play.Turn)) {
			return false
		}
	}
	return true
}

// openAfterAdmit: each turn_open has an admission of its own turn in front of it; that of
// the session is none.
func openAfterAdmit(list []Effect) bool {
	var admitted eventabi.TurnID
	for _, e := range list {
		if d, ok := e.(*Decide); ok && d.Outcome.OutcomeKind == controlplane.OutcomeAdmit {
			admitted = d.Outcome.TurnID
		}
		if emit, ok := e.(*Emit); ok && emit.Envelope.Signal == eventabi.SignalTurnOpen {
			if admitted == "" || admitted != emit.Envelope.TurnID {
				return false
			}
			admitted = ""
		}
	}
	return true
}

// refusalsReasoned: who is not let in is told why (event-abi section 5).
func refusalsReasoned(list []Effect) bool {
	for _, e := range list {
		if d, ok := e.(*Decide); ok && d.Outcome.Reason == "" {
			return false
		}
	}
	return true
}

// shedAsLoaded: the load sheds a kind of work only at a level that does (flow section 7,
// "Overload order"). A pass takes its control first, and so the load that it comes to.
func (m *Machine) shedAsLoaded(list []Effect) bool {
	for _, e := range list {
		d, ok := e.(*Decide)
		if !ok || d.Outcome.OutcomeKind != controlplane.OutcomeShed {
			continue
		}
		for w := gate.WorkTelemetry; w <= gate.WorkControl; w++ {
			if d.Outcome.Reason == w.Reason() && !m.load.Sheds(w) {
				return false
			}
		}
	}
	return true
}

func terminalThenClose(list []Effect) bool {
	var open eventabi.TurnID
	for _, e := range list {
		emit, ok := e.(*Emit)
		if !ok {
			continue
		}
		signal, id := emit.Envelope.Signal, emit.Envelope.TurnID
		if signal == eventabi.SignalCommit || signal == eventabi.SignalAbort {
			if open != "" {
				return false
			}
			open = id
		}
		if signal == eventabi.SignalClose {
			if open != id || open == "" {
				return false
			}
			open = ""
		}
	}
	return open == ""
}

func evidencePerClose(list []Effect) bool {
	balance := 0
	for _, e := range list {
		if emit, ok := e.(*Emit); ok && emit.Envelope.Signal == eventabi.SignalClose {
			balance++
		}
		if _, ok := e.(*Evidence); ok {
			balance--
		}
	}
	return balance == 0
}

// adaptsAsAllowed: a choice that is not in the plan's set is never taken (turn-plan
// section 7). Every plan of a session has the same set.
func (m *Machine) adaptsAsAllowed(list []Effect) bool {
	allowed := func(a controlplane.AdaptiveAction) bool { return slices.Contains(m.plans.actions, a) }
	for _, e := range list {
		if _, degrade := e.(*Degrade); degrade && !allowed(controlplane.ActionDegrade) {
			return false
		}
		if _, fallback := e.(*Fallback); fallback && !allowed(controlplane.ActionFallback) {
			return false
		}
		emit, ok := e.(*Emit)
		if ok && emit.Envelope.Signal == eventabi.SignalFallback && !allowed(controlplane.ActionFallback) {
			return false
		}
		if ok && emit.Envelope.Signal == eventabi.SignalProviderSwitch && !allowed(controlplane.ActionProviderSwitch) {
			return false
		}
	}
	return true
}

// fidelityFalls: the degrade steps of a turn go one way.
func (m *Machine) fidelityFalls(list []Effect) bool {
	for _, e := range list {
		d, ok := e.(*Degrade)
		if !ok {
			continue
		}
		if d.Turn != m.lowered {
			m.lowered, m.lowest = d.Turn, turn.Fidelity{}
		}
		if !m.lowest.Lower(d.Step) {
			return false
		}
	}
	return true
}

// undecided says that a call has failed and nothing was made of it.
func (m *Machine) undecided() bool {
	return slices.ContainsFunc(m.calls, func(c call) bool { return c.parked })
}

func (m *Machine) sequenceRises(list []Effect) bool {
	last := m.emitted
	for _, e := range list {
		if emit, ok := e.(*Emit); ok {
			if emit.Envelope.RuntimeSequence <= last {
				return false
			}
			last = emit.Envelope.RuntimeSequence
		}
	}
	m.emitted = last
	return last <= m.identity.sequence
}

func (m *Machine) holdReasoned() bool {
	if m.holds&holdInterruption != 0 && !m.interruption.judge.Open() && !m.barge.wanted {
		return false
	}
	return m.holds&holdLink == 0 || m.link.deadline != 0 || m.state != controlplane.SessionActive
}

func (m *Machine) callsOwned() bool {
	for i := range m.calls {
		c := &m.calls[i]
		if c.cancelled {
			continue
		}
		if c.kind == callSTT {
			if u := m.utterance(c.utterance); (u == nil || u.ended) && c.budget.Limit() == 0 {
				return false
			}
			continue
		}
		if c.turn != m.turn.id || m.arbiter.State() != controlplane.TurnActive {
			return false
		}
	}
	return true
}

func (m *Machine) judgedOnce() bool {
	judged := 0
	for i := range m.utterances {
		if m.utterances[i].judging {
			if m.utterances[i].number != m.interruption.utterance {
				return false
			}
			judged++
		}
	}
	return judged <= 1 && (judged == 0) == !m.interruption.judge.Open()
}

func (m *Machine) waitingProposed() bool {
	for i := range m.utterances {
		if u := &m.utterances[i]; u.waiting && !proposed(m.proposals, u.number) && !proposed(m.queue, u.number) {
			return false
		}
	}
	return true
}

func proposed(list []proposal, utterance int64) bool {
	for i := range list {
		if list[i].utterance == utterance {
			return true
		}
	}
	return false
}

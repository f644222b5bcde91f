// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
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

// invariant is a named statement about the machine between two steps. list holds the
// decisions of the step that just ended.
type invariant struct {
	name  string
	holds func(m *Machine, list []Effect) bool
}

// decisionInvariants speak of the decisions of one step.
func decisionInvariants() [5]invariant {
	return [...]invariant{
		{"fenced_turn_gets_no_play", (*Machine).fencedUnplayed},
		{"turn_open_follows_admit", openAfterAdmit},
		{"terminal_then_close", terminalThenClose},
		{"evidence_once_per_close", evidencePerClose},
		{"sequence_strictly_rises", (*Machine).sequenceRises},
	}
}

// turnInvariants speak of the live turn and of what waits for it.
func turnInvariants() [11]invariant {
	return [...]invariant{
		{"turns_add_up", func(m *Machine, _ []Effect) bool {
			live := int64(0)
			if m.arbiter.Live() {
				live = 1
			}
			return m.counters.Commits+m.counters.Aborts+live == m.counters.Turns
		}},
		{"terminal_is_passed_through", func(m *Machine, _ []Effect) bool {
			s := m.arbiter.State()
			return s == controlplane.TurnIdle || s == controlplane.TurnActive
		}},
		{"active_turn_has_output", func(m *Machine, _ []Effect) bool {
			return !m.arbiter.Live() || m.turn.id != "" && m.outputOf(m.turn.id) == m.turn.output
		}},
		{"active_turn_has_deadline", func(m *Machine, _ []Effect) bool {
			return !m.arbiter.Live() || m.deadline != timebase.Never
		}},
		{"active_turn_has_sealed_plan", func(m *Machine, _ []Effect) bool {
			return !m.arbiter.Live() || m.turn.plan.TurnID == m.turn.id && len(m.turn.plan.PlanHash) == 64
		}},
		{"active_turn_has_authority", func(m *Machine, _ []Effect) bool {
			return !m.arbiter.Live() || !m.authority.revoked && m.turn.plan.AuthorityEpoch == m.authority.epoch
		}},
		{"barge_in_waits_only_for_protected_output", func(m *Machine, _ []Effect) bool {
			return !m.barge.wanted || m.state == controlplane.SessionEnded || m.protected()
		}},
		{"proposals_wait_only_for_a_barge_in", func(m *Machine, _ []Effect) bool {
			return len(m.proposals) == 0 || m.barge.wanted
		}},
		{"queue_waits_only_for_a_turn", func(m *Machine, _ []Effect) bool {
			return len(m.queue) == 0 || m.arbiter.Live() || m.barge.wanted
		}},
		{"judged_start_is_the_only_one", (*Machine).judgedOnce},
		{"waiting_utterance_has_a_proposal", (*Machine).waitingProposed},
	}
}

// stateInvariants speak of the session between two steps.
func stateInvariants() [10]invariant {
	return [...]invariant{
		{"revoked_session_is_not_active", func(m *Machine, _ []Effect) bool {
			return !m.authority.revoked || m.state != controlplane.SessionActive
		}},
		{"draining_has_deadline", func(m *Machine, _ []Effect) bool {
			return m.state != controlplane.SessionDraining || m.deadline != timebase.Never
		}},
		{"ended_holds_nothing", func(m *Machine, _ []Effect) bool {
			return m.state != controlplane.SessionEnded ||
				len(m.calls)+len(m.outputs)+len(m.utterances)+len(m.proposals)+len(m.queue) == 0 && !m.arbiter.Live()
		}},
		{"hold_has_a_reason", (*Machine).holdReasoned},
		{"output_held_only_by_a_reason", func(m *Machine, _ []Effect) bool {
			for _, out := range m.outputs {
				if out.held && m.holds == 0 {
					return false
				}
			}
			return true
		}},
		{"played_within_accepted", func(m *Machine, _ []Effect) bool {
			for _, out := range m.outputs {
				if out.played < 0 || out.played > out.accepted {
					return false
				}
			}
			return true
		}},
		{"generations_rise", func(m *Machine, _ []Effect) bool {
			for i := 1; i < len(m.outputs); i++ {
				if m.outputs[i].generation <= m.outputs[i-1].generation {
					return false
				}
			}
			return true
		}},
		{"bounds_hold", func(m *Machine, _ []Effect) bool {
			return len(m.utterances) <= maxUtterances && len(m.calls) <= maxCalls && len(m.outputs) <= maxOutputs &&
				len(m.proposals) <= maxProposals && len(m.queue) <= max(int(m.policy.MaxQueued), 0) && m.fences.Len() <= turn.MaxFences
		}},
		{"running_calls_have_an_owner", (*Machine).callsOwned},
		{"call_ids_are_unique", func(m *Machine, _ []Effect) bool {
			for i := range m.calls {
				for j := range m.calls[:i] {
					if m.calls[i].id == m.calls[j].id {
						return false
					}
				}
			}
			return true
		}},
	}
}

// verify checks every invariant and panics with the name of the first that is broken.
// The tables are arrays on the stack: a slice for each session would cost 600 bytes of
// the 16 KB that an idle one may hold.
func (m *Machine) verify(list []Effect) {
	for _, inv := range decisionInvariants() {
		m.check(inv, list)
	}
	for _, inv := range turnInvariants() {
		m.check(inv, list)
	}
	for _, inv := range stateInvariants() {
		m.check(inv, list)
	}
}

func (m *Machine) check(inv invariant, list []Effect) {
	if !inv.holds(m, list) {
		panic(&InvariantError{Name: inv.name})
	}
}

func (m *Machine) fencedUnplayed(list []Effect) bool {
	for _, e := range list {
		switch e := e.(type) {
		case *Play:
			if m.fences.Has(eventabi.CancelTurn, string(e.Turn)) {
				return false
			}
		default:
		}
	}
	return true
}

func openAfterAdmit(_ *Machine, list []Effect) bool {
	admitted := false
	for _, e := range list {
		if emit, ok := e.(*Emit); ok {
			switch emit.Envelope.Signal {
			case eventabi.SignalAdmit:
				admitted = true
			case eventabi.SignalTurnOpen:
				if !admitted {
					return false
				}
				admitted = false
			default:
			}
		}
	}
	return true
}

func terminalThenClose(_ *Machine, list []Effect) bool {
	var open eventabi.TurnID
	for _, e := range list {
		emit, ok := e.(*Emit)
		if !ok {
			continue
		}
		switch emit.Envelope.Signal {
		case eventabi.SignalCommit, eventabi.SignalAbort:
			if open != "" {
				return false
			}
			open = emit.Envelope.TurnID
		case eventabi.SignalClose:
			if open != emit.Envelope.TurnID || open == "" {
				return false
			}
			open = ""
		default:
		}
	}
	return open == ""
}

func evidencePerClose(_ *Machine, list []Effect) bool {
	balance := 0
	for _, e := range list {
		switch e := e.(type) {
		case *Emit:
			if e.Envelope.Signal == eventabi.SignalClose {
				balance++
			}
		case *Evidence:
			balance--
		default:
		}
	}
	return balance == 0
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

func (m *Machine) holdReasoned(_ []Effect) bool {
	if m.holds&holdInterruption != 0 && !m.interruption.judge.Open() && !m.barge.wanted {
		return false
	}
	return m.holds&holdLink == 0 || m.link.deadline != 0 || m.state != controlplane.SessionActive
}

func (m *Machine) callsOwned(_ []Effect) bool {
	for i := range m.calls {
		c := &m.calls[i]
		if c.cancelled {
			continue
		}
		if c.kind == callSTT {
			if u := m.utterance(c.utterance); (u == nil || u.ended) && c.deadline == timebase.Never {
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

func (m *Machine) judgedOnce(_ []Effect) bool {
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

func (m *Machine) waitingProposed(_ []Effect) bool {
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

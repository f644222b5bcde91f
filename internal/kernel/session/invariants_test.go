// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// speakingMachine is in a turn whose audio is playing.
func speakingMachine(t *testing.T) *Machine {
	t.Helper()
	m := New()
	at := timebase.Instant(0)
	for _, lines := range [][]string{
		{"boot", "fresh"},
		{"text_in text=1 runes=4 words=1 class=2"},
		{"segment invocation=t1-llm-1 text=3 runes=100 words=20 class=2"},
		{"speech invocation=t1-tts-2 handle=1 samples=96000"},
		{"delivery turn=t1 event=started"},
	} {
		var in []Input
		for _, line := range lines {
			i, err := ParseInput(expand(line))
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, i)
		}
		var fx Effects
		m.Step(at, in, &fx)
		at = at.Add(10 * timebase.Millisecond)
	}
	if !m.arbiter.Live() || !m.audible() {
		t.Fatal("the machine is not speaking")
	}
	return m
}

func signal(s eventabi.Signal, id eventabi.TurnID, seq eventabi.Sequence) Effect {
	return &Emit{Envelope: eventabi.Envelope{Signal: s, TurnID: id, RuntimeSequence: seq}}
}

// TestEveryInvariantCanBreak damages a machine in one way for each invariant and
// expects just that name: a check that cannot fail is no check.
func TestEveryInvariantCanBreak(t *testing.T) {
	const high = 1 << 40
	damage := map[string]func(m *Machine) []Effect{
		"fenced_turn_gets_no_play": func(m *Machine) []Effect {
			m.fences.Add(eventabi.CancelTurn, "t9", m.now)
			return []Effect{&Play{Turn: "t9"}}
		},
		"turn_open_follows_admit": func(m *Machine) []Effect {
			m.identity.sequence = high
			return []Effect{signal(eventabi.SignalTurnOpen, "t9", high)}
		},
		"refusals_have_reasons": func(*Machine) []Effect {
			return []Effect{&Decide{Outcome: controlplane.DecisionOutcome{OutcomeKind: controlplane.OutcomeReject}}}
		},
		"overload_sheds_in_order": func(m *Machine) []Effect {
			m.load = gate.LevelTelemetry
			return []Effect{&Decide{Outcome: controlplane.DecisionOutcome{
				OutcomeKind: controlplane.OutcomeShed, Reason: gate.WorkLowPriority.Reason(),
			}}}
		},
		"terminal_then_close": func(m *Machine) []Effect {
			m.identity.sequence = high
			return []Effect{signal(eventabi.SignalCommit, "t9", high)}
		},
		"evidence_once_per_close":     func(*Machine) []Effect { return []Effect{&Evidence{Turn: "t9"}} },
		"sequence_strictly_rises":     func(*Machine) []Effect { return []Effect{signal(eventabi.SignalConnected, "", 1)} },
		"turns_add_up":                func(m *Machine) []Effect { m.counters.Turns++; return nil },
		"terminal_is_passed_through":  func(m *Machine) []Effect { m.move("t1", controlplane.TriggerCommit); return nil },
		"active_turn_has_output":      func(m *Machine) []Effect { m.turn.output = &output{}; return nil },
		"active_turn_has_deadline":    func(m *Machine) []Effect { m.deadline = timebase.Never; return nil },
		"active_turn_has_sealed_plan": func(m *Machine) []Effect { m.turn.plan.PlanHash = ""; return nil },
		"active_turn_has_authority":   func(m *Machine) []Effect { m.authority.Epoch++; return nil },
		"troubles_are_answered": func(m *Machine) []Effect {
			m.raise(trouble{reason: "x"})
			return nil
		},
		"adaptation_is_authorised": func(m *Machine) []Effect {
			m.plans.actions = nil
			return []Effect{&Fallback{Turn: "t1"}}
		},
		"fidelity_only_falls_in_a_turn": func(*Machine) []Effect {
			return []Effect{&Degrade{Turn: "t1", Step: turn.TextOnly}, &Degrade{Turn: "t1", Step: turn.SimplifyTTS}}
		},
		"played_within_accepted":       func(m *Machine) []Effect { m.turn.output.played = high; return nil },
		"output_held_only_by_a_reason": func(m *Machine) []Effect { m.turn.output.held = true; return nil },
		"hold_has_a_reason":            func(m *Machine) []Effect { m.holds = holdInterruption; return nil },
		"present_is_projected": func(m *Machine) []Effect {
			m.clock.Calibrate(timebase.Anchor{At: m.now + 1})
			return nil
		},
		"generations_rise": func(m *Machine) []Effect {
			m.outputs = append(m.outputs, &output{turn: "t0", generation: m.generation})
			return nil
		},
		"bounds_hold": func(m *Machine) []Effect {
			m.queue = append(m.queue, proposal{}, proposal{})
			return nil
		},
		"running_calls_have_an_owner": func(m *Machine) []Effect {
			m.calls = append(m.calls, call{id: "x", kind: callLLM, turn: "t9"})
			return nil
		},
		"call_ids_are_unique": func(m *Machine) []Effect {
			m.calls = append(m.calls, call{id: "x", cancelled: true}, call{id: "x", cancelled: true})
			return nil
		},
		"barge_in_waits_only_for_protected_output": func(m *Machine) []Effect { m.barge.wanted = true; return nil },
		"proposals_wait_only_for_a_barge_in": func(m *Machine) []Effect {
			m.proposals = append(m.proposals, proposal{})
			return nil
		},
		"queue_waits_only_for_a_turn": func(m *Machine) []Effect {
			m.arbiter = turn.Arbiter{}
			m.counters.Commits++
			m.calls = nil
			m.queue = append(m.queue, proposal{})
			return nil
		},
		"overload_queues_nothing": func(m *Machine) []Effect {
			m.load = gate.LevelQueued
			m.queue = append(m.queue, proposal{})
			return nil
		},
		"judged_start_is_the_only_one": func(m *Machine) []Effect {
			m.utterances = append(m.utterances, utterance{number: 7, judging: true})
			return nil
		},
		"waiting_utterance_has_a_proposal": func(m *Machine) []Effect {
			m.utterances = append(m.utterances, utterance{number: 7, waiting: true})
			return nil
		},
		"revoked_session_is_not_active": func(m *Machine) []Effect {
			m.arbiter = turn.Arbiter{}
			m.counters.Commits++
			m.calls = nil
			m.authority.Revoked = true
			return nil
		},
		"draining_has_deadline": func(m *Machine) []Effect {
			m.arbiter = turn.Arbiter{}
			m.counters.Commits++
			m.calls = nil
			m.state, m.deadline = controlplane.SessionDraining, timebase.Never
			return nil
		},
		"ended_holds_nothing": func(m *Machine) []Effect {
			m.arbiter = turn.Arbiter{}
			m.counters.Commits++
			m.calls = nil
			m.state = controlplane.SessionEnded
			m.outputs = []*output{{turn: "t1", generation: 1, reply: graph.Reply{}}}
			return nil
		},
	}
	names := invariantNames(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			harm, ok := damage[name]
			if !ok {
				t.Fatalf("no damage is known that breaks %s", name)
			}
			m := speakingMachine(t)
			m.fx = &Effects{}
			m.verify(nil) // whole before
			if got := broken(m, harm(m)); got != name {
				t.Errorf("the damage broke %q, want %q", got, name)
			}
		})
	}
	if len(damage) != len(names) || len(names) < 25 {
		t.Errorf("%d ways to damage for %d invariants", len(damage), len(names))
	}
}

// invariantNames reads the names out of the source, so that none can be forgotten here.
func invariantNames(t *testing.T) (names []string) {
	t.Helper()
	raw, err := os.ReadFile("invariants.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`ensure\(.*, "([a-z_]+)"\)`).FindAllStringSubmatch(string(raw), -1) {
		names = append(names, found[1])
	}
	return names
}

// broken gives the name of the invariant that verify panics with.
func broken(m *Machine, list []Effect) (name string) {
	defer func() {
		if err, ok := recover().(error); ok {
			var inv *InvariantError
			if errors.As(err, &inv) {
				name = inv.Name
			}
		}
	}()
	m.verify(list)
	return ""
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// plans holds what a turn start is decided from: the local snapshots and the resolver.
type plans struct {
	resolver     *turn.Resolver
	err          error // why no plan can be built
	snapshots    gate.Snapshots
	decision     gate.Verdict             // of the current policy, for a next turn
	invalid      controlplane.OutcomeKind // outcome of an invalid snapshot: defer or reject
	available    bool                     // availability mode
	evidenceLost bool
	candidates   [callKinds][]string
	actions      []controlplane.AdaptiveAction
}

func (p *plans) open(in *Bootstrap, s *Settings, made *turn.FlowSettings, g *graphSetup) {
	p.invalid = controlplane.OutcomeKind(s.StaleOutcome)
	p.available = s.AvailabilityMode
	p.candidates = [callKinds][]string{
		callSTT: candidates(in.STT, in.STTSecond), callLLM: candidates(in.LLM, in.LLMSecond), callTTS: candidates(in.TTS, in.TTSSecond),
	}
	p.actions, _ = turn.ParseActions(s.AdaptiveActions) // validated
	overrides := turn.PlanOverrides{
		TurnBudgetMS: s.TurnBudgetMS, NodeBudgetMS: s.NodeBudgetMS, PathBudgetMS: s.PathBudgetMS, EdgeBudgetMS: s.EdgeBudgetMS,
		InvocationMS: s.InvocationMS, Attempts: s.Attempts, Layers: s.Layers,
	}
	if s.AdaptiveActions != "" {
		overrides.Actions = p.actions
	}
	r, err := turn.NewResolver(turn.PlanRequest{
		Session: in.Session, Pipeline: in.Pipeline, Graph: g.reference(in.Graph), Nodes: g.bindings(), Profile: in.Profile,
		STT: in.STT, LLM: in.LLM, TTS: in.TTS, Flow: made,
		Seconds:   turn.Seconds{STT: in.STTSecond, LLM: in.LLMSecond, TTS: in.TTSSecond},
		Overrides: overrides,
	})
	p.resolver, p.err = &r, err
}

// snapshotsCame takes fresh snapshots, with the decision that the admission policy has
// ready.
func (m *Machine) snapshotsCame(in *Snapshots) {
	m.plans.snapshots.Update(in.Versions, in.AgeMS, m.now)
	m.plans.decision = gate.Admission(in.Admission, in.Reason)
}

// verdict asks the gates in the order of lifecycle section 3: snapshots, admission,
// epoch, revocation, plan. The first failure decides, and later gates do not run.
func (m *Machine) verdict(p proposal) gate.Verdict {
	if v := m.plans.snapshots.Verdict(m.now, m.plans.invalid, m.plans.available); !v.Passes() {
		return v
	}
	if v := m.plans.decision; !v.Passes() {
		return v
	}
	quota := m.quotaVerdict(p)
	if !quota.Passes() {
		return quota
	}
	if v := m.authority.Verdict(p.epoch); !v.Passes() {
		return v
	}
	if v := m.plans.verdict(); !v.Passes() {
		return v
	}
	return quota // it may degrade
}

// verdict answers for a plan that cannot be built, or could not be evidenced. An
// unsupported profile is always a reject (lifecycle section 3).
func (p *plans) verdict() gate.Verdict {
	switch {
	case errors.Is(p.err, turn.ErrProfile):
		return gate.Verdict{Outcome: controlplane.OutcomeReject, Reason: turn.ErrProfile.Error()}
	case p.err != nil:
		return gate.Verdict{Outcome: p.invalid, Reason: turn.ErrPlan.Error()}
	case p.evidenceLost:
		return gate.Verdict{Outcome: controlplane.OutcomeReject, Reason: string(controlplane.AbortEvidenceUnavailable)}
	}
	return gate.Verdict{}
}

// turnAway refuses a proposal that never reached the gates.
func (m *Machine) turnAway(p proposal, reason string) {
	signal := m.emit(eventabi.SignalReject, eventabi.EmitterAdmission, "", reason)
	signal.IdempotencyKey = p.key
	m.decide(signal, controlplane.OutcomeReject, controlplane.PhasePreTurn, controlplane.OutcomeSession, "")
	m.abandon(p)
}

// turnAllAway refuses what waits: DRAINING has no new turns.
func (m *Machine) turnAllAway() {
	for _, list := range [...][]proposal{m.proposals, m.queue} {
		for _, p := range list {
			m.turnAway(p, "session_draining")
		}
	}
	m.proposals, m.queue = m.proposals[:0], m.queue[:0]
}

// snapshotField names a snapshot's version in records.
func snapshotField(i int) string { return string(controlplane.SnapshotKinds()[i]) }

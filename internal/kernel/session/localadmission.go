// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// plans holds what a turn start is decided from: the local snapshots and the resolver.
type plans struct {
	resolver     *turn.Resolver
	err          error // why no plan can be built
	have         bool
	snapshots    Snapshots
	at           timebase.Instant     // when they were received
	highest      [SnapshotKinds]int64 // versions seen so far
	backwards    bool                 // a version is behind the highest: incompatible
	stale        string               // outcome of an invalid snapshot: defer or reject
	available    bool                 // availability mode
	evidenceLost bool
	candidates   [callKinds][]string
	actions      []controlplane.AdaptiveAction
}

func (p *plans) open(in *Bootstrap, s *Settings) {
	p.stale = s.StaleOutcome
	p.available = s.AvailabilityMode
	p.candidates = [callKinds][]string{
		callSTT: candidates(in.STT, in.STTSecond), callLLM: candidates(in.LLM, in.LLMSecond), callTTS: candidates(in.TTS, in.TTSSecond),
	}
	p.actions, _ = turn.ParseActions(s.AdaptiveActions) // validated
	overrides := turn.PlanOverrides{
		TurnBudgetMS: s.TurnBudgetMS, NodeBudgetMS: s.NodeBudgetMS, PathBudgetMS: s.PathBudgetMS, EdgeBudgetMS: s.EdgeBudgetMS,
		InvocationMS: s.InvocationMS, Attempts: s.Attempts,
	}
	if s.AdaptiveActions != "" {
		overrides.Actions = p.actions
	}
	r, err := turn.NewResolver(turn.PlanRequest{
		Session: in.Session, Pipeline: in.Pipeline, Graph: in.Graph, Profile: in.Profile,
		STT: in.STT, LLM: in.LLM, TTS: in.TTS,
		Seconds:   turn.Seconds{STT: in.STTSecond, LLM: in.LLMSecond, TTS: in.TTSSecond},
		Overrides: overrides,
	})
	p.resolver, p.err = &r, err
}

// update takes fresh snapshots. Versions rise monotonically; a step back counts as
// incompatible (turn-plan section 4).
func (p *plans) update(in *Snapshots, at timebase.Instant) {
	p.backwards = false
	for i, v := range in.Versions {
		if v != 0 && v < p.highest[i] {
			p.backwards = true
		}
		p.highest[i] = max(p.highest[i], v)
	}
	p.snapshots, p.at, p.have = *in, at, true
}

// verdict is the answer of one gate: an outcome with its reason, or nothing.
type verdict struct {
	signal eventabi.Signal
	reason string
}

// snapshotGate checks that every required snapshot is there, fresh and compatible.
func (p *plans) snapshotGate(now timebase.Instant) (verdict, bool) {
	invalid := func(reason string) (verdict, bool) {
		return verdict{signal: eventabi.Signal(p.stale), reason: reason}, false
	}
	if !p.have && !p.available {
		return invalid("snapshot_missing")
	}
	if p.backwards {
		return invalid("snapshot_invalid")
	}
	age := p.snapshots.AgeMS + now.Sub(p.at).MS()
	for i, kind := range controlplane.SnapshotKinds() {
		if p.snapshots.Versions[i] == 0 {
			if !p.available {
				return invalid("snapshot_missing:" + string(kind))
			}
			continue // its documented default is used, and marked in the provenance
		}
		if age > kind.MaxAgeMS() {
			return invalid("snapshot_stale:" + string(kind))
		}
	}
	return verdict{}, true
}

// admissionGate follows the decision of the current policy. What it does not know it
// defers.
func (p *plans) admissionGate() (verdict, bool) {
	v := verdict{signal: eventabi.SignalDefer, reason: p.snapshots.Reason}
	switch p.snapshots.Admission {
	case "", string(eventabi.SignalAdmit):
		return verdict{}, true
	case string(eventabi.SignalReject):
		v.signal = eventabi.SignalReject
	}
	if v.reason == "" {
		v.reason = "admission_policy"
	}
	return v, false
}

// planGate answers for a plan that cannot be built. An unsupported profile is always a
// reject (lifecycle section 3).
func (p *plans) planGate() (verdict, bool) {
	switch {
	case p.err == nil:
		return verdict{}, true
	case errors.Is(p.err, turn.ErrProfile):
		return verdict{signal: eventabi.SignalReject, reason: turn.ErrProfile.Error()}, false
	}
	return verdict{signal: eventabi.Signal(p.stale), reason: turn.ErrPlan.Error()}, false
}

// provenance names the snapshots of a plan. In availability mode a missing one is
// marked fallback/<service>.
func (p *plans) provenance() controlplane.SnapshotProvenance {
	var refs [SnapshotKinds]string
	for i, kind := range controlplane.SnapshotKinds() {
		if v := p.snapshots.Versions[i]; v != 0 {
			refs[i] = string(kind) + "/" + strconv.FormatInt(v, 10)
		} else {
			refs[i] = controlplane.ProvenanceFallbackPrefix + service(kind)
		}
	}
	return controlplane.SnapshotProvenance{
		RoutingView: refs[0], AdmissionPolicy: refs[1], ABICompatibility: refs[2],
		VersionResolution: refs[3], PolicyResolution: refs[4], ProviderHealth: refs[5],
	}
}

// service names the turn-start service that a snapshot comes from (turn-plan section 8).
func service(k controlplane.SnapshotKind) string {
	switch k {
	case controlplane.SnapshotRoutingView:
		return "routingview"
	case controlplane.SnapshotAdmissionPolicy:
		return "admission"
	case controlplane.SnapshotABICompatibility:
		return "registry"
	case controlplane.SnapshotVersionResolution:
		return "rollout"
	case controlplane.SnapshotPolicyResolution:
		return "policy"
	case controlplane.SnapshotProviderHealth:
		return "providerhealth"
	}
	return string(k)
}

// snapshotField names a snapshot's version in records.
func snapshotField(i int) string { return string(controlplane.SnapshotKinds()[i]) }

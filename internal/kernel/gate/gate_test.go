// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

func ms(n int64) timebase.Instant { return timebase.Instant(timebase.MS(n)) }

func all(v int64) (list Versions) {
	for i := range list {
		list[i] = v
	}
	return list
}

// without gives a full set in which one kind has another version.
func without(kind controlplane.SnapshotKind, v int64) Versions {
	list := all(3)
	for i, k := range controlplane.SnapshotKinds() {
		if k == kind {
			list[i] = v
		}
	}
	return list
}

// Turn-plan sections 4 and 9: a required snapshot that is older than its bound, absent or
// not monotonic defers or rejects, as the profile says; in availability mode an absent one
// has its documented default.
func TestSnapshots(t *testing.T) {
	type update struct {
		at       int64
		versions Versions
		age      int64
	}
	for name, row := range map[string]struct {
		updates   []update
		now       int64
		available bool
		want      string
	}{
		"all there":                    {[]update{{0, all(1), 0}}, 0, false, ""},
		"none came":                    {nil, 0, false, "snapshot_missing"},
		"none came, available":         {nil, 0, true, ""},
		"one is missing":               {[]update{{0, without(controlplane.SnapshotPolicyResolution, 0), 0}}, 0, false, "snapshot_missing:policy_resolution_snapshot"},
		"one is missing, available":    {[]update{{0, without(controlplane.SnapshotPolicyResolution, 0), 0}}, 0, true, ""},
		"health at its bound":          {[]update{{100, all(1), 1000}}, 4100, false, ""},
		"health past its bound":        {[]update{{100, all(1), 1000}}, 4101, false, "snapshot_stale:provider_health_snapshot"},
		"routing past its bound":       {[]update{{0, without(controlplane.SnapshotProviderHealth, 0), 0}}, 10001, true, "snapshot_stale:routing_view_snapshot"},
		"a version steps back":         {[]update{{0, all(3), 0}, {10, without(controlplane.SnapshotRoutingView, 2), 0}}, 10, false, "snapshot_invalid"},
		"and is refused, available":    {[]update{{0, all(3), 0}, {10, without(controlplane.SnapshotRoutingView, 2), 0}}, 10, true, "snapshot_invalid"},
		"and comes up again":           {[]update{{0, all(3), 0}, {10, all(2), 0}, {20, all(3), 0}}, 20, false, ""},
		"a missing one is no way back": {[]update{{0, all(3), 0}, {10, without(controlplane.SnapshotRoutingView, 0), 0}}, 10, true, ""},
	} {
		var s Snapshots
		for _, u := range row.updates {
			s.Update(u.versions, u.age, ms(u.at))
		}
		for _, outcome := range []controlplane.OutcomeKind{controlplane.OutcomeDefer, controlplane.OutcomeReject} {
			v := s.Verdict(ms(row.now), outcome, row.available)
			if v.Reason != row.want || v.Passes() != (row.want == "") || !v.Passes() && v.Outcome != outcome {
				t.Errorf("%s: %+v, want %q with %s", name, v, row.want, outcome)
			}
		}
	}
}

// Turn-plan section 9: what availability mode goes without is marked in the provenance.
func TestProvenance(t *testing.T) {
	var s Snapshots
	s.Update(without(controlplane.SnapshotVersionResolution, 0), 0, 0)
	got := s.Provenance()
	want := controlplane.SnapshotProvenance{
		RoutingView: "routing_view_snapshot/3", AdmissionPolicy: "admission_policy_snapshot/3",
		ABICompatibility: "abi_compatibility_snapshot/3", VersionResolution: "fallback/rollout",
		PolicyResolution: "policy_resolution_snapshot/3", ProviderHealth: "provider_health_snapshot/3",
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.Update(Versions{}, 0, 0)
	got = s.Provenance()
	want = controlplane.SnapshotProvenance{
		RoutingView: "fallback/routingview", AdmissionPolicy: "fallback/admission", ABICompatibility: "fallback/registry",
		VersionResolution: "fallback/rollout", PolicyResolution: "fallback/policy", ProviderHealth: "fallback/providerhealth",
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What the control plane decided counts; what cannot be understood is not let in.
func TestAdmission(t *testing.T) {
	for decision, want := range map[string]Verdict{
		"":       {},
		"admit":  {},
		"reject": {Outcome: controlplane.OutcomeReject, Reason: "admission_policy"},
		"defer":  {Outcome: controlplane.OutcomeDefer, Reason: "admission_policy"},
		"what":   {Outcome: controlplane.OutcomeDefer, Reason: "admission_policy"},
	} {
		if got := Admission(decision, ""); got != want {
			t.Errorf("%q: %+v, want %+v", decision, got, want)
		}
		if want.Passes() {
			continue
		}
		want.Reason = "tenant_quota:turns_per_minute"
		if got := Admission(decision, want.Reason); got != want {
			t.Errorf("%q with a reason: %+v, want %+v", decision, got, want)
		}
	}
}

// Authority-state sections 1 and 2: which epoch is current, what is wrong with another one,
// and what a word of the lease authority comes to.
func TestAuthority(t *testing.T) {
	held, gone := Authority{Epoch: 4}, Authority{Epoch: 4, Revoked: true}
	for _, row := range []struct {
		held    Authority
		epoch   eventabi.Epoch
		current bool
		reason  controlplane.AuthorityReason
		outcome controlplane.OutcomeKind
	}{
		{held, 0, true, "", controlplane.OutcomeStaleEpochReject},
		{held, 4, true, "", ""},
		{held, 3, false, controlplane.AuthorityStaleEpoch, controlplane.OutcomeStaleEpochReject},
		{held, 5, false, controlplane.AuthorityEpochAhead, controlplane.OutcomeStaleEpochReject},
		{gone, 0, false, controlplane.AuthorityDeauthorized, controlplane.OutcomeStaleEpochReject},
		{gone, 4, false, controlplane.AuthorityDeauthorized, controlplane.OutcomeDeauthorizedDrain},
		{gone, 5, false, controlplane.AuthorityDeauthorized, controlplane.OutcomeStaleEpochReject},
	} {
		a := row.held
		if a.Current(row.epoch) != row.current || !row.current && a.Reason(row.epoch) != row.reason {
			t.Errorf("%+v, epoch %d: current %v, reason %s", row.held, row.epoch, a.Current(row.epoch), a.Reason(row.epoch))
		}
		v := a.Verdict(row.epoch)
		if v.Outcome != row.outcome || v.Passes() != (v.Reason == "") || !v.Passes() && v.Emitter() != eventabi.EmitterAuthority {
			t.Errorf("%+v, epoch %d: %+v by %s, want %s", row.held, row.epoch, v, v.Emitter(), row.outcome)
		}
	}
	for _, row := range []struct {
		held    Authority
		epoch   eventabi.Epoch
		revoked bool
		move    LeaseMove
		after   Authority
	}{
		{held, 4, false, LeaseKept, held},
		{held, 3, false, LeaseBehind, held},
		{held, 6, false, LeaseRotated, Authority{Epoch: 6}},
		{held, 0, true, LeaseRevoked, gone},
		{held, 9, true, LeaseRevoked, gone},
		{gone, 0, true, LeaseKept, gone},
		{gone, 3, false, LeaseBehind, gone},
		{gone, 9, false, LeaseKept, gone},
	} {
		a := row.held
		if move := a.Take(row.epoch, row.revoked); move != row.move || a != row.after {
			t.Errorf("%+v takes epoch %d, revoked %v: %d and %+v, want %d and %+v", row.held, row.epoch, row.revoked, move, a, row.move, row.after)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// SnapshotKinds is the number of snapshot references in a plan's provenance.
const SnapshotKinds = 6

// Versions are the versions of the control plane's decision sets, in the order of
// controlplane.SnapshotKinds; 0 = missing.
type Versions [SnapshotKinds]int64

// Snapshots is what a session holds of the control plane's decision sets. The zero value
// holds none.
type Snapshots struct {
	have      bool
	versions  Versions
	ageMS     int64
	at        timebase.Instant // when they were received
	highest   Versions         // seen so far
	backwards bool             // a version is behind the highest: incompatible
}

// Update takes fresh snapshots; ageMS is the age of the oldest at this instant. Versions
// rise monotonically; a step back counts as incompatible (turn-plan section 4).
func (s *Snapshots) Update(versions Versions, ageMS int64, at timebase.Instant) {
	s.backwards = false
	for i, v := range versions {
		if v != 0 && v < s.highest[i] {
			s.backwards = true
		}
		s.highest[i] = max(s.highest[i], v)
	}
	s.versions, s.ageMS, s.at, s.have = versions, ageMS, at, true
}

// Verdict checks that every required snapshot is there, fresh and compatible. invalid is
// the outcome of one that is not (turn_start_invalid_outcome); where missing ones have a
// documented default, available is set and a missing one refuses nothing.
func (s *Snapshots) Verdict(now timebase.Instant, invalid controlplane.OutcomeKind, available bool) Verdict {
	if !s.have && !available {
		return Verdict{Outcome: invalid, Reason: "snapshot_missing"}
	}
	if s.backwards {
		return Verdict{Outcome: invalid, Reason: "snapshot_invalid"}
	}
	age := s.ageMS + now.Sub(s.at).MS()
	for i, kind := range controlplane.SnapshotKinds() {
		if s.versions[i] == 0 {
			if !available {
				return Verdict{Outcome: invalid, Reason: "snapshot_missing:" + string(kind)}
			}
			continue // its default is used, and marked in the provenance
		}
		if age > kind.MaxAgeMS() {
			return Verdict{Outcome: invalid, Reason: "snapshot_stale:" + string(kind)}
		}
	}
	return Verdict{}
}

// Provenance names the snapshots of a plan. In availability mode a missing one is marked
// fallback/<service>.
func (s *Snapshots) Provenance() controlplane.SnapshotProvenance {
	var refs [SnapshotKinds]string
	for i, kind := range controlplane.SnapshotKinds() {
		if v := s.versions[i]; v != 0 {
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

// SPDX-License-Identifier: Apache-2.0

package controlplane

import "github.com/parley-voice/parley/api/eventabi"

// SnapshotProvenance holds the six references a turn was resolved from (turn-plan
// section 4), each <kind>/<version>, non-empty and replay-visible.
type SnapshotProvenance struct {
	RoutingView       string `json:"routing_view_snapshot"`
	AdmissionPolicy   string `json:"admission_policy_snapshot"`
	ABICompatibility  string `json:"abi_compatibility_snapshot"`
	VersionResolution string `json:"version_resolution_snapshot"`
	PolicyResolution  string `json:"policy_resolution_snapshot"`
	ProviderHealth    string `json:"provider_health_snapshot"`
}

// SnapshotKind names one of the six snapshots, by its key in the provenance.
type SnapshotKind string

// The six snapshot kinds.
const (
	SnapshotRoutingView       SnapshotKind = "routing_view_snapshot"
	SnapshotAdmissionPolicy   SnapshotKind = "admission_policy_snapshot"
	SnapshotABICompatibility  SnapshotKind = "abi_compatibility_snapshot"
	SnapshotVersionResolution SnapshotKind = "version_resolution_snapshot"
	SnapshotPolicyResolution  SnapshotKind = "policy_resolution_snapshot"
	SnapshotProviderHealth    SnapshotKind = "provider_health_snapshot"
)

// MaxAgeMS is the age, in milliseconds, past which a snapshot of this kind is stale
// (turn-plan section 4); 0 for an unknown kind.
func (k SnapshotKind) MaxAgeMS() int64 {
	switch k {
	case SnapshotRoutingView:
		return 10000
	case SnapshotProviderHealth:
		return 5000
	case SnapshotAdmissionPolicy, SnapshotABICompatibility, SnapshotVersionResolution, SnapshotPolicyResolution:
		return 60000
	}
	return 0
}

// Snapshot is a reference to one versioned decision set as the kernel holds it.
// A zero Ref means that the snapshot is missing.
type Snapshot struct {
	// Ref is <kind>/<version>.
	Ref string `json:"ref"`
	// Version rises monotonically per session; a step back counts as incompatible.
	Version int64 `json:"version"`
	// AsOfMS is when the snapshot was current, on the monotonic clock of the runtime.
	AsOfMS int64 `json:"as_of_ms"`
	// Incompatible marks a snapshot that this runtime cannot use (schema skew).
	Incompatible bool `json:"incompatible,omitempty"`
}

// Missing reports whether there is no snapshot.
func (s Snapshot) Missing() bool { return s.Ref == "" }

// Stale reports whether, at nowMS on the monotonic clock, the snapshot is older than
// its kind allows.
func (s Snapshot) Stale(kind SnapshotKind, nowMS int64) bool {
	return nowMS-s.AsOfMS > kind.MaxAgeMS()
}

// Snapshots is the set of six that a turn is resolved from.
type Snapshots struct {
	RoutingView       Snapshot `json:"routing_view_snapshot"`
	AdmissionPolicy   Snapshot `json:"admission_policy_snapshot"`
	ABICompatibility  Snapshot `json:"abi_compatibility_snapshot"`
	VersionResolution Snapshot `json:"version_resolution_snapshot"`
	PolicyResolution  Snapshot `json:"policy_resolution_snapshot"`
	ProviderHealth    Snapshot `json:"provider_health_snapshot"`
}

// Get returns the snapshot of one kind; an unknown kind gives a missing one.
func (s *Snapshots) Get(kind SnapshotKind) Snapshot {
	switch kind {
	case SnapshotRoutingView:
		return s.RoutingView
	case SnapshotAdmissionPolicy:
		return s.AdmissionPolicy
	case SnapshotABICompatibility:
		return s.ABICompatibility
	case SnapshotVersionResolution:
		return s.VersionResolution
	case SnapshotPolicyResolution:
		return s.PolicyResolution
	case SnapshotProviderHealth:
		return s.ProviderHealth
	}
	return Snapshot{}
}

// SnapshotKinds lists the six kinds in the order of turn-plan section 4.
func SnapshotKinds() [6]SnapshotKind {
	return [6]SnapshotKind{
		SnapshotRoutingView, SnapshotAdmissionPolicy, SnapshotABICompatibility,
		SnapshotVersionResolution, SnapshotPolicyResolution, SnapshotProviderHealth,
	}
}

// Provenance returns the six references as a plan carries them.
func (s *Snapshots) Provenance() SnapshotProvenance {
	return SnapshotProvenance{
		RoutingView:       s.RoutingView.Ref,
		AdmissionPolicy:   s.AdmissionPolicy.Ref,
		ABICompatibility:  s.ABICompatibility.Ref,
		VersionResolution: s.VersionResolution.Ref,
		PolicyResolution:  s.PolicyResolution.Ref,
		ProviderHealth:    s.ProviderHealth.Ref,
	}
}

// Lease is a grant naming the one runtime that may execute a session (authority-
// state section 1). Times are wall-clock milliseconds.
type Lease struct {
	SessionID eventabi.SessionID `json:"session_id"`
	// LeaseEpoch rises by at least 1 per grant or rotation; renewal keeps it.
	LeaseEpoch eventabi.Epoch `json:"lease_epoch"`
	// LeaseToken is a signed proof. It is never logged, traced or recorded.
	LeaseToken  string `json:"lease_token,omitempty"`
	RuntimeID   string `json:"runtime_id"`
	Region      string `json:"region"`
	IssuedAtMS  int64  `json:"issued_at_ms"`
	ExpiresAtMS int64  `json:"expires_at_ms"`
}

// StateClass is a class of session state with its lifetime (authority-state section 4).
type StateClass string

// The state classes.
const (
	StateTurnEphemeral  StateClass = "turn_ephemeral"
	StateSessionHot     StateClass = "session_hot"
	StateSessionDurable StateClass = "session_durable"
	StateControlPlane   StateClass = "control_plane_configuration"
	StateFleetHealth    StateClass = "fleet_provider_health"
)

// Consistency is the declared consistency of a durable state.
type Consistency string

// The consistencies of durable state; strong is the default.
const (
	ConsistencyStrong           Consistency = "strong"
	ConsistencyBoundedStaleness Consistency = "bounded-staleness"
)

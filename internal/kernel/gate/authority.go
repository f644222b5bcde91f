// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// Authority is what a session holds of its lease.
type Authority struct {
	Epoch   eventabi.Epoch
	Revoked bool
}

// Current says whether an epoch is the lease's. Zero means that ingress left it to the
// session's binding (authority-state section 2, "Enrichment").
func (a *Authority) Current(e eventabi.Epoch) bool {
	return !a.Revoked && (e == 0 || e == a.Epoch)
}

// Reason says what is wrong with an epoch that is not current.
func (a *Authority) Reason(e eventabi.Epoch) controlplane.AuthorityReason {
	switch {
	case a.Revoked:
		return controlplane.AuthorityDeauthorized
	case e > a.Epoch:
		return controlplane.AuthorityEpochAhead
	}
	return controlplane.AuthorityStaleEpoch
}

// Verdict is the epoch gate and, behind it, the gate of revocation, for a proposal that
// was made under an epoch (lifecycle section 3, T3 and T4).
func (a *Authority) Verdict(e eventabi.Epoch) Verdict {
	switch {
	case e != a.Epoch:
		return Verdict{Outcome: controlplane.OutcomeStaleEpochReject, Reason: string(a.Reason(e))}
	case a.Revoked:
		return Verdict{Outcome: controlplane.OutcomeDeauthorizedDrain, Reason: string(a.Withdrawn())}
	}
	return Verdict{}
}

// Withdrawn is the reason why what was begun under the lease has to end: it was revoked,
// or has gone on to another epoch.
func (a *Authority) Withdrawn() controlplane.AuthorityReason {
	if a.Revoked {
		return controlplane.AuthorityDeauthorized
	}
	return controlplane.AuthorityStaleEpoch
}

// LeaseMove is what a word of the lease authority comes to.
type LeaseMove uint8

// The lease moves.
const (
	LeaseKept    LeaseMove = iota // a renewal keeps the epoch; a revoked lease stays revoked
	LeaseBehind                   // an epoch that is over already
	LeaseRotated                  // a new epoch: what the old one began is stale
	LeaseRevoked                  // authority is withdrawn
)

// Take follows the lease authority. Epochs only rise, and authority does not come back.
func (a *Authority) Take(e eventabi.Epoch, revoked bool) LeaseMove {
	switch {
	case !revoked && e < a.Epoch:
		return LeaseBehind
	case a.Revoked || !revoked && e == a.Epoch:
		return LeaseKept
	case revoked:
		a.Revoked = true
		return LeaseRevoked
	}
	a.Epoch = e
	return LeaseRotated
}

// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
)

// Verdict is the answer of a gate: the outcome of a refusal with its reason. The zero
// Verdict lets pass, and one with a reason and no outcome lets pass with reduced fidelity.
type Verdict struct {
	Outcome      controlplane.OutcomeKind
	Reason       string
	RetryAfterMS int64 // of a deferral, where the gate knows it
	// Of a quota: whose it is, and the count that it was held against.
	Scope     Scope
	Limit     Limit
	Used, Max int64
}

// Passes says that the gate refuses nothing.
func (v Verdict) Passes() bool { return v.Outcome == "" }

// Degrades says that the gate lets pass with reduced fidelity.
func (v Verdict) Degrades() bool { return v.Outcome == "" && v.Reason != "" }

// Signal is the control signal that tells a refusal; it has the outcome's name
// (event-abi section 7).
func (v Verdict) Signal() eventabi.Signal { return eventabi.Signal(v.Outcome) }

// Emitter is the component that decides the outcome: the authority guard what is wrong
// with an epoch, local admission everything else (event-abi section 7).
func (v Verdict) Emitter() eventabi.Emitter {
	if v.Outcome == controlplane.OutcomeStaleEpochReject || v.Outcome == controlplane.OutcomeDeauthorizedDrain {
		return eventabi.EmitterAuthority
	}
	return eventabi.EmitterAdmission
}

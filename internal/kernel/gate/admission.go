// SPDX-License-Identifier: Apache-2.0

package gate

import "github.com/parley-voice/parley/api/controlplane"

// Admission follows a ready-made decision of the control plane's policy: empty or
// "admit", "reject", "defer", with its reason. What it does not know it defers.
func Admission(decision, reason string) Verdict {
	v := Verdict{Outcome: controlplane.OutcomeDefer, Reason: reason}
	switch decision {
	case "", string(controlplane.OutcomeAdmit):
		return Verdict{}
	case string(controlplane.OutcomeReject):
		v.Outcome = controlplane.OutcomeReject
	}
	if v.Reason == "" {
		v.Reason = "admission_policy"
	}
	return v
}

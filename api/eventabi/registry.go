// SPDX-License-Identifier: Apache-2.0

package eventabi

import "slices"

// SignalSpec is one row of the control-signal registry (event-abi section 5). Beyond
// what it lists, every signal needs lane=ControlLane, payload_class=metadata,
// authority_epoch and emitted_by; turn scope needs turn_id. Field names are those of
// the wire.
type SignalSpec struct {
	Signal Signal
	// Since is the minor version of major 1 that introduced the signal.
	Since int
	// Emitters are the components that may emit it.
	Emitters []Emitter
	// Scope is the event scope that it must have; "" is any.
	Scope EventScope
	// Requires are the fields it needs; RequiresOneOf one of which it needs.
	Requires, RequiresOneOf []string
	// RequiresFrom11 are fields that artifacts need from v1.1; a v1.0 artifact without
	// them is still read.
	RequiresFrom11 []string
	// Reasons is the closed set of its reason, from minor version ReasonsSince; empty
	// leaves the reason open.
	Reasons      []string
	ReasonsSince int
}

// MayEmit reports whether e may emit the signal.
func (s SignalSpec) MayEmit(e Emitter) bool { return slices.Contains(s.Emitters, e) }

// LookupSignal returns the registry's row for a signal, or false for a name outside
// the registry.
func LookupSignal(name Signal) (SignalSpec, bool) {
	for _, s := range Signals() {
		if s.Signal == name {
			return s, true
		}
	}
	return SignalSpec{}, false
}

// Emitters lists the closed set of emitter codes, in the order of event-abi section 6.
// RK-07 is new in v1.1.
func Emitters() []Emitter {
	return []Emitter{
		EmitterPrelude, EmitterArbiter, EmitterLaneRouter, EmitterExecutor, EmitterInvocation,
		EmitterEdgeBuffer, EmitterWatermark, EmitterFlowControl, EmitterSync, EmitterCancellation, EmitterBudget,
		EmitterEgress, EmitterConnection, EmitterAuthority, EmitterAdmission, EmitterRecorder,
		EmitterFleetAdmit, EmitterLease, EmitterRoutingView,
	}
}

// Signals returns the whole registry, v1.0 first, in the order of event-abi section 5.
func Signals() []SignalSpec {
	return slices.Concat(
		lifecycleSignals(), interruptionSignals(), pressureSignals(), providerSignals(),
		authoritySignals(), connectionSignals(), additions11(),
	)
}

func rows(template SignalSpec, names ...Signal) []SignalSpec {
	out := make([]SignalSpec, len(names))
	for i, name := range names {
		out[i] = template
		out[i].Signal = name
	}
	return out
}

func from(e ...Emitter) []Emitter { return e }

func lifecycleSignals() []SignalSpec {
	return slices.Concat(
		rows(SignalSpec{Emitters: from(EmitterPrelude), Scope: ScopeSession}, SignalTurnOpenProposed),
		rows(SignalSpec{Emitters: from(EmitterArbiter), Scope: ScopeTurn},
			SignalTurnOpen, SignalCommit, SignalClose),
		rows(SignalSpec{
			Emitters: from(EmitterArbiter), Scope: ScopeTurn, Requires: []string{"reason"},
			// A closed list, lifecycle section 6.
			Reasons: []string{
				"cancelled", "authority_loss", "recording_evidence_unavailable", "node_timeout_or_failure",
				"provider_failure", "transport_disconnect_or_stall", "budget_exhausted", "edge_overflow",
				"sync_unrecoverable", "runtime_internal_error", "policy_terminated",
			},
		}, SignalAbort),
	)
}

func interruptionSignals() []SignalSpec {
	by := from(EmitterLaneRouter, EmitterCancellation)
	return slices.Concat(
		rows(SignalSpec{Emitters: by}, SignalBargeIn, SignalStop),
		rows(SignalSpec{
			Emitters: by, Requires: []string{"scope"}, RequiresFrom11: []string{"reason"},
			// Cause codes, lifecycle section 8.
			Reasons: []string{
				"barge_in", "timeout", "user_cancel", "provider_error", "authority_loss", "disconnect", "policy",
			},
			ReasonsSince: 1,
		}, SignalCancel),
	)
}

func pressureSignals() []SignalSpec {
	atEdge := []string{"edge_id", "target_lane"}
	withReason := append(slices.Clone(atEdge), "reason")
	flow := from(EmitterFlowControl)
	return slices.Concat(
		rows(SignalSpec{
			Emitters: from(EmitterWatermark), Requires: withReason,
			Reasons: []string{"high", "low"}, ReasonsSince: 1, // flow section 2
		}, SignalWatermark),
		rows(SignalSpec{Emitters: from(EmitterBudget), Requires: []string{"reason"}},
			SignalBudgetWarning, SignalBudgetExhausted),
		rows(SignalSpec{Emitters: from(EmitterWatermark, EmitterBudget), Requires: []string{"reason"}},
			SignalDegrade, SignalFallback),
		rows(SignalSpec{Emitters: from(EmitterSync), Requires: []string{"sync_domain", "discontinuity_id", "reason"}},
			SignalDiscontinuity),
		rows(SignalSpec{
			Emitters: from(EmitterEdgeBuffer, EmitterWatermark), Requires: append(slices.Clone(withReason), "seq_range"),
			Reasons: []string{ // flow section 4
				"max_items", "max_bytes", "max_queue_ms", "max_latency", "block_timeout", "watermark",
				"sync_atomic", "fenced", "shed",
			},
			ReasonsSince: 1,
		}, SignalDropNotice),
		rows(SignalSpec{Emitters: flow, Requires: withReason}, SignalFlowXOff),
		rows(SignalSpec{Emitters: flow, Requires: atEdge}, SignalFlowXOn),
		rows(SignalSpec{Emitters: flow, Requires: append(slices.Clone(atEdge), "amount")}, SignalCreditGrant),
	)
}

func providerSignals() []SignalSpec {
	by := from(EmitterInvocation)
	call := []string{"provider_invocation_id"}
	return slices.Concat(
		rows(SignalSpec{Emitters: by, Requires: []string{"reason"}, RequiresFrom11: call}, SignalProviderError),
		rows(SignalSpec{
			Emitters: by, Requires: []string{"reason"},
			Reasons: []string{"open", "half_open", "closed"}, ReasonsSince: 1, // turn-plan section 10
		}, SignalCircuitEvent),
		rows(SignalSpec{Emitters: by, Requires: []string{"reason"}, RequiresFrom11: call}, SignalProviderSwitch),
	)
}

func authoritySignals() []SignalSpec {
	reason := []string{"reason"}
	return slices.Concat(
		rows(SignalSpec{Emitters: from(EmitterLease, EmitterRoutingView)},
			SignalLeaseIssued, SignalLeaseRotated, SignalMigrationStart, SignalMigrationFinish, SignalSessionHandoff),
		rows(SignalSpec{Emitters: from(EmitterAdmission, EmitterFleetAdmit), Scope: ScopeSession, Requires: reason},
			SignalAdmit, SignalReject, SignalDefer),
		rows(SignalSpec{Emitters: from(EmitterAdmission), Requires: reason}, SignalShed),
		rows(SignalSpec{Emitters: from(EmitterAuthority), Requires: reason},
			SignalStaleEpochReject, SignalDeauthorizedDrain),
	)
}

func connectionSignals() []SignalSpec {
	return slices.Concat(
		rows(SignalSpec{Emitters: from(EmitterConnection)},
			SignalConnected, SignalReconnecting, SignalDisconnected, SignalEnded, SignalSilence, SignalStall),
		rows(SignalSpec{Emitters: from(EmitterEgress, EmitterConnection), Scope: ScopeTurn},
			SignalOutputAccepted, SignalPlaybackStarted, SignalPlaybackCompleted, SignalPlaybackCancelled),
		rows(SignalSpec{
			Emitters: from(EmitterRecorder), Requires: []string{"reason"}, RequiresFrom11: []string{"payload"},
		}, SignalRecordingLevelDowngraded),
	)
}

// additions11 are the signals that schema v1.1 added.
func additions11() []SignalSpec {
	return slices.Concat(
		rows(SignalSpec{
			Since: 1, Emitters: from(EmitterConnection), Scope: ScopeSession, Requires: []string{"reason"},
			Reasons: []string{"client", "vad"},
		}, SignalEndOfUtterance),
		rows(SignalSpec{
			Since: 1, Emitters: from(EmitterConnection), Scope: ScopeSession, Requires: []string{"extensions"},
		}, SignalTransportControl),
		rows(SignalSpec{
			Since: 1, Emitters: from(EmitterCancellation), Requires: []string{"scope", "causal_parent_id"},
		}, SignalCancelAck),
		rows(SignalSpec{
			Since: 1, Emitters: from(EmitterExecutor), Requires: []string{"reason"},
			RequiresOneOf: []string{"node_id", "edge_id"},
		}, SignalRouteDecision),
		rows(SignalSpec{
			Since: 1, Emitters: from(EmitterRecorder), Requires: []string{"reason", "payload"},
		}, SignalRecordingLevelRestored),
	)
}

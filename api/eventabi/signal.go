// SPDX-License-Identifier: Apache-2.0

package eventabi

// Signal names a control signal of the registry.
type Signal string

// The control signals of schema v1.0.
const (
	SignalTurnOpenProposed         Signal = "turn_open_proposed"
	SignalTurnOpen                 Signal = "turn_open"
	SignalCommit                   Signal = "commit"
	SignalAbort                    Signal = "abort"
	SignalClose                    Signal = "close"
	SignalBargeIn                  Signal = "barge_in"
	SignalStop                     Signal = "stop"
	SignalCancel                   Signal = "cancel"
	SignalWatermark                Signal = "watermark"
	SignalBudgetWarning            Signal = "budget_warning"
	SignalBudgetExhausted          Signal = "budget_exhausted"
	SignalDegrade                  Signal = "degrade"
	SignalFallback                 Signal = "fallback"
	SignalDiscontinuity            Signal = "discontinuity"
	SignalDropNotice               Signal = "drop_notice"
	SignalFlowXOff                 Signal = "flow_xoff"
	SignalFlowXOn                  Signal = "flow_xon"
	SignalCreditGrant              Signal = "credit_grant"
	SignalProviderError            Signal = "provider_error"
	SignalCircuitEvent             Signal = "circuit_event"
	SignalProviderSwitch           Signal = "provider_switch"
	SignalLeaseIssued              Signal = "lease_issued"
	SignalLeaseRotated             Signal = "lease_rotated"
	SignalMigrationStart           Signal = "migration_start"
	SignalMigrationFinish          Signal = "migration_finish"
	SignalSessionHandoff           Signal = "session_handoff"
	SignalAdmit                    Signal = "admit"
	SignalReject                   Signal = "reject"
	SignalDefer                    Signal = "defer"
	SignalShed                     Signal = "shed"
	SignalStaleEpochReject         Signal = "stale_epoch_reject"
	SignalDeauthorizedDrain        Signal = "deauthorized_drain"
	SignalConnected                Signal = "connected"
	SignalReconnecting             Signal = "reconnecting"
	SignalDisconnected             Signal = "disconnected"
	SignalEnded                    Signal = "ended"
	SignalSilence                  Signal = "silence"
	SignalStall                    Signal = "stall"
	SignalOutputAccepted           Signal = "output_accepted"
	SignalPlaybackStarted          Signal = "playback_started"
	SignalPlaybackCompleted        Signal = "playback_completed"
	SignalPlaybackCancelled        Signal = "playback_cancelled"
	SignalRecordingLevelDowngraded Signal = "recording_level_downgraded"
)

// The control signals added by schema v1.1.
const (
	SignalEndOfUtterance         Signal = "end_of_utterance"
	SignalTransportControl       Signal = "transport_control"
	SignalCancelAck              Signal = "cancel_ack"
	SignalRouteDecision          Signal = "route_decision"
	SignalRecordingLevelRestored Signal = "recording_level_restored"
)

// Emitter is the fine component that emitted a signal (the wire field emitted_by).
// The spelling is the wire's; the Go names say what the component is.
type Emitter string

// The closed set of emitters.
const (
	EmitterPrelude      Emitter = "RK-02"
	EmitterArbiter      Emitter = "RK-03"
	EmitterLaneRouter   Emitter = "RK-06"
	EmitterExecutor     Emitter = "RK-07" // from v1.1
	EmitterInvocation   Emitter = "RK-11"
	EmitterEdgeBuffer   Emitter = "RK-12"
	EmitterWatermark    Emitter = "RK-13"
	EmitterFlowControl  Emitter = "RK-14"
	EmitterSync         Emitter = "RK-15"
	EmitterCancellation Emitter = "RK-16"
	EmitterBudget       Emitter = "RK-17"
	EmitterEgress       Emitter = "RK-22"
	EmitterConnection   Emitter = "RK-23"
	EmitterAuthority    Emitter = "RK-24"
	EmitterAdmission    Emitter = "RK-25"
	EmitterRecorder     Emitter = "OR-02"
	EmitterFleetAdmit   Emitter = "CP-05"
	EmitterLease        Emitter = "CP-07"
	EmitterRoutingView  Emitter = "CP-08"
)

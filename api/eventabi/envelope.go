// SPDX-License-Identifier: Apache-2.0

package eventabi

import "encoding/json"

// SchemaVersion is what Parley writes. Readers accept every v1 up to KnownMinor
// and unknown additions under the session's unknown-event action.
const SchemaVersion = "v1.1"

// KnownMinor is the highest minor of major 1 that this build knows.
const KnownMinor = 1

// Lane is the QoS class of an event: Control outranks Data, Data outranks Telemetry.
type Lane string

// The three lanes.
const (
	ControlLane   Lane = "ControlLane"
	DataLane      Lane = "DataLane"
	TelemetryLane Lane = "TelemetryLane"
)

// EventScope says whether an event belongs to the session or to one turn of it.
type EventScope string

// The two event scopes.
const (
	ScopeSession EventScope = "session"
	ScopeTurn    EventScope = "turn"
)

// Kind is the kind of an event, with the lane it travels on.
type Kind string

// The six event kinds.
const (
	KindAudio   Kind = "audio"
	KindText    Kind = "text"
	KindControl Kind = "control"
	KindMetrics Kind = "metrics"
	KindDebug   Kind = "debug"
	KindError   Kind = "error"
)

// PayloadClass is the data class of an event's payload; every event has exactly one.
type PayloadClass string

// The six payload classes.
const (
	ClassAudioRaw       PayloadClass = "audio_raw"
	ClassTextRaw        PayloadClass = "text_raw"
	ClassPII            PayloadClass = "PII"
	ClassPHI            PayloadClass = "PHI"
	ClassDerivedSummary PayloadClass = "derived_summary"
	ClassMetadata       PayloadClass = "metadata"
)

// CancelScope is what a cancel stops.
type CancelScope string

// The four cancel scopes.
const (
	CancelSession    CancelScope = "session"
	CancelTurn       CancelScope = "turn"
	CancelNode       CancelScope = "node"
	CancelInvocation CancelScope = "provider_invocation"
)

// MediaTime is a position in a media stream: exactly one of the two is set.
// SampleIndex counts samples at the stream's rate from the session's start.
type MediaTime struct {
	SampleIndex *int64 `json:"sample_index,omitempty"`
	PTSMS       *int64 `json:"pts_ms,omitempty"`
}

// SeqRange is an inclusive range of runtime sequences.
type SeqRange struct {
	Start Sequence `json:"start"`
	End   Sequence `json:"end"`
}

// Envelope is the one form in which every event and control signal travels between
// nodes, kernel, transports and control plane. Identity fields never change after
// emission. Zero values mean "absent" for optional fields; TransportSequence is
// written as null when the transport has no numbering of its own.
type Envelope struct {
	SchemaVersion        string                     `json:"schema_version"`
	EventScope           EventScope                 `json:"event_scope"`
	SessionID            SessionID                  `json:"session_id"`
	TurnID               TurnID                     `json:"turn_id,omitempty"`
	PipelineVersion      PipelineVersion            `json:"pipeline_version"`
	EventID              EventID                    `json:"event_id"`
	EventKind            Kind                       `json:"event_kind,omitempty"`
	Lane                 Lane                       `json:"lane"`
	TransportSequence    *int64                     `json:"transport_sequence"`
	RuntimeSequence      Sequence                   `json:"runtime_sequence"`
	RuntimeTimestampMS   int64                      `json:"runtime_timestamp_ms"`
	WallClockTimestampMS int64                      `json:"wall_clock_timestamp_ms"`
	TimestampMS          *int64                     `json:"timestamp_ms,omitempty"`
	PayloadClass         PayloadClass               `json:"payload_class"`
	AuthorityEpoch       *Epoch                     `json:"authority_epoch,omitempty"`
	LeaseToken           string                     `json:"lease_token,omitempty"`
	NodeID               NodeID                     `json:"node_id,omitempty"`
	EdgeID               EdgeID                     `json:"edge_id,omitempty"`
	CausalParentID       EventID                    `json:"causal_parent_id,omitempty"`
	IdempotencyKey       IdempotencyKey             `json:"idempotency_key,omitempty"`
	ProviderInvocationID InvocationID               `json:"provider_invocation_id,omitempty"`
	SyncID               string                     `json:"sync_id,omitempty"`
	SyncDomain           string                     `json:"sync_domain,omitempty"`
	DiscontinuityID      string                     `json:"discontinuity_id,omitempty"`
	MergeGroupID         string                     `json:"merge_group_id,omitempty"`
	MergedFromEventIDs   []EventID                  `json:"merged_from_event_ids,omitempty"`
	LateAfterCancel      bool                       `json:"late_after_cancel,omitempty"`
	MediaTime            *MediaTime                 `json:"media_time,omitempty"`
	Signal               Signal                     `json:"signal,omitempty"`
	EmittedBy            Emitter                    `json:"emitted_by,omitempty"`
	Reason               string                     `json:"reason,omitempty"`
	SeqRange             *SeqRange                  `json:"seq_range,omitempty"`
	Scope                CancelScope                `json:"scope,omitempty"`
	TargetLane           Lane                       `json:"target_lane,omitempty"`
	Amount               *int64                     `json:"amount,omitempty"`
	Payload              json.RawMessage            `json:"payload,omitempty"`
	Extensions           map[string]json.RawMessage `json:"extensions,omitempty"`
}

// Extend gives the event the fields of a namespace, as a JSON object; a namespace is reverse
// dotted, such as transport.telephony.
func (e *Envelope) Extend(namespace string, fields []byte) {
	if e.Extensions == nil {
		e.Extensions = map[string]json.RawMessage{}
	}
	e.Extensions[namespace] = fields
}

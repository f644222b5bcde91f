// SPDX-License-Identifier: Apache-2.0

package eventabi

// Identifiers are opaque: at most MaxIDLength characters of [A-Za-z0-9._:-].
type (
	// SessionID names one logical conversation; it survives a change of machine.
	SessionID string
	// TurnID names one turn (or a candidate that never opened) of a session.
	TurnID string
	// EventID is unique per session.
	EventID string
	// NodeID names a node of the graph.
	NodeID string
	// EdgeID names an edge of the graph.
	EdgeID string
	// InvocationID names one logical provider call, which holds 1..N attempts.
	InvocationID string
	// PipelineVersion names an immutable published pipeline.
	PipelineVersion string
	// IdempotencyKey makes a repeated delivery recognisable.
	IdempotencyKey string
)

// Epoch is the lease epoch, the monotonic fencing number of a session's lease.
type Epoch int64

// Sequence is the runtime sequence: one counter per session, never reused.
type Sequence int64

// MaxIDLength bounds every identifier, in characters.
const MaxIDLength = 128

// MaxMergedFrom bounds the lineage of a coalesced event.
const MaxMergedFrom = 64

// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Codes of faults that events and signals report besides those of their fields.
const (
	CodeUnsupportedMajor  = "unsupported_major"
	CodeLaneSignal        = "lane_signal"
	CodeKindLane          = "kind_lane"
	CodePayloadClass      = "payload_class"
	CodeTurnScope         = "turn_scope"
	CodeMediaTimeOneOf    = "media_time_one_of"
	CodeMergeLineage      = "merge_lineage"
	CodeSignalEmitter     = "signal_emitter"
	CodeSignalScope       = "signal_scope"
	CodeSignalReason      = "signal_reason"
	CodeSignalVersion     = "signal_version"
	CodeEmitterVersion    = "emitter_version"
	CodeSeqRangeOrder     = "seq_range_order"
	CodeTimestampMismatch = "timestamp_mismatch"
)

func id(doc string) *shape.Shape {
	return &shape.Shape{Type: shape.String, Doc: doc, Pattern: shape.ID}
}

func lanes() *shape.Shape {
	return shape.OneOf("the lane", eventabi.DataLane, eventabi.ControlLane, eventabi.TelemetryLane)
}

func eventScopes() *shape.Shape {
	return shape.OneOf("whether the event belongs to the session or to one turn", eventabi.ScopeSession, eventabi.ScopeTurn)
}

func cancelScopes() *shape.Shape {
	return shape.OneOf("what the cancel stops", eventabi.CancelSession, eventabi.CancelTurn,
		eventabi.CancelNode, eventabi.CancelInvocation)
}

func payloadClasses() *shape.Shape {
	return shape.OneOf("the data class of the payload", eventabi.ClassAudioRaw, eventabi.ClassTextRaw,
		eventabi.ClassPII, eventabi.ClassPHI, eventabi.ClassDerivedSummary, eventabi.ClassMetadata)
}

// envelopeFields are the rows of event-abi section 1 in their order. Event records
// and control signals share them.
func envelopeFields() []shape.Field {
	need := func(name string, s *shape.Shape) shape.Field {
		return shape.Field{Name: name, Required: true, Shape: s}
	}
	may := func(name string, s *shape.Shape) shape.Field { return shape.Field{Name: name, Shape: s} }
	return []shape.Field{
		need("schema_version", &shape.Shape{
			Type: shape.String, Pattern: shape.VersionMajor1, Doc: "the schema version, such as " + eventabi.SchemaVersion,
		}),
		need("event_scope", eventScopes()),
		need("session_id", id("the session's id")),
		may("turn_id", id("the turn's id")),
		need("pipeline_version", id("the pipeline version that the session pinned")),
		need("event_id", id("the event's id, unique per session")),
		may("event_kind", shape.Text("the kind of event")),
		need("lane", lanes()),
		need("transport_sequence", &shape.Shape{
			Type: shape.Integer, Nullable: true, Doc: "the transport's own number, null when it has none",
		}),
		need("runtime_sequence", shape.Count("the session's number of the event", 0)),
		need("runtime_timestamp_ms", shape.Count("monotonic clock, milliseconds", 0)),
		need("wall_clock_timestamp_ms", shape.Count("wall clock, milliseconds", 0)),
		may("timestamp_ms", shape.Count("legacy copy of runtime_timestamp_ms", 0)),
		need("payload_class", payloadClasses()),
		may("authority_epoch", shape.Count("the lease epoch", 0)),
		may("lease_token", &shape.Shape{Type: shape.String, Private: true, Doc: "signed proof of the lease; never logged"}),
		may("node_id", shape.Text("the node concerned")),
		may("edge_id", shape.Text("the edge concerned")),
		may("causal_parent_id", id("event_id of the cause")),
		may("idempotency_key", id("the key that makes a repeated delivery recognisable")),
		may("provider_invocation_id", id("the provider invocation concerned")),
		may("sync_id", shape.Text("the group of synchronised items")),
		may("sync_domain", shape.Text("the streams that stay aligned")),
		may("discontinuity_id", shape.Text("the marker's id")),
		may("merge_group_id", shape.Text("the merge that made this event")),
		may("merged_from_event_ids", &shape.Shape{
			Type: shape.Array, Items: id("event_id of a source"), MinItems: 1, MaxItems: eventabi.MaxMergedFrom,
			Unique: true, Doc: "the events that were merged; beyond 64 the first 63 and the last",
		}),
		may("late_after_cancel", shape.Flag("output that raced in after a cancel of its scope")),
		may("media_time", mediaTime(true)),
		may("signal", shape.Text("the control signal's name")),
		may("emitted_by", shape.Text("the component that emitted the signal")),
		may("reason", shape.Text("why")),
		may("seq_range", seqRange(true)),
		may("scope", cancelScopes()),
		may("target_lane", lanes()),
		may("amount", shape.Count("credits granted", 1)),
		may("payload", &shape.Shape{Type: shape.Object, Open: true, Private: true, Doc: "the body of the event's kind"}),
		may("extensions", &shape.Shape{
			Type: shape.Object, Open: true, Private: true, Names: shape.Namespace, Doc: "additions under dotted namespaces",
		}),
	}
}

// mediaTime and seqRange are open when read from a newer minor version, which may
// have added to them.
func mediaTime(open bool) *shape.Shape {
	return &shape.Shape{
		Type: shape.Object, Open: open, Doc: "a position in a media stream",
		Fields: []shape.Field{
			{Name: "sample_index", Shape: shape.Count("samples since the session's start", 0)},
			{Name: "pts_ms", Shape: shape.Count("milliseconds since the session's start", 0)},
		},
		Rules: []shape.Rule{{
			Doc:  "media_time has exactly one position, event-abi section 1",
			Then: []shape.Demand{shape.ExactlyOne("sample_index", "pts_ms").As(CodeMediaTimeOneOf)},
		}},
	}
}

func seqRange(open bool) *shape.Shape {
	return &shape.Shape{
		Type: shape.Object, Open: open, Doc: "an inclusive range of runtime_sequence values",
		Fields: []shape.Field{
			{Name: "start", Required: true, Shape: shape.Count("first sequence", 0)},
			{Name: "end", Required: true, Shape: shape.Count("last sequence, not below start", 0)},
		},
	}
}

func names(fields []shape.Field) []string {
	out := make([]string, len(fields))
	for i := range fields {
		out[i] = fields[i].Name
	}
	return out
}

// commonRules hold for event records and control signals alike.
func commonRules(fields []shape.Field) []shape.Rule {
	current := []shape.Cond{shape.Differs("schema_version", shape.VersionNewer)}
	return []shape.Rule{
		{Doc: "fields up to schema v1.1, event-abi section 9", When: current, Then: []shape.Demand{
			shape.ClosedTo(names(fields)...),
			shape.Restrict("media_time", mediaTime(false)),
			shape.Restrict("seq_range", seqRange(false)),
		}},
		{
			Doc: "turn scope needs turn_id and authority_epoch, event-abi section 1", When: []shape.Cond{shape.In("event_scope", "turn")},
			Then: []shape.Demand{shape.Require("turn_id", "authority_epoch").As(CodeTurnScope)},
		},
		{
			Doc: "late_after_cancel needs turn scope and turn_id, event-abi section 1", When: []shape.Cond{shape.True("late_after_cancel")},
			Then: []shape.Demand{
				shape.Restrict("event_scope", shape.OneOf("turn", eventabi.ScopeTurn)).As(CodeTurnScope),
				shape.Require("turn_id").As(CodeTurnScope),
			},
		},
		{
			Doc: "a discontinuity belongs to a sync domain, event-abi section 1", When: []shape.Cond{shape.Has("discontinuity_id")},
			Then: []shape.Demand{shape.Require("sync_domain")},
		},
		{
			Doc: "sources belong to a merge group, event-abi section 1", When: []shape.Cond{shape.Has("merged_from_event_ids")},
			Then: []shape.Demand{shape.Require("merge_group_id").As(CodeMergeLineage)},
		},
		{
			Doc: "raw audio has a media time, event-abi section 1", When: []shape.Cond{shape.In("payload_class", "audio_raw")},
			Then: []shape.Demand{shape.Require("media_time")},
		},
		{Doc: "the closed set, event-abi section 6", When: current, Then: []shape.Demand{
			shape.Restrict("emitted_by", shape.OneOf("the emitter", eventabi.Emitters()...)),
		}},
		{
			Doc:  "emitter RK-07 exists from v1.1; raise schema_version, event-abi section 6",
			When: []shape.Cond{shape.Matches("schema_version", shape.Version10), shape.In("emitted_by", string(eventabi.EmitterExecutor))},
			Then: []shape.Demand{shape.Restrict("emitted_by", shape.OneOf("the emitter", emitters10()...)).As(CodeEmitterVersion)},
		},
	}
}

func emitters10() []eventabi.Emitter {
	return slices.DeleteFunc(eventabi.Emitters(), func(e eventabi.Emitter) bool { return e == eventabi.EmitterExecutor })
}

// recordShape describes an event record: an event without a signal.
func recordShape() *shape.Shape {
	fields := envelopeFields()
	kinds := shape.OneOf("the kind of event", eventabi.KindAudio, eventabi.KindText, eventabi.KindMetrics,
		eventabi.KindDebug, eventabi.KindError)
	current := shape.Differs("schema_version", shape.VersionNewer)
	rules := append(commonRules(fields),
		shape.Rule{
			Doc: "an event record has no signal and is not on ControlLane; check control signals as control_signal, event-abi section 1",
			Then: []shape.Demand{
				shape.Forbid("signal").As(CodeLaneSignal),
				shape.Restrict("lane", shape.OneOf("the lane", eventabi.DataLane, eventabi.TelemetryLane)).As(CodeLaneSignal),
			},
		},
		shape.Rule{
			Doc: "event records name their kind from v1.1, event-abi section 1", When: []shape.Cond{shape.Differs("schema_version", shape.Version10)},
			Then: []shape.Demand{shape.Require("event_kind")},
		},
		shape.Rule{Doc: "the kinds of event records, event-abi section 2", When: []shape.Cond{current}, Then: []shape.Demand{
			shape.Restrict("event_kind", kinds),
		}},
		kindLane("data travels on DataLane", []eventabi.Kind{eventabi.KindAudio, eventabi.KindText}, eventabi.DataLane),
		kindLane("telemetry travels on TelemetryLane", []eventabi.Kind{eventabi.KindMetrics, eventabi.KindDebug}, eventabi.TelemetryLane),
	)
	rules = append(rules, payloadRules()...)
	return &shape.Shape{Type: shape.Object, Open: true, Fields: fields, Rules: rules}
}

func kindLane(doc string, kinds []eventabi.Kind, lane eventabi.Lane) shape.Rule {
	return shape.Rule{
		Doc: doc + ", event-abi section 2", When: []shape.Cond{shape.In("event_kind", strs(kinds)...)},
		Then: []shape.Demand{shape.Restrict("lane", shape.OneOf("the lane", lane)).As(CodeKindLane)},
	}
}

func strs[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

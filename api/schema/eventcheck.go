// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/jsondoc"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Codes of unknown content (event-abi section 9) and of limits that should be kept.
const (
	CodeUnknownAddition    = "unknown_addition"
	CodeUnknownExtension   = "unknown_extension"
	CodeUnknownPayloadType = "unknown_payload_type"
	CodeOverheadGuard      = "overhead_guard"
)

// Sizes that an event should stay below (event-abi section 1), in bytes.
const (
	envelopeGuard = 2048
	payloadGuard  = 65536
)

// event checks what a shape cannot: relations between values, and unknown content.
func (in *inspector) event(s *shape.Shape, v *jsondoc.Value, pointer string) {
	if v.Kind != jsondoc.Object {
		return
	}
	runtime, ok1 := integer(v.Get("runtime_timestamp_ms"))
	legacy, ok2 := integer(v.Get("timestamp_ms"))
	if ok1 && ok2 && runtime != legacy {
		in.fault(pointer+"/timestamp_ms", CodeTimestampMismatch, v.Get("timestamp_ms").Offset,
			"is %d, but runtime_timestamp_ms is %d; the legacy copy must equal it, or leave it out", legacy, runtime)
	}
	seq := v.Get("seq_range")
	start, ok1 := integer(seq.Get("start"))
	end, ok2 := integer(seq.Get("end"))
	if ok1 && ok2 && end < start {
		in.fault(pointer+"/seq_range/end", CodeSeqRangeOrder, seq.Get("end").Offset,
			"is %d, below start %d; a range runs from its first to its last runtime_sequence", end, start)
	}
	if version, err := eventabi.ParseVersion(v.Get("schema_version").Str()); err == nil && !version.Known() {
		in.additions(s, v, pointer, version)
	}
	in.unknownContent(v, pointer)
	in.guard(v, pointer)
}

func integer(v *jsondoc.Value) (int64, bool) {
	n, class := v.Int()
	return n, class == jsondoc.InRange
}

// unknown records content that this build does not know: a fault under the action
// reject, a note otherwise.
func (in *inspector) unknown(pointer, code string, offset int, what string) {
	if in.action == eventabi.UnknownReject {
		in.fault(pointer, code, offset, "%s; unknown_event_action reject refuses it", what)
		return
	}
	verb := "is dropped"
	if in.action == eventabi.UnknownPassThrough {
		verb = "passes through"
	}
	in.note(pointer, code, offset, "%s; it %s, to be audited (event-abi section 9)", what, verb)
}

// additions finds what a newer minor version has added. Lanes, scopes and payload
// classes cannot be added: their meaning is order and duty, which only a major changes.
func (in *inspector) additions(s *shape.Shape, v *jsondoc.Value, pointer string, version eventabi.Version) {
	in.addedFields(s.Fields, v, pointer, version)
	in.addedFields(mediaTime(true).Fields, v.Get("media_time"), pointer+"/media_time", version)
	in.addedFields(seqRange(true).Fields, v.Get("seq_range"), pointer+"/seq_range", version)
	if signal := v.Get("signal"); signal.Str() != "" {
		if _, ok := eventabi.LookupSignal(eventabi.Signal(signal.Text)); !ok {
			in.unknown(pointer+"/signal", CodeUnknownAddition, signal.Offset, "is a signal that this build does not know")
		}
	}
	if by := v.Get("emitted_by"); by.Str() != "" && !slices.Contains(eventabi.Emitters(), eventabi.Emitter(by.Text)) {
		in.unknown(pointer+"/emitted_by", CodeUnknownAddition, by.Offset, "is an emitter that this build does not know")
	}
	kinds := []string{"audio", "text", "control", "metrics", "debug", "error"}
	if kind := v.Get("event_kind"); kind.Str() != "" && !slices.Contains(kinds, kind.Text) {
		in.unknown(pointer+"/event_kind", CodeUnknownAddition, kind.Offset, "is a kind that this build does not know")
	}
}

func (in *inspector) addedFields(known []shape.Field, v *jsondoc.Value, pointer string, version eventabi.Version) {
	if v == nil {
		return
	}
	for _, m := range v.Members {
		if !m.Repeat && !slices.Contains(names(known), m.Name) {
			in.unknown(pointer+"/"+jsondoc.Escape(m.Name), CodeUnknownAddition, m.Offset, "is a field that "+
				eventabi.SchemaVersion+" does not know, in an artifact of "+version.String())
		}
	}
}

// unknownContent finds extension namespaces and payload types outside the contract.
func (in *inspector) unknownContent(v *jsondoc.Value, pointer string) {
	extensions := v.Get("extensions")
	if extensions != nil {
		for _, m := range extensions.Members {
			if m.Repeat || m.Name == "policy.tags" || m.Name == "sync.group" || shape.TransportNamespace.Match(m.Name) {
				continue
			}
			in.unknown(pointer+"/extensions/"+jsondoc.Escape(m.Name), CodeUnknownExtension, m.Offset,
				"is a namespace that this build does not know")
		}
	}
	kind := v.Get("payload").Get("type")
	switch kind.Str() {
	case "", payloadAudioChunk, payloadAudioEnd, payloadSemantic:
	default:
		in.unknown(pointer+"/payload/type", CodeUnknownPayloadType, kind.Offset, "is a payload type that this build does not know")
	}
}

// guard notes an event beyond the sizes it should keep.
func (in *inspector) guard(v *jsondoc.Value, pointer string) {
	if n := len(jsondoc.Canonical(v, "payload")); n >= envelopeGuard {
		in.note(pointer, CodeOverheadGuard, v.Offset, "has %d bytes without its payload; it should stay below %d", n, envelopeGuard)
	}
	payload := v.Get("payload")
	if payload == nil {
		return
	}
	if n := len(jsondoc.Canonical(payload)); n >= payloadGuard {
		in.note(pointer+"/payload", CodeOverheadGuard, payload.Offset, "has %d bytes; it should stay below %d", n, payloadGuard)
	}
}

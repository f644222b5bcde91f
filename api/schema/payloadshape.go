// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/schema/internal/shape"
)

// Payload types that this build knows; others fall under the unknown-event action.
const (
	payloadAudioChunk = "audio_chunk"
	payloadAudioEnd   = "audio_end"
	payloadSemantic   = "semantic"
)

// payloadRules check the bodies of event-abi section 2: the members that the section
// names have the types that it gives them. No member is demanded, because payload is
// optional and a body may grow. From v1.1 on; v1.0 left bodies open.
func payloadRules() []shape.Rule {
	body := func(kind eventabi.Kind, s *shape.Shape) shape.Rule {
		return shape.Rule{
			Doc: "the body of an event of kind " + string(kind) + ", event-abi section 2",
			When: []shape.Cond{
				shape.In("event_kind", string(kind)), shape.Differs("schema_version", shape.Version10),
			},
			Then: []shape.Demand{shape.Restrict("payload", s)},
		}
	}
	return []shape.Rule{
		body(eventabi.KindAudio, open(
			shape.Field{Name: "type", Shape: shape.Text("audio_chunk or audio_end")},
			shape.Field{Name: "codec", Shape: shape.Text("the codec")},
			shape.Field{Name: "sample_rate_hz", Shape: shape.Count("samples a second", 1)},
			shape.Field{Name: "channels", Shape: shape.Count("channels", 1)},
			shape.Field{Name: "frame_ms", Shape: shape.Count("duration of the frame, milliseconds", 1)},
		)),
		body(eventabi.KindText, textBody()),
		body(eventabi.KindMetrics, open(
			shape.Field{Name: "name", Shape: shape.Text("the metric")},
			shape.Field{Name: "value", Shape: &shape.Shape{Type: shape.Number}},
			shape.Field{Name: "unit", Shape: shape.Text("the unit")},
			shape.Field{Name: "labels", Shape: open()},
		)),
		body(eventabi.KindDebug, open(
			shape.Field{Name: "name", Shape: shape.Text("what is reported")},
			shape.Field{Name: "fields", Shape: open()},
		)),
		body(eventabi.KindError, open(
			shape.Field{Name: "code", Shape: shape.Text("the error's code")},
			shape.Field{Name: "class", Shape: shape.Text("the error's class")},
			shape.Field{Name: "scope", Shape: shape.Text("what failed")},
			shape.Field{Name: "retryable", Shape: shape.Flag("whether another attempt may succeed")},
			shape.Field{Name: "default_action", Shape: shape.Text("what happens without a policy")},
			shape.Field{Name: "message", Shape: shape.Text("the error in words")},
			shape.Field{Name: "safe_context", Shape: open()},
		)),
		{
			Doc: "an audio chunk has a media time, event-abi section 2",
			When: []shape.Cond{
				shape.In("event_kind", "audio"), shape.Inside("payload", shape.In("type", payloadAudioChunk)),
				shape.Differs("schema_version", shape.Version10),
			},
			Then: []shape.Demand{shape.Require("media_time")},
		},
	}
}

// textBody describes transcripts and segments. Semantic output (tool results, intents)
// has bodies of its own.
func textBody() *shape.Shape {
	doc := "a transcript or segment, event-abi section 2"
	typed := func(name string, s *shape.Shape) shape.Rule {
		return shape.Rule{
			Doc: doc, When: []shape.Cond{shape.Lacks("type")}, Then: []shape.Demand{shape.Restrict(name, s)},
		}
	}
	s := open(shape.Field{Name: "type", Shape: shape.Text("semantic for tool results and intents")})
	s.Rules = []shape.Rule{
		typed("segment_id", shape.Text("the segment")),
		typed("revision", shape.Count("rises with each revision of the segment", 0)),
		typed("text", &shape.Shape{Type: shape.String, AllowEmpty: true, Doc: "the text so far"}),
		typed("final", shape.Flag("whether the segment is frozen")),
		typed("language", shape.Text("the language tag")),
		typed("confidence", &shape.Shape{Type: shape.Number, UnitInterval: true, Doc: "0 to 1"}),
	}
	return s
}

// open is an object with some known members that admits others.
func open(fields ...shape.Field) *shape.Shape {
	return &shape.Shape{Type: shape.Object, Open: true, Private: true, Fields: fields}
}

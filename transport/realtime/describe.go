// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"maps"
)

// object is a JSON object that a client is told. Its keys come out sorted.
type object = map[string]any

// describe is the session as the client is told, defaults included: clients decide by
// some of them.
func (s *settings) describe() object {
	o := object{
		"type": "realtime", "object": "realtime.session", "id": s.id, "model": s.model,
		"output_modalities": modalities(s.text),
		"instructions":      text(s.instructions),
		"tools":             s.tools,
		"tool_choice":       or(s.choice, "auto"),
		"max_output_tokens": "inf",
		"tracing":           nil,
		"truncation":        "auto",
		"prompt":            nil,
		"expires_at":        0,
		"include":           nil,
		"audio": object{
			"input": object{
				"format": s.in.describe(), "transcription": or(s.transcription, nil),
				"noise_reduction": or(s.noise, nil), "turn_detection": s.detection.describe(),
			},
			"output": object{"format": s.out.describe(), "voice": voice(s.voice), "speed": or(s.speed, 1.0)},
		},
	}
	if s.tools == nil {
		o["tools"] = []tool{}
	}
	for name, raw := range s.rest {
		o[name] = raw
	}
	return o
}

func (d *detection) describe() any {
	if d == nil {
		return nil
	}
	o := object{"type": d.kind, "create_response": d.answer, "interrupt_response": d.interrupt}
	if d.kind == serverVAD {
		maps.Copy(o, object{"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500, "idle_timeout_ms": nil})
	} else {
		o["eagerness"] = "auto"
	}
	for name, raw := range d.rest {
		o[name] = raw
	}
	return o
}

func modalities(text bool) []string {
	if text {
		return []string{"text"}
	}
	return []string{"audio"}
}

// voice is the name of the voice that answers.
func voice(name string) string {
	if name == "" {
		return "default"
	}
	return name
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// or is a value that was set, or what holds where none was.
func or(raw json.RawMessage, otherwise any) any {
	if absent(raw) {
		return otherwise
	}
	return raw
}

// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"maps"
)

// The protocol had other names before it left its beta. Clients that ask for those, by the
// header OpenAI-Beta or by a subprotocol, get them; inside there is one protocol.

const betaAudioDelta = "response.audio.delta"

// betaNames are the events that were called otherwise; empty = there was no such event.
func betaNames() map[string]string {
	return map[string]string{
		evItemAdded:      "conversation.item.created",
		evItemDone:       "",
		evAudioDelta:     betaAudioDelta,
		evAudioDone:      "response.audio.done",
		evAudioTextDelta: "response.audio_transcript.delta",
		evAudioTextDone:  "response.audio_transcript.done",
		evTextDelta:      "response.text.delta",
		evTextDone:       "response.text.done",
	}
}

// betaEvent makes an event what it was. It says false when there was none.
func betaEvent(kind *string, o object) bool {
	if name, ok := betaNames()[*kind]; ok {
		if name == "" {
			return false
		}
		*kind = name
	}
	if it, ok := o["item"].(object); ok {
		betaItem(it)
	}
	if r, ok := o["response"].(object); ok {
		list, _ := r["output"].([]object)
		for _, it := range list {
			betaItem(it)
		}
		r["modalities"] = betaModalities(r["output_modalities"])
		delete(r, "output_modalities")
		delete(r, "audio")
	}
	if s, ok := o["session"].(object); ok {
		o["session"] = toBeta(s)
	}
	return true
}

func betaItem(it object) {
	parts, _ := it["content"].([]object)
	for _, p := range parts {
		switch p["type"] {
		case partOutputAudio:
			p["type"] = "audio"
		case partOutputText:
			p["type"] = "text"
		}
	}
}

func betaModalities(now any) []string {
	if list, ok := now.([]string); ok && len(list) == 1 && list[0] == "text" {
		return list
	}
	return []string{"audio", "text"}
}

// toBeta makes a session's description what it was.
func toBeta(s object) object {
	o := maps.Clone(s)
	audio, _ := s["audio"].(object)
	in, _ := audio["input"].(object)
	out, _ := audio["output"].(object)
	for _, gone := range [...]string{"type", "audio", "output_modalities", "max_output_tokens", "truncation", "include", "prompt"} {
		delete(o, gone)
	}
	maps.Copy(o, object{
		"modalities":                  betaModalities(s["output_modalities"]),
		"input_audio_format":          betaFormat(in["format"]),
		"output_audio_format":         betaFormat(out["format"]),
		"input_audio_transcription":   in["transcription"],
		"input_audio_noise_reduction": in["noise_reduction"],
		"turn_detection":              in["turn_detection"],
		"voice":                       out["voice"],
		"speed":                       out["speed"],
		"max_response_output_tokens":  s["max_output_tokens"],
	})
	return o
}

// betaFormats are the formats by their old names.
func betaFormats() map[string]string {
	return map[string]string{"pcm16": typePCM, "g711_ulaw": typePCMU, "g711_alaw": typePCMA}
}

func betaFormat(now any) string {
	f, _ := now.(object)
	for old, kind := range betaFormats() {
		if f["type"] == kind {
			return old
		}
	}
	return "pcm16"
}

// fromBeta makes a session.update of then one of now. What it cannot read stays, and is a
// fault of its own.
func fromBeta(raw json.RawMessage) json.RawMessage {
	var was map[string]json.RawMessage
	if json.Unmarshal(raw, &was) != nil || was == nil {
		return raw
	}
	if _, now := was["audio"]; now {
		return raw
	}
	in, out := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	move := func(to map[string]json.RawMessage, old, name string) {
		if v, ok := was[old]; ok {
			to[name] = v
			delete(was, old)
		}
	}
	for _, f := range [...]string{"input_audio_format", "output_audio_format"} {
		var name string
		if json.Unmarshal(was[f], &name) == nil && betaFormats()[name] != "" {
			was[f], _ = json.Marshal(object{"type": betaFormats()[name]}) // two strings: it cannot fail
		}
	}
	move(in, "input_audio_format", "format")
	move(in, "input_audio_transcription", "transcription")
	move(in, "input_audio_noise_reduction", "noise_reduction")
	move(in, "turn_detection", "turn_detection")
	move(out, "output_audio_format", "format")
	move(out, "voice", "voice")
	move(out, "speed", "speed")
	move(was, "modalities", "output_modalities")
	move(was, "max_response_output_tokens", "max_output_tokens")
	audio := map[string]json.RawMessage{}
	if len(in) > 0 {
		audio["input"], _ = json.Marshal(in) // raw JSON that was read before
	}
	if len(out) > 0 {
		audio["output"], _ = json.Marshal(out)
	}
	if len(audio) > 0 {
		was["audio"], _ = json.Marshal(audio)
	}
	next, err := json.Marshal(was)
	if err != nil {
		return raw
	}
	return next
}

// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// speech is what the caller says, as the client is told.
type speech struct {
	voiced    bool // now
	heard     bool // since the last utterance was over
	announced bool // user-started-speaking was told
}

// segment is a piece of what the bot says, until all of its turn was heard: there is no word
// of where in the sound a piece ends.
type segment struct {
	number int
	text   string
}

// maxSegments bounds those of a turn that are told as spoken when it was heard.
const maxSegments = 64

// timestamp is now, as Pipecat writes it.
func timestamp() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000+00:00") }

// WriteSpeech follows where the caller is heard to speak.
func (c *conn) WriteSpeech(s transport.Speech) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.speech.voiced = s.Began
	if c.vad {
		kind := outVADStopped
		if s.Began {
			kind = outVADStarted
		}
		c.emit(kind, nil)
	}
	if !s.Began {
		return
	}
	c.speech.heard = true
	if c.told == nil {
		c.announce()
	}
}

// announce tells that the caller speaks; the lock is held.
func (c *conn) announce() {
	if !c.speech.heard || c.speech.announced {
		return
	}
	c.speech.announced = true
	c.emit(outUserStarted, nil)
}

// utteranceOver meets the end of an utterance; the lock is held. One that was typed has no
// speech.
func (c *conn) utteranceOver() {
	c.announce()
	if c.speech.announced {
		c.emit(outUserStopped, nil)
	}
	c.speech = speech{voiced: c.speech.voiced}
}

// understood tells what was understood of the caller; the lock is held.
func (c *conn) understood(t transport.Text) {
	if t.Final {
		c.said = t.Text
	}
	at := timestamp()
	c.emit(outUserInput, object{"text": t.Text, "input_type": "transcription", "timestamp": at, "final": t.Final, "user_id": ""})
	c.emit(outUserTranscript, object{"text": t.Text, "timestamp": at, "final": t.Final, "user_id": ""})
}

// say tells a piece of what the bot says; the lock is held.
func (c *conn) say(text string) {
	c.emit(outLLMText, object{"text": text})
	words := strings.TrimSpace(text)
	if words == "" {
		return
	}
	c.emit(outTranscription, object{"text": words})
	c.pieces++
	o := object{"text": words, "output_type": "sentence", "aggregated_by": "sentence", "segment_id": c.pieces}
	switch {
	case c.legacy:
		o["spoken"] = !c.text
	case c.text:
		o["will_be_spoken"], o["spoken_status"] = false, "new"
	default:
		o["will_be_spoken"], o["spoken_status"] = true, "new"
		o["spoken_progress"] = object{"accumulated_text": "", "remaining_text": words}
	}
	c.emit(outBotOutput, o)
	if c.text {
		return
	}
	if len(c.output) < maxSegments {
		c.output = append(c.output, segment{c.pieces, words})
	}
	c.emit(outTTSText, object{"text": words})
}

// heard tells that what was said of a turn was heard to its end; the lock is held.
func (c *conn) heard() {
	said := c.output
	c.output = c.output[:0]
	if c.legacy {
		return
	}
	for _, s := range said {
		c.emit(outBotOutput, object{
			"text": s.text, "output_type": "sentence", "aggregated_by": "sentence", "segment_id": s.number,
			"will_be_spoken": true, "spoken_status": "completed",
			"spoken_progress": object{"accumulated_text": s.text, "remaining_text": ""},
		})
	}
}

// writeInterruption sends the frame that Pipecat's native clients stop playing for; the lock
// is held.
func (c *conn) writeInterruption() {
	c.out.Send(outbox.Message{Binary: true, Data: appendInterruption(nil)})
}

// arguments are those of a call as an object: libraries take them apart.
func arguments(text string) json.RawMessage {
	data := json.RawMessage(strings.TrimSpace(text))
	if !json.Valid(data) || !bytes.HasPrefix(data, []byte("{")) {
		return json.RawMessage("{}")
	}
	return data
}

// WriteMetric tells what RTVI has a place for: how long providers took.
func (c *conn) WriteMetric(e *eventabi.Envelope) {
	if !bytes.Contains(e.Payload, []byte(`"provider_`)) {
		return
	}
	var m struct {
		Name   string            `json:"name"`
		Value  float64           `json:"value"`
		Labels map[string]string `json:"labels"`
	}
	if json.Unmarshal(e.Payload, &m) != nil {
		return
	}
	kinds := map[string]string{"provider_first_chunk_ms": "ttfb", "provider_rtt_ms": "processing"}
	kind, known := kinds[m.Name]
	if !known {
		return
	}
	processor := m.Labels["provider"]
	if processor == "" {
		processor = m.Labels["node_id"]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emit(outMetrics, object{kind: []object{{"processor": processor, "value": m.Value / 1000}}})
}

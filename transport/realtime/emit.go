// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/outbox"
)

// The server's events.
const (
	evCreated          = "session.created"
	evUpdated          = "session.updated"
	evError            = "error"
	evCommitted        = "input_audio_buffer.committed"
	evCleared          = "input_audio_buffer.cleared"
	evSpeechStarted    = "input_audio_buffer.speech_started"
	evSpeechStopped    = "input_audio_buffer.speech_stopped"
	evItemAdded        = "conversation.item.added"
	evItemDone         = "conversation.item.done"
	evItemRetrieved    = "conversation.item.retrieved"
	evItemDeleted      = "conversation.item.deleted"
	evItemTruncated    = "conversation.item.truncated"
	evTranscriptDelta  = "conversation.item.input_audio_transcription.delta"
	evTranscript       = "conversation.item.input_audio_transcription.completed"
	evTranscriptFailed = "conversation.item.input_audio_transcription.failed"
	evResponseCreated  = "response.created"
	evResponseDone     = "response.done"
	evOutputAdded      = "response.output_item.added"
	evOutputDone       = "response.output_item.done"
	evPartAdded        = "response.content_part.added"
	evPartDone         = "response.content_part.done"
	evAudioDelta       = "response.output_audio.delta"
	evAudioDone        = "response.output_audio.done"
	evAudioTextDelta   = "response.output_audio_transcript.delta"
	evAudioTextDone    = "response.output_audio_transcript.done"
	evTextDelta        = "response.output_text.delta"
	evTextDone         = "response.output_text.done"
	evArgumentsDelta   = "response.function_call_arguments.delta"
	evArgumentsDone    = "response.function_call_arguments.done"
	errInvalidRequest  = "invalid_request_error"
	errServer          = "server_error"
	errRateLimit       = "rate_limit_exceeded"
	statusInProgress   = "in_progress"
	statusCompleted    = "completed"
	statusIncomplete   = "incomplete"
	statusCancelled    = "cancelled"
	statusFailed       = "failed"
	reasonTurnDetected = "turn_detected"
	reasonClient       = "client_cancelled"
)

// newID makes an id as OpenAI's look, of chance.
func newID(kind string) string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return kind + "_" + hex.EncodeToString(b[:])
}

// eventID names the next event to the client; the lock is held.
func (c *conn) eventID() string {
	c.events++
	return c.prefix + strconv.FormatInt(c.events, 10)
}

// emit sends an event; the lock is held, so events go out in the order of what they tell.
func (c *conn) emit(kind string, o object) {
	if c.beta && !betaEvent(&kind, o) {
		return
	}
	o["type"], o["event_id"] = kind, c.eventID()
	data, err := json.Marshal(o)
	if err != nil { // what a client set was JSON when it came
		c.server.count(func(s *Stats) { s.Unencoded++ })
		return
	}
	c.out.Send(outbox.Message{Data: data})
}

// fail tells a client that its event could not be done; the lock is held.
func (c *conn) fail(eventID string, f *fault) {
	e := object{"type": f.Type, "code": f.Code, "message": f.Message, "param": nil, "event_id": nil}
	if f.Type == "" {
		e["type"] = errInvalidRequest
	}
	if f.Param != "" {
		e["param"] = f.Param
	}
	if eventID != "" {
		e["event_id"] = eventID
	}
	c.emit(evError, object{"error": e})
}

// delta sends a frame; the lock is held. It is written by hand: fifty of them a second
// for each client.
func (c *conn) delta(r *response, f *transport.Frame) {
	name := evAudioDelta
	if c.beta {
		name = betaAudioDelta
	}
	b := c.out.Buffer(deltaSize)
	b = append(append(b, `{"type":"`...), name...)
	c.events++
	b = strconv.AppendInt(append(append(b, `","event_id":"`...), c.prefix...), c.events, 10)
	b = append(append(b, `","response_id":"`...), r.id...)
	b = append(append(b, `","item_id":"`...), r.message.id...)
	b = strconv.AppendInt(append(b, `","output_index":`...), int64(r.index), 10)
	b = append(b, `,"content_index":0,"delta":"`...)
	b = c.speaking.encode(b, f.Generation, f.PCM[:f.Voiced])
	b = append(b, `"}`...)
	c.out.Send(outbox.Message{Audio: true, Turn: f.Turn, Generation: f.Generation, Data: b})
}

// deltaSize holds 20 ms of pcm at 24000 Hz in base64, and what stands around it.
const deltaSize = 2048

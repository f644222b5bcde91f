// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"encoding/base64"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/realtime"
	"github.com/parley-voice/parley/transport/transporttest"
)

// Sound comes at 24000 Hz and in lumps, and is heard at 16000 Hz in frames.
func TestSoundComes(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	for range 5 {
		c.send(event{"type": "input_audio_buffer.append", "audio": encoded(tone(2400))})
	}
	if got := len(s.AwaitHeard(7680)); got > 8000 {
		t.Errorf("%d samples were heard of 500 ms", got)
	}
}

func TestTelephoneSound(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{
		"input":  event{"format": event{"type": "audio/pcmu"}},
		"output": event{"format": event{"type": "audio/pcma"}},
	}})
	silence := make([]byte, 800)
	for i := range silence {
		silence[i] = 0xff // mu-law's zero
	}
	c.send(event{"type": "input_audio_buffer.append", "audio": base64.StdEncoding.EncodeToString(silence)})
	for _, v := range s.AwaitHeard(1280) {
		if v != 0 {
			t.Fatalf("a sample of silence is %d", v)
		}
	}
	speak(s, "t1", 1, "Hello.", 3200)
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	done := c.await("response.done")
	id, _ := at(done, "response", "output", 0, "id").(string)
	if got := c.heardOf(id); got < 1560 || got > 1600 {
		t.Errorf("%d bytes of A-law came of 200 ms", got)
	}
}

// The endpointer's word makes an item of what was said, and its transcript follows: what is
// new of interim ones as deltas, and the whole of it at the end.
func TestUtterance(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{"input": event{"transcription": event{"model": "whisper-1", "language": "en"}}}})
	if l := s.Offer().Wishes.Language; l == nil || *l != "en" {
		t.Errorf("the language is %v", l)
	}
	s.Speech(transport.Speech{Began: true, Sample: 1600})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is"})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is the time"})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "watt"}) // a delta cannot take back
	s.Speech(transport.Speech{Began: false, Sample: 16000})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is the time now", Final: true})
	wantKinds(t, c.until("conversation.item.input_audio_transcription.completed"),
		"input_audio_buffer.speech_started", "conversation.item.input_audio_transcription.delta",
		"input_audio_buffer.speech_stopped", "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
		"conversation.item.input_audio_transcription.delta", "conversation.item.input_audio_transcription.completed")
	text, item := "", any(nil)
	for _, e := range c.seen {
		switch e["type"] {
		case "input_audio_buffer.speech_started":
			if item = e["item_id"]; e["audio_start_ms"] != 100.0 {
				t.Errorf("speech started at %v ms", e["audio_start_ms"])
			}
		case "input_audio_buffer.speech_stopped":
			if e["audio_end_ms"] != 1000.0 || e["item_id"] != item {
				t.Errorf("speech stopped: %v", e)
			}
		case "conversation.item.input_audio_transcription.delta":
			text += e["delta"].(string)
		case "conversation.item.added":
			if at(e, "item", "id") != item || at(e, "item", "content", 0, "type") != "input_audio" {
				t.Errorf("item is %v", e["item"])
			}
		}
	}
	last := c.seen[len(c.seen)-1]
	if text != "what is the time now" || last["transcript"] != text || last["item_id"] != item {
		t.Errorf("deltas are %q, the transcript is %v of %v", text, last["transcript"], last["item_id"])
	}
}

// Where the recogniser fails, the answer is to the last words that it had; they are told as
// the transcript, and where it had none that is told.
func TestUtteranceHalfUnderstood(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{"input": event{"transcription": event{"model": "x"}}}})
	s.Speech(transport.Speech{Began: true, Sample: 0})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is"})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	s.Speech(transport.Speech{Began: true, Sample: 32000})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	speak(s, "t1", 1, "Sorry?", 320)
	if e := c.await("conversation.item.input_audio_transcription.completed"); e["transcript"] != "what is" {
		t.Errorf("transcript is %v", e["transcript"])
	}
	wantKinds(t, c.until("response.output_audio.delta"), append([]string{"conversation.item.input_audio_transcription.failed"}, spoken()[1:]...)...)
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is the time", Final: true}) // too late
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"), ended()...)
}

// Without transcription a client is told no words, and can look them up.
func TestUtteranceUnread(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	s.Speech(transport.Speech{Began: true, Sample: 0})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	item := c.await("conversation.item.done")
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "hello", Final: true})
	c.send(event{"type": "conversation.item.retrieve", "item_id": at(item, "item", "id")})
	wantKinds(t, c.until("conversation.item.retrieved"), "conversation.item.retrieved")
	if got := at(c.seen[len(c.seen)-1], "item", "content", 0, "transcript"); got != "hello" {
		t.Errorf("transcript is %v", got)
	}
}

// A client that ends its turns by hand: no speech is told, commit ends the utterance with
// all the sound before it, and response.create asks for the answer behind it.
func TestManualTurns(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{"input": event{"turn_detection": nil, "transcription": event{"model": "x"}}}})
	w := s.Offer().Wishes
	if w.TurnEnd != transport.TurnEndClient || w.Answer == nil || *w.Answer || *w.Interrupt {
		t.Errorf("wishes are %+v", w)
	}
	c.send(event{"type": "input_audio_buffer.commit", "event_id": "none"})
	if e := c.await("error"); at(e, "error", "code") != "input_audio_buffer_commit_empty" || at(e, "error", "event_id") != "none" {
		t.Errorf("error is %v", e)
	}
	c.send(event{"type": "input_audio_buffer.append", "audio": encoded(tone(14400))})
	c.send(event{"type": "input_audio_buffer.commit"})
	c.send(event{"type": "response.create"})
	s.Speech(transport.Speech{Began: true, Sample: 1600})
	s.Speech(transport.Speech{Began: false, Sample: 8000})
	transporttest.Await[transporttest.Respond](s, nil)
	s.Emit(eventabi.SignalEndOfUtterance, "", "client")
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "hello", Final: true})
	speak(s, "t1", 1, "Hello.", 320)
	wantKinds(t, c.until("response.created"), "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
		"conversation.item.input_audio_transcription.delta", "conversation.item.input_audio_transcription.completed", "response.created")

	var order []string
	heard := 0
	for _, call := range s.Calls() {
		switch what := call.What.(type) {
		case transporttest.Audio:
			heard += len(what.PCM)
		case transporttest.EndOfUtterance:
			order = append(order, "end")
			if heard < 9600 {
				t.Errorf("the utterance ended with %d samples of 9600", heard)
			}
		case transporttest.Respond:
			order = append(order, "respond")
		}
	}
	if len(order) != 2 || order[0] != "end" {
		t.Errorf("order is %v", order)
	}
	c.send(event{"type": "input_audio_buffer.append", "audio": encoded(tone(4800))})
	c.send(event{"type": "input_audio_buffer.clear"})
	c.await("input_audio_buffer.cleared")
	c.send(event{"type": "input_audio_buffer.commit"})
	c.await("error")
}

// Typed words are context; the answer is asked for by itself.
func TestTypedTurn(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	c.send(event{"type": "conversation.item.create", "item": event{
		"type": "message", "role": "user", "content": []event{{"type": "input_text", "text": "Hello"}, {"type": "input_text", "text": "there"}},
	}})
	added := c.await("conversation.item.added")
	if added["previous_item_id"] != nil || at(added, "item", "content", 0, "text") != "Hello\nthere" {
		t.Errorf("item is %v", added)
	}
	c.send(event{"type": "conversation.item.create", "item": event{
		"type": "message", "role": "assistant", "id": "mine", "content": []event{{"type": "output_text", "text": "Hi"}},
	}})
	for added["previous_item_id"] == nil {
		added = c.await("conversation.item.added")
	}
	c.send(event{"type": "response.create", "event_id": "ask", "response": event{
		"instructions": "Be brief.", "metadata": event{"a": "b"}, "output_modalities": []string{"text"},
	}})
	transporttest.Await[transporttest.Respond](s, nil)
	c.send(event{"type": "response.create", "event_id": "again"})
	if e := c.await("error"); at(e, "error", "code") != "conversation_already_has_active_response" || at(e, "error", "event_id") != "again" {
		t.Errorf("error is %v", e)
	}
	s.Signal(eventabi.Envelope{Signal: eventabi.SignalTurnOpen, TurnID: "t1", IdempotencyKey: transporttest.Came[transporttest.Respond](s)[0].Key})
	created := c.await("response.created")
	if at(created, "response", "metadata", "a") != "b" || at(created, "response", "output_modalities", 0) != "text" {
		t.Errorf("response is %v", created["response"])
	}
	transporttest.Await(s, func(w transport.Wishes) bool { return w.TextOnly != nil && !*w.TextOnly }) // as it was
	got := transporttest.Came[transport.Context](s)
	want := []transport.Context{
		{Role: transport.ContextUser, Text: "Hello\nthere"},
		{Role: transport.ContextAssistant, Text: "Hi"},
		{Role: transport.ContextSystem, Text: "Be brief."},
	}
	for i := range got {
		got[i].Key = ""
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("context is %+v; want %+v", got, want)
	}
	c.send(event{"type": "conversation.item.delete", "item_id": "mine"})
	if e := c.await("conversation.item.deleted"); e["item_id"] != "mine" {
		t.Errorf("deleted: %v", e)
	}
}

// An answer that was asked for and is refused is told; the client would wait for ever.
func TestRefusedAnswer(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	c.send(event{"type": "response.create", "event_id": "ask"})
	transporttest.Await[transporttest.Respond](s, nil)
	s.Emit(eventabi.SignalDefer, "", "tenant_quota") // an answer to what was said
	if e := c.await("error"); at(e, "error", "code") != "response_refused" || at(e, "error", "event_id") != nil {
		t.Errorf("error is %v", e)
	}
	s.Signal(eventabi.Envelope{Signal: eventabi.SignalDefer, Reason: "tenant_quota", IdempotencyKey: transporttest.Came[transporttest.Respond](s)[0].Key})
	if e := c.await("error"); at(e, "error", "code") != "response_refused" || at(e, "error", "event_id") != "ask" {
		t.Errorf("error is %v", e)
	}
	c.send(event{"type": "response.create"})
	for len(transporttest.Came[transporttest.Respond](s)) < 2 {
		transporttest.Await(s, func(transporttest.Respond) bool { return true })
	}
}

func TestBeta(t *testing.T) {
	host := transporttest.NewHost(t, transporttest.Config{})
	c := dial(t, serve(t, realtime.Config{}, host), map[string][]string{"Openai-Beta": {"realtime=v1"}})
	created := c.await("session.created")
	if at(created, "session", "input_audio_format") != "pcm16" || at(created, "session", "modalities", 1) != "text" {
		t.Errorf("session is %v", created["session"])
	}
	c.send(event{"type": "session.update", "session": event{
		"modalities": []string{"audio", "text"}, "voice": "alloy", "input_audio_format": "g711_ulaw", "turn_detection": nil,
		"input_audio_transcription": event{"model": "whisper-1"}, "max_response_output_tokens": 100, "temperature": 0.8,
	}})
	updated := c.await("session.updated")
	if at(updated, "session", "input_audio_format") != "g711_ulaw" || at(updated, "session", "turn_detection") != nil {
		t.Errorf("session is %v", updated["session"])
	}
	s := host.Next()
	if w := s.Offer().Wishes; w.TurnEnd != transport.TurnEndClient || w.Voice != nil {
		t.Errorf("wishes are %+v", w)
	}
	speak(s, "t1", 1, "Hello.", 640)
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"),
		"response.created", "response.output_item.added", "conversation.item.created", "response.content_part.added",
		"response.audio_transcript.delta", "response.audio.delta", "response.audio.done", "response.audio_transcript.done",
		"response.content_part.done", "response.output_item.done", "response.done")
	done := c.seen[len(c.seen)-1]
	if at(done, "response", "output", 0, "content", 0, "type") != "audio" || at(done, "response", "modalities", 0) != "audio" {
		t.Errorf("response is %v", done["response"])
	}
}

// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// speak has a session say something in a turn, from its opening on.
func speak(s *transporttest.Session, turn eventabi.TurnID, generation uint32, words string, samples int) {
	s.Emit(eventabi.SignalTurnOpen, turn, "")
	s.Emit(eventabi.SignalOutputAccepted, turn, "")
	s.Show(transport.Text{From: transport.TextAgent, Of: string(turn), Text: words, Final: true})
	s.Emit(eventabi.SignalPlaybackStarted, turn, "")
	s.Burst(turn, generation, tone(samples))
}

// spoken are the events of an answer from its creation to its last sound.
func spoken() []string {
	return []string{
		"response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
		"response.output_audio_transcript.delta", "response.output_audio.delta",
	}
}

// ended are the events of the end of an answer.
func ended() []string {
	return []string{
		"response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done",
		"response.output_item.done", "conversation.item.done", "response.done",
	}
}

func TestSpokenAnswer(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "Hello there.", 3200)
	s.Emit(eventabi.SignalCommit, "t1", "")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"), append(spoken(), ended()...)...)

	done := c.seen[len(c.seen)-1]
	if got := at(done, "response", "status"); got != "completed" {
		t.Errorf("status is %v", got)
	}
	if got := at(done, "response", "output", 0, "content", 0, "transcript"); got != "Hello there." {
		t.Errorf("transcript is %v", got)
	}
	id, _ := at(done, "response", "output", 0, "id").(string)
	// 3200 samples at 16000 Hz are 4800 at 24000 Hz, but for what the resampler holds back.
	if got := c.heardOf(id); got < 2*4700 || got > 2*4800 {
		t.Errorf("%d bytes of sound came; want nearly %d", got, 2*4800)
	}
	for _, e := range c.seen {
		if r := e["response_id"]; r != nil && r != at(done, "response", "id") {
			t.Errorf("%v names the response %v", e["type"], r)
		}
	}
}

// An answer is done when it was heard, not when it was generated: the end of its turn alone
// ends it only where there was no sound.
func TestAnswerWithoutSound(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Emit(eventabi.SignalAbort, "t1", "provider_failure")
	s.Emit(eventabi.SignalClose, "t1", "")
	wantKinds(t, c.until("response.done"), "response.created", "response.done")
	done := c.seen[len(c.seen)-1]
	if at(done, "response", "status") != "failed" || at(done, "response", "status_details", "error", "code") != "provider_failure" {
		t.Errorf("response is %v", done["response"])
	}
}

func TestWrittenAnswer(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "output_modalities": []string{"text"}})
	if w := s.Offer().Wishes; w.TextOnly == nil || !*w.TextOnly {
		t.Errorf("wishes are %+v; want text only", w)
	}
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "Hello ", Final: true})
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "there.", Final: true})
	s.Burst("t1", 1, tone(320)) // a host that speaks all the same is not heard
	s.Emit(eventabi.SignalCommit, "t1", "")
	s.Emit(eventabi.SignalClose, "t1", "")
	wantKinds(t, c.until("response.done"),
		"response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
		"response.output_text.delta", "response.output_text.done", "response.content_part.done",
		"response.output_item.done", "conversation.item.done", "response.done")
	if got := at(c.seen[len(c.seen)-1], "response", "output", 0, "content", 0, "text"); got != "Hello there." {
		t.Errorf("text is %v", got)
	}
}

// Speech over an answer is told when it has been decided that it interrupts, and then the
// answer ends as cancelled; after that no sound of it comes. What the client says it has
// played is handed on, cut to what was sent.
func TestInterruption(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 7, "A long story.", 16000)
	first := c.await("response.output_audio.delta")
	s.Speech(transport.Speech{Began: true, Sample: 32000})
	s.Emit(eventabi.SignalBargeIn, "t1", "")
	s.Fence("t1", 7)
	s.Emit(eventabi.SignalPlaybackCancelled, "t1", "")
	s.Emit(eventabi.SignalAbort, "t1", "cancelled")
	s.Emit(eventabi.SignalClose, "t1", "")
	if err := s.Link().WriteFrame(&transport.Frame{Turn: "t1", Generation: 7, Voiced: 320, PCM: tone(320)}); err != nil {
		t.Error(err)
	}
	if started := c.await("input_audio_buffer.speech_started"); started["audio_start_ms"] != 2000.0 {
		t.Errorf("speech started at %v", started["audio_start_ms"])
	}
	wantKinds(t, c.until("response.done"), ended()...)
	done := c.seen[len(c.seen)-1]
	if at(done, "response", "status") != "cancelled" || at(done, "response", "status_details", "reason") != "turn_detected" {
		t.Errorf("response is %v", done["response"])
	}
	if got := at(done, "response", "output", 0, "status"); got != "incomplete" {
		t.Errorf("the item is %v", got)
	}
	item := first["item_id"]
	c.send(event{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 350})
	wantKinds(t, c.until("conversation.item.truncated"), "conversation.item.truncated")
	transporttest.Await(s, func(p transport.Playout) bool {
		return p == transport.Playout{Turn: "t1", Generation: 7, Position: 350 * 16, Final: true}
	})
	c.send(event{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 99999})
	if got := c.await("conversation.item.truncated"); got["audio_end_ms"] != 1000.0 {
		t.Errorf("truncated to %v ms; 1000 ms were sent", got["audio_end_ms"])
	}
	c.send(event{"type": "conversation.item.retrieve", "item_id": item})
	if got := c.await("conversation.item.retrieved"); at(got, "item", "content", 0, "transcript") != nil {
		t.Errorf("a truncated item has a transcript that was not heard: %v", got)
	}
}

// A cough over an answer is nobody's business; the same speech, when it turns out to be an
// utterance behind the answer, is told with its end.
func TestDoubtfulSpeech(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "A story.", 3200)
	s.Speech(transport.Speech{Began: true, Sample: 16000})
	s.Speech(transport.Speech{Began: false, Sample: 18000})
	s.Emit(eventabi.SignalCommit, "t1", "")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"), append(spoken(), ended()...)...)

	s.Speech(transport.Speech{Began: true, Sample: 64000})
	s.Speech(transport.Speech{Began: false, Sample: 80000})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	wantKinds(t, c.until("conversation.item.done"), "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
		"input_audio_buffer.committed", "conversation.item.added", "conversation.item.done")
	for _, e := range c.seen {
		if e["type"] == "input_audio_buffer.speech_started" && e["audio_start_ms"] != 4000.0 {
			t.Errorf("speech started at %v ms; the cough was at 1000", e["audio_start_ms"])
		}
	}
}

func TestClientCancels(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	c.send(event{"type": "response.cancel", "event_id": "early"})
	if e := c.await("error"); at(e, "error", "code") != "response_cancel_not_active" || at(e, "error", "event_id") != "early" {
		t.Errorf("error is %v", e)
	}
	speak(s, "t1", 1, "A story.", 16000)
	r := c.await("response.created")
	c.await("response.output_audio.delta")
	c.send(event{"type": "response.cancel", "response_id": at(r, "response", "id")})
	got := transporttest.Await[transporttest.Cancel](s, nil)
	if got.Turn != "t1" || got.Force {
		t.Errorf("cancel is %+v", got)
	}
	s.Fence("t1", 1)
	s.Emit(eventabi.SignalCancel, "t1", "user_cancel")
	s.Emit(eventabi.SignalPlaybackCancelled, "t1", "")
	s.Emit(eventabi.SignalAbort, "t1", "cancelled")
	s.Emit(eventabi.SignalClose, "t1", "")
	done := c.await("response.done")
	if at(done, "response", "status") != "cancelled" || at(done, "response", "status_details", "reason") != "client_cancelled" {
		t.Errorf("response is %v", done["response"])
	}
}

// A turn that opens while the one before is still heard has its response when that ends.
func TestResponsesDoNotOverlap(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "One.", 3200)
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalTurnOpen, "t2", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t2", Text: "Two.", Final: true})
	s.Emit(eventabi.SignalOutputAccepted, "t2", "")
	s.Emit(eventabi.SignalClose, "t2", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"), append(spoken(), ended()...)...)
	s.Burst("t2", 2, tone(640))
	s.Emit(eventabi.SignalPlaybackCompleted, "t2", "")
	wantKinds(t, c.until("response.done"), append(spoken(), ended()...)...)
	if got := at(c.seen[len(c.seen)-1], "response", "output", 0, "content", 0, "transcript"); got != "Two." {
		t.Errorf("transcript is %v", got)
	}
}

// The calls of a turn end a response, so that clients go on; their response.create is the
// rest of the turn, and no answer more.
func TestTools(t *testing.T) {
	weather := event{"type": "function", "name": "weather", "parameters": event{"type": "object"}}
	c, s := start(t, event{"type": "realtime", "tools": []event{weather}})
	if tools := s.Offer().Wishes.Tools; len(tools) != 1 || tools[0].Name != "weather" || string(tools[0].Parameters) != `{"type":"object"}` {
		t.Errorf("tools are %+v", tools)
	}
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "weather", Arguments: `{"city":"Ulm"}`})
	wantKinds(t, c.until("response.done"),
		"response.created", "response.output_item.added", "conversation.item.added",
		"response.function_call_arguments.delta", "response.function_call_arguments.done",
		"response.output_item.done", "conversation.item.done", "response.done")
	done := c.seen[len(c.seen)-1]
	call := at(done, "response", "output", 0)
	if at(call, "type") != "function_call" || at(call, "call_id") != "call-1" || at(call, "arguments") != `{"city":"Ulm"}` {
		t.Errorf("the call is %v", call)
	}
	if at(done, "response", "status") != "completed" {
		t.Errorf("response is %v", done["response"])
	}
	c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "rain"}})
	c.send(event{"type": "response.create"})
	transporttest.Await(s, func(r transport.ToolResult) bool { return r == transport.ToolResult{ID: "call-1", Output: "rain"} })
	wantKinds(t, c.until("response.created"), "conversation.item.added", "conversation.item.done", "response.created")
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "It rains.", Final: true})
	s.Burst("t1", 1, tone(640))
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	wantKinds(t, c.until("response.done"), append(spoken()[1:], ended()...)...)
	if got := transporttest.Came[transporttest.Respond](s); len(got) != 0 {
		t.Errorf("an answer was asked for beside the one that goes on: %v", got)
	}
	c.send(event{"type": "response.create"}) // and this one is a new one
	transporttest.Await[transporttest.Respond](s, nil)
}

// Clients that leave the response.create away get what the turn says all the same, and one
// that comes late belongs to it.
func TestToolsGoOnByThemselves(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "weather", Arguments: "not json"})
	done := c.await("response.done")
	if at(done, "response", "output", 0, "arguments") != "{}" {
		t.Errorf("arguments are %v", at(done, "response", "output", 0, "arguments"))
	}
	c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "rain"}})
	transporttest.Await[transport.ToolResult](s, nil)
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Burst("t1", 1, tone(640))
	c.await("response.created")
	c.send(event{"type": "response.create"})
	c.send(event{"type": "conversation.item.retrieve", "item_id": "none"})
	if e := c.await("error"); at(e, "error", "code") != "item_not_found" {
		t.Errorf("error is %v", e)
	}
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	c.await("response.done")
	if got := transporttest.Came[transporttest.Respond](s); len(got) != 0 {
		t.Errorf("an answer was asked for: %v", got)
	}
}

// A library that sends results at once, while something is still being said beside the
// calls, waits for the response that is under way before it sends its response.create.
func TestToolsBesideSpeech(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "I look it up.", 3200)
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "look", Arguments: "{}"})
	s.Burst("t1", 1, tone(3200))
	c.await("response.function_call_arguments.done")
	c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "there"}})
	first := c.await("response.done") // the results end it
	if n := len(at(first, "response", "output").([]any)); n != 2 {
		t.Errorf("the first response has %d items", n)
	}
	transporttest.Await[transport.ToolResult](s, nil)
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "It is there.", Final: true})
	s.Burst("t1", 1, tone(320)) // it waits for the client
	c.send(event{"type": "response.create", "response": event{"metadata": event{"a": "b"}}})
	wantKinds(t, c.until("response.output_audio.delta"), spoken()...)
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	done := c.await("response.done")
	if at(done, "response", "metadata", "a") != "b" || at(done, "response", "output", 0, "content", 0, "transcript") != "It is there." {
		t.Errorf("response is %v", done["response"])
	}
	if got := transporttest.Came[transporttest.Respond](s); len(got) != 0 {
		t.Errorf("an answer was asked for: %v", got)
	}
}

// Words beside a call whose sound comes late are a response of their own, and the results
// go on in it.
func TestToolsBeforeSpeech(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "look", Arguments: "{}"})
	c.await("response.done")
	s.Emit(eventabi.SignalOutputAccepted, "t1", "")
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "I look. ", Final: true})
	s.Burst("t1", 1, tone(3200))
	c.await("response.created")
	c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "there"}})
	c.send(event{"type": "response.create"})
	transporttest.Await[transport.ToolResult](s, nil)
	s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "There.", Final: true})
	s.Burst("t1", 1, tone(3200))
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	if done := c.await("response.done"); at(done, "response", "output", 0, "content", 0, "transcript") != "I look. There." {
		t.Errorf("response is %v", done["response"])
	}
}

// The response.create that comes when all is said is answered, and says nothing; one behind
// something new asks for an answer.
func TestToolsLateCreate(t *testing.T) {
	for _, new := range []bool{false, true} {
		c, s := start(t, event{"type": "realtime"})
		s.Emit(eventabi.SignalTurnOpen, "t1", "")
		s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "look", Arguments: "{}"})
		c.await("response.done")
		c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "there"}})
		transporttest.Await[transport.ToolResult](s, nil)
		s.Show(transport.Text{From: transport.TextAgent, Of: "t1", Text: "It is there.", Final: true})
		s.Emit(eventabi.SignalClose, "t1", "")
		c.await("response.done") // nobody has asked for it
		if new {
			c.send(event{"type": "conversation.item.create", "item": event{
				"type": "message", "role": "user", "content": []event{{"type": "input_text", "text": "And now?"}},
			}})
		}
		c.send(event{"type": "response.create"})
		if new {
			transporttest.Await[transporttest.Respond](s, nil)
			continue
		}
		if done := c.await("response.done"); at(done, "response", "status") != "completed" || len(at(done, "response", "output").([]any)) != 0 {
			t.Errorf("response is %v", done["response"])
		}
		if got := transporttest.Came[transporttest.Respond](s); len(got) != 0 {
			t.Errorf("an answer was asked for: %v", got)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

func remove(id any) event { return event{"type": "conversation.item.delete", "item_id": id} }

// refusedDelete wants an error in place of a deletion.
func refusedDelete(t *testing.T, c *client, id any, says string) {
	t.Helper()
	c.send(remove(id))
	e := c.await("error")
	if text, _ := at(e, "error", "message").(string); at(e, "error", "code") != "item_in_use" || at(e, "error", "param") != "item_id" || !strings.Contains(text, says) {
		t.Errorf("the error is %v; want one of %q", e["error"], says)
	}
}

// forgotten wants an item to be deleted, and the session to be told of it by a name.
func forgotten(c *client, s *transporttest.Session, id any, want transport.Forget) {
	c.t.Helper()
	c.send(remove(id))
	if e := c.await("conversation.item.deleted"); e["item_id"] != id {
		c.t.Errorf("deleted: %v", e)
	}
	transporttest.Await(s, func(f transport.Forget) bool { return f == want })
	c.send(event{"type": "conversation.item.retrieve", "item_id": id})
	if e := c.await("error"); at(e, "error", "code") != "item_not_found" {
		c.t.Errorf("a deleted item is still there: %v", e)
	}
}

// Each item that is deleted is forgotten by the session, by the name that it has there.
func TestDelete(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{"input": event{"transcription": event{"model": "x"}}}})
	c.send(event{"type": "conversation.item.create", "item": event{
		"id": "mine", "type": "message", "role": "user", "content": []event{{"type": "input_text", "text": "I am Ada."}},
	}})
	key := transporttest.Await[transport.Context](s, nil).Key
	forgotten(c, s, "mine", transport.Forget{Name: string(key)})

	s.Speech(transport.Speech{Began: true, Sample: 0})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "what is", Final: true})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	said := at(c.await("conversation.item.done"), "item", "id")
	forgotten(c, s, said, transport.Forget{Role: transport.ForgetUser, Name: "u1"})

	speak(s, "t1", 1, "Hello.", 3200)
	answer := c.await("response.output_audio.delta")["item_id"]
	refusedDelete(t, c, answer, "under way")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	c.await("response.done")
	forgotten(c, s, answer, transport.Forget{Role: transport.ForgetAgent, Name: "t1"})
	if n := len(transporttest.Came[transport.Forget](s)); n != 3 {
		t.Errorf("%d items were forgotten", n)
	}
}

// What nobody has understood yet has no name: it is forgotten when it has one, and no word of
// it is told.
func TestDeleteBeforeItIsUnderstood(t *testing.T) {
	c, s := start(t, event{"type": "realtime", "audio": event{"input": event{"transcription": event{"model": "x"}}}})
	s.Speech(transport.Speech{Began: true, Sample: 0})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	c.send(remove(at(c.await("conversation.item.done"), "item", "id")))
	c.await("conversation.item.deleted")
	s.Show(transport.Text{From: transport.TextCaller, Of: "u1", Text: "hello", Final: true})
	transporttest.Await(s, func(f transport.Forget) bool { return f == transport.Forget{Role: transport.ForgetUser, Name: "u1"} })
	s.Speech(transport.Speech{Began: true, Sample: 32000})
	s.Show(transport.Text{From: transport.TextCaller, Of: "u2", Text: "and now", Final: true})
	s.Emit(eventabi.SignalEndOfUtterance, "", "vad")
	if e := c.await("conversation.item.input_audio_transcription.completed"); e["transcript"] != "and now" {
		t.Errorf("the words are %v", e)
	}
	speak(s, "t1", 1, "Hello.", 320)
	c.await("response.output_audio.delta")
	if slices.Contains(kinds(c.seen), "conversation.item.input_audio_transcription.failed") {
		t.Errorf("a deleted item is told of: %v", kinds(c.seen))
	}
}

// A call is deleted with its output, and neither by itself in the middle of the answer; several
// messages of one answer are one to the model.
func TestDeleteCalls(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "I look.", 3200)
	first := c.await("response.output_audio.delta")["item_id"]
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "look", Arguments: "{}"})
	call := at(c.await("response.function_call_arguments.done"), "item_id")
	c.await("response.done")
	c.send(event{"type": "conversation.item.create", "item": event{"id": "result", "type": "function_call_output", "call_id": "call-1", "output": "there"}})
	c.send(event{"type": "response.create"})
	c.await("response.created")
	refusedDelete(t, c, call, "under way")
	refusedDelete(t, c, "result", "delete the item of the call")
	s.Burst("t1", 1, tone(640))
	c.await("response.output_audio.delta")
	s.Emit(eventabi.SignalClose, "t1", "")
	s.Emit(eventabi.SignalPlaybackCompleted, "t1", "")
	c.await("response.done")
	refusedDelete(t, c, first, "several messages")
	c.send(remove(call))
	if a, b := c.await("conversation.item.deleted")["item_id"], c.await("conversation.item.deleted")["item_id"]; a != call || b != "result" {
		t.Errorf("deleted are %v and %v", a, b)
	}
	transporttest.Await(s, func(f transport.Forget) bool {
		return f == transport.Forget{Role: transport.ForgetToolCall, Name: "call-1"}
	})
}

// With Parley behind it: the model is shown nothing any more of what was deleted.
func TestDeletedIsUnknownToTheModel(t *testing.T) {
	var mu sync.Mutex
	var shown []string
	llm := &providertest.FakeLLM{Reply: func(p provider.Prompt) string {
		var b strings.Builder
		for _, m := range p.Messages {
			b.WriteString(string(m.Role) + ": " + m.Text + "\n")
		}
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, b.String())
		return "Certainly."
	}}
	w := newWorld(t, llm)
	c := dial(t, w.url, http.Header{"Authorization": {"Bearer " + token}})
	c.await("session.created")
	say := func(text string) any {
		c.send(event{"type": "conversation.item.create", "item": event{"type": "message", "role": "user", "content": []event{{"type": "input_text", "text": text}}}})
		return at(c.await("conversation.item.done"), "item", "id")
	}
	ask := func() (string, any) {
		c.send(event{"type": "response.create"})
		done := c.await("response.done")
		if at(done, "response", "status") != "completed" {
			t.Fatalf("the answer: %v", done)
		}
		if got := at(done, "response", "usage", "output_tokens"); got != 1.0 { // as the engine has counted it
			t.Errorf("it has used %v", got)
		}
		mu.Lock()
		defer mu.Unlock()
		return shown[len(shown)-1], at(done, "response", "output", 0, "id")
	}
	secret := say("My secret is seventeen.")
	say("Say yes.")
	before, answer := ask()
	if !strings.Contains(before, "seventeen") {
		t.Fatalf("the model was shown %q", before)
	}
	for _, id := range []any{secret, answer} {
		c.send(remove(id))
		c.await("conversation.item.deleted")
	}
	say("Once more.")
	after, _ := ask()
	if strings.Contains(after, "seventeen") || strings.Contains(after, "Certainly") || !strings.Contains(after, "Say yes.") || !strings.Contains(after, "Once more.") {
		t.Errorf("the model was shown %q", after)
	}
}

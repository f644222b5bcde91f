// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// What a client brings along reaches the session whatever it is called, also under a name
// that is free again: the session drops keys that are too long, and those that it knows.
func TestItemsReachTheSession(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	id := strings.Repeat("ü", 200)
	keys := map[eventabi.IdempotencyKey]bool{}
	for _, text := range []string{"first", "second"} {
		c.send(event{"type": "conversation.item.create", "item": event{
			"id": id, "type": "message", "role": "user", "content": []event{{"type": "input_text", "text": text}},
		}})
		c.await("conversation.item.done")
		got := transporttest.Await(s, func(x transport.Context) bool { return x.Text == text })
		if got.Key == "" || len(got.Key) > eventabi.MaxIDLength || keys[got.Key] {
			t.Errorf("%s: its key is %q", text, got.Key)
		}
		keys[got.Key] = true
		c.send(event{"type": "conversation.item.delete", "item_id": id})
		c.await("conversation.item.deleted")
	}
}

// What the session would refuse for its length is refused by name, and not taken and lost.
func TestTooLongForTheSession(t *testing.T) {
	c, _ := start(t, event{"type": "realtime"})
	long := strings.Repeat("ü", 32<<10+1)
	for param, e := range map[string]event{
		"item.content": {"type": "conversation.item.create", "item": event{
			"type": "message", "role": "user", "content": []event{{"type": "input_text", "text": long}},
		}},
		"response.instructions": {"type": "response.create", "response": event{"instructions": long}},
		"session.instructions":  {"type": "session.update", "session": event{"type": "realtime", "instructions": strings.Repeat("x", 32<<10+1)}},
	} {
		c.send(e)
		if got := at(c.await("error"), "error", "param"); got != param {
			t.Errorf("%s: the error is of %v", param, got)
		}
	}
}

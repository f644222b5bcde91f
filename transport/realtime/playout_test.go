// SPDX-License-Identifier: Apache-2.0

package realtime_test

import (
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/transporttest"
)

// What was sent is taken to be heard, all of it by and by, and never more.
func TestTakenToBeHeard(t *testing.T) {
	_, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 3, "Hello.", 3300) // with a last frame that is not full
	transporttest.Await(s, func(p transport.Playout) bool { return p.Turn == "t1" && p.Generation == 3 && p.Position == 3300 })
	last := int64(0)
	for _, p := range transporttest.Came[transport.Playout](s) {
		if p.Position < last || p.Position > 3300 || p.Final {
			t.Errorf("playout %+v behind %d", p, last)
		}
		last = p.Position
	}
}

// While the caller speaks over an answer nothing is assumed, and after a fence only the
// client's own word counts.
func TestWaitsForTheClient(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	s.Emit(eventabi.SignalTurnOpen, "t1", "")
	s.Speech(transport.Speech{Began: true, Sample: 16000})
	speak(s, "t1", 3, "Hello.", 16000)
	item := c.await("response.output_audio.delta")["item_id"]
	time.Sleep(600 * time.Millisecond) // longer than a client is taken to be behind
	if got := transporttest.Came[transport.Playout](s); len(got) != 0 {
		t.Errorf("it was assumed that %+v was heard", got)
	}
	s.Emit(eventabi.SignalBargeIn, "t1", "")
	s.Fence("t1", 3)
	s.Emit(eventabi.SignalPlaybackCancelled, "t1", "")
	s.Emit(eventabi.SignalAbort, "t1", "cancelled")
	s.Emit(eventabi.SignalClose, "t1", "")
	c.await("response.done")
	c.send(event{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 123.9})
	transporttest.Await(s, func(p transport.Playout) bool { return p.Final })
	got := transporttest.Came[transport.Playout](s)
	if len(got) != 1 || got[0].Position != 123*16 {
		t.Errorf("playouts are %+v", got)
	}
}

// Where an answer goes on behind a tool, its second part begins where the first has ended.
func TestPlaceOfASecondPart(t *testing.T) {
	c, s := start(t, event{"type": "realtime"})
	speak(s, "t1", 1, "I look.", 3200)
	s.ToolCall(transport.ToolCall{ID: "call-1", Turn: "t1", Name: "look", Arguments: "{}"})
	c.await("response.done")
	c.send(event{"type": "conversation.item.create", "item": event{"type": "function_call_output", "call_id": "call-1", "output": "there"}})
	c.send(event{"type": "response.create"})
	c.await("response.created")
	s.Burst("t1", 1, tone(6400))
	item := c.await("response.output_audio.delta")["item_id"]
	s.Fence("t1", 1)
	s.Emit(eventabi.SignalPlaybackCancelled, "t1", "")
	c.await("response.done")
	c.send(event{"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": 100})
	got := transporttest.Await(s, func(p transport.Playout) bool { return p.Final })
	if got.Position != 3200+1600 {
		t.Errorf("the place in the turn is %d", got.Position)
	}
}

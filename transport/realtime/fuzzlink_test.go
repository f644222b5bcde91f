// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/feed"
	"github.com/parley-voice/parley/transport/outbox"
	"github.com/parley-voice/parley/transport/socket"
)

// nobody is an ingress that takes everything and does nothing.
type nobody struct{ transport.Ingress }

func (nobody) Audio(int64, []int16)                   {}
func (nobody) Gap(transport.Gap)                      {}
func (nobody) EndOfUtterance(eventabi.IdempotencyKey) {}
func (nobody) Cancel(transport.Request)               {}
func (nobody) Played(transport.Playout)               {}
func (nobody) Context(transport.Context)              {}
func (nobody) Forget(transport.Forget)                {}
func (nobody) Respond(eventabi.IdempotencyKey)        {}
func (nobody) Configure(transport.Wishes)             {}
func (nobody) ToolResult(transport.ToolResult)        {}

// noWire is a socket's that is not served.
type noWire struct{ socket.Wire }

func (noWire) SetReadLimit(int64) {}

// loose is a conn without a wire, and what it would have sent.
func loose(t *testing.T) (c *conn, sent func() []map[string]any) {
	t.Helper()
	s := &Server{config: Config{}.withDefaults()}
	c = &conn{
		server: s, config: &s.config, began: true,
		set: newSettings("sess", "model"), items: items{most: 16}, prefix: "e",
	}
	c.quiet, c.playout.timer = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	var err error
	if c.Socket, err = socket.New(noWire{}, socket.Config{Close: time.Second}); err != nil {
		t.Fatal(err)
	}
	c.Bind(nobody{})
	var mu sync.Mutex
	var list []map[string]any
	c.out, err = outbox.New(outbox.Config{Audio: 1 << 16, Control: 1 << 16, ControlBytes: 1 << 30, Write: func(_ context.Context, m *outbox.Message) error {
		var e map[string]any
		if err := json.Unmarshal(m.Data, &e); err != nil {
			t.Errorf("no JSON: %s", m.Data)
		}
		mu.Lock()
		list = append(list, e)
		mu.Unlock()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.feed, err = feed.New(feed.Config{}, nobody{}); err != nil {
		t.Fatal(err)
	}
	return c, func() []map[string]any {
		c.feed.Close()
		if err := c.Flush(); err != nil {
			t.Error(err)
		}
		if err := c.out.Close(t.Context()); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return list
	}
}

// Whatever a session does, in whatever order, and whatever its client says meanwhile: there
// is one response at a time, each that was created is done once, what lies in it lies between
// the two, and what begins ends.
func FuzzLink(f *testing.F) {
	for _, seed := range []string{
		"\x00\x05\x03\x04\x08\x09\x06", "\x00\x04\x01\x04\x05\x24\x02\x07", "\x00\x0a\x0c\x0b\x04\x06", "\x00\x0a\x04\x0b\x0c\x08\x0d",
		"\x00\x04\x20\x24\x06\x26\x08\x28\x09", "\x0e\x0f\x10\x00\x0e\x02\x07\x08",
		"\x0e\x10\x14\x8f\x00\x04\x34\x15\x06\x08\x14", "\x00\x0a\x14\x0b\x04\x06\x08\x14\x14",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		c, sent := loose(t)
		for _, op := range ops[:min(len(ops), 256)] {
			perform(c, op)
		}
		c.mu.Lock()
		if c.active != nil {
			c.finish(c.active)
		}
		for c.active != nil { // what waited
			c.finish(c.active)
		}
		c.mu.Unlock()
		judge(t, sent())
	})
}

// perform does one thing, in a turn and of a kind that its byte says.
func perform(c *conn, op byte) {
	turn := eventabi.TurnID(fmt.Sprintf("t%d", op>>5))
	signal := func(s eventabi.Signal, reason string) {
		c.WriteSignal(&eventabi.Envelope{Signal: s, TurnID: turn, Reason: reason})
	}
	switch op & 31 {
	case 0:
		signal(eventabi.SignalTurnOpen, "")
	case 1:
		c.Fence(transport.Fence{Turn: turn, Generation: uint32(op>>5) + 1})
	case 2:
		signal(eventabi.SignalBargeIn, "")
	case 3:
		c.WriteText(transport.Text{From: transport.TextAgent, Of: string(turn), Text: "words "})
	case 4:
		_ = c.WriteFrame(&transport.Frame{Turn: turn, Generation: uint32(op>>5) + 1, Voiced: 320, PCM: make([]int16, 320)})
	case 5:
		signal(eventabi.SignalOutputAccepted, "")
	case 6:
		signal(eventabi.SignalPlaybackCompleted, "")
	case 7:
		signal(eventabi.SignalPlaybackCancelled, "")
	case 8:
		signal(eventabi.SignalClose, "")
	case 9:
		signal(eventabi.SignalAbort, "cancelled")
	case 10:
		c.WriteToolCall(transport.ToolCall{ID: "call-" + string(turn), Turn: turn, Name: "f", Arguments: "{}"})
	case 11:
		_ = c.createItem(&event{Item: json.RawMessage(`{"type":"function_call_output","call_id":"call-` + string(turn) + `","output":"x"}`)})
	case 12:
		_ = c.create(&event{})
	case 13:
		c.quieten()
	case 14:
		c.WriteSpeech(transport.Speech{Began: op>>5 != 0, Sample: int64(op) * 1600})
	case 15:
		c.WriteText(transport.Text{From: transport.TextCaller, Of: "u" + string(turn), Text: "hello", Final: op>>5 > 3})
	case 16:
		c.WriteSignal(&eventabi.Envelope{Signal: eventabi.SignalEndOfUtterance, Reason: []string{"vad", "client"}[op>>5&1]})
	case 17:
		_ = c.cancel(&event{})
	case 18:
		c.mu.Lock()
		for _, t := range c.turns {
			c.unhold(t)
		}
		c.mu.Unlock()
	case 19:
		signal(eventabi.SignalAbort, "provider_failure")
	case 20:
		c.mu.Lock()
		id := "none"
		if n := len(c.items.list); n > 0 {
			id = c.items.list[int(op>>5)%n].id
		}
		c.mu.Unlock()
		_ = c.refer(&event{Type: evItemDelete, ItemID: &id})
	case 21:
		c.WriteUsage(transport.Usage{Turn: turn, InputTokens: 3, OutputTokens: 1})
	}
}

// judge looks at the order of what was sent.
func judge(t *testing.T, list []map[string]any) {
	t.Helper()
	active, seen := "", map[string]bool{}
	begun := map[string]bool{} // items of the response that have not ended
	gone := map[string]bool{}  // items that were deleted
	for i, e := range list {
		kind, _ := e["type"].(string)
		id, _ := e["event_id"].(string)
		if seen[id] {
			t.Fatalf("event %d has the id %q of another", i, id)
		}
		seen[id] = true
		r, _ := e["response"].(map[string]any)
		item, _ := e["item"].(map[string]any)
		itemID, _ := item["id"].(string)
		if of, _ := e["item_id"].(string); gone[of] || gone[itemID] {
			t.Fatalf("event %d, %s, is of an item that was deleted", i, kind)
		} else if kind == evItemDeleted {
			gone[of] = true
		}
		switch kind {
		case evResponseCreated:
			if active != "" {
				t.Fatalf("event %d creates a response while %s is under way", i, active)
			}
			active, _ = r["id"].(string)
			if seen[active] {
				t.Fatalf("response %s is created again", active)
			}
			seen[active] = true
			continue
		case evResponseDone:
			if r["id"] != active || len(begun) > 0 {
				t.Fatalf("event %d ends %v; %q is under way, with %v not ended", i, r["id"], active, begun)
			}
			active = ""
			continue
		case evOutputAdded:
			begun[itemID] = true
		case evOutputDone:
			if !begun[itemID] {
				t.Fatalf("event %d ends an item that has not begun", i)
			}
			delete(begun, itemID)
		}
		if of, ok := e["response_id"].(string); ok && of != active {
			t.Fatalf("event %d, %s, is of response %s while %q is under way", i, kind, of, active)
		}
	}
	if active != "" {
		t.Fatalf("response %s is not done", active)
	}
}

// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// The bounds of tools in one turn, and of what is remembered of a session's.
const (
	maxToolRounds = 8
	maxToolCalls  = 8
	maxToolsKept  = 128
)

// toolWatch is a call of a tool, as seen from outside.
type toolWatch struct {
	key      string
	turn     eventabi.TurnID
	item     int64 // key of the call's item
	result   int64 // key of its result's, 0 = none
	at       timebase.Instant
	given    bool // the turn was told that it did not answer
	answered bool // its result has come
	due      bool // in this pass: it must be written down
	written  bool // its result is
}

// toolsWatch are the calls of tools of a session, the oldest first.
type toolsWatch struct {
	list []toolWatch
	item session.Item // the last one of a call, until that goes out
}

func (k *watch) tool(key string) *toolWatch {
	for i := len(k.tools.list) - 1; i >= 0; i-- {
		if k.tools.list[i].key == key {
			return &k.tools.list[i]
		}
	}
	return nil
}

// toolCalled restates which calls of a model count: of a running attempt of the live turn, in
// order, and no more than there may be.
func (k *watch) toolCalled(in *session.ToolCalled) {
	c := k.call(in.Invocation)
	if c == nil || c.kind != think || c.state != running || in.Attempt != 0 && in.Attempt != c.attempt || k.pass.live < 0 {
		return
	}
	t := &k.turns[k.pass.live]
	if t.id != c.turn || in.Index != c.tools || c.tools >= maxToolCalls || t.rounds >= maxToolRounds {
		return
	}
	c.tools++
	k.alive(in.Invocation, in.Attempt)
}

// toolResult notes a result that must be written down.
func (k *watch) toolResult(in *session.ToolResult) {
	x := k.tool(in.Call)
	if x == nil || x.answered || !k.running() {
		return
	}
	x.answered, x.due = true, true
}

// modelEnded notes that the model of the live turn has ended with calls: the turn waits for
// them, and for nothing else of the model.
func (k *watch) modelEnded(c *callWatch) {
	if c.kind != think || c.tools == 0 || k.pass.live < 0 {
		return
	}
	if t := &k.turns[k.pass.live]; t.id == c.turn && !t.stoodIn {
		t.waits = true
	}
}

// callTool checks that a call goes out once, behind its item.
func (k *watch) callTool(e *session.CallTool) {
	k.ok(ToolCalledOnce, k.tool(e.Call) == nil && e.Call != "", "a call goes out a second time, or without a key")
	k.ok(ToolCalledOnce, k.live >= 0 && k.turns[k.live].id == e.Turn && k.pass.terminal == "", "a call of a turn that is not live")
	it := &k.tools.item
	k.ok(ToolCalledOnce, it.Call == e.Call && it.Turn == e.Turn && it.Name == e.Name && it.Text == e.Arguments, "a call without its item ahead of it")
	c := k.call(e.Invocation)
	k.ok(ToolCalledOnce, c != nil && c.turn == e.Turn && e.Index >= 0 && e.Index < c.tools, "a call that no model has made")
	k.ok(ToolsBounded, timebase.MS(e.TimeoutMS) == k.rules.tool, "a tool is given another time than there is")
	k.tools.list = append(k.tools.list, toolWatch{key: e.Call, turn: e.Turn, item: it.Key, at: k.now})
	k.tools.item = session.Item{}
	if n := len(k.tools.list) - maxToolsKept; n > 0 {
		k.tools.list = append(k.tools.list[:0], k.tools.list[n:]...)
	}
}

// toolItem checks the items of tools (nodes-providers-transports section 4a).
func (k *watch) toolItem(it *session.Item, fresh bool) {
	if it.Role == session.ItemToolCall {
		k.ok(ToolCalledOnce, fresh && k.tool(it.Call) == nil, "a call has two items")
		k.tools.item = *it
		return
	}
	x := k.tool(it.Call)
	if !k.ok(ToolResultOnce, x != nil && k.items[x.item-1].item.Order == it.Order && x.turn == it.Turn, "a result without its call, or not at its place") {
		return
	}
	k.ok(ToolResultOnce, x.result == 0 && fresh || x.result == it.Key, "a call has two results")
	x.result = it.Key
	if !x.due { // nothing has come
		k.ok(ToolResultOnce, it.Failed && it.Text == 0 && !x.answered && !x.given, "a result that nobody gave, or a second time")
		k.ok(ToolsBounded, k.now >= x.at.Add(k.rules.tool), "a tool is given up before its time is over")
		x.given = true
		return
	}
	k.ok(ToolResultOnce, !x.written, "a result is written down twice")
	x.written, x.due = true, false
}

// thinks follows the beginning of an attempt of a language model.
func (k *watch) thinks(e *session.Generate) {
	k.answersOnce(e)
	k.asks(e)
	k.start(e.Invocation, think, e.Turn, e.Attempt, e.Candidate)
	k.nested(e.TimeoutMS)
	k.written(e)
}

// asks follows a turn's model that is asked: for the first time, or again because its tools
// have answered.
func (k *watch) asks(e *session.Generate) {
	if c := k.call(e.Invocation); c != nil && c.state == waiting || k.live < 0 {
		return // another attempt
	}
	t := &k.turns[k.live]
	if !t.asked {
		t.asked = true
		k.ok(ToolsAwaited, !e.NoTools && e.Segment == 0, "the first round of a model has no tools, or goes on from somewhere")
		return
	}
	k.ok(ToolsAwaited, t.waits, "a model is asked again that has not ended with calls of tools")
	for i := range k.tools.list {
		x := &k.tools.list[i]
		k.ok(ToolsAwaited, x.turn != t.id || x.answered && x.written || x.given, "a model is asked again before its tools have answered")
	}
	t.rounds++
	t.waits, t.again = false, k.now
	k.ok(ToolsAwaited, t.rounds <= maxToolRounds && e.NoTools == (t.rounds == maxToolRounds), "a model is asked too often, or may call tools for ever")
}

// toolsSettled checks the calls of tools when a step is over.
func (k *watch) toolsSettled() {
	out := false
	for i := range k.tools.list {
		x := &k.tools.list[i]
		k.ok(ToolResultKept, !x.due || k.ended, "a result that came is not written down")
		x.due = false
		if k.live < 0 || k.turns[k.live].id != x.turn || x.answered || x.given || k.ended {
			continue
		}
		out = true
		k.by(ToolsBounded, x.at.Add(k.rules.tool), "a tool that the turn waits for")
	}
	if k.live >= 0 && !k.ended {
		t := &k.turns[k.live]
		k.ok(ToolsAwaited, !t.waits || out || t.stoodIn || t.cut || k.flow.on, "a turn waits for tools, and none is out")
	}
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/sha256"
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// The bridge to tools (nodes-providers-transports sections 1 and 4a).
//
//	the model calls --CallTool--> it is out --its result--> answered
//	                                 |  the turn's patience is over: the model is told so;
//	                                 |  the result still counts when it comes
//	                                 +- the turn ends: nothing is called again, and the
//	                                    result is written down when it comes
//
// Rules:
//
//  1. A call goes out once. An attempt of the model that has called is neither tried again
//     nor moved to another provider: that would be another model's call of the same thing,
//     under another key. What it has used counts, like text that was handed on.
//  2. A round of the model is over when it has ended and each of its calls is answered, or
//     the patience with it is over. Then the model is asked again, in the same turn.
//  3. In the last round it is asked without tools: it has to say something, and the turn ends.
//  4. While a turn waits for nothing but tools its envelope stands still: the caller waits
//     for a tool, not for the model. The hard cap runs on.
//  5. A result is written down once, behind its call; a second one is dropped and counted,
//     one of an unknown call is refused.

// toolCall is a call that was made in this session.
type toolCall struct {
	key      string
	turn     eventabi.TurnID
	order    int64            // its place in the conversation, which is its result's as well
	due      timebase.Instant // when the turn's patience with it is over, 0 = it is
	item     int64            // of its result, 0 = none yet
	answered bool             // its result has come
}

// toolRounds are the rounds of a live turn's model, as far as it calls tools.
type toolRounds struct {
	number int64 // of the rounds that are over: of which every call was answered
	order  int64 // the place of this round's calls in the conversation, 0 = it has made none
	latest int64 // the place of the latest calls of the turn, 0 = none
	waits  bool  // the model has ended it with calls, and is asked again when they are answered
	// before is the place that is kept for what the turn says before its first calls, said how
	// many segments that is, once that round is over.
	before int64
	said   int
}

// toolTimeout is how long a turn waits for a tool.
func (m *Machine) toolTimeout() timebase.Span {
	if ms := m.settings.ToolTimeoutMS; ms != 0 {
		return timebase.MS(ms)
	}
	return timebase.MS(defaultToolTimeoutMS)
}

// toolKey is the key of a call: short enough for every protocol that has such ids, derived
// from what the call is, and from no epoch or attempt. A placement that takes the session
// over calls under the same key.
func toolKey(s eventabi.SessionID, t eventabi.TurnID, id eventabi.InvocationID, index int64) string {
	const bytes = 12
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", s, t, id, index))
	return fmt.Sprintf("call_%x", sum[:bytes])
}

// toolCalled takes a call of the model.
func (m *Machine) toolCalled(in *ToolCalled) {
	c := m.result(in.Invocation, in.Attempt, callLLM, in)
	if c == nil {
		return
	}
	t := &m.turn
	switch {
	case t.tools.number >= maxToolRounds: // it was told that it may not
		m.refuse("tool_round_limit", in.kind(), c.turn)
		return
	case in.Index != c.tools:
		m.refuse("tool_call_out_of_order", in.kind(), c.turn)
		return
	case c.tools >= maxToolCalls:
		m.refuse("tool_call_limit", in.kind(), c.turn)
		return
	}
	c.tools++
	c.chunks++
	m.renew(c)
	x := m.keepTool(toolCall{
		key: toolKey(m.identity.session, c.turn, c.id, in.Index), turn: c.turn, order: m.toolOrder(),
		due: m.now.Add(m.toolTimeout()),
	})
	it := Item{
		Key: m.newItem(), Order: x.order, Role: ItemToolCall, Turn: x.turn, Text: in.Arguments.Handle, Call: x.key, Name: in.Name,
	}
	m.name(ItemToolCall, x.key, &it)
	m.fx.converse(it)
	m.fx.add(&CallTool{
		Call: x.key, Turn: x.turn, Invocation: c.id, Index: in.Index, Name: in.Name,
		Arguments: in.Arguments.Handle, TimeoutMS: m.toolTimeout().MS(),
	})
}

// toolOrder is the place of the calls of a round, and of their results: one for all, so
// that no result comes between two calls. Before the first of a turn there is a place for
// what it says in that round: its sound may come later, or not at all.
func (m *Machine) toolOrder() int64 {
	t := &m.turn
	if t.tools.order == 0 {
		if t.tools.number == 0 {
			t.tools.before = m.identity.nextOrder()
		}
		t.tools.order = m.identity.nextOrder()
		t.tools.latest = t.tools.order
	}
	return t.tools.order
}

// placeOutput gives the turn's output its place in the conversation with the first sound or
// text that is delivered of it.
func (m *Machine) placeOutput(segment int) {
	t := &m.turn
	switch r := &t.tools; {
	case t.output.order != 0:
	case r.before != 0 && (r.number == 0 || segment < r.said):
		t.output.order = r.before
	default:
		t.output.order = m.identity.nextOrder()
	}
}

// keepTool remembers a call, and forgets the oldest one when there are too many: the result
// of a call so old is refused.
func (m *Machine) keepTool(x toolCall) *toolCall {
	if len(m.tools) >= maxToolsKept {
		m.tools = append(m.tools[:0], m.tools[1:]...)
	}
	m.tools = append(m.tools, x)
	return &m.tools[len(m.tools)-1]
}

func (m *Machine) tool(key string) *toolCall {
	for i := range m.tools {
		if m.tools[i].key == key {
			return &m.tools[i]
		}
	}
	return nil
}

// toolResult takes the result of a call, whatever has become of its turn.
func (m *Machine) toolResult(in *ToolResult) {
	x := m.tool(in.Call)
	switch {
	case x == nil:
		m.refuse("unknown_tool_call", in.kind(), "")
	case x.answered:
		m.counters.Deduped++
		m.refuse("duplicate", in.kind(), x.turn)
	default:
		x.answered = true
		m.recordResult(x, in.Output.Handle, in.Failed)
		m.toolsAnswered()
	}
}

// recordResult writes a result down behind its call; one that comes after its time takes the
// place of the word that none came.
func (m *Machine) recordResult(x *toolCall, text int64, failed bool) {
	if x.item == 0 {
		x.item = m.newItem()
	}
	m.fx.converse(Item{
		Key: x.item, Order: x.order, Role: ItemToolResult, Turn: x.turn, Text: text, Call: x.key, Failed: failed,
	})
}

// toolAwaited says that the live turn waits for a call, or will.
func (m *Machine) toolAwaited(x *toolCall) bool {
	return !x.answered && x.due != 0 && x.turn == m.scopeTurn()
}

// toolsOut says that the live turn waits for a tool.
func (m *Machine) toolsOut() bool {
	for i := range m.tools {
		if m.toolAwaited(&m.tools[i]) {
			return true
		}
	}
	return false
}

// waitsForTools says that the live turn's model is to be asked again. A reply that has ended
// without it, by the fallback line or a cancel of the rest, wants nothing more.
func (m *Machine) waitsForTools() bool {
	return m.scopeTurn() != "" && m.turn.tools.waits && !m.turn.output.reply.Ended()
}

// modelCalled ends a round in which the model has called.
func (m *Machine) modelCalled() {
	m.turn.tools.waits = true
	m.turn.budget.Wait(m.now)
	m.nestAll()
	m.sayNext()
	m.toolsAnswered()
}

// toolsAnswered asks the model again, once nothing is out any more that it waits for.
func (m *Machine) toolsAnswered() {
	t := &m.turn
	if !m.waitsForTools() || m.toolsOut() || m.replyUnderWay() || m.arbiter.Ending() {
		return
	}
	if t.tools.number == 0 {
		t.tools.said = t.output.reply.Len()
	}
	t.tools.number, t.tools.order, t.tools.waits = t.tools.number+1, 0, false
	t.budget.Again(m.now)
	m.nestAll()
	m.refreshHeard()
	m.generate(1)
}

// expireTools tells the model of the live turn which tools have not answered in time.
func (m *Machine) expireTools() {
	for i := range m.tools {
		if x := &m.tools[i]; m.toolAwaited(x) && m.now >= x.due {
			x.due = 0
			m.recordResult(x, 0, true)
		}
	}
	m.toolsAnswered()
}

// toolsDue is when the patience with a tool is over.
func (m *Machine) toolsDue() timebase.Instant {
	due := timebase.Never
	for i := range m.tools {
		if x := &m.tools[i]; m.toolAwaited(x) {
			due = timebase.Earliest(due, x.due)
		}
	}
	return due
}

// verifyTools speaks of the calls of tools.
func (m *Machine) verifyTools() {
	ensure(len(m.tools) <= maxToolsKept, "tool_calls_bounded")
	ensure(!m.waitsForTools() || m.toolsOut() || m.replyUnderWay(), "turn_waits_for_tools_that_are_out")
	ensure(m.turn.tools.number <= maxToolRounds, "tool_rounds_bounded")
}

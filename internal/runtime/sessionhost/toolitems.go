// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/node"
)

// What the model is told of a call that has no result: every call in a prompt has an answer.
const (
	noAnswerYet    = "The tool has not answered yet."
	noAnswerInTime = "The tool did not answer in time."
)

// beginRound notes where a further round of a turn's model begins in the turn's reply: it is
// asked again because it has called tools.
func (c *Conversation) beginRound(turn eventabi.TurnID, segment int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calledTools(turn) {
		c.rounds[turn] = append(c.rounds[turn], segment)
	}
}

func (c *Conversation) calledTools(turn eventabi.TurnID) bool {
	return slices.ContainsFunc(c.items, func(it session.Item) bool { return it.Role == session.ItemToolCall && it.Turn == turn })
}

// toolItem finds the item of a call or of its result, -1 when it is not there.
func (c *Conversation) toolItem(role session.ItemRole, call string) int {
	return slices.IndexFunc(c.items, func(it session.Item) bool { return it.Role == role && it.Call == call })
}

// forgetTool drops what belonged to a call: no result without its call.
func (c *Conversation) forgetTool(call *session.Item) {
	c.content.dropText(call.Text)
	if i := c.toolItem(session.ItemToolResult, call.Call); i >= 0 {
		c.content.dropText(c.items[i].Text)
		c.items = slices.Delete(c.items, i, i+1)
	}
	if !c.calledTools(call.Turn) {
		delete(c.rounds, call.Turn)
	}
}

// promptItem is an item of a prompt: one of the record, or all that a turn said and called, whose
// first item it names.
type promptItem struct {
	item  int
	tools bool
}

// isReply says that an item is what a turn said, isTool that it is of a tool.
func isReply(it *session.Item) bool { return it.Role == session.ItemAssistant && it.Text == 0 }

func isTool(it *session.Item) bool {
	return it.Role == session.ItemToolCall || it.Role == session.ItemToolResult
}

func (c *Conversation) entries() []promptItem {
	var turns []eventabi.TurnID // that called tools
	for i := range c.items {
		if it := &c.items[i]; it.Role == session.ItemToolCall && !slices.Contains(turns, it.Turn) {
			turns = append(turns, it.Turn)
		}
	}
	list := make([]promptItem, 0, len(c.items))
	for i := range c.items {
		it := &c.items[i]
		if it.Role == session.ItemForgotten {
			continue
		}
		if own := isReply(it) || isTool(it); !own || !slices.Contains(turns, it.Turn) {
			list = append(list, promptItem{item: i})
			continue
		}
		if !slices.ContainsFunc(list, func(e promptItem) bool { return e.tools && c.items[e.item].Turn == it.Turn }) {
			list = append(list, promptItem{item: i, tools: true})
		}
	}
	return list
}

// appendTools gives what a turn said and called, in the order in which it did: for each round
// what was said in it, the calls, and their results; then what was said in the end. Of a turn
// that is live, all that its model has said counts: it goes on from there.
func (c *Conversation) appendTools(list []node.Message, turn eventabi.TurnID, live bool) []node.Message {
	said, interrupted := c.said(turn, live)
	cuts := c.rounds[turn]
	spoken := -1 // the last message of the assistant
	say := func(from, to int) {
		if text := strings.TrimSpace(c.between(turn, said, from, to)); text != "" {
			spoken = len(list)
			list = append(list, node.Message{Role: string(session.ItemAssistant), Text: text})
		}
	}
	from, round := 0, 0
	for i := 0; i < len(c.items); i++ {
		it := &c.items[i]
		if it.Turn != turn || it.Role != session.ItemToolCall {
			continue
		}
		to := len(c.segments[turn])
		if round < len(cuts) {
			to = min(to, cuts[round])
		}
		say(from, to)
		from, round = to, round+1
		list = c.appendRound(list, turn, it.Order)
		for i+1 < len(c.items) && c.items[i+1].Order == it.Order {
			i++
		}
	}
	say(from, len(c.segments[turn]))
	if spoken >= 0 {
		list[spoken].Interrupted = interrupted
	}
	return list
}

// appendRound gives the calls of one round, and then their results.
func (c *Conversation) appendRound(list []node.Message, turn eventabi.TurnID, order int64) []node.Message {
	first := len(list)
	for i := range c.items {
		if it := &c.items[i]; it.Turn == turn && it.Order == order && it.Role == session.ItemToolCall {
			arguments := c.content.text(it.Text)
			if arguments == "" {
				arguments = "{}" // they are not kept any more
			}
			list = append(list, node.Message{Role: string(it.Role), Text: arguments, Call: it.Call, Name: it.Name})
		}
	}
	for _, call := range list[first:len(list):len(list)] {
		m := node.Message{Role: string(session.ItemToolResult), Text: noAnswerYet, Call: call.Call, Name: call.Name, Failed: true}
		if i := c.toolItem(session.ItemToolResult, call.Call); i >= 0 {
			m.Text, m.Failed = c.content.text(c.items[i].Text), c.items[i].Failed
			if c.items[i].Text == 0 {
				m.Text = noAnswerInTime
			}
		}
		list = append(list, m)
	}
	return list
}

// said is what counts of a turn's reply: what was delivered, or all of it.
func (c *Conversation) said(turn eventabi.TurnID, live bool) (text string, interrupted bool) {
	if live {
		return c.reply(turn), false
	}
	for i := range c.items {
		if it := &c.items[i]; it.Turn == turn && isReply(it) {
			return c.delivered(it), it.Interrupted
		}
	}
	return "", false
}

// between is the part of what counts of a reply that lies in some of its segments.
func (c *Conversation) between(turn eventabi.TurnID, said string, from, to int) string {
	segments := c.segments[turn]
	length := func(list []int64) (n int) {
		for _, h := range list {
			n += len(c.content.text(h))
		}
		return n
	}
	begin := length(segments[:min(from, len(segments))])
	end := begin + length(segments[min(from, len(segments)):min(max(from, to), len(segments))])
	return said[min(begin, len(said)):min(end, len(said))]
}

// SPDX-License-Identifier: Apache-2.0

package session

import "github.com/parley-voice/parley/api/eventabi"

// Item is one entry of the conversation record (nodes-providers-transports section
// 4a). The texts stay with the shell; the kernel says which part of them counts.
type Item struct {
	Key         int64 // identity within the session, from 1
	Order       int64 // place in the order of what happened; items sort by (Order, Key)
	Role        ItemRole
	Turn        eventabi.TurnID
	Interrupted bool
	// Text is the handle of what was said or given as a whole, of a tool's arguments or output;
	// a turn's reply has none.
	Text int64
	// Segments is how many pieces of the turn's reply make up an assistant item, from the
	// first; GeneratedRunes is their length, HeardRunes how much of it was heard, from the
	// beginning.
	Segments       int64
	GeneratedRunes int64
	HeardRunes     int64
	// ShownRunes is how much of the reply, from the beginning, has been delivered when what
	// went out as text counts as well: the rest of a turn that lost its voice. 0 = nothing
	// was. What was heard is never more by it.
	ShownRunes int64
	// HeardErrorMS bounds the error of the cut, in milliseconds of speech: 0 when the
	// cut lies on a segment's edge or everything was heard.
	HeardErrorMS int64
	// Call is the key of a tool's call, which its result has as well; Name the tool. A result
	// that failed has the reason for its text, or none: then the tool did not answer in time,
	// and its result takes this item's place when it comes.
	Call   string
	Name   string
	Failed bool
}

// ItemRole is who an item is from.
type ItemRole string

// The roles.
const (
	ItemUser      ItemRole = "user"
	ItemAssistant ItemRole = "assistant"
	ItemSystem    ItemRole = "system" // the application's, by way of the client
	// ItemToolCall and ItemToolResult of one round of the model stand at one place, each call
	// before its result.
	ItemToolCall   ItemRole = "tool_call"
	ItemToolResult ItemRole = "tool_result"
	// ItemForgotten is that of an item which the client has taken out: no model is shown it any
	// more, nor the result of a call that it was, and it comes to be nothing else.
	ItemForgotten ItemRole = "forgotten"
)

func (it *Item) code(c *coder) {
	num(c, "item", &it.Key)
	num(c, "order", &it.Order)
	str(c, "role", &it.Role)
	str(c, "turn", &it.Turn)
	boolean(c, "interrupted", &it.Interrupted)
	num(c, "text", &it.Text)
	num(c, "segments", &it.Segments)
	num(c, "generated_runes", &it.GeneratedRunes)
	num(c, "heard_runes", &it.HeardRunes)
	num(c, "shown_runes", &it.ShownRunes)
	num(c, "heard_error_ms", &it.HeardErrorMS)
	str(c, "call", &it.Call)
	str(c, "name", &it.Name)
	boolean(c, "failed", &it.Failed)
}

// SPDX-License-Identifier: Apache-2.0

package provider

import "context"

// LLM is a streaming language model.
type LLM interface {
	Descriptor() Descriptor
	// Generate answers the conversation. It blocks until the stream has ended: start,
	// text_delta for each piece of new text and tool_call for each complete call of a tool,
	// then final (or error). The returned outcome is the one that the last chunk carried.
	Generate(ctx context.Context, call Call, prompt Prompt, sink Sink) Outcome
}

// Role is who a message is from.
type Role string

// The roles of a conversation.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	// RoleToolCall is the assistant's call of a tool, RoleToolResult what the tool answered:
	// behind its call, and behind the other calls that were made with it.
	RoleToolCall   Role = "tool_call"
	RoleToolResult Role = "tool_result"
)

// Message is one item of the conversation. For the assistant, Text is what the caller
// heard, not what was generated.
type Message struct {
	Role        Role
	Text        string // of a tool_call its arguments, as JSON; of a tool_result the output
	Interrupted bool
	Call        string // tool_call and tool_result: what ties them together
	Name        string // tool_call and tool_result: of the tool
	Failed      bool   // tool_result: Text says why
}

// Prompt is what the model answers to, oldest message first.
type Prompt struct {
	Messages    []Message
	MaxTokens   int     // 0 = the engine's own limit
	Temperature float64 // negative = the engine's default
	// Tools are what the model may call. NoCalls says that it knows of them and may call none
	// this time.
	Tools   []Tool
	NoCalls bool
}

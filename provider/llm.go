// SPDX-License-Identifier: Apache-2.0

package provider

import "context"

// LLM is a streaming language model.
type LLM interface {
	Descriptor() Descriptor
	// Generate answers the conversation. It blocks until the stream has ended: start,
	// text_delta for each piece of new text, then final (or error). The returned
	// outcome is the one that the last chunk carried.
	Generate(ctx context.Context, call Call, prompt Prompt, sink Sink) Outcome
}

// Role is who a message is from.
type Role string

// The roles of a conversation.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Message is one item of the conversation. For the assistant, Text is what the caller
// heard, not what was generated.
type Message struct {
	Role        Role
	Text        string
	Interrupted bool
}

// Prompt is what the model answers to, oldest message first.
type Prompt struct {
	Messages    []Message
	MaxTokens   int     // 0 = the engine's own limit
	Temperature float64 // negative = the engine's default
}

// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"encoding/json"
	"strings"

	"github.com/parley-voice/parley/provider"
)

// message is one message of the conversation on the wire.
type message struct {
	Role       string     `json:"role"`
	Content    *string    `json:"content"` // null beside calls of tools
	ToolCalls  []wireCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

// request is the body of POST /chat/completions.
type request struct {
	Model               string         `json:"model"`
	Messages            []message      `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	Tools               []toolSpec     `json:"tools,omitempty"`
	ToolChoice          string         `json:"tool_choice,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// body is the request for a prompt.
func (c *Client) body(p provider.Prompt) ([]byte, error) {
	r := request{Model: c.config.Model, Stream: true, Messages: conversation(p.Messages), Tools: toolSpecs(p.Tools)}
	if len(p.Tools) > 0 && p.NoCalls {
		r.ToolChoice = "none"
	}
	if !c.config.OmitUsage {
		r.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	if c.config.MaxTokensField == "max_completion_tokens" {
		r.MaxCompletionTokens = p.MaxTokens
	} else {
		r.MaxTokens = p.MaxTokens
	}
	if p.Temperature >= 0 {
		r.Temperature = &p.Temperature
	}
	return json.Marshal(r)
}

// completion is one event of the stream (chat.completion.chunk, with Delta) or, from
// servers that do not stream, the whole answer (chat.completion, with Message).
type completion struct {
	Choices []struct {
		Index        int     `json:"index"`
		Delta        content `json:"delta"`
		Message      content `json:"message"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
		PromptDetails    struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Error *fault `json:"error"`
}

type content struct {
	Content   string      `json:"content"`
	Refusal   string      `json:"refusal"`
	ToolCalls []callDelta `json:"tool_calls"`
}

// fault is what servers put under "error": an object, or with Ollama a bare text.
type fault struct {
	Type string
	Code string
}

// UnmarshalJSON takes the short codes of an error and leaves its message behind.
func (f *fault) UnmarshalJSON(b []byte) error {
	var object struct {
		Type any `json:"type"`
		Code any `json:"code"`
	}
	if json.Unmarshal(b, &object) == nil {
		f.Type, f.Code = label(object.Type), label(object.Code)
	}
	return nil
}

// label lets a short code through, and nothing that could be prose or a secret.
func label(v any) string {
	s, ok := v.(string)
	const longest = 48
	if !ok || len(s) > longest || strings.ContainsFunc(s, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r == '_') }) {
		return ""
	}
	return s
}

// errorBody is the body of an answer that is no success.
type errorBody struct {
	Error *fault `json:"error"`
}

// modelList is the answer of GET /models.
type modelList struct {
	Object string `json:"object"`
	Data   []struct {
		ID string `json:"id"`
	} `json:"data"`
}

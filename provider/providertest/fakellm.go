// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"strings"

	"github.com/parley-voice/parley/provider"
)

// FakeLLM answers with given replies, a word to a delta. It is safe for concurrent use.
type FakeLLM struct {
	Behaviour
	// Replies are given in turn: the n-th utterance of the caller in the prompt gets the
	// n-th, and after the last the first again. Without any the reply is "All right."
	Replies []string
	// Reply replaces Replies.
	Reply func(provider.Prompt) string
	// Calls gives the tools that the model calls behind its reply; nil = it knows none.
	Calls func(provider.Prompt) []provider.ToolCall
}

var _ provider.LLM = (*FakeLLM)(nil)

// Descriptor describes the fake.
func (f *FakeLLM) Descriptor() provider.Descriptor {
	return f.descriptor("fake_llm", provider.ModalityLLM, provider.Capabilities{
		Streaming: true, Cancel: true, Offline: true, Scripted: true, Tools: f.Calls != nil,
	})
}

// Generate streams the reply.
func (f *FakeLLM) Generate(ctx context.Context, call provider.Call, prompt provider.Prompt, sink provider.Sink) provider.Outcome {
	if err := errors.Join(call.Validate(provider.ModalityLLM), prompt.Validate()); err != nil {
		return refuse(sink, err)
	}
	var elements []provider.Chunk
	for _, word := range strings.SplitAfter(f.reply(prompt), " ") {
		if word != "" {
			elements = append(elements, provider.Chunk{Kind: provider.ChunkTextDelta, Text: word})
		}
	}
	if f.Calls != nil {
		for _, c := range f.Calls(prompt) {
			elements = append(elements, provider.Chunk{Kind: provider.ChunkToolCall, Tool: c})
		}
	}
	elements = append(elements, success(provider.Usage{OutputTokens: len(elements)}))
	return f.perform(ctx, call, elements, sink)
}

func (f *FakeLLM) reply(p provider.Prompt) string {
	if f.Reply != nil {
		return f.Reply(p)
	}
	if len(f.Replies) == 0 {
		return "All right."
	}
	n := -1
	for _, m := range p.Messages {
		if m.Role == provider.RoleUser {
			n++
		}
	}
	return f.Replies[max(n, 0)%len(f.Replies)]
}

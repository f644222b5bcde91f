// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/parley-voice/parley/provider"
)

// blocking is what a language model and a synthesiser have in common: one call that
// returns when its stream has ended.
type blocking[P any] struct {
	modality provider.Modality
	payload  provider.ChunkKind // what the call is made for
	factory  func(t *testing.T) P
	describe func(P) provider.Descriptor
	call     func(context.Context, P, provider.Call, provider.Sink) provider.Outcome
	broken   map[string]func(context.Context, P, provider.Sink) provider.Outcome
}

// TestLLM holds a language model to the contract. factory makes an adapter that works;
// it is called for each part of the suite, and what it makes is closed if it can be.
func TestLLM(t *testing.T, factory func(t *testing.T) provider.LLM, failures ...Failure[provider.LLM]) {
	t.Helper()
	good := provider.Prompt{Temperature: -1, Messages: []provider.Message{
		{Role: provider.RoleSystem, Text: "You are a voice assistant. Answer in a few sentences."},
		{Role: provider.RoleUser, Text: "Please tell me a story."},
	}}
	bad := func(p provider.Prompt) func(context.Context, provider.LLM, provider.Sink) provider.Outcome {
		return func(ctx context.Context, m provider.LLM, sink provider.Sink) provider.Outcome {
			return m.Generate(ctx, NewCall(provider.ModalityLLM), p, sink)
		}
	}
	blocking[provider.LLM]{
		modality: provider.ModalityLLM,
		payload:  provider.ChunkTextDelta,
		factory:  factory,
		describe: provider.LLM.Descriptor,
		call: func(ctx context.Context, m provider.LLM, c provider.Call, sink provider.Sink) provider.Outcome {
			return m.Generate(ctx, c, good, sink)
		},
		broken: map[string]func(context.Context, provider.LLM, provider.Sink) provider.Outcome{
			"no_messages": bad(provider.Prompt{}),
			"role":        bad(provider.Prompt{Messages: []provider.Message{{Role: "narrator", Text: "x"}}}),
			"utf_8":       bad(provider.Prompt{Messages: []provider.Message{{Role: provider.RoleUser, Text: "\xff"}}}),
			"max_tokens":  bad(provider.Prompt{Messages: good.Messages, MaxTokens: -1}),
			"temperature": bad(provider.Prompt{Messages: good.Messages, Temperature: math.NaN()}),
			"tool_name":   bad(provider.Prompt{Messages: good.Messages, Tools: []provider.Tool{{Name: "a b"}}}),
			"tool_result": bad(provider.Prompt{Messages: append(slices.Clone(good.Messages), provider.Message{Role: provider.RoleToolResult, Call: "1"})}),
		},
	}.run(t, failures)
	t.Run("tools", func(t *testing.T) { toolConversation(t, release(t, factory(t)), good) })
}

// toolConversation: a model answers a conversation in which tools were called, whether it
// can call some itself or not.
func toolConversation(t *testing.T, m provider.LLM, good provider.Prompt) {
	t.Helper()
	p := provider.Prompt{
		Temperature: -1,
		Messages: append(slices.Clone(good.Messages),
			provider.Message{Role: provider.RoleToolCall, Call: "call_1", Name: "find_story", Text: "{}"},
			provider.Message{Role: provider.RoleToolCall, Call: "call_2", Name: "find_story", Text: "{}"},
			provider.Message{Role: provider.RoleToolResult, Call: "call_1", Name: "find_story", Text: "The lighthouse"},
			provider.Message{Role: provider.RoleToolResult, Call: "call_2", Name: "find_story", Text: "no answer", Failed: true}),
	}
	if m.Descriptor().Capabilities.Tools {
		p.Tools, p.NoCalls = []provider.Tool{{Name: "find_story", Description: "Finds a story."}}, true
	}
	r := newRecorder(t, provider.ModalityLLM)
	o := m.Generate(t.Context(), NewCall(provider.ModalityLLM), p, r.sink)
	r.verify(true)
	expect(t, o, provider.OutcomeSuccess, "")
	for _, c := range r.chunks {
		if c.Kind == provider.ChunkToolCall {
			t.Error("the model called a tool though it may call none")
		}
	}
}

// TestTTS holds a synthesiser to the contract, as TestLLM does a language model.
func TestTTS(t *testing.T, factory func(t *testing.T) provider.TTS, failures ...Failure[provider.TTS]) {
	t.Helper()
	bad := func(s provider.Speech) func(context.Context, provider.TTS, provider.Sink) provider.Outcome {
		return func(ctx context.Context, v provider.TTS, sink provider.Sink) provider.Outcome {
			return v.Synthesize(ctx, NewCall(provider.ModalityTTS), s, sink)
		}
	}
	good := provider.Speech{Text: "The lighthouse stood on a rock, and the keeper climbed ninety steps every evening to light the lamp."}
	blocking[provider.TTS]{
		modality: provider.ModalityTTS,
		payload:  provider.ChunkAudio,
		factory:  factory,
		describe: provider.TTS.Descriptor,
		call: func(ctx context.Context, v provider.TTS, c provider.Call, sink provider.Sink) provider.Outcome {
			return v.Synthesize(ctx, c, good, sink)
		},
		broken: map[string]func(context.Context, provider.TTS, provider.Sink) provider.Outcome{
			"blank_text": bad(provider.Speech{Text: " \n"}),
			"utf_8":      bad(provider.Speech{Text: "a\xff"}),
			"rate":       bad(provider.Speech{Text: "a", Rate: -1}),
		},
	}.run(t, failures)
}

func (b blocking[P]) run(t *testing.T, failures []Failure[P]) {
	t.Helper()
	t.Run("descriptor", func(t *testing.T) {
		p := release(t, b.factory(t))
		describe(t, b.describe(p), b.describe(p), b.modality)
	})
	t.Run("stream_discipline", b.stream)
	t.Run("request_validation", b.validation)
	t.Run("cancel", b.cancel)
	t.Run("concurrent_calls", b.concurrent)
	t.Run("outcome_mapping", func(t *testing.T) {
		for _, f := range failures {
			t.Run(f.Name, func(t *testing.T) {
				_, o := b.make(t.Context(), t, release(t, f.New(t)), nil)
				expect(t, o, f.Class, f.Reason)
			})
		}
	})
	t.Run("no_leak", func(t *testing.T) {
		leakFree(t, func(t *testing.T) {
			t.Helper()
			p := release(t, b.factory(t))
			b.make(t.Context(), t, p, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.make(ctx, t, p, func(provider.Chunk) { cancel() })
		})
	})
}

// make makes one call and verifies its stream. on sees each chunk as it comes.
func (b blocking[P]) make(ctx context.Context, t *testing.T, p P, on func(provider.Chunk)) (*recorder, provider.Outcome) {
	t.Helper()
	return b.record(t, on, func(sink provider.Sink) provider.Outcome {
		return b.call(ctx, p, NewCall(b.modality), sink)
	})
}

func (b blocking[P]) record(t *testing.T, on func(provider.Chunk), call func(provider.Sink) provider.Outcome) (*recorder, provider.Outcome) {
	t.Helper()
	r := newRecorder(t, b.modality)
	r.on = on
	o := call(r.sink)
	r.close()
	r.verify(true)
	if streamed := r.outcome(); streamed != o {
		t.Errorf("the call returned %+v, its last chunk carried %+v", o, streamed)
	}
	return r, o
}

func (b blocking[P]) stream(t *testing.T) {
	p := release(t, b.factory(t))
	r, o := b.make(t.Context(), t, p, nil)
	expect(t, o, provider.OutcomeSuccess, "")
	d := b.describe(p)
	if n := r.count(b.payload); n == 0 || (d.Capabilities.Streaming && n < 2) {
		t.Errorf("%d chunks of kind %q, streaming is %v", n, b.payload, d.Capabilities.Streaming)
	}
	var samples int64
	for _, c := range r.chunks {
		if c.Kind != provider.ChunkAudio {
			continue
		}
		samples += int64(len(c.PCM))
		if c.SampleRate != d.Capabilities.SampleRateHz {
			t.Errorf("audio at %d Hz, the descriptor says %d", c.SampleRate, d.Capabilities.SampleRateHz)
		}
	}
	for _, c := range r.chunks {
		last := int64(0)
		for _, w := range c.Words {
			if w.Start < last || w.End < w.Start || w.End > samples {
				t.Errorf("word %+v does not follow %d or lies outside %d samples", w, last, samples)
			}
			last = w.Start
		}
	}
}

func (b blocking[P]) validation(t *testing.T) {
	p := release(t, b.factory(t))
	for name, call := range brokenCalls(b.modality) {
		t.Run(name, func(t *testing.T) {
			_, o := b.record(t, nil, func(sink provider.Sink) provider.Outcome { return b.call(t.Context(), p, call, sink) })
			refused(t, o)
		})
	}
	for name, call := range b.broken {
		t.Run(name, func(t *testing.T) {
			_, o := b.record(t, nil, func(sink provider.Sink) provider.Outcome { return call(t.Context(), p, sink) })
			refused(t, o)
		})
	}
}

func (b blocking[P]) cancel(t *testing.T) {
	p := release(t, b.factory(t))
	t.Run("before", func(t *testing.T) {
		_, o := b.make(cancelled(t), t, p, nil)
		expect(t, o, provider.OutcomeCancelled, "")
	})
	t.Run("deadline", func(t *testing.T) {
		_, o := b.make(expired(t), t, p, nil)
		expect(t, o, provider.OutcomeTimeout, "")
	})
	t.Run("during", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		after := -1 // chunks of payload after the cancel
		_, o := b.make(ctx, t, p, func(c provider.Chunk) {
			if c.Kind == b.payload {
				after++
				cancel()
			}
		})
		if o.Class == provider.OutcomeSuccess && after == 0 {
			return // the first chunk was the whole of it
		}
		expect(t, o, provider.OutcomeCancelled, "")
	})
	t.Run("and_again", func(t *testing.T) {
		_, o := b.make(t.Context(), t, p, nil)
		expect(t, o, provider.OutcomeSuccess, "")
	})
}

func (b blocking[P]) concurrent(t *testing.T) {
	p := release(t, b.factory(t))
	for range parallel(b.describe(p).Capabilities) {
		t.Run("call", func(t *testing.T) {
			t.Parallel()
			_, o := b.make(t.Context(), t, p, nil)
			expect(t, o, provider.OutcomeSuccess, "")
		})
	}
}

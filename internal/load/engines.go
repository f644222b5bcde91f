// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// Span is a time that is drawn between two bounds.
type Span struct{ Least, Most time.Duration }

func (s Span) draw(r *timebase.Random) time.Duration {
	return s.Least + time.Duration(r.Below(int64(s.Most-s.Least)+1))
}

// Engines are how fast the simulated engines are. A process has one of each, whatever the
// number of callers.
type Engines struct {
	STT   Span // from the end of an utterance to its transcript
	LLM   Span // to the first sentence
	Next  Span // from one sentence to the next
	TTS   Span // of a sentence, to its first sound
	Reply Span // how long a reply is to be heard
}

// simulated is what the three have in common: a call's chance comes from the seed and the
// identity of the call, so that equal calls take equally long.
type simulated struct {
	engines Engines
	seed    uint64
}

func (s *simulated) random(c provider.Call) timebase.Random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.SessionID)) // a hash takes everything
	_, _ = h.Write([]byte(c.InvocationID))
	_, _ = h.Write([]byte{byte(c.Attempt)})
	return timebase.NewRandom(s.seed ^ h.Sum64())
}

func (s *simulated) providers() invocation.Providers {
	return invocation.Providers{STT: &hearing{s}, LLM: &thinking{s}, TTS: &speaking{s}}
}

func describe(id string, m provider.Modality, rate int) provider.Descriptor {
	return provider.Descriptor{
		ID: id, Modality: m, Model: "simulated", ContractVersion: provider.ContractVersion,
		Capabilities: provider.Capabilities{
			Streaming: true, Partials: m == provider.ModalitySTT, Cancel: true, SampleRateHz: rate, Offline: true, Scripted: true,
		},
	}
}

// pause waits, and says false when the call's context ended before.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// given up: the call ends as its context did, or as one that nobody waits for.
func given(ctx context.Context, e *provider.Emitter) provider.Outcome {
	o, ok := provider.ContextOutcome(ctx.Err())
	if !ok {
		o = provider.Outcome{Class: provider.OutcomeCancelled, Reason: "stream_closed"}
	}
	return e.Fail(o)
}

// hearing is the recogniser: it understands the same words whatever it is given.
type hearing struct{ *simulated }

const heardWords = "tell me about the lighthouse please"

// partialEvery is how much caller audio is heard between two partial transcripts.
const partialEvery = timebase.SampleRate

func (*hearing) Descriptor() provider.Descriptor {
	return describe("simulated_stt", provider.ModalitySTT, timebase.SampleRate)
}

func (h *hearing) Open(ctx context.Context, call provider.Call, _ provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	if err := ctx.Err(); err != nil {
		o, _ := provider.ContextOutcome(err)
		return nil, &provider.Failure{Outcome: o, Cause: err}
	}
	r := h.random(call)
	u := &utterance{wait: h.engines.STT.draw(&r), emit: provider.NewEmitter(sink), ctx: ctx}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.emit.Start()
	u.unwatch = context.AfterFunc(ctx, u.abandon)
	return u, nil
}

// utterance is one that is being recognised.
type utterance struct {
	wait    time.Duration
	ctx     context.Context
	unwatch func() bool

	mu      sync.Mutex
	emit    *provider.Emitter
	samples int64
	told    int64 // partials
	timer   *time.Timer
	closed  bool
}

var errOver = errors.New("load: the utterance is over")

func (u *utterance) Write(pcm []int16) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.timer != nil {
		return errOver
	}
	u.samples += int64(len(pcm))
	for (u.told+1)*partialEvery <= u.samples {
		u.told++
		u.emit.TextDelta(heardWords[:min(len(heardWords), int(u.told)*8)])
	}
	return nil
}

func (u *utterance) Finalize() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.timer != nil {
		return errOver
	}
	u.timer = time.AfterFunc(u.wait, u.conclude)
	return nil
}

func (u *utterance) conclude() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.ctx.Err() != nil {
		return
	}
	u.emit.TextFinal(heardWords, -1, nil)
	u.emit.Final(provider.Usage{AudioSamples: u.samples})
}

func (u *utterance) abandon() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		given(u.ctx, u.emit)
	}
}

func (u *utterance) Close() error {
	u.unwatch()
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		given(u.ctx, u.emit)
		u.closed = true
	}
	if u.timer != nil {
		u.timer.Stop()
	}
	return nil
}

// thinking is the language model: sentence after sentence, until the reply is as long to
// be heard as it was drawn.
type thinking struct{ *simulated }

const (
	// sentence is what it says; it is about sentenceLength long when it is spoken.
	sentence       = "The keeper climbed the ninety steps. "
	sentenceLength = 2 * time.Second
)

func (*thinking) Descriptor() provider.Descriptor {
	return describe("simulated_llm", provider.ModalityLLM, 0)
}

func (t *thinking) Generate(ctx context.Context, call provider.Call, _ provider.Prompt, sink provider.Sink) provider.Outcome {
	e := provider.NewEmitter(sink)
	e.Start()
	r := t.random(call)
	length := t.engines.Reply.draw(&r)
	wait := t.engines.LLM.draw(&r)
	for said := time.Duration(0); said < length; said += sentenceLength {
		if !pause(ctx, wait) {
			return given(ctx, e)
		}
		e.TextDelta(sentence)
		wait = t.engines.Next.draw(&r)
	}
	return e.Final(provider.Usage{OutputTokens: int(length / sentenceLength * 8)})
}

// speaking is the synthesiser: it makes silence, in pieces of pieceLength, all at once
// after the first. The pieces share one piece of memory, which everybody only reads.
type speaking struct{ *simulated }

const pieceLength = 500 * time.Millisecond

//nolint:gochecknoglobals // silence is a constant; Go has no constant slices
var silentPiece = make([]int16, int(pieceLength/time.Millisecond)*timebase.SampleRate/1000)

func (*speaking) Descriptor() provider.Descriptor {
	return describe("simulated_tts", provider.ModalityTTS, timebase.SampleRate)
}

func (s *speaking) Synthesize(ctx context.Context, call provider.Call, speech provider.Speech, sink provider.Sink) provider.Outcome {
	e := provider.NewEmitter(sink)
	e.Start()
	r := s.random(call)
	if !pause(ctx, s.engines.TTS.draw(&r)) {
		return given(ctx, e)
	}
	length := sentenceLength * time.Duration(max(len(speech.Text), 1)) / time.Duration(len(sentence)-1)
	samples := int64(0)
	for made := time.Duration(0); made < length; made += pieceLength {
		if ctx.Err() != nil {
			return given(ctx, e)
		}
		e.Audio(silentPiece, timebase.SampleRate)
		samples += int64(len(silentPiece))
	}
	return e.Final(provider.Usage{Characters: len(speech.Text), AudioSamples: samples})
}

// Simulated gives the simulated engines, and an endpointer that hears speech where samples
// are loud and costs nothing, for a crowd that comes over a network.
func Simulated(e Engines, seed uint64) (provider.STT, provider.LLM, provider.TTS, func() (node.Node, error)) {
	s := &simulated{engines: e, seed: seed}
	return &hearing{s}, &thinking{s}, &speaking{s}, endpointer
}

// Loud is what every sample of a caller's speech has, for that endpointer.
const Loud = loud

// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/parley-voice/parley/provider"
)

// Partial is an interim transcript that comes once At samples have been written.
type Partial struct {
	At   int64
	Text string
}

// Utterance is what FakeSTT hears.
type Utterance struct {
	Partials   []Partial // rising by At
	Final      string
	Confidence float64 // 0..1, negative = unknown
	Words      []provider.Word
}

// Say makes an utterance of text that is spoken at perWord samples a word: a partial
// after each word, the final with the timing of the words.
func Say(text string, perWord int64) Utterance {
	fields := strings.Fields(text)
	u := Utterance{Final: strings.Join(fields, " "), Confidence: -1}
	for i, w := range fields {
		end := int64(i+1) * perWord
		u.Partials = append(u.Partials, Partial{At: end, Text: strings.Join(fields[:i+1], " ")})
		u.Words = append(u.Words, provider.Word{Text: w, Start: end - perWord, End: end})
	}
	return u
}

// FakeSTT hears given utterances, whatever the audio holds. It is safe for concurrent use.
type FakeSTT struct {
	Behaviour
	// Utterances are heard in turn, in each session by itself: its n-th call hears the
	// n-th, and after the last the first again. Another attempt of a call hears the same.
	// Without any, every utterance is empty.
	Utterances []Utterance
	// Hear replaces Utterances.
	Hear func(provider.Call) Utterance

	mu    sync.Mutex
	heard map[string][]string // by session: invocations in order
}

var _ provider.STT = (*FakeSTT)(nil)

// Descriptor describes the fake.
func (f *FakeSTT) Descriptor() provider.Descriptor {
	return f.descriptor("fake_stt", provider.ModalitySTT, provider.Capabilities{
		Streaming: true, Partials: true, Cancel: true, Offline: true, SampleRateHz: FakeRate,
	})
}

func (f *FakeSTT) utterance(call provider.Call) Utterance {
	if f.Hear != nil {
		return f.Hear(call)
	}
	if len(f.Utterances) == 0 {
		return Utterance{Confidence: -1}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == nil {
		f.heard = make(map[string][]string)
	}
	list := f.heard[call.SessionID]
	n := len(list)
	for i, id := range list {
		if id == call.InvocationID {
			n = i
		}
	}
	if n == len(list) {
		f.heard[call.SessionID] = append(list, call.InvocationID)
	}
	return f.Utterances[n%len(f.Utterances)]
}

// Open starts an utterance.
func (f *FakeSTT) Open(ctx context.Context, call provider.Call, config provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	if err := errors.Join(call.Validate(provider.ModalitySTT), config.Validate()); err != nil {
		return nil, &provider.Failure{Outcome: provider.InvalidRequest(err)}
	}
	if err := ctx.Err(); err != nil {
		o, _ := provider.ContextOutcome(err)
		return nil, &provider.Failure{Outcome: o, Cause: err}
	}
	s := &fakeStream{fake: f, utterance: f.utterance(call), player: newPlayer(sink, f.injection(call))}
	s.ctx, s.release = context.WithCancel(ctx)
	s.player.start()
	s.unwatch = context.AfterFunc(ctx, s.abandon)
	return s, nil
}

// fakeStream is one utterance. Its owner's calls, the end of its context and its answer
// after Latency meet at the lock, so that the sink is called from one at a time.
type fakeStream struct {
	fake      *FakeSTT
	ctx       context.Context // of the call, or shorter: Close ends it
	release   context.CancelFunc
	utterance Utterance
	unwatch   func() bool
	answer    sync.WaitGroup

	mu        sync.Mutex
	player    *player
	samples   int64
	partials  int // that have been sent
	finalized bool
	closed    bool
}

var (
	errStreamClosed    = errors.New("providertest: the stream is closed")
	errStreamFinalized = errors.New("providertest: the utterance is over")
)

// state is the error of using the stream now.
func (s *fakeStream) state() error {
	switch {
	case s.closed:
		return errStreamClosed
	case s.finalized:
		return errStreamFinalized
	}
	return s.ctx.Err()
}

// Write counts the samples and sends the partials that are due.
func (s *fakeStream) Write(pcm []int16) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.state(); err != nil {
		return err
	}
	s.samples += int64(len(pcm))
	list := s.utterance.Partials
	for s.partials < len(list) && list[s.partials].At <= s.samples {
		s.player.play(provider.Chunk{Kind: provider.ChunkTextDelta, Text: list[s.partials].Text, Confidence: -1})
		s.partials++
	}
	return nil
}

// Finalize answers: at once, or after Latency.First when the fake keeps to the clock.
func (s *fakeStream) Finalize() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.state(); err != nil {
		return err
	}
	s.finalized = true
	if !s.fake.Wait {
		s.conclude()
		return nil
	}
	s.answer.Go(func() {
		s.fake.pause(s.ctx, 0)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ctx.Err() == nil {
			s.conclude()
		}
	})
	return nil
}

// conclude sends the transcript and the end; the lock is held.
func (s *fakeStream) conclude() {
	if s.closed {
		return
	}
	u := s.utterance
	s.player.play(provider.Chunk{Kind: provider.ChunkTextFinal, Text: u.Final, Confidence: u.Confidence, Words: u.Words})
	s.player.play(success(provider.Usage{AudioSamples: s.samples}))
}

// abandon ends the call when its context has ended.
func (s *fakeStream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		o, _ := provider.ContextOutcome(s.ctx.Err())
		s.player.fail(o)
	}
}

// Close ends a call that has not ended as cancelled; after it the sink is not called.
func (s *fakeStream) Close() error {
	s.unwatch()
	s.mu.Lock()
	if !s.closed {
		s.player.fail(provider.Outcome{Class: provider.OutcomeCancelled, Reason: "stream_closed"})
		s.closed = true
	}
	s.mu.Unlock()
	s.release()
	s.answer.Wait()
	return nil
}

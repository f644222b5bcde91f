// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"testing"

	"github.com/parley-voice/parley/provider"
)

const (
	suiteText  = "the keeper lit the lamp" // a tone of its length is what recognisers hear
	suitePiece = 173                       // samples of one Write: no engine's own size
)

// TestSTT holds a recogniser to the contract, as TestLLM does a language model. What it
// hears is a tone, so nothing is said of what it recognises.
func TestSTT(t *testing.T, factory func(t *testing.T) provider.STT, failures ...Failure[provider.STT]) {
	t.Helper()
	t.Run("descriptor", func(t *testing.T) {
		p := release(t, factory(t))
		describe(t, p.Descriptor(), p.Descriptor(), provider.ModalitySTT)
	})
	t.Run("stream_discipline", func(t *testing.T) { hearing{release(t, factory(t))}.discipline(t) })
	t.Run("request_validation", func(t *testing.T) { hearing{release(t, factory(t))}.validation(t) })
	t.Run("cancel", func(t *testing.T) { hearing{release(t, factory(t))}.cancel(t) })
	t.Run("misuse", func(t *testing.T) { hearing{release(t, factory(t))}.misuse(t) })
	t.Run("concurrent_calls", func(t *testing.T) {
		h := hearing{release(t, factory(t))}
		for range parallel(h.Descriptor().Capabilities) {
			t.Run("call", func(t *testing.T) {
				t.Parallel()
				h.utterance(t)
			})
		}
	})
	t.Run("outcome_mapping", func(t *testing.T) {
		for _, f := range failures {
			t.Run(f.Name, func(t *testing.T) { hearing{release(t, f.New(t))}.fails(t, f) })
		}
	})
	t.Run("no_leak", func(t *testing.T) {
		leakFree(t, func(t *testing.T) {
			t.Helper()
			h := hearing{release(t, factory(t))}
			h.utterance(t)
			ctx, cancel := context.WithCancel(t.Context())
			r, s := h.open(ctx, t)
			cancel()
			r.wait()
			_ = s.Close()
		})
	})
}

// hearing drives one recogniser.
type hearing struct{ provider.STT }

// config is the audio that the recogniser wants.
func (h hearing) config() provider.STTConfig {
	return provider.STTConfig{SampleRate: h.Descriptor().Capabilities.SampleRateHz}
}

// open starts an utterance; close r once the stream is closed.
func (h hearing) open(ctx context.Context, t *testing.T) (*recorder, provider.STTStream) {
	t.Helper()
	r := newRecorder(t, provider.ModalitySTT)
	s, err := h.Open(ctx, NewCall(provider.ModalitySTT), h.config(), r.sink)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return r, s
}

// feed writes a tone in odd pieces, from one slice that is overwritten each time.
func (h hearing) feed(t *testing.T, s provider.STTStream) {
	t.Helper()
	voice := FakeTTS{SampleRate: h.config().SampleRate}
	pcm, _ := voice.speak(provider.Speech{Text: suiteText})
	piece := make([]int16, suitePiece)
	for len(pcm) > 0 {
		n := copy(piece, pcm)
		if err := s.Write(piece[:n]); err != nil {
			t.Fatalf("write: %v", err)
		}
		pcm = pcm[n:]
		for i := range piece {
			piece[i] = -1 // the slice is not kept
		}
	}
}

// utterance recognises one utterance from start to end.
func (h hearing) utterance(t *testing.T) {
	t.Helper()
	r, s := h.open(t.Context(), t)
	h.feed(t, s)
	if err := s.Finalize(); err != nil {
		t.Errorf("finalize: %v", err)
	}
	r.wait()
	closes(t, s)
	r.close()
	r.verify(true)
	expect(t, r.outcome(), provider.OutcomeSuccess, "")
	if r.count(provider.ChunkTextFinal) != 1 {
		t.Errorf("%d text_final, want 1; heard %q", r.count(provider.ChunkTextFinal), r.text())
	}
}

// closes closes a stream twice: Close is idempotent.
func closes(t *testing.T, s provider.STTStream) {
	t.Helper()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func (h hearing) discipline(t *testing.T) {
	t.Helper()
	t.Run("utterance", func(t *testing.T) { h.utterance(t) })
	t.Run("and_another", func(t *testing.T) { h.utterance(t) })
	t.Run("without_audio", func(t *testing.T) {
		r, s := h.open(t.Context(), t)
		if err := s.Finalize(); err != nil {
			t.Errorf("finalize: %v", err)
		}
		r.wait()
		closes(t, s)
		r.close()
		r.verify(true)
		expect(t, r.outcome(), provider.OutcomeSuccess, "")
	})
	t.Run("empty_write", func(t *testing.T) {
		r, s := h.open(t.Context(), t)
		if err := s.Write(nil); err != nil {
			t.Errorf("write of nothing: %v", err)
		}
		closes(t, s)
		r.close()
		r.verify(false)
	})
}

func (h hearing) validation(t *testing.T) {
	t.Helper()
	refuses := func(t *testing.T, call provider.Call, config provider.STTConfig) {
		t.Helper()
		s, err := h.Open(t.Context(), call, config, func(c provider.Chunk) { t.Errorf("chunk %+v of a call that was not opened", c) })
		if err == nil {
			_ = s.Close()
			t.Fatal("open accepted it")
		}
		refused(t, provider.OutcomeOf(err))
	}
	for name, call := range brokenCalls(provider.ModalitySTT) {
		t.Run(name, func(t *testing.T) { refuses(t, call, h.config()) })
	}
	t.Run("no_sample_rate", func(t *testing.T) { refuses(t, NewCall(provider.ModalitySTT), provider.STTConfig{}) })
}

func (h hearing) cancel(t *testing.T) {
	t.Helper()
	t.Run("before", func(t *testing.T) {
		r := newRecorder(t, provider.ModalitySTT)
		s, err := h.Open(cancelled(t), NewCall(provider.ModalitySTT), h.config(), r.sink)
		if err != nil { // refused at once, or opened and ended
			expect(t, provider.OutcomeOf(err), provider.OutcomeCancelled, "")
			return
		}
		r.wait()
		closes(t, s)
		r.close()
		r.verify(true)
		expect(t, r.outcome(), provider.OutcomeCancelled, "")
	})
	t.Run("during", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		r, s := h.open(ctx, t)
		h.feed(t, s)
		stop()
		r.wait()
		_ = s.Write(make([]int16, suitePiece)) // may fail, may not panic or deliver
		_ = s.Finalize()
		closes(t, s)
		r.close()
		r.verify(true)
		expect(t, r.outcome(), provider.OutcomeCancelled, "")
	})
	t.Run("and_again", func(t *testing.T) { h.utterance(t) })
}

func (h hearing) misuse(t *testing.T) {
	t.Helper()
	t.Run("write_after_finalize", func(t *testing.T) {
		r, s := h.open(t.Context(), t)
		h.feed(t, s)
		if err := s.Finalize(); err != nil {
			t.Errorf("finalize: %v", err)
		}
		if s.Write(make([]int16, suitePiece)) == nil {
			t.Error("audio was taken after the utterance was over")
		}
		_ = s.Finalize() // may fail, may not answer twice
		r.wait()
		closes(t, s)
		r.close()
		r.verify(true)
	})
	t.Run("use_after_close", func(t *testing.T) {
		r, s := h.open(t.Context(), t)
		h.feed(t, s)
		closes(t, s)
		r.close()
		if s.Write(make([]int16, suitePiece)) == nil {
			t.Error("audio was taken after close")
		}
		if s.Finalize() == nil {
			t.Error("finalize was taken after close")
		}
		r.verify(false)
	})
}

// fails checks that an utterance ends as a failure says, at Open or later.
func (h hearing) fails(t *testing.T, f Failure[provider.STT]) {
	t.Helper()
	r := newRecorder(t, provider.ModalitySTT)
	s, err := h.Open(t.Context(), NewCall(provider.ModalitySTT), h.config(), r.sink)
	if err != nil {
		expect(t, provider.OutcomeOf(err), f.Class, f.Reason)
		return
	}
	_ = s.Write(make([]int16, suitePiece)) // either may already report the failure
	_ = s.Finalize()
	r.wait()
	closes(t, s)
	r.close()
	r.verify(true)
	expect(t, r.outcome(), f.Class, f.Reason)
}

// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"sync"
	"testing"

	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

// compiled is a folder for compiled code that all tests share.
func compiled(tb testing.TB) string {
	tb.Helper()
	return enginestest.Set(tb).Compiled()
}

func newPocketSphinx(tb testing.TB, instances int) *PocketSphinx {
	tb.Helper()
	set := enginestest.Set(tb)
	p, err := NewPocketSphinx(tb.Context(), PocketSphinxConfig{
		Engine: set.Recogniser(), Model: set.Model(), Compiled: compiled(tb), Instances: instances,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

func newFlite(tb testing.TB, instances int) *Flite {
	tb.Helper()
	f, err := NewFlite(tb.Context(), FliteConfig{Engine: enginestest.Set(tb).Synthesiser(), Compiled: compiled(tb), Instances: instances})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// once makes a value the first time it is asked for; a suite asks for each of its parts.
func once[T any](build func() T) func(*testing.T) T {
	get := sync.OnceValue(build)
	return func(*testing.T) T { return get() }
}

// kept hides Close from a suite, so that its parts share one engine.
type (
	keptSTT struct{ provider.STT }
	keptTTS struct{ provider.TTS }
)

// said is what a call to say returned.
type said struct {
	pcm     []int16
	words   []provider.Word
	chunks  int
	outcome provider.Outcome
}

func say(tb testing.TB, f *Flite, speech provider.Speech) said {
	tb.Helper()
	var s said
	s.outcome = f.Synthesize(tb.Context(), providertest.NewCall(provider.ModalityTTS), speech, func(c provider.Chunk) {
		s.pcm = append(s.pcm, c.PCM...)
		s.words = append(s.words, c.Words...)
		if c.Kind == provider.ChunkAudio {
			s.chunks++
		}
	})
	return s
}

// heard is what a call to hear returned.
type heard struct {
	text     string
	partials []string
	usage    provider.Usage
}

// hear recognises pcm, written in pieces of the given size, as session's next utterance.
func hear(tb testing.TB, p *PocketSphinx, session string, pcm []int16, piece int) heard {
	tb.Helper()
	var h heard
	call := providertest.NewCall(provider.ModalitySTT)
	call.SessionID = session
	s, err := p.Open(tb.Context(), call, provider.STTConfig{SampleRate: recogniserRate, Language: "en-US"}, func(c provider.Chunk) {
		switch c.Kind {
		case provider.ChunkTextDelta:
			h.partials = append(h.partials, c.Text)
		case provider.ChunkTextFinal:
			h.text = c.Text
		case provider.ChunkFinal:
			h.usage = c.Usage
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	for len(pcm) > 0 {
		n := min(piece, len(pcm))
		if err := s.Write(pcm[:n]); err != nil {
			tb.Fatal(err)
		}
		pcm = pcm[n:]
	}
	if err := s.Finalize(); err != nil {
		tb.Fatal(err)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	return h
}

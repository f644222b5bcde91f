// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/internal/engines/enginestest"
	"github.com/parley-voice/parley/provider"
	"github.com/parley-voice/parley/provider/providertest"
)

func TestPocketSphinxKeepsTheContract(t *testing.T) {
	shared := once(func() provider.STT { return keptSTT{newPocketSphinx(t, 2)} })
	providertest.TestSTT(t, shared,
		providertest.Failure[provider.STT]{
			Name: "all_busy", Class: provider.OutcomeOverload, Reason: "engine_busy",
			New: func(t *testing.T) provider.STT {
				p := newPocketSphinx(t, 1)
				_, err := p.Open(t.Context(), providertest.NewCall(provider.ModalitySTT), provider.STTConfig{SampleRate: recogniserRate}, func(provider.Chunk) {})
				if err != nil {
					t.Fatal(err)
				}
				return p
			},
		},
		providertest.Failure[provider.STT]{
			Name: "model_cut_off", Class: provider.OutcomeInfrastructureFailure, Reason: "engine_failed",
			New: func(t *testing.T) provider.STT { return damagedModel(t) },
		},
		providertest.Failure[provider.STT]{
			Name: "closed", Class: provider.OutcomeInfrastructureFailure, Reason: "engine_closed",
			New: func(t *testing.T) provider.STT {
				p := newPocketSphinx(t, 1)
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				return p
			},
		},
	)
}

// damagedModel is a recogniser whose language model ends in the middle.
func damagedModel(t *testing.T) *PocketSphinx {
	t.Helper()
	set := enginestest.Set(t)
	model := t.TempDir()
	if err := os.CopyFS(model, os.DirFS(set.Model())); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(model, "en-us.lm.bin"), 1<<20); err != nil {
		t.Fatal(err)
	}
	p, err := NewPocketSphinx(t.Context(), PocketSphinxConfig{Engine: set.Recogniser(), Model: model, Compiled: compiled(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestWarmFindsADamagedModel(t *testing.T) {
	err := damagedModel(t).Warm(t.Context())
	if err == nil {
		t.Fatal("a language model of a megabyte was accepted")
	}
	for _, want := range []string{"recogniser's model", "make engines"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestNewPocketSphinxRefusesBadConfigurationAndFiles(t *testing.T) {
	set := enginestest.Set(t)
	notWasm := filepath.Join(t.TempDir(), "pocketsphinx.wasm")
	if err := os.WriteFile(notWasm, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		config PocketSphinxConfig
		says   []string
	}{
		{"nothing", PocketSphinxConfig{Instances: -1}, []string{"engine: is empty", "model: is empty", "instances: -1"}},
		{"no file", PocketSphinxConfig{Engine: "/nowhere/pocketsphinx.wasm", Model: set.Model()}, []string{"/nowhere/pocketsphinx.wasm", "make engines"}},
		{"no module", PocketSphinxConfig{Engine: notWasm, Model: set.Model()}, []string{notWasm, "no engine of this version", "make engines"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewPocketSphinx(t.Context(), test.config)
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, want := range test.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}

	// Another engine has the same interface version, and no model to load.
	p, err := NewPocketSphinx(t.Context(), PocketSphinxConfig{Engine: set.Synthesiser(), Model: set.Model()})
	if err == nil {
		defer p.Close()
		err = p.Warm(t.Context())
	}
	if err == nil {
		t.Error("the synthesiser was accepted as recogniser")
	}
}

// A folder for compiled code that cannot be used costs time, not the engine.
func TestCompiledFolderIsOptional(t *testing.T) {
	set := enginestest.Set(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := NewPocketSphinx(t.Context(), PocketSphinxConfig{Engine: set.Recogniser(), Model: set.Model(), Compiled: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// What flite says, PocketSphinx hears, with the silence before it that an endpointer's
// pre-roll gives. These sentences it hears without a fault.
func TestHearsWhatIsSpoken(t *testing.T) {
	f, p := newFlite(t, 1), newPocketSphinx(t, 1)
	for i, text := range []string{
		"what time is it",
		"please repeat after me the weather is nice today",
		"tell me a long story about a small village",
		"stop please i have another question",
	} {
		pcm := slices.Concat(make([]int16, recogniserRate*3/10), say(t, f, provider.Speech{Text: text}).pcm)
		h := hear(t, p, fmt.Sprint("caller ", i), pcm, 320)
		if h.text != text {
			t.Errorf("said %q, heard %q", text, h.text)
		}
		if len(h.partials) < 3 || !slices.ContainsFunc(h.partials, func(s string) bool { return s != "" && strings.HasPrefix(text, s) }) {
			t.Errorf("partials of %q: %q", text, h.partials)
		}
		if h.usage.AudioSamples != int64(len(pcm)) {
			t.Errorf("usage says %d samples of %d", h.usage.AudioSamples, len(pcm))
		}
	}
}

func TestTextDoesNotDependOnTheCutNorOnTheInstance(t *testing.T) {
	f, p := newFlite(t, 1), newPocketSphinx(t, 2)
	pcm := say(t, f, provider.Speech{Text: "I would like to book a table for two people tomorrow evening."}).pcm
	want := hear(t, p, "first", pcm, 320)
	if want.text == "" {
		t.Fatal("nothing was heard")
	}
	hear(t, p, "another", say(t, f, provider.Speech{Text: "A noisy caller, with quite other words."}).pcm, 511)
	busy, err := p.Open(t.Context(), providertest.NewCall(provider.ModalitySTT), provider.STTConfig{SampleRate: recogniserRate}, func(provider.Chunk) {})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for i, piece := range []int{1 << 20, 173, 512} {
		got := hear(t, p, fmt.Sprint("again ", i), pcm, piece) // on the other instance
		if got.text != want.text || !slices.Equal(got.partials, want.partials) {
			t.Errorf("in pieces of %d: %q %q; want %q %q", piece, got.text, got.partials, want.text, want.partials)
		}
	}
}

func TestAbandonedUtteranceLeavesTheInstanceAsItWas(t *testing.T) {
	f, p := newFlite(t, 1), newPocketSphinx(t, 1)
	pcm := say(t, f, provider.Speech{Text: "go forward ten meters"}).pcm
	want := hear(t, p, "before", pcm, 320)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := p.Open(ctx, providertest.NewCall(provider.ModalitySTT), provider.STTConfig{SampleRate: recogniserRate}, func(provider.Chunk) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(pcm[:len(pcm)/2]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(pcm); err == nil {
		t.Error("the stream takes audio after close")
	}
	if got := hear(t, p, "after", pcm, 320); got.text != want.text {
		t.Errorf("heard %q after an abandoned utterance, %q before", got.text, want.text)
	}
}

// The caller's voice is learnt: it is kept by session and given to the next utterance.
func TestVoiceIsKeptBySession(t *testing.T) {
	f, p := newFlite(t, 1), newPocketSphinx(t, 1)
	pcm := say(t, f, provider.Speech{Text: "hello, is anybody there?"}).pcm
	if learnt := p.voices.of("ada"); learnt != nil {
		t.Errorf("%d bytes known of a caller who was not heard", len(learnt))
	}
	hear(t, p, "ada", pcm, 320)
	hear(t, p, "bob", pcm[:len(pcm)/2], 320)
	ada, bob := p.voices.of("ada"), p.voices.of("bob")
	if len(ada) != 4*13 || slices.Equal(ada, bob) {
		t.Errorf("learnt of ada % x, of bob % x; want 13 numbers each, not the same", ada, bob)
	}
}

func TestVoicesForgetsTheLongestUnheard(t *testing.T) {
	var v voiceMemory
	for i := range maxVoices + 10 {
		v.keep(fmt.Sprint(i), []byte{byte(i)})
		v.keep("0", []byte{7})
	}
	if got := v.of("0"); !slices.Equal(got, []byte{7}) {
		t.Errorf("the caller who speaks most is known as %v", got)
	}
	if v.of("1") != nil || v.of(fmt.Sprint(maxVoices+9)) == nil || v.order.Len() != maxVoices || len(v.session) != maxVoices {
		t.Errorf("kept %d of %d", v.order.Len(), maxVoices)
	}
}

// A recogniser whose engine failed is thrown away, and the next call gets a new one.
func TestFailedInstanceIsReplaced(t *testing.T) {
	p := newPocketSphinx(t, 1)
	silence := make([]int16, blockSamples)
	damage := map[string]func(*recogniser){
		"address out of bounds": func(r *recogniser) { r.block = 0xffff_ff00 },
		"trap":                  func(r *recogniser) { r.module = trapping{r.module} },
	}
	for name, break1 := range damage {
		t.Run(name, func(t *testing.T) {
			var outcome provider.Outcome
			open, err := p.Open(t.Context(), providertest.NewCall(provider.ModalitySTT), provider.STTConfig{SampleRate: recogniserRate}, func(c provider.Chunk) {
				if c.Kind == provider.ChunkError {
					outcome = c.Outcome
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			s, ok := open.(*stream)
			if !ok {
				t.Fatalf("a stream of type %T", open)
			}
			broken := s.recogniser
			break1(broken)
			err = s.Write(silence)
			var failure *provider.Failure
			if !errors.As(err, &failure) || failure.Outcome != outcome || outcome.Reason != "engine_failed" || !outcome.Retryable {
				t.Errorf("write gave %v, the stream ended with %+v", err, outcome)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if slices.Contains(p.pool.idle, broken) {
				t.Error("the failed instance is in the pool")
			}
			hear(t, p, "next", silence, 320)
		})
	}
}

// A sentence that was broken off, as by a key that was let go: the engine's last guess is
// that nothing was said, and what it had guessed before stands.
func TestHearsWhatWasBrokenOff(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "broken-off.s16le"))
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	p := newPocketSphinx(t, 1)
	const words = "he was not"
	if h := hear(t, p, "somebody", pcm, blockSamples); h.text != words || len(h.partials) == 0 || h.partials[len(h.partials)-1] != words {
		t.Errorf("heard %q, on the way %q", h.text, h.partials)
	}
	r, err := p.pool.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.pool.put(t.Context(), r, false)
	err = r.begin(t.Context(), nil)
	for at := 0; err == nil && at < len(pcm); at += blockSamples {
		err = r.feed(t.Context(), pcm[at:min(at+blockSamples, len(pcm))])
	}
	if err == nil {
		_, err = r.end(t.Context())
	}
	text, err2 := r.text(t.Context())
	if err != nil || err2 != nil || text != "" {
		t.Errorf("the engine by itself: %q %v %v; the recording shows nothing any more: take another", text, err, err2)
	}
}

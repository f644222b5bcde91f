// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/provider"
)

// brokenEnv names the broken adapter that the test binary, run again by
// TestSuitesCatch, puts through its suite.
const brokenEnv = "PROVIDERTEST_BROKEN_ADAPTER"

// wrapped is an adapter with a fault around one that has none.
type wrapped struct {
	FakeLLM
	generate func(context.Context, *FakeLLM, provider.Call, provider.Prompt, provider.Sink) provider.Outcome
	describe func(*provider.Descriptor)
}

func (w *wrapped) Descriptor() provider.Descriptor {
	d := w.FakeLLM.Descriptor()
	if w.describe != nil {
		w.describe(&d)
	}
	return d
}

func (w *wrapped) Generate(ctx context.Context, c provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
	if w.generate == nil {
		return w.FakeLLM.Generate(ctx, c, p, sink)
	}
	return w.generate(ctx, &w.FakeLLM, c, p, sink)
}

// broken are adapters with one fault each, and what the suite must say of it.
func broken() map[string]struct {
	run  func(*testing.T)
	says string
} {
	type entry = struct {
		run  func(*testing.T)
		says string
	}
	llm := func(w func() *wrapped) func(*testing.T) {
		return func(t *testing.T) { TestLLM(t, func(*testing.T) provider.LLM { return w() }) }
	}
	faulty := func(f Fault) func(*testing.T) {
		return llm(func() *wrapped {
			return &wrapped{FakeLLM: FakeLLM{Behaviour: Behaviour{Inject: always(Injection{Fault: f})}}}
		})
	}
	acts := func(g func(context.Context, *FakeLLM, provider.Call, provider.Prompt, provider.Sink) provider.Outcome) func(*testing.T) {
		return llm(func() *wrapped { return &wrapped{generate: g} })
	}
	return map[string]entry{
		"duplicate":    {faulty(FaultDuplicate), "rule sequence_rises"},
		"out_of_order": {faulty(FaultOutOfOrder), "rule sequence_rises"},
		"after_end":    {faulty(FaultAfterEnd), "rule nothing_after_end"},
		"truncate":     {faulty(FaultTruncate), "rule ends"},
		"error":        {faulty(FaultError), `want class "success"`},
		"panic":        {faulty(FaultPanic), InjectionPanic},
		"descriptor": {llm(func() *wrapped {
			return &wrapped{describe: func(d *provider.Descriptor) { d.ID = "Fake-LLM" }}
		}), "want lower_snake_case"},
		"no_validation": {acts(func(ctx context.Context, f *FakeLLM, _ provider.Call, _ provider.Prompt, sink provider.Sink) provider.Outcome {
			return f.Generate(ctx, NewCall(provider.ModalityLLM), asked(1), sink)
		}), `reason "invalid_request"`},
		"no_cancel": {acts(func(ctx context.Context, f *FakeLLM, c provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
			return f.Generate(context.WithoutCancel(ctx), c, p, sink)
		}), `want class "cancelled"`},
		"other_outcome": {acts(func(ctx context.Context, f *FakeLLM, c provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
			f.Generate(ctx, c, p, sink)
			return provider.Outcome{Class: provider.OutcomeSuccess, Reason: "none"}
		}), "its last chunk carried"},
		"leak": {acts(func(ctx context.Context, f *FakeLLM, c provider.Call, p provider.Prompt, sink provider.Sink) provider.Outcome {
			go time.Sleep(time.Hour)
			return f.Generate(ctx, c, p, sink)
		}), "unexpected goroutines"},
		"reused_samples": {func(t *testing.T) { TestTTS(t, func(*testing.T) provider.TTS { return &reusing{} }) }, "changed after it was delivered"},
		"wrong_rate":     {func(t *testing.T) { TestTTS(t, func(*testing.T) provider.TTS { return &misnamed{} }) }, "the descriptor says"},
		"no_text_final":  {func(t *testing.T) { TestSTT(t, func(*testing.T) provider.STT { return &careless{drop: true} }) }, "rule one_text_final"},
		"open_after_end": {func(t *testing.T) { TestSTT(t, func(*testing.T) provider.STT { return &careless{deaf: true} }) }, "after the utterance was over"},
		"after_close":    {func(t *testing.T) { TestSTT(t, func(*testing.T) provider.STT { return &careless{late: true} }) }, "came after the call was over"},
	}
}

// reusing delivers its samples in one buffer that it goes on using.
type reusing struct{ FakeTTS }

func (r *reusing) Synthesize(ctx context.Context, c provider.Call, s provider.Speech, sink provider.Sink) provider.Outcome {
	buffer := make([]int16, FakeRate)
	return r.FakeTTS.Synthesize(ctx, c, s, func(k provider.Chunk) {
		if k.Kind == provider.ChunkAudio {
			k.PCM = buffer[:copy(buffer, k.PCM)]
			buffer[0] = int16(k.Sequence)
		}
		sink(k)
	})
}

// misnamed delivers at another rate than it says.
type misnamed struct{ FakeTTS }

func (m *misnamed) Descriptor() provider.Descriptor {
	d := m.FakeTTS.Descriptor()
	d.Capabilities.SampleRateHz = 8000
	return d
}

// careless is a recogniser that forgets its manners.
type careless struct {
	FakeSTT
	drop, deaf, late bool
}

type carelessStream struct {
	provider.STTStream
	owner *careless
	sink  provider.Sink
}

func (c *careless) Open(ctx context.Context, call provider.Call, config provider.STTConfig, sink provider.Sink) (provider.STTStream, error) {
	s, err := c.FakeSTT.Open(ctx, call, config, func(k provider.Chunk) {
		if !c.drop || k.Kind != provider.ChunkTextFinal {
			sink(k)
		}
	})
	if err != nil {
		return nil, err
	}
	return &carelessStream{s, c, sink}, nil
}

func (s *carelessStream) Write(pcm []int16) error {
	err := s.STTStream.Write(pcm)
	if s.owner.deaf {
		return nil
	}
	if err != nil && s.owner.late {
		s.sink(provider.Chunk{Kind: provider.ChunkTextDelta, Sequence: 1000})
	}
	return err
}

// A sink that is entered while it is busy has been called from two goroutines at once.
func TestRecorderSeesOverlap(t *testing.T) {
	r := newRecorder(t, provider.ModalityLLM)
	r.on = func(c provider.Chunk) {
		if c.Kind == provider.ChunkStart {
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.sink(provider.Chunk{Kind: provider.ChunkTextDelta, Sequence: 1})
			}()
			<-done
		}
	}
	r.sink(provider.Chunk{Kind: provider.ChunkStart})
	if len(r.faults) != 1 || !strings.Contains(r.faults[0], "two goroutines") {
		t.Errorf("faults %q", r.faults)
	}
}

// TestBrokenAdapter is the inner run of TestSuitesCatch.
func TestBrokenAdapter(t *testing.T) {
	if name := os.Getenv(brokenEnv); name != "" {
		broken()[name].run(t)
	}
}

// Each suite fails an adapter that breaks a rule, and says which.
func TestSuitesCatch(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range broken() {
		t.Run(name, func(t *testing.T) {
			inner := exec.CommandContext(t.Context(), self, "-test.run=^TestBrokenAdapter$")
			inner.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := inner.CombinedOutput()
			if err == nil || !strings.Contains(string(out), b.says) {
				t.Errorf("%v, and no %q in\n%s", err, b.says, out)
			}
		})
	}
}

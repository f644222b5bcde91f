// SPDX-License-Identifier: Apache-2.0

package providertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/provider"
)

func TestFakeSTTConforms(t *testing.T) {
	TestSTT(t, func(*testing.T) provider.STT {
		return &FakeSTT{Utterances: []Utterance{Say("the keeper lit the lamp", 4000)}}
	},
		Failure[provider.STT]{"injected", func(*testing.T) provider.STT {
			return &FakeSTT{Behaviour: Behaviour{Inject: always(Injection{Fault: FaultError})}}
		}, provider.OutcomeInfrastructureFailure, "injected"})
}

func TestWaitingFakeSTTConforms(t *testing.T) {
	TestSTT(t, func(*testing.T) provider.STT {
		return &FakeSTT{Behaviour: Behaviour{Wait: true, Latency: provider.Latency{First: time.Millisecond}}}
	})
}

func TestFakeLLMConforms(t *testing.T) {
	TestLLM(t, func(*testing.T) provider.LLM { return &FakeLLM{} },
		Failure[provider.LLM]{"overload", func(*testing.T) provider.LLM {
			return &FakeLLM{Behaviour: Behaviour{Inject: always(Injection{Fault: FaultError, Outcome: provider.Outcome{Class: provider.OutcomeOverload}})}}
		}, provider.OutcomeOverload, ""})
}

func TestFakeTTSConforms(t *testing.T) {
	TestTTS(t, func(*testing.T) provider.TTS { return &FakeTTS{SampleRate: 8000} },
		Failure[provider.TTS]{"injected", func(*testing.T) provider.TTS {
			return &FakeTTS{Behaviour: Behaviour{Inject: always(Injection{Fault: FaultError, At: 3})}}
		}, provider.OutcomeInfrastructureFailure, "injected"})
}

func always(i Injection) func(provider.Call) Injection {
	return func(provider.Call) Injection { return i }
}

func asked(n int) provider.Prompt {
	p := provider.Prompt{}
	for range n {
		p.Messages = append(p.Messages, provider.Message{Role: provider.RoleUser, Text: "x"})
	}
	return p
}

// text makes one call of a language model and gives what it said.
func text(ctx context.Context, f *FakeLLM, p provider.Prompt) (string, provider.Outcome) {
	var b strings.Builder
	o := f.Generate(ctx, NewCall(provider.ModalityLLM), p, func(c provider.Chunk) { b.WriteString(c.Text) })
	return b.String(), o
}

func TestFakeLLMGivesItsRepliesInTurn(t *testing.T) {
	f := &FakeLLM{Replies: []string{"First of all.", "And then."}}
	for n, want := range map[int]string{1: "First of all.", 2: "And then.", 3: "First of all."} {
		if got, _ := text(t.Context(), f, asked(n)); got != want {
			t.Errorf("utterance %d: %q, want %q", n, got, want)
		}
	}
	f.Reply = func(p provider.Prompt) string { return fmt.Sprint(len(p.Messages)) }
	if got, _ := text(t.Context(), f, asked(7)); got != "7" {
		t.Errorf("%q", got)
	}
}

// Each fault does to the stream what its name says, and no more.
func TestFaults(t *testing.T) {
	rules := map[Fault]provider.StreamRule{
		FaultDuplicate:       provider.RuleSequenceRises,
		FaultOutOfOrder:      provider.RuleSequenceRises,
		FaultAfterEnd:        provider.RuleNothingAfterEnd,
		FaultLateAfterCancel: provider.RuleNothingAfterEnd,
		FaultTruncate:        provider.RuleEnds,
	}
	for _, fault := range append(Faults(), FaultNone) {
		for at := range 5 { // two words and the end, and beyond
			t.Run(fmt.Sprint(fault, at), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				stop := context.AfterFunc(ctx, func() {})
				defer stop()
				defer cancel()
				f := &FakeLLM{Replies: []string{"one two"}, Behaviour: Behaviour{Inject: func(provider.Call) Injection {
					if fault == FaultStall || fault == FaultLateAfterCancel {
						time.AfterFunc(time.Millisecond, cancel)
					}
					return Injection{Fault: fault, At: at}
				}}}
				checker := provider.NewStreamChecker(provider.ModalityLLM)
				var err error
				var panicked any
				var o provider.Outcome
				func() {
					defer func() { panicked = recover() }()
					o = f.Generate(ctx, NewCall(provider.ModalityLLM), asked(1), func(c provider.Chunk) {
						if e := checker.Check(c); err == nil {
							err = e
						}
					})
				}()
				if (panicked != nil) != (fault == FaultPanic) {
					t.Fatalf("panicked with %v", panicked)
				}
				if e := checker.Finish(); err == nil && panicked == nil {
					err = e
				}
				var v *provider.StreamViolation
				switch errors.As(err, &v); {
				case rules[fault] == "" && err != nil, rules[fault] != "" && (v == nil || v.Rule != rules[fault]):
					if fault == FaultDuplicate && at >= 2 && v != nil && v.Rule == provider.RuleNothingAfterEnd {
						return // the end itself comes twice
					}
					if fault == FaultOutOfOrder && at >= 2 && v != nil && v.Rule == provider.RuleNothingAfterEnd {
						return
					}
					t.Errorf("%v, want rule %q", err, rules[fault])
				case (fault == FaultStall || fault == FaultLateAfterCancel) && o.Class != provider.OutcomeCancelled,
					fault == FaultError && o.Reason != "injected",
					fault == FaultNone && o.Class != provider.OutcomeSuccess:
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

// The second attempt can be told from the first.
func TestInjectionByCall(t *testing.T) {
	f := &FakeLLM{Behaviour: Behaviour{Inject: func(c provider.Call) Injection {
		if c.Attempt == 1 {
			return Injection{Fault: FaultError}
		}
		return Injection{}
	}}}
	for attempt, want := range map[int]provider.OutcomeClass{1: provider.OutcomeInfrastructureFailure, 2: provider.OutcomeSuccess} {
		c := NewCall(provider.ModalityLLM)
		c.Attempt = attempt
		if o := f.Generate(t.Context(), c, asked(1), func(provider.Chunk) {}); o.Class != want {
			t.Errorf("attempt %d: %+v", attempt, o)
		}
	}
}

func TestFakeTTSTiming(t *testing.T) {
	f := &FakeTTS{}
	pcm, words := f.speak(provider.Speech{Text: "ab  cde"})
	const char = FakeRate * fakeCharMillis / 1000
	want := []provider.Word{{Text: "ab", Start: 0, End: 2 * char}, {Text: "cde", Start: 4 * char, End: 7 * char}}
	if len(pcm) != 7*char || !reflect.DeepEqual(words, want) {
		t.Errorf("%d samples, words %+v", len(pcm), words)
	}
	for i := 2 * char; i < 4*char; i++ {
		if pcm[i] != 0 {
			t.Fatalf("sample %d of the space is %d", i, pcm[i])
		}
	}
	low, high := int16(0), int16(0)
	for _, v := range pcm {
		low, high = min(low, v), max(high, v)
	}
	if low != -fakeAmplitude || high != fakeAmplitude {
		t.Errorf("tone from %d to %d", low, high)
	}
	if fast, _ := f.speak(provider.Speech{Text: "ab", Rate: 2}); len(fast) != char {
		t.Errorf("%d samples at twice the speed", len(fast))
	}
}

func TestFakeSTTHearsWhenAudioComes(t *testing.T) {
	f := &FakeSTT{Utterances: []Utterance{Say("go forward ten", 1600), Say("stop", 800)}}
	open := func(invocation string) []string {
		var got []string
		c := NewCall(provider.ModalitySTT)
		c.InvocationID = invocation
		s, err := f.Open(t.Context(), c, provider.STTConfig{SampleRate: FakeRate}, func(c provider.Chunk) {
			if c.Text != "" {
				got = append(got, string(c.Kind)+" "+c.Text)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if err := s.Write(make([]int16, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.Finalize(), s.Close()); err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := []string{"text_delta go", "text_delta go forward", "text_final go forward ten"}
	for _, c := range []struct {
		invocation string
		want       []string
	}{
		{"i1", first}, {"i2", []string{"text_delta stop", "text_final stop"}}, {"i1", first}, {"i3", first},
	} {
		if got := open(c.invocation); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.invocation, got, c.want)
		}
	}
}

// With Wait the fakes keep to their latency, to the nanosecond of a virtual clock.
func TestLatencyIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Behaviour{Wait: true, Latency: provider.Latency{First: 300 * time.Millisecond, Next: 20 * time.Millisecond}}
		begin := time.Now()
		var at []time.Duration
		f := &FakeLLM{Behaviour: b, Replies: []string{"one two"}}
		f.Generate(t.Context(), NewCall(provider.ModalityLLM), asked(1), func(c provider.Chunk) { at = append(at, time.Since(begin)) })
		want := []time.Duration{0, 300 * time.Millisecond, 320 * time.Millisecond, 340 * time.Millisecond}
		if !reflect.DeepEqual(at, want) {
			t.Errorf("chunks at %v, want %v", at, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 310*time.Millisecond)
		defer cancel()
		begin = time.Now()
		if got, o := text(ctx, f, asked(1)); got != "one " || o.Class != provider.OutcomeTimeout || time.Since(begin) != 310*time.Millisecond {
			t.Errorf("%q %+v after %v", got, o, time.Since(begin))
		}
		begin = time.Now()
		var answered time.Duration
		stt := &FakeSTT{Behaviour: b}
		s, err := stt.Open(t.Context(), NewCall(provider.ModalitySTT), provider.STTConfig{SampleRate: FakeRate}, func(c provider.Chunk) {
			if c.Kind == provider.ChunkTextFinal {
				answered = time.Since(begin)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Finalize(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.Close(); err != nil || answered != 300*time.Millisecond {
			t.Errorf("answered after %v, %v", answered, err)
		}
	})
}

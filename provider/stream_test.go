// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func start() Chunk         { return Chunk{Kind: ChunkStart} }
func delta(n int) Chunk    { return Chunk{Kind: ChunkTextDelta, Sequence: n, Text: "x"} }
func frozen(n int) Chunk   { return Chunk{Kind: ChunkTextFinal, Sequence: n, Confidence: -1} }
func metadata(n int) Chunk { return Chunk{Kind: ChunkMetadata, Sequence: n} }
func audio(n, hz int) Chunk {
	return Chunk{Kind: ChunkAudio, Sequence: n, PCM: make([]int16, 4), SampleRate: hz}
}

func tool(n int, name, arguments string) Chunk {
	return Chunk{Kind: ChunkToolCall, Sequence: n, Tool: ToolCall{Name: name, Arguments: arguments}}
}

func final(n int) Chunk {
	return Chunk{Kind: ChunkFinal, Sequence: n, Outcome: Outcome{Class: OutcomeSuccess}}
}

func failed(n int, c OutcomeClass) Chunk {
	return Chunk{Kind: ChunkError, Sequence: n, Outcome: Outcome{Class: c}}
}

func TestStreamDiscipline(t *testing.T) {
	for _, c := range []struct {
		name     string
		modality Modality
		chunks   []Chunk
		rule     StreamRule // empty = holds
		at       int        // index of the offending chunk; len(chunks) = Finish
	}{
		{"llm", ModalityLLM, []Chunk{start(), delta(1), delta(2), final(3)}, "", 0},
		{"gaps in the sequence", ModalityLLM, []Chunk{start(), delta(7), final(900)}, "", 0},
		{"stt", ModalitySTT, []Chunk{start(), delta(1), delta(2), frozen(3), final(4)}, "", 0},
		{"tts", ModalityTTS, []Chunk{start(), audio(1, 16000), metadata(2), audio(3, 16000), final(4)}, "", 0},
		{"any modality", "", []Chunk{start(), audio(1, 16000), delta(2), frozen(3), delta(4), final(5)}, "", 0},
		{"failure at once", ModalityTTS, []Chunk{start(), failed(1, OutcomeCancelled)}, "", 0},
		{"stt failure needs no text_final", ModalitySTT, []Chunk{start(), failed(1, OutcomeTimeout)}, "", 0},

		{"no start", ModalityLLM, []Chunk{delta(0)}, RuleStartFirst, 0},
		{"start above 0", ModalityLLM, []Chunk{{Kind: ChunkStart, Sequence: 1}}, RuleStartFirst, 0},
		{"second start", ModalityLLM, []Chunk{start(), {Kind: ChunkStart, Sequence: 1}}, RuleStartOnce, 1},
		{"duplicate", ModalityLLM, []Chunk{start(), delta(1), delta(1)}, RuleSequenceRises, 2},
		{"out of order", ModalityLLM, []Chunk{start(), delta(2), delta(1)}, RuleSequenceRises, 2},
		{"negative", ModalityLLM, []Chunk{start(), delta(-1)}, RuleSequenceRises, 1},
		{"after final", ModalityLLM, []Chunk{start(), final(1), delta(2)}, RuleNothingAfterEnd, 2},
		{"after error", ModalityLLM, []Chunk{start(), failed(1, OutcomeTimeout), failed(2, OutcomeTimeout)}, RuleNothingAfterEnd, 2},
		{"unknown kind", ModalityLLM, []Chunk{start(), {Kind: "done", Sequence: 1}}, RuleKnownKind, 1},
		{"audio from llm", ModalityLLM, []Chunk{start(), audio(1, 16000)}, RuleKindOfModality, 1},
		{"audio from stt", ModalitySTT, []Chunk{start(), audio(1, 16000)}, RuleKindOfModality, 1},
		{"text from tts", ModalityTTS, []Chunk{start(), delta(1)}, RuleKindOfModality, 1},
		{"text_final from llm", ModalityLLM, []Chunk{start(), frozen(1)}, RuleKindOfModality, 1},
		{"text after text_final", ModalitySTT, []Chunk{start(), frozen(1), delta(2)}, RuleOneTextFinal, 2},
		{"two text_final", ModalitySTT, []Chunk{start(), frozen(1), frozen(2)}, RuleOneTextFinal, 2},
		{"no text_final", ModalitySTT, []Chunk{start(), final(1)}, RuleOneTextFinal, 1},
		{"empty audio", ModalityTTS, []Chunk{start(), {Kind: ChunkAudio, Sequence: 1, SampleRate: 8000}}, RuleAudioShape, 1},
		{"no rate", ModalityTTS, []Chunk{start(), audio(1, 0)}, RuleAudioShape, 1},
		{"rate changes", ModalityTTS, []Chunk{start(), audio(1, 16000), audio(2, 8000)}, RuleAudioShape, 2},
		{"confidence", ModalitySTT, []Chunk{start(), {Kind: ChunkTextFinal, Sequence: 1, Confidence: 1.5}}, RuleConfidenceInRange, 1},
		{"confidence NaN", ModalitySTT, []Chunk{start(), {Kind: ChunkTextFinal, Sequence: 1, Confidence: math.NaN()}}, RuleConfidenceInRange, 1},
		{"tool calls", ModalityLLM, []Chunk{start(), delta(1), tool(2, "a", "{}"), tool(3, "b", "not JSON"), final(4)}, "", 0},
		{"tool call from stt", ModalitySTT, []Chunk{start(), tool(1, "a", "{}")}, RuleKindOfModality, 1},
		{"tool call from tts", ModalityTTS, []Chunk{start(), tool(1, "a", "{}")}, RuleKindOfModality, 1},
		{"tool without a name", ModalityLLM, []Chunk{start(), tool(1, "", "{}")}, RuleToolShape, 1},
		{"tool with a long name", ModalityLLM, []Chunk{start(), tool(1, strings.Repeat("a", 129), "{}")}, RuleToolShape, 1},
		{"tool without arguments", ModalityLLM, []Chunk{start(), tool(1, "a", "")}, RuleToolShape, 1},
		{"tool with long arguments", ModalityLLM, []Chunk{start(), tool(1, "a", strings.Repeat("a", MaxToolContent+1))}, RuleToolShape, 1},
		{"final with a failure", ModalityLLM, []Chunk{start(), {Kind: ChunkFinal, Sequence: 1, Outcome: Outcome{Class: OutcomeTimeout}}}, RuleOutcomeMatches, 1},
		{"final without outcome", ModalityLLM, []Chunk{start(), {Kind: ChunkFinal, Sequence: 1}}, RuleOutcomeMatches, 1},
		{"error with success", ModalityLLM, []Chunk{start(), failed(1, OutcomeSuccess)}, RuleOutcomeMatches, 1},
		{"error of an open class", ModalityLLM, []Chunk{start(), failed(1, "429")}, RuleOutcomeMatches, 1},
		{"no chunk", ModalityLLM, nil, RuleEnds, 0},
		{"truncated", ModalityLLM, []Chunk{start(), delta(1)}, RuleEnds, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewStreamChecker(c.modality)
			var err error
			at := 0
			for ; at < len(c.chunks) && err == nil; at++ {
				if err = s.Check(c.chunks[at]); err != nil {
					break
				}
			}
			if err == nil {
				err = s.Finish()
			}
			if c.rule == "" {
				if err != nil || !s.Ended() || s.Outcome() != c.chunks[len(c.chunks)-1].Outcome {
					t.Fatalf("error %v, ended %v, outcome %+v", err, s.Ended(), s.Outcome())
				}
				return
			}
			var v *StreamViolation
			if !errors.As(err, &v) || v.Rule != c.rule || at != c.at {
				t.Fatalf("at %d: %v; want rule %s at %d", at, err, c.rule, c.at)
			}
			o := OutcomeOf(err)
			if o.Class != OutcomeInfrastructureFailure || o.Reason != ReasonStreamProtocolViolation || o != s.Outcome() || !s.Ended() {
				t.Fatalf("outcome %+v, of the checker %+v", o, s.Outcome())
			}
			if again := s.Check(final(1000)); !errors.Is(again, err) {
				t.Fatalf("a later chunk gave %v", again)
			}
			if again := s.Finish(); !errors.Is(again, err) {
				t.Fatalf("finish gave %v", again)
			}
		})
	}
}

// FuzzStreamDiscipline compares the machine with the discipline written as a predicate
// over the whole stream.
func FuzzStreamDiscipline(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 6, 1})
	f.Add([]byte{0, 0, 1, 1, 1, 0, 6, 1})
	f.Add([]byte{0, 0, 6, 1, 6, 1})
	kinds := []ChunkKind{ChunkStart, ChunkTextDelta, ChunkMetadata, ChunkTextFinal, ChunkError, "odd", ChunkFinal}
	f.Fuzz(func(t *testing.T, script []byte) {
		s := NewStreamChecker(ModalityLLM)
		var all []Chunk
		sequence := 0
		broken := false
		for i := 0; i+1 < len(script); i += 2 {
			sequence += int(int8(script[i+1]))
			c := Chunk{Kind: kinds[int(script[i])%len(kinds)], Sequence: sequence}
			switch c.Kind {
			case ChunkFinal:
				c.Outcome.Class = OutcomeSuccess
			case ChunkError:
				c.Outcome.Class = OutcomeTimeout
			default:
			}
			all = append(all, c)
			err := s.Check(c)
			broken = broken || !disciplined(all)
			if (err != nil) != broken {
				t.Fatalf("%+v: %v, but disciplined is %v", all, err, !broken)
			}
		}
		ended := len(all) > 0 && (all[len(all)-1].Kind == ChunkFinal || all[len(all)-1].Kind == ChunkError)
		if err := s.Finish(); (err == nil) != (ended && !broken) {
			t.Fatalf("%+v: finish %v", all, err)
		}
	})
}

// disciplined is the discipline of a prefix of a language model's stream.
func disciplined(all []Chunk) bool {
	for i, c := range all {
		switch {
		case c.Kind == "odd", c.Kind == ChunkTextFinal:
			return false
		case (c.Kind == ChunkStart) != (i == 0), i == 0 && c.Sequence != 0:
			return false
		case i > 0 && c.Sequence <= all[i-1].Sequence:
			return false
		case i < len(all)-1 && (c.Kind == ChunkFinal || c.Kind == ChunkError):
			return false
		}
	}
	return true
}

func TestEmitterKeepsTheDiscipline(t *testing.T) {
	checker := NewStreamChecker(ModalityTTS)
	var n int
	e := NewEmitter(func(c Chunk) {
		n++
		if err := checker.Check(c); err != nil {
			t.Error(err)
		}
	})
	e.Audio(nil, 16000) // no samples, no chunk
	e.Audio(make([]int16, 3), 16000)
	e.Metadata([]Word{{Text: "a", End: 3}})
	if o := e.Fail(Outcome{Class: OutcomeCancelled}); o.Class != OutcomeCancelled {
		t.Error(o)
	}
	e.Audio(make([]int16, 3), 16000)
	if o := e.Final(Usage{}); o.Class != OutcomeCancelled {
		t.Errorf("after the end the outcome changed to %+v", o)
	}
	if err := checker.Finish(); err != nil || n != 4 || !e.Ended() {
		t.Errorf("%v, %d chunks", err, n)
	}
}

func TestContextOutcome(t *testing.T) {
	for _, c := range []struct {
		err  error
		want OutcomeClass
		ok   bool
	}{
		{fmt.Errorf("read: %w", context.Canceled), OutcomeCancelled, true},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), OutcomeTimeout, true},
		{errors.New("other"), "", false},
	} {
		if o, ok := ContextOutcome(c.err); o.Class != c.want || ok != c.ok {
			t.Errorf("%v: %+v %v", c.err, o, ok)
		}
	}
}

func TestCallValidateReportsAllFaults(t *testing.T) {
	good := Call{
		SessionID: "s", PipelineVersion: "p", EventID: "e", InvocationID: "i", ProviderID: "x", Modality: ModalityLLM,
		Attempt: 1, IdempotencyKey: "k", Timeout: 1,
	}
	if err := good.Validate(ModalityLLM); err != nil {
		t.Errorf("a prelude call without turn: %v", err)
	}
	err := (&Call{Modality: ModalitySTT, AuthorityEpoch: -1}).Validate(ModalityLLM)
	for _, field := range []string{
		"session_id", "pipeline_version", "event_id", "provider_invocation_id", "provider_id", "idempotency_key",
		"modality", "attempt", "authority_epoch", "timeout",
	} {
		if !strings.Contains(fmt.Sprint(err), "call."+field+":") {
			t.Errorf("no fault of %s in %v", field, err)
		}
	}
	if o := InvalidRequest(err); strings.Contains(o.Detail, "\n") || o.Reason != ReasonInvalidRequest || o.Retryable {
		t.Errorf("%+v", o)
	}
}

func TestRequestsValidate(t *testing.T) {
	message := []Message{{Role: RoleUser, Text: "hi"}}
	for _, c := range []struct {
		name string
		err  error
		want string // empty = valid
	}{
		{"prompt", Prompt{Messages: message, Temperature: -1}.Validate(), ""},
		{"no messages", Prompt{}.Validate(), "prompt.messages: is empty"},
		{"role", Prompt{Messages: []Message{{Role: "tool"}}}.Validate(), `prompt.messages[0].role: "tool"`},
		{"utf-8", Prompt{Messages: []Message{{Role: RoleUser, Text: "\xff"}}}.Validate(), "prompt.messages[0].text"},
		{"tokens", Prompt{Messages: message, MaxTokens: -1}.Validate(), "prompt.max_tokens: -1"},
		{"temperature", Prompt{Messages: message, Temperature: math.NaN()}.Validate(), "prompt.temperature"},
		{"speech", Speech{Text: "hi"}.Validate(), ""},
		{"blank", Speech{Text: " \n"}.Validate(), "speech.text: is blank"},
		{"speech utf-8", Speech{Text: "a\xff"}.Validate(), "speech.text: is not valid UTF-8"},
		{"rate", Speech{Text: "hi", Rate: -1}.Validate(), "speech.rate: -1"},
		{"stt", STTConfig{SampleRate: 16000}.Validate(), ""},
		{"low", STTConfig{SampleRate: 4000}.Validate(), "stt_config.sample_rate: 4000 Hz"},
	} {
		if got := fmt.Sprint(c.err); (c.err == nil) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s; want %q", c.name, got, c.want)
		}
	}
}

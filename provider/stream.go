// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"fmt"
	"strconv"
)

// ReasonStreamProtocolViolation is the reason of the outcome of a call whose stream
// broke the discipline of the package comment.
const ReasonStreamProtocolViolation = "stream_protocol_violation"

// StreamRule names the rule of the stream discipline that a chunk broke.
type StreamRule string

// The rules, in the order in which Check looks at them.
const (
	RuleNothingAfterEnd   StreamRule = "nothing_after_end"   // no chunk after final or error
	RuleKnownKind         StreamRule = "known_kind"          // only the kinds of the contract
	RuleStartFirst        StreamRule = "start_first"         // the first chunk is start, with sequence 0
	RuleStartOnce         StreamRule = "start_once"          // and no other is
	RuleSequenceRises     StreamRule = "sequence_rises"      // each sequence is above the one before
	RuleKindOfModality    StreamRule = "kind_of_modality"    // no text from TTS, no audio from STT and LLM
	RuleOneTextFinal      StreamRule = "one_text_final"      // STT: one text_final, no text after it, none missing
	RuleAudioShape        StreamRule = "audio_shape"         // samples, and one positive rate throughout
	RuleToolShape         StreamRule = "tool_shape"          // a call of a tool has a name and arguments, within bounds
	RuleConfidenceInRange StreamRule = "confidence_in_range" // at most 1
	RuleOutcomeMatches    StreamRule = "outcome_matches"     // final is success, error is any other class
	RuleEnds              StreamRule = "ends"                // a call that returned has ended its stream
)

// StreamViolation says which chunk broke which rule. Check wraps it in a *Failure.
type StreamViolation struct {
	Rule     StreamRule
	Kind     ChunkKind // of the offending chunk; empty when the stream only stopped
	Sequence int
	What     string
}

func (v *StreamViolation) Error() string {
	s := "rule " + string(v.Rule) + ": " + v.What
	if v.Kind != "" {
		s += " (chunk " + strconv.Itoa(v.Sequence) + ", kind " + strconv.Quote(string(v.Kind)) + ")"
	}
	return s
}

// StreamChecker is the central state machine of the stream discipline
// (nodes-providers-transports section 4): start, chunks with strictly rising sequence,
// exactly one final or error. One value watches one call and has one owner; it takes
// no locks and keeps no chunk.
//
//	new --start--> open --final|error--> ended
//	 any --a chunk that breaks a rule--> broken
//
// The zero value watches a call of any modality; NewStreamChecker adds the rules of one.
type StreamChecker struct {
	modality  Modality
	state     streamState
	last      int
	rate      int
	textFinal bool
	outcome   Outcome
	first     error
}

type streamState uint8

const (
	streamNew streamState = iota
	streamOpen
	streamEnded
	streamBroken
)

// NewStreamChecker watches one call of the given modality.
func NewStreamChecker(m Modality) *StreamChecker { return &StreamChecker{modality: m} }

// Check takes the next chunk. The error is nil while the discipline holds, otherwise a
// *Failure around a *StreamViolation, whose outcome is infrastructure_failure with
// reason stream_protocol_violation. The first violation is final: every later chunk
// reports it again, and none of them may be passed on.
func (s *StreamChecker) Check(c Chunk) error {
	if s.state == streamBroken {
		return s.first
	}
	if v := s.broken(c); v != nil {
		v.Kind, v.Sequence = c.Kind, c.Sequence
		return s.fail(v)
	}
	s.last = c.Sequence
	switch c.Kind {
	case ChunkStart:
		s.state = streamOpen
	case ChunkTextFinal:
		s.textFinal = true
	case ChunkAudio:
		s.rate = c.SampleRate
	case ChunkFinal, ChunkError:
		s.state, s.outcome = streamEnded, c.Outcome
	case ChunkMetadata, ChunkTextDelta, ChunkToolCall:
	}
	return nil
}

// Finish is called when the call has returned. It reports a stream that had not ended
// as a violation of RuleEnds, or the violation that Check met before.
func (s *StreamChecker) Finish() error {
	switch s.state {
	case streamBroken:
		return s.first
	case streamNew:
		return s.fail(&StreamViolation{Rule: RuleEnds, What: "the call returned without any chunk"})
	case streamOpen:
		return s.fail(&StreamViolation{Rule: RuleEnds, What: "the call returned without final or error"})
	case streamEnded:
	}
	return nil
}

// Ended reports whether final or error has come, or a violation has ended the stream.
func (s *StreamChecker) Ended() bool { return s.state == streamEnded || s.state == streamBroken }

// Outcome is what the stream says of the call: the outcome of its last chunk once it
// has ended, stream_protocol_violation once it is broken, the zero Outcome before.
func (s *StreamChecker) Outcome() Outcome { return s.outcome }

func (s *StreamChecker) fail(v *StreamViolation) error {
	s.state = streamBroken
	s.outcome = Outcome{
		Class:  OutcomeInfrastructureFailure,
		Reason: ReasonStreamProtocolViolation,
		Detail: v.Error(),
	}
	s.first = &Failure{Outcome: s.outcome, Cause: v}
	return s.first
}

// broken names the first rule that c breaks, nil for none.
func (s *StreamChecker) broken(c Chunk) *StreamViolation {
	switch {
	case s.state == streamEnded:
		return violation(RuleNothingAfterEnd, "the stream had ended")
	case !c.Kind.known():
		return violation(RuleKnownKind, "not a chunk kind of the contract")
	case s.state == streamNew && c.Kind != ChunkStart:
		return violation(RuleStartFirst, "the first chunk must be start")
	case s.state == streamNew && c.Sequence != 0:
		return violation(RuleStartFirst, "start must have sequence 0")
	case s.state != streamNew && c.Kind == ChunkStart:
		return violation(RuleStartOnce, "a second start")
	case s.state != streamNew && c.Sequence <= s.last:
		return violation(RuleSequenceRises, fmt.Sprintf("sequence after %d must be greater", s.last))
	}
	return s.brokenBody(c)
}

// brokenBody looks at what the chunk carries.
func (s *StreamChecker) brokenBody(c Chunk) *StreamViolation {
	switch c.Kind {
	case ChunkTextDelta, ChunkTextFinal:
		return s.brokenText(c)
	case ChunkAudio:
		return s.brokenAudio(c)
	case ChunkToolCall:
		return s.brokenTool(c)
	case ChunkFinal:
		if c.Outcome.Class != OutcomeSuccess {
			return violation(RuleOutcomeMatches, fmt.Sprintf("final carries outcome %q, not success", c.Outcome.Class))
		}
		if s.modality == ModalitySTT && !s.textFinal {
			return violation(RuleOneTextFinal, "final without a text_final before it; send an empty one when nothing was heard")
		}
	case ChunkError:
		if c.Outcome.Class == OutcomeSuccess || !c.Outcome.Class.Known() {
			return violation(RuleOutcomeMatches, fmt.Sprintf("error carries outcome %q, not a class of failure", c.Outcome.Class))
		}
	case ChunkStart, ChunkMetadata:
	}
	return nil
}

func (s *StreamChecker) brokenText(c Chunk) *StreamViolation {
	switch {
	case s.modality == ModalityTTS:
		return violation(RuleKindOfModality, "text from a synthesiser")
	case s.modality == ModalityLLM && c.Kind == ChunkTextFinal:
		return violation(RuleKindOfModality, "text_final from a language model, which sends text_delta only")
	case s.modality == ModalitySTT && s.textFinal:
		return violation(RuleOneTextFinal, "text after text_final")
	case c.Confidence > 1 || c.Confidence != c.Confidence: // NaN is unequal to itself
		return violation(RuleConfidenceInRange, fmt.Sprintf("confidence %v is above 1 or not a number", c.Confidence))
	}
	return nil
}

func (s *StreamChecker) brokenAudio(c Chunk) *StreamViolation {
	switch {
	case s.modality == ModalitySTT || s.modality == ModalityLLM:
		return violation(RuleKindOfModality, "audio from "+string(s.modality))
	case len(c.PCM) == 0:
		return violation(RuleAudioShape, "audio_chunk without samples")
	case c.SampleRate <= 0:
		return violation(RuleAudioShape, fmt.Sprintf("sample rate %d Hz must be positive", c.SampleRate))
	case s.rate != 0 && c.SampleRate != s.rate:
		return violation(RuleAudioShape, fmt.Sprintf("sample rate changed from %d to %d Hz", s.rate, c.SampleRate))
	}
	return nil
}

func (s *StreamChecker) brokenTool(c Chunk) *StreamViolation {
	switch {
	case s.modality == ModalitySTT || s.modality == ModalityTTS:
		return violation(RuleKindOfModality, "a call of a tool from "+string(s.modality))
	case c.Tool.Name == "" || len(c.Tool.Name) > maxCalledName:
		return violation(RuleToolShape, fmt.Sprintf("a tool's name of %d bytes must have 1 to %d", len(c.Tool.Name), maxCalledName))
	case c.Tool.Arguments == "" || len(c.Tool.Arguments) > MaxToolContent:
		return violation(RuleToolShape, fmt.Sprintf("arguments of %d bytes must have 1 to %d", len(c.Tool.Arguments), MaxToolContent))
	}
	return nil
}

func violation(rule StreamRule, what string) *StreamViolation {
	return &StreamViolation{Rule: rule, What: what}
}

func (k ChunkKind) known() bool {
	switch k {
	case ChunkStart, ChunkMetadata, ChunkTextDelta, ChunkTextFinal, ChunkAudio, ChunkToolCall, ChunkFinal, ChunkError:
		return true
	}
	return false
}

// Known reports whether c is one of the closed set.
func (c OutcomeClass) Known() bool {
	switch c {
	case OutcomeSuccess, OutcomeTimeout, OutcomeOverload, OutcomeBlocked, OutcomeInfrastructureFailure, OutcomeCancelled:
		return true
	}
	return false
}

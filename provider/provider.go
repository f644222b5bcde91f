// SPDX-License-Identifier: Apache-2.0

package provider

import "time"

// Modality is what a provider does.
type Modality string

// The modalities of the contract; others are additive.
const (
	ModalitySTT Modality = "stt"
	ModalityLLM Modality = "llm"
	ModalityTTS Modality = "tts"
)

// Capabilities is what an adapter declares about its engine.
type Capabilities struct {
	Streaming     bool          // delivers results before the call is complete
	Partials      bool          // STT: interim transcripts while the user speaks
	Cancel        bool          // honours cancellation before the call's natural end
	CancelLatency time.Duration // expected, 0 = unknown
	MaxConcurrent int           // calls at a time, 0 = not limited
	MaxInput      int           // LLM: tokens, TTS: characters; 0 = not limited
	SampleRateHz  int           // STT: wanted, TTS: delivered
	Languages     []string      // BCP 47; empty = unspecified
	Voices        []string      // TTS: by the names that calls give; empty = unspecified
	Offline       bool          // needs no network
	Scripted      bool          // answers are scripted and the engine says so
	Tools         bool          // LLM: calls tools; without it the runtime offers none
}

// Descriptor identifies an adapter and what it can do. ID is lower_snake_case and
// unique in an installation, e.g. "pocketsphinx".
type Descriptor struct {
	ID              string
	Modality        Modality
	Model           string
	ContractVersion string
	Capabilities    Capabilities
	// Expected is a model of the engine's speed. Virtual time uses it in place of the
	// clock, so that a run at full speed takes the same decisions twice.
	Expected Latency
}

// ContractVersion is the version of this contract.
const ContractVersion = "v1"

// Latency is a simple model of an engine's speed, in wall time.
type Latency struct {
	First time.Duration // from the call (STT: from Finalize) to the first or only result
	Next  time.Duration // between later chunks
}

// Call is the identity of one attempt of one logical call. Every field but TurnID
// (absent for prelude calls) is required.
type Call struct {
	SessionID       string
	TurnID          string
	PipelineVersion string
	EventID         string
	InvocationID    string
	ProviderID      string
	Modality        Modality
	Attempt         int // from 1
	AuthorityEpoch  int64
	IdempotencyKey  string
	Timeout         time.Duration
}

// ChunkKind is the kind of one element of a stream.
type ChunkKind string

// The chunk kinds.
const (
	ChunkStart     ChunkKind = "start"
	ChunkMetadata  ChunkKind = "metadata"   // of an LLM: it is at work on something that is no text yet
	ChunkTextDelta ChunkKind = "text_delta" // LLM: new text; STT: the whole interim text of the segment
	ChunkTextFinal ChunkKind = "text_final"
	ChunkAudio     ChunkKind = "audio_chunk"
	ChunkToolCall  ChunkKind = "tool_call" // LLM: a complete call of a tool
	ChunkFinal     ChunkKind = "final"
	ChunkError     ChunkKind = "error"
)

// Chunk is one element of a provider's stream.
type Chunk struct {
	Kind       ChunkKind
	Sequence   int     // strictly rising within the call, from 0 at ChunkStart
	Text       string  // text_delta, text_final
	Confidence float64 // STT text_final: 0..1, negative = unknown
	PCM        []int16 // audio_chunk: mono
	SampleRate int     // audio_chunk: Hz
	Words      []Word  // text_final (STT) or metadata (TTS): timing where the engine has it
	Tool       ToolCall
	Usage      Usage   // final
	Outcome    Outcome // final (success) and error
}

// Word is a word with its place in the call's audio, in samples of that audio.
type Word struct {
	Text       string
	Start, End int64
}

// Usage is what a call consumed, where the engine says so.
type Usage struct {
	InputTokens, OutputTokens int
	CachedTokens              int // of InputTokens, what the engine remembered from a call before
	Characters                int
	AudioSamples              int64
}

// Sink receives the chunks of one call, in order.
type Sink func(Chunk)

// SPDX-License-Identifier: Apache-2.0

package provider

import "context"

// STT is a streaming recogniser.
type STT interface {
	Descriptor() Descriptor
	// Open starts recognising one utterance. Chunks go to sink: interim transcripts as
	// text_delta (each replaces the one before), then one text_final after Finalize,
	// then final. Cancelling ctx abandons the utterance.
	Open(ctx context.Context, call Call, config STTConfig, sink Sink) (STTStream, error)
}

// STTConfig is what a recogniser needs to know of the audio.
type STTConfig struct {
	SampleRate int    // Hz
	Language   string // BCP 47, empty = the engine's own
}

// STTStream is one utterance being recognised. It is used by one goroutine.
type STTStream interface {
	// Write feeds audio: mono, signed 16 bit, at STTConfig.SampleRate, any length.
	// The slice is not kept.
	Write(pcm []int16) error
	// Finalize says that the utterance is over: text_final and final follow.
	Finalize() error
	// Close releases the stream; after it the sink is not called. Idempotent.
	Close() error
}

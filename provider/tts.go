// SPDX-License-Identifier: Apache-2.0

package provider

import "context"

// TTS is a streaming synthesiser.
type TTS interface {
	Descriptor() Descriptor
	// Synthesize speaks one segment of text. It blocks until the stream has ended:
	// start, audio_chunk while the engine produces, then final (or error). The returned
	// outcome is the one that the last chunk carried.
	Synthesize(ctx context.Context, call Call, speech Speech, sink Sink) Outcome
}

// Speech is one piece of text to be spoken.
type Speech struct {
	Text     string
	Voice    string  // empty = the engine's default
	Language string  // BCP 47, empty = the voice's own
	Rate     float64 // 1 = normal speed, 0 = unset
}

// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"errors"
	"strings"
)

// Emitter writes one call's stream in good order for an adapter: it numbers the chunks,
// sends start once and drops whatever comes after the end. It is used by one goroutine
// at a time.
type Emitter struct {
	sink    Sink
	next    int
	started bool
	ended   bool
	outcome Outcome
}

// NewEmitter writes to sink.
func NewEmitter(sink Sink) *Emitter { return &Emitter{sink: sink} }

// Start opens the stream; later calls do nothing. Every other method opens it too.
func (e *Emitter) Start() {
	if e.started {
		return
	}
	e.started = true
	e.send(Chunk{Kind: ChunkStart})
}

// TextDelta sends new text (LLM) or the whole interim text (STT).
func (e *Emitter) TextDelta(text string) { e.chunk(Chunk{Kind: ChunkTextDelta, Text: text}) }

// TextFinal sends the frozen text of an utterance; confidence is 0..1, negative for
// unknown; words may be nil.
func (e *Emitter) TextFinal(text string, confidence float64, words []Word) {
	e.chunk(Chunk{Kind: ChunkTextFinal, Text: text, Confidence: confidence, Words: words})
}

// Audio sends mono samples at rate Hz. The slice is the receiver's from here on. No
// samples, no chunk.
func (e *Emitter) Audio(pcm []int16, rate int) {
	if len(pcm) > 0 {
		e.chunk(Chunk{Kind: ChunkAudio, PCM: pcm, SampleRate: rate})
	}
}

// Metadata sends word timing of the speech delivered so far.
func (e *Emitter) Metadata(words []Word) { e.chunk(Chunk{Kind: ChunkMetadata, Words: words}) }

// ToolCall sends a complete call of a tool. No arguments are an empty object, and what a
// model made up for a name is cut to what the contract carries.
func (e *Emitter) ToolCall(name, arguments string) {
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}"
	}
	if name = strings.ToValidUTF8(name, "_"); len(name) > maxCalledName {
		name = strings.ToValidUTF8(name[:maxCalledName], "")
	}
	e.chunk(Chunk{Kind: ChunkToolCall, Tool: ToolCall{Name: name, Arguments: strings.ToValidUTF8(arguments, "\ufffd")}})
}

// Final ends the stream with success and returns the outcome of the stream's last
// chunk, which is another one when the stream had ended before.
func (e *Emitter) Final(usage Usage) Outcome {
	return e.end(Chunk{Kind: ChunkFinal, Usage: usage, Outcome: Outcome{Class: OutcomeSuccess}})
}

// Fail ends the stream with o, which is not a success, and returns the outcome of the
// stream's last chunk as Final does.
func (e *Emitter) Fail(o Outcome) Outcome {
	return e.end(Chunk{Kind: ChunkError, Outcome: o})
}

func (e *Emitter) end(c Chunk) Outcome {
	if !e.ended {
		e.outcome = c.Outcome
		e.chunk(c)
		e.ended = true
	}
	return e.outcome
}

// Ended reports whether Final or Fail has been called.
func (e *Emitter) Ended() bool { return e.ended }

func (e *Emitter) chunk(c Chunk) {
	if e.ended {
		return
	}
	e.Start()
	e.send(c)
}

func (e *Emitter) send(c Chunk) {
	c.Sequence = e.next
	e.next++
	e.sink(c)
}

// ContextOutcome is the outcome of a call that ends because its context did: cancelled,
// or timeout when the deadline passed. err is the context's error or one that wraps it;
// ok is false when it is neither.
func ContextOutcome(err error) (o Outcome, ok bool) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Outcome{Class: OutcomeTimeout, Reason: "deadline_exceeded", Retryable: true}, true
	case errors.Is(err, context.Canceled):
		return Outcome{Class: OutcomeCancelled, Reason: "context_cancelled"}, true
	}
	return Outcome{}, false
}

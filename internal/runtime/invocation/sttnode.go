// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// STTNode is the recogniser of one utterance as a session-scoped node: it opens on
// TypeListen, takes audio, finalises on TypeFinalize and emits transcripts. Its hooks
// may take as long as the engine does; they run on a worker of their own.
type STTNode struct {
	node.NoOp
	calls    *Controller
	engine   provider.STT
	language string

	call     *Call
	stream   provider.STTStream
	revision int64
	last     string
}

// NewSTTNode makes the node of one utterance. language is BCP 47; empty = the engine's.
func NewSTTNode(calls *Controller, engine provider.STT, language string) *STTNode {
	return &STTNode{calls: calls, engine: engine, language: language}
}

// Declaration says what the node is.
func (n *STTNode) Declaration() node.Declaration {
	return providerNode("stt", node.ScopeSession,
		[]node.Type{node.TypeListen, node.TypeAudioChunk, node.TypeFinalize}, []node.Type{node.TypeTranscript}, n.engine.Descriptor())
}

// OnEvent drives the recogniser. What the adapter panics with ends the call, not the
// node.
func (n *STTNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type == node.TypeListen {
		n.open(ctx, ev)
	}
	if ev.Type == node.TypeAudioChunk {
		n.drive(func() error { return n.stream.Write(ev.PCM) })
	}
	if ev.Type == node.TypeFinalize && n.stream != nil {
		n.call.Expect()
		n.drive(func() error { return n.stream.Finalize() })
	}
	return nil
}

func (n *STTNode) open(ctx *node.Context, ev *node.Event) {
	n.call = n.calls.Call(ev.Invocation)
	if n.call == nil {
		return
	}
	sink := n.call.Attach(
		func(at timebase.Instant, c provider.Chunk) { n.heard(ctx, at, c) },
		nil)
	config := provider.STTConfig{SampleRate: timebase.SampleRate, Language: n.language}
	fault := n.call.Guard(func() {
		stream, err := n.engine.Open(n.call.Context(), n.call.identity(), config, sink)
		if err != nil {
			n.call.Fail(provider.OutcomeOf(err))
			return
		}
		n.stream = stream
	})
	if fault != nil {
		n.call.Fail(*fault)
	}
}

// drive runs one step of the recogniser.
func (n *STTNode) drive(step func() error) {
	if n.stream == nil || n.call.Ended() {
		return
	}
	var err error
	if fault := n.call.Guard(func() { err = step() }); fault != nil {
		n.call.Fail(*fault)
		return
	}
	if err != nil {
		n.call.Fail(provider.OutcomeOf(err))
	}
}

// heard passes a transcript on: each interim one replaces the one before, so one that
// says the same says nothing.
func (n *STTNode) heard(ctx *node.Context, at timebase.Instant, c provider.Chunk) {
	final := c.Kind == provider.ChunkTextFinal
	if !final && (c.Kind != provider.ChunkTextDelta || c.Text == n.last) {
		return
	}
	n.last = c.Text
	n.revision++
	ev := node.Event{
		Kind: eventabi.KindText, Type: node.TypeTranscript, Class: eventabi.ClassTextRaw,
		At: node.Instant(at), Invocation: n.call.Request().Invocation, Index: n.revision, Text: c.Text, Final: final,
	}
	if final && c.Confidence >= 0 {
		ev.Attributes = []node.Attribute{{Name: node.AttributeConfidence, Value: decimal(c.Confidence)}}
	}
	ctx.Emit(&ev)
}

// decimal writes a number as attributes have it, with at most six places.
func decimal(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(v, 'f', 6, 64), "0"), ".")
}

// OnCancel abandons the utterance.
func (n *STTNode) OnCancel(*node.Context, node.Cancel) error {
	n.close()
	return nil
}

// Stop releases the recogniser.
func (n *STTNode) Stop(*node.Context) error {
	n.close()
	return nil
}

func (n *STTNode) close() {
	if n.stream == nil {
		if n.call != nil {
			n.call.Returned()
		}
		return
	}
	stream := n.stream
	n.stream = nil
	fault := n.call.Guard(func() {
		if err := stream.Close(); err != nil {
			n.call.Fail(provider.OutcomeOf(err))
		}
	})
	if fault != nil {
		n.call.Fail(*fault)
		return
	}
	n.call.Returned()
}

// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"context"
	"fmt"
	"sync"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/provider"
)

// TTSNode is the synthesiser as a turn-scoped node: segments in, chunks of audio out.
// It speaks one segment at a time, in order.
type TTSNode struct {
	node.NoOp
	calls   *Controller
	engines []provider.TTS // by the candidate that a call is for
	config  TTSConfig

	mu      sync.Mutex
	plain   bool // segments are asked for without wishes
	waiting []job
	busy    bool
	dropped bool // barge-in: nothing of what is buffered goes out
}

type job struct {
	call *Call
	text string
}

// TTSConfig is how the session's segments are spoken. Voice is a name of the preferred
// engine's; another one speaks in its own.
type TTSConfig struct {
	Voice    string
	Language string
	Rate     float64
}

// maxWaiting bounds the segments that wait; the kernel asks for one at a time.
const maxWaiting = 16

// NewTTSNode makes the node of one turn, over the candidates in their order.
func NewTTSNode(calls *Controller, engines []provider.TTS, c TTSConfig) *TTSNode {
	return &TTSNode{calls: calls, engines: engines, config: c}
}

// Plain has the segments that follow asked for without wishes of style: in the voice and at
// the speed that the engine has by itself (turn-plan section 7, simplify_tts). The language
// is no matter of style.
func (n *TTSNode) Plain() {
	n.mu.Lock()
	n.plain = true
	n.mu.Unlock()
}

// Wish has the segments that follow spoken in another voice, another language, or both.
func (n *TTSNode) Wish(voice, language string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if voice != "" {
		n.config.Voice = voice
	}
	if language != "" {
		n.config.Language = language
	}
}

// Styled says whether there are wishes that a plain request leaves out.
func (c TTSConfig) Styled() bool { return c.Voice != "" || c.Rate != 0 }

// speech is a segment as a candidate is asked for it.
func (n *TTSNode) speech(text string, candidate int64) provider.Speech {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := provider.Speech{Text: text, Language: n.config.Language}
	if !n.plain {
		s.Rate = n.config.Rate
	}
	if !n.plain && candidate == 0 {
		s.Voice = n.config.Voice
	}
	return s
}

// Declaration says what the node is.
func (n *TTSNode) Declaration() node.Declaration {
	return providerNode("tts", node.ScopeTurn,
		[]node.Type{node.TypeSegment}, []node.Type{node.TypeAudioChunk, node.TypeAudioEnd}, n.engines[0].Descriptor())
}

// OnEvent takes a segment to speak.
func (n *TTSNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type != node.TypeSegment {
		return nil
	}
	call := n.calls.Call(ev.Invocation)
	if call == nil {
		return nil
	}
	n.mu.Lock()
	full := len(n.waiting) >= maxWaiting
	if !full {
		n.waiting = append(n.waiting, job{call: call, text: ev.Text})
	}
	n.mu.Unlock()
	if full {
		call.Fail(provider.Outcome{Class: provider.OutcomeOverload, Reason: "too_many_segments"})
		return nil
	}
	n.next(ctx)
	return nil
}

// next starts the oldest segment that waits, unless one is being spoken.
func (n *TTSNode) next(ctx *node.Context) {
	n.mu.Lock()
	if n.busy || len(n.waiting) == 0 {
		n.mu.Unlock()
		return
	}
	j := n.waiting[0]
	n.waiting = append(n.waiting[:0], n.waiting[1:]...)
	n.busy = true
	n.mu.Unlock()
	n.speak(ctx, j)
}

func (n *TTSNode) speak(ctx *node.Context, j job) {
	pieces := &coalescer{}
	id := j.call.Request().Invocation
	emit := func(at timebase.Instant, pcm []int16) {
		if len(pcm) == 0 || n.silenced() {
			return
		}
		ctx.Emit(&node.Event{
			Kind: eventabi.KindAudio, Type: node.TypeAudioChunk, Class: eventabi.ClassAudioRaw,
			At: node.Instant(at), Invocation: id, Index: pieces.count, PCM: pcm,
		})
		pieces.count++
	}
	candidate := j.call.Request().Candidate
	engine, speech := n.engines[candidate], n.speech(j.text, candidate)
	j.call.Run(
		func(c context.Context, identity provider.Call, sink provider.Sink) provider.Outcome {
			return engine.Synthesize(c, identity, speech, sink)
		},
		func(at timebase.Instant, c provider.Chunk) {
			if c.Kind != provider.ChunkAudio {
				return
			}
			if c.SampleRate != timebase.SampleRate {
				j.call.Fail(provider.Outcome{
					Class: provider.OutcomeInfrastructureFailure, Reason: "sample_rate_unsupported",
					Detail: fmt.Sprintf("the adapter delivers %d Hz, a session has %d Hz", c.SampleRate, timebase.SampleRate),
				})
				return
			}
			pieces.add(c.PCM)
			for pcm := pieces.next(); pcm != nil; pcm = pieces.next() {
				emit(at, pcm)
			}
		},
		func(at timebase.Instant, o provider.Outcome) {
			if o.Class == provider.OutcomeSuccess {
				emit(at, pieces.rest())
			}
			n.mu.Lock()
			n.busy = false
			n.mu.Unlock()
			n.next(ctx)
		})
}

func (n *TTSNode) silenced() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

// OnBargeIn drops the buffered synthesis and what waits to be spoken.
func (n *TTSNode) OnBargeIn(*node.Context) error {
	n.drop("barge_in")
	return nil
}

// OnCancel stops what runs and drops what waits.
func (n *TTSNode) OnCancel(_ *node.Context, c node.Cancel) error {
	n.drop(c.Reason)
	return nil
}

func (n *TTSNode) drop(reason string) {
	n.mu.Lock()
	waiting := n.waiting
	n.waiting = nil
	n.dropped = true
	n.mu.Unlock()
	for _, j := range waiting {
		j.call.Fail(cancelled(reason))
	}
}

// coalescer gathers the small pieces of a synthesiser: the first chunk leaves as soon
// as it is worth a hand-over, later ones are longer, so that a reply is a few chunks a
// second and not fifty.
type coalescer struct {
	pcm   []int16
	more  []int16 // behind it, the piece that came last
	count int64
}

const (
	firstChunk = timebase.SampleRate * 40 / 1000
	laterChunk = timebase.SampleRate * turn.SpeechChunkMS / 1000
)

// add takes a piece. It is the coalescer's.
func (c *coalescer) add(pcm []int16) {
	if len(c.pcm) == 0 {
		c.pcm = pcm
	} else {
		c.join()
		c.more = pcm
	}
}

// join has what there is in one piece.
func (c *coalescer) join() {
	if len(c.more) > 0 {
		c.pcm, c.more = append(c.pcm, c.more...), nil
	}
}

// next gives a chunk when there is one, of laterChunk at most: the bounds of the edge that it
// goes to are held against that.
func (c *coalescer) next() []int16 {
	want := laterChunk
	if c.count == 0 {
		want = firstChunk
	}
	all := len(c.pcm) + len(c.more)
	if all < want {
		c.join()
		return nil
	}
	n := min(all, laterChunk)
	if len(c.pcm) < n { // what is behind the chunk is not copied
		out := append(make([]int16, 0, n), c.pcm...)
		used := n - len(out)
		out = append(out, c.more[:used]...)
		c.pcm, c.more = c.more[used:], nil
		return out
	}
	out := c.pcm[:n:n]
	c.pcm = c.pcm[n:]
	return out
}

// rest gives what has not left.
func (c *coalescer) rest() []int16 {
	c.join()
	out := c.pcm
	c.pcm = nil
	return out
}

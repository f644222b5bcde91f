// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Prober gives the probability that a frame holds speech; *Detector is one.
type Prober interface {
	Probability(frame *[FrameSamples]int16) float32
	Reset()
}

// QuickProber is a Prober that says whether it takes next to no time, a few microseconds a
// frame: one that looks at energy, not a network. The node is declared inline then.
type QuickProber interface {
	Prober
	Quick() bool
}

// EndpointNode is the endpointer as a session-scoped node: caller audio in, starts,
// stops and ends of utterances out. It cuts the audio into frames of 32 ms whatever the
// size of the pieces that come.
type EndpointNode struct {
	node.NoOp
	prober  Prober
	machine *Endpointer
	frame   [FrameSamples]int16
	filled  int
	next    int64 // position of the next sample
	out     node.Event
}

// NewEndpointNode makes the node of one session. The prober is the node's alone.
func NewEndpointNode(p Prober, c EndpointerConfig) (*EndpointNode, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &EndpointNode{prober: p, machine: NewEndpointer(c)}, nil
}

// Declaration says what the node is.
func (n *EndpointNode) Declaration() node.Declaration {
	quick, ok := n.prober.(QuickProber)
	return node.Declaration{
		Type:      "endpointer",
		Package:   "node/vad",
		Version:   "v1",
		Inputs:    []node.Type{node.TypeAudioChunk},
		Outputs:   []node.Type{node.TypeVoiceOn, node.TypeVoiceOff, node.TypeEndOfUtterance},
		Streaming: node.StreamIncremental,
		Scope:     node.ScopeSession,
		Class:     node.Preemptible,
		Mode:      node.CancelHard,
		Resources: node.Resources{CPUUnits: 30, MemoryMB: 1},
		State:     []node.StateClass{node.StateHot},
		Inline:    ok && quick.Quick(),
	}
}

// OnEvent takes audio. A gap in the positions starts the detector anew.
func (n *EndpointNode) OnEvent(ctx *node.Context, ev *node.Event) error {
	if ev.Type != node.TypeAudioChunk {
		return nil
	}
	if ev.Sample != n.next {
		n.filled, n.next = 0, ev.Sample
		n.machine.Skip(ev.Sample)
		n.prober.Reset()
	}
	n.next += int64(len(ev.PCM))
	for pcm := ev.PCM; len(pcm) > 0; {
		took := copy(n.frame[n.filled:], pcm)
		pcm = pcm[took:]
		if n.filled += took; n.filled < FrameSamples {
			return nil
		}
		n.filled = 0
		n.judge(ctx, ev)
	}
	return nil
}

func (n *EndpointNode) judge(ctx *node.Context, ev *node.Event) {
	voice, at := n.machine.Push(n.prober.Probability(&n.frame))
	var what node.Type
	switch voice {
	case VoiceNothing:
		return
	case VoiceOn:
		what = node.TypeVoiceOn
	case VoiceOff:
		what = node.TypeVoiceOff
	case VoiceEnd:
		what = node.TypeEndOfUtterance
	}
	n.out = node.Event{
		Kind:   eventabi.KindControl,
		Type:   what,
		Class:  eventabi.ClassMetadata,
		At:     ev.At,
		Sample: at,
		Heard:  n.machine.Heard(),
	}
	ctx.Emit(&n.out)
}

// OnBargeIn has nothing to drop: what the caller says goes on being heard.
func (n *EndpointNode) OnBargeIn(*node.Context) error { return nil }

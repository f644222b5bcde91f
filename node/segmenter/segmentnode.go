// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// Node is the segmenter as a turn-scoped node: text as the model streams it in,
// speakable segments out. It passes the end of the text on behind the last segment.
type Node struct {
	node.NoOp
	config Config
	cutter *Segmenter
	call   eventabi.InvocationID
	class  eventabi.PayloadClass
	index  int64
}

// NewNode makes the node of one turn.
func NewNode(c Config) (*Node, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Node{config: c, cutter: New(c)}, nil
}

// Declaration says what the node is.
func (n *Node) Declaration() node.Declaration {
	return node.Declaration{
		Type:      "segmenter",
		Package:   "node/segmenter",
		Version:   "v1",
		Inputs:    []node.Type{node.TypeTextStart, node.TypeTextDelta, node.TypeTextEnd, node.TypeTaken, node.TypeTimer},
		Outputs:   []node.Type{node.TypeSegment, node.TypeTextEnd},
		Streaming: node.StreamIncremental,
		Scope:     node.ScopeTurn,
		Class:     node.Preemptible,
		Mode:      node.CancelHard,
		Resources: node.Resources{CPUUnits: 1, MemoryMB: 1},
		State:     []node.StateClass{node.StateTurn},
	}
}

// OnEvent takes text, the passing of time, and the word that there is room again.
func (n *Node) OnEvent(ctx *node.Context, ev *node.Event) error {
	at := time.Duration(ev.At)
	if ev.Type == node.TypeTextStart {
		n.cutter, n.index = New(n.config), 0
	}
	if ev.Kind == eventabi.KindText {
		n.call, n.class = ev.Invocation, ev.Class
	}
	n.emit(ctx, n.cut(ev, at), ev.At)
	if ev.Type == node.TypeTextEnd {
		ctx.Emit(ev)
	}
	if due, ok := n.cutter.NextDeadline(); ok {
		ctx.Timebase.WakeAt(node.Instant(due))
	} else {
		ctx.Timebase.WakeAt(node.Never)
	}
	return nil
}

// cut gives what can leave because of an event.
func (n *Node) cut(ev *node.Event, at time.Duration) []Segment {
	if ev.Type == node.TypeTextDelta {
		return n.cutter.Push(ev.Text, at)
	}
	if ev.Type == node.TypeTaken {
		return n.cutter.Done(at)
	}
	if ev.Type == node.TypeTextEnd {
		return n.cutter.Flush()
	}
	return n.cutter.Tick(at)
}

// emit hands segments on. One without anything to speak is left out: it can only be the
// last of a reply.
func (n *Node) emit(ctx *node.Context, list []Segment, at node.Instant) {
	for _, g := range list {
		if !g.Speakable() {
			continue
		}
		ctx.Emit(&node.Event{
			Kind:       eventabi.KindText,
			Type:       node.TypeSegment,
			Class:      n.class,
			At:         at,
			Invocation: n.call,
			Index:      n.index,
			Text:       g.Text,
		})
		n.index++
	}
}

// OnCancel drops what is left of the reply.
func (n *Node) OnCancel(ctx *node.Context, _ node.Cancel) error {
	n.cutter = New(n.config)
	ctx.Timebase.WakeAt(node.Never)
	return nil
}

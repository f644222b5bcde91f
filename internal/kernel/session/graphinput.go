// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// GraphNode declares a node of the session's graph. Nodes and edges come before the
// bootstrap, and together they are the definition that it compiles; a session without any
// has the voice graph of its profile.
type GraphNode struct {
	Node graph.Node
	// Provider serves a model or a synthesiser, and Second when that has failed; empty = what
	// serves the modality in this session.
	Provider, Second string
	// Line is what a responder says.
	Line TextRef
	// Config is a digest of what the node is given outside the kernel: a part of what the
	// graph is.
	Config string
}

// GraphEdge declares an edge of the session's graph.
type GraphEdge struct{ Edge graph.Edge }

// NodeOutput is what a node of the graph gives for the item that it was handed. Content
// stays outside, by handle.
type NodeOutput struct {
	Node       eventabi.NodeID
	Turn       eventabi.TurnID
	Item       int64 // of the Work that it answers
	Index      int64 // from 0, rising by one for each item
	Type       string
	Text       TextRef
	Protected  bool // output that may not be interrupted
	Attributes []graph.Attribute
}

// NodeDone says that a node has given everything that it gives for an item.
type NodeDone struct {
	Node eventabi.NodeID
	Turn eventabi.TurnID
	Item int64
}

// Work hands an item to a node of the graph, one at a time. The answers are NodeOutputs and
// one NodeDone, or a NodeFailed.
type Work struct {
	Turn       eventabi.TurnID
	Node       eventabi.NodeID
	Item       int64 // its number in the session, from 1
	Type       string
	Text       int64 // handle, 0 = it has no content
	Index      int64 // of a segment: its number in the reply
	BudgetMS   int64 // that the node has for it
	Protected  bool
	Attributes []graph.Attribute
}

// Place puts a piece that has come through the graph into the turn's reply. Without a graph
// the pieces are the model's segments.
type Place struct {
	Turn    eventabi.TurnID
	Segment int64 // its place in the reply
	Text    int64 // handle
}

func (in *GraphNode) code(c *coder) {
	n := &in.Node
	str(c, "id", &n.ID)
	str(c, "type", &n.Type)
	str(c, "version", &n.Version)
	str(c, "role", &n.Role)
	str(c, "scope", &n.Scope)
	texts(c, "input", &n.Inputs)
	texts(c, "output", &n.Outputs)
	str(c, "merge", &n.Merge)
	str(c, "fallback_of", &n.FallbackOf)
	texts(c, "fallback_on", &n.FallbackOn)
	num(c, "budget_ms", &n.BudgetMS)
	boolean(c, "prelude", &n.Prelude)
	str(c, "provider", &in.Provider)
	str(c, "second", &in.Second)
	num(c, "line", &in.Line.Handle)
	num(c, "line_runes", &in.Line.Runes)
	num(c, "line_words", &in.Line.Words)
	num(c, "line_class", &in.Line.Class)
	word(c, "line_hash", &in.Line.Digest)
	str(c, "config", &in.Config)
}

func (in *GraphEdge) code(c *coder) {
	e := &in.Edge
	str(c, "id", &e.ID)
	str(c, "from", &e.From)
	str(c, "to", &e.To)
	texts(c, "event", &e.Events)
	codeTests(c, &e.When)
	num(c, "rank", &e.Rank)
	num(c, "room", &e.Room)
}

func (in *NodeOutput) code(c *coder) {
	str(c, "node", &in.Node)
	str(c, "turn", &in.Turn)
	num(c, "item", &in.Item)
	num(c, "index", &in.Index)
	str(c, "type", &in.Type)
	in.Text.code(c)
	boolean(c, "protected", &in.Protected)
	codeAttributes(c, &in.Attributes)
}

func (in *NodeDone) code(c *coder) {
	str(c, "node", &in.Node)
	str(c, "turn", &in.Turn)
	num(c, "item", &in.Item)
}

func (e *Work) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "node", &e.Node)
	num(c, "item", &e.Item)
	str(c, "type", &e.Type)
	num(c, "text", &e.Text)
	num(c, "index", &e.Index)
	num(c, "budget_ms", &e.BudgetMS)
	boolean(c, "protected", &e.Protected)
	codeAttributes(c, &e.Attributes)
}

func (e *Place) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "segment", &e.Segment)
	num(c, "text", &e.Text)
}

// kept copies a node's declaration, which belongs to whoever gave it.
func (in *GraphNode) kept() GraphNode {
	k := *in
	k.Node.Inputs, k.Node.Outputs = slices.Clone(in.Node.Inputs), slices.Clone(in.Node.Outputs)
	k.Node.FallbackOn = slices.Clone(in.Node.FallbackOn)
	return k
}

// kept copies an edge's declaration.
func (in *GraphEdge) kept() graph.Edge {
	k := in.Edge
	k.Events, k.When = slices.Clone(k.Events), slices.Clone(k.When)
	return k
}

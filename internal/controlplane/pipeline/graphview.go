// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Declared says whether the documents declare a graph; otherwise it is the voice graph.
func (e *Effective) Declared() bool { return e.declared != nil }

// About are the name and the version of the pipeline, empty where the spec gives none.
func (e *Effective) About() (name, version string) {
	return e.values["pipeline"].text, e.values["version"].text
}

// Nodes lists the nodes of the graph, modules expanded, sorted by id.
func (e *Effective) Nodes() []GraphNode {
	if e.declared != nil {
		return slices.Clone(e.declared.nodes)
	}
	var out []GraphNode
	for _, n := range [...]struct{ id, typ string }{
		{"caller", "caller"}, {"endpointer", "vad"}, {"llm", "llm"}, {"segmenter", "segmenter"}, {"speaker", "speaker"}, {"stt", "stt"}, {"tts", "tts"},
	} {
		t, _ := nodeType(n.typ)
		out = append(out, GraphNode{Node: graph.Node{
			ID: eventabi.NodeID(n.id), Type: t.Name, Role: t.Role, Scope: t.Scope, Inputs: t.Inputs, Outputs: t.Outputs,
			Prelude: t.Role == graph.RoleDetector || t.Role == graph.RoleRecogniser,
		}})
	}
	return out
}

// Graph is the graph in force: what the documents declare, with their modules expanded, or
// the voice graph. Names, labels and comments of the spec are no part of it (F-082).
func (e *Effective) Graph() graph.Definition {
	var d graph.Definition
	for _, n := range e.Nodes() {
		d.Nodes = append(d.Nodes, n.Node)
	}
	if e.declared != nil {
		d.Edges = slices.Clone(e.declared.edges)
		return d
	}
	for _, v := range [...]struct {
		id       eventabi.EdgeID
		from, to eventabi.NodeID
	}{
		{"llm-segmenter", "llm", "segmenter"},
		{turn.EdgeLLMTTS, "segmenter", "tts"},
		{turn.EdgeSTTLLM, "stt", "llm"},
		{turn.EdgeTransportSTT, "caller", "stt"},
		{turn.EdgeTransportVAD, "caller", "endpointer"},
		{turn.EdgeTTSTransport, "tts", "speaker"},
	} {
		d.Edges = append(d.Edges, graph.Edge{ID: v.id, From: v.from, To: v.to})
	}
	return d
}

// Beside says of a node that it works beside the turn: it reads along and may be slow.
func (n *GraphNode) Beside() bool { return beside(n) }

// Text reads a text field of a node's config; empty = it has none of that name.
func (e *Effective) Text(id eventabi.NodeID, field string) string {
	v := e.values[join("nodes", string(id), "config", field)]
	if v.kind != textSetting {
		return ""
	}
	return v.text
}

// Number reads a number of a node's config.
func (e *Effective) Number(id eventabi.NodeID, field string) (text string, given bool) {
	v, given := e.values[join("nodes", string(id), "config", field)]
	return v.text, given && v.kind == rawSetting
}

// Candidates are the engines that a node names, the preferred one first; none = the session's.
func (e *Effective) Candidates(id eventabi.NodeID) []string {
	if one := e.Text(id, "provider"); one != "" {
		return []string{one}
	}
	return stringList(e.values[join("nodes", string(id), "config", "candidates")])
}

// SourceOf is where a value came from; of something that holds values, where the first did.
func (e *Effective) SourceOf(path string) Source {
	if v, ok := e.values[path]; ok {
		return v.source
	}
	return firstSource(e.values.below(strings.TrimSuffix(path, ".")))
}

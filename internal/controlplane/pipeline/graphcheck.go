// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
)

// maxGraphEdges is how many edges a session's graph may have.
const maxGraphEdges = 64

// A zone is the part of a turn's way in which a node stands:
//
//	recogniser --words--> model --> segmenter --reply--> synthesiser --> speaker
//
// Work nodes, selects and merges stand among the words or in the reply.
type zone uint8

const (
	zoneNone  zone = iota
	zoneWords      // between the recogniser and the models
	zoneReply      // between the segmenter and the synthesisers
)

// runs refuses what is a graph, and none that a session can run.
func (w *work) runs() {
	w.complete()
	zones := map[string]zone{}
	for moved := true; moved; { // carry the zones along the edges
		moved = false
		for i := range w.declared.edges {
			e := &w.declared.edges[i]
			z := zones[string(e.From)]
			switch w.declared.node(string(e.From)).Role {
			case graph.RoleRecogniser:
				z = zoneWords
			case graph.RoleSegmenter:
				z = zoneReply
			}
			if to := w.declared.node(string(e.To)); between(to) && z != zoneNone && zones[string(e.To)] == zoneNone {
				zones[string(e.To)], moved = z, true
			}
		}
		for i := range w.declared.nodes {
			n := &w.declared.nodes[i]
			if of := zones[string(n.FallbackOf)]; n.FallbackOf != "" && zones[string(n.ID)] == zoneNone && of != zoneNone {
				zones[string(n.ID)], moved = of, true
			}
		}
	}
	for i := range w.declared.edges {
		w.mayRun(&w.declared.edges[i], zones)
	}
}

// between says of a node that it stands where texts go along: it is no engine.
func between(n *GraphNode) bool {
	return n.Role == graph.RoleWork && !beside(n) || n.Role == graph.RoleMerge || n.Role == graph.RoleSelect
}

// complete wants the parts without which there is no conversation, and of some only one.
func (w *work) complete() {
	for _, part := range [...]struct {
		role       graph.Role
		what       string
		many, none bool
	}{
		{role: graph.RoleCaller, what: "caller"},
		{role: graph.RoleDetector, what: "vad", none: true},
		{role: graph.RoleRecogniser, what: "stt"},
		{role: graph.RoleModel, what: "llm", many: true},
		{role: graph.RoleSegmenter, what: "segmenter"},
		{role: graph.RoleSynthesiser, what: "tts", many: true},
		{role: graph.RoleSpeaker, what: "speaker"},
		{role: graph.RoleDeadLetter, what: "dead_letter", none: true},
		{role: graph.RoleResponder, what: "error_responder", none: true},
	} {
		var of []*GraphNode
		for i := range w.declared.nodes {
			if n := &w.declared.nodes[i]; n.Role == part.role {
				of = append(of, n)
			}
		}
		switch {
		case len(of) == 0 && !part.none && !w.lost(part.what):
			w.fault(firstSource(w.given.below("nodes")), "nodes", CodeIncomplete, "", "have none of the type %s; a conversation needs one: add it, and the edges to and from it", part.what)
		case len(of) > 1 && !part.many:
			path := join("nodes", string(of[1].ID)) + ".type"
			w.fault(w.given[path].source, path, CodeCannotRun, quote(part.what), "is %s, as is that of %s; a session has one: leave one out", part.what, of[0].ID)
		}
	}
}

// lost says that a node may well be of a type: one that has a fault of its own was not taken.
func (w *work) lost(string) bool {
	return slices.ContainsFunc(w.faults, func(f Fault) bool {
		return !f.Warning && (f.Code == CodeNodeType || f.Code == CodeModule || f.Code == CodeModuleVersion || strings.HasPrefix(f.Path, "nodes.") && strings.HasSuffix(f.Path, ".type"))
	})
}

// mayRun refuses an edge that leads to where its items cannot go.
func (w *work) mayRun(e *graph.Edge, zones map[string]zone) {
	from, to := w.declared.node(string(e.From)), w.declared.node(string(e.To))
	path := join("edges", string(e.ID)) + ".to"
	refuse := func(format string, args ...any) {
		if slices.ContainsFunc(w.faults, func(f Fault) bool { return f.Path == path && !f.Warning }) {
			return // what is wrong with it is told
		}
		v := w.given[path]
		w.fault(v.source, path, CodeCannotRun, quote(v.text), "is %s, a node of the type %s; "+format, append([]any{e.To, to.Type}, args...)...)
	}
	if to.Role == graph.RoleDeadLetter {
		return
	}
	if beside(to) {
		if w.declared.queueOf(e).from == "" {
			refuse("it works beside the turn and reads along behind an stt node, a segmenter or another of its kind: lead the edge there, or give it a type of scope turn")
		}
		return
	}
	if beside(from) {
		refuse("but %s works beside the turn, and what it gives goes to others of its kind only", e.From)
		return
	}
	switch from.Role {
	case graph.RoleCaller:
		if to.Role != graph.RoleDetector && to.Role != graph.RoleRecogniser {
			refuse("the caller's sound goes to a vad and an stt node only")
		}
	case graph.RoleModel:
		if to.Role != graph.RoleSegmenter {
			refuse("a model's text goes to the segmenter only: change it behind that, piece by piece")
		}
	case graph.RoleSynthesiser:
		if to.Role != graph.RoleSpeaker {
			refuse("what a tts node says goes to the speaker only")
		}
	case graph.RoleDetector, graph.RoleSpeaker, graph.RoleResponder, graph.RoleDeadLetter:
		refuse("what comes out of %s goes to the runtime and along no edge: leave the edge out", e.From)
	default:
		w.mayFollow(e, from, to, zones, refuse)
	}
}

// mayFollow is mayRun behind the recogniser, the segmenter, and what stands between.
func (w *work) mayFollow(e *graph.Edge, from, to *GraphNode, zones map[string]zone, refuse func(string, ...any)) {
	z := zones[string(e.From)]
	switch from.Role {
	case graph.RoleRecogniser:
		z = zoneWords
	case graph.RoleSegmenter:
		z = zoneReply
	}
	switch {
	case to.Role == graph.RoleModel:
		if z == zoneReply {
			refuse("but what comes along is the agent's reply: only what the caller said leads to a model")
		}
	case to.Role == graph.RoleSynthesiser:
		if z == zoneWords {
			refuse("but what comes along is what the caller said: lead it to an llm node, or give the reply to it")
		}
	case between(to):
		if z != zoneNone && zones[string(e.To)] != z {
			refuse("but it takes what the caller said and the agent's reply at once; give each a node of its own")
		}
	default:
		refuse("text does not go there: what the caller said goes to an llm node, a reply to a tts node")
	}
}

// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
)

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
			z := zoneBehind(w.declared.node(string(e.From)), zones)
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
	w.hearing()
}

// kernel asks the kernel, which has the last word on what it runs.
func (w *work) kernel() {
	w.compile()
	if Refused(w.faults) {
		return
	}
	var in []session.Input
	for i := range w.declared.nodes {
		n := &session.GraphNode{Node: w.declared.nodes[i].Node}
		if n.Node.Role == graph.RoleResponder {
			n.Line = session.TextRef{Handle: 1, Runes: 1, Words: 1, Class: session.TextWords}
		}
		in = append(in, n)
	}
	for i := range w.declared.edges {
		in = append(in, &session.GraphEdge{Edge: w.declared.edges[i]})
	}
	if why := session.CheckGraph(in); why != "" {
		w.fault(firstSource(w.given.below("nodes")), "nodes", CodeCannotRun, quote(why), "are a graph that the kernel does not run: %s", why)
	}
}

// compile has the kernel look for defects. Of what has a fault already it says nothing new.
func (w *work) compile() {
	var d graph.Definition
	for i := range w.declared.nodes {
		d.Nodes = append(d.Nodes, w.declared.nodes[i].Node)
	}
	d.Edges = w.declared.edges
	_, found := graph.Compile(d)
	told := len(w.faults)
	circle := slices.ContainsFunc(w.faults, func(f Fault) bool { return f.Code == CodeCircle })
	prelude := slices.ContainsFunc(w.faults, func(f Fault) bool { return f.Code == CodePreludeScope || f.Code == CodeTwoPreludes })
	broken := w.lost() || slices.ContainsFunc(w.unfit, func(path string) bool { return strings.HasPrefix(path, "edges.") })
	for i := range found {
		f := &found[i]
		if f.Code == graph.CodePrelude && prelude || circle && (f.Code == graph.CodeCycle || f.Code == graph.CodeTwoAnswers || f.Code == graph.CodePrelude) || len(w.declared.unknown) > 0 && f.Code == graph.CodeTypes {
			continue // which follows from what is told
		}
		path, source := w.placeOf(f.Path)
		owner := ownerOf(path)
		if _, id := head(owner); f.Code == graph.CodeUnreachable && (beside(w.declared.node(id)) || broken) {
			continue // what reads along need not give anything on; and what is missing may be why nothing is reached
		}
		if slices.ContainsFunc(w.faults[:told], func(t Fault) bool {
			return ownerOf(t.Path) == owner && (!t.Warning || f.Severity == graph.Warning) || owner == "" && !t.Warning
		}) {
			continue
		}
		hint := ""
		if len(f.Candidates) > 0 {
			hint = didYouMean(f.Value, f.Candidates)
		}
		made := fault(source, path, compiledCode(f.Code), quote(f.Value), "is %s: %s%s", quote(f.Value), f.Message, hint)
		if path == owner { // of the node or the edge as a whole, not of a value
			_, id := head(path)
			made.Message = id + ": " + f.Message + hint
		}
		made.Warning = f.Severity == graph.Warning
		w.faults = append(w.faults, made)
	}
}

// ownerOf is the node or the edge that a path is of; empty = the graph as a whole.
func ownerOf(path string) string {
	section, rest := head(path)
	id, _ := head(rest)
	if id == "" || section != "nodes" && section != "edges" {
		return ""
	}
	return section + "." + id
}

// placeOf finds where the field of a definition stands in the documents.
func (w *work) placeOf(path string) (string, Source) {
	if v, ok := w.given[path]; ok {
		return path, v.source
	}
	owner := ownerOf(path)
	if owner == "" {
		section, _ := head(path)
		return section, firstSource(w.given.below(section))
	}
	for _, field := range [...]string{".type", ".to"} {
		if v, ok := w.given[owner+field]; ok {
			return owner, v.source
		}
	}
	return owner, firstSource(w.given.below(owner))
}

// compiledCode is the code of a fault that the kernel found.
func compiledCode(c graph.Code) string {
	switch c {
	case graph.CodeCycle:
		return CodeCircle
	case graph.CodeTypes:
		return CodeTypes
	case graph.CodeCondition:
		return CodeCondition
	case graph.CodeUncovered:
		return CodeNoDefault
	case graph.CodeUnreachable:
		return CodeDangling
	case graph.CodeFallback, graph.CodeTrigger:
		return CodeFallback
	case graph.CodePrelude:
		return CodeTwoPreludes
	case graph.CodeTwoAnswers:
		return CodeTwoAnswers
	case graph.CodeIncomplete:
		return CodeIncomplete
	case graph.CodeMergeInputs:
		return CodeMergeInputs
	case graph.CodeUnknownNode:
		return CodeNoNode
	case graph.CodeScope:
		return CodeScope
	case graph.CodeBounds:
		return CodeTooManyNodes
	case graph.CodeID, graph.CodeRole, graph.CodeBudget, graph.CodeMergeRule:
	}
	return CodeCannotRun
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
		case len(of) == 0 && !part.none && !w.lost():
			w.fault(firstSource(w.given.below("nodes")), "nodes", CodeIncomplete, "", "have none of the type %s; a conversation needs one: add it, and the edges to and from it", part.what)
		case len(of) > 1 && !part.many:
			path := join("nodes", string(of[1].ID)) + ".type"
			w.fault(w.given[path].source, path, CodeCannotRun, quote(part.what), "is %s, as is that of %s; a session has one: leave one out", part.what, of[0].ID)
		}
	}
}

// lost says that a node may well be of a type: one that has a fault of its own was not taken.
func (w *work) lost() bool {
	return slices.ContainsFunc(w.unfit, func(path string) bool {
		section, rest := head(path)
		id, field := head(rest)
		return section == "nodes" && id != "" && field == ""
	}) || slices.ContainsFunc(w.faults, func(f Fault) bool {
		switch f.Code {
		case CodeNodeType, CodeModule, CodeModuleVersion, CodeModuleCycle, CodeModuleDepth:
			return true
		}
		return strings.HasPrefix(f.Path, "nodes.") && strings.HasSuffix(f.Path, ".type") && f.Code != CodeCannotRun
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
	switch {
	case w.declared.hears(from) || w.declared.hears(to) || from.Role == graph.RoleCaller:
		w.mayHear(from, to, refuse)
		return
	case w.declared.speaks(from) || w.declared.speaks(to) || from.Role == graph.RoleSynthesiser:
		w.maySpeak(from, to, refuse)
		return
	}
	if beside(to) {
		if w.declared.queueOf(e).from == "" {
			refuse("it works beside the turn and reads along behind an stt node, a segmenter or another of its kind: lead the edge there, or give it a type of scope turn")
		}
		return
	}
	if beside(from) {
		refuse("%s works beside the turn, and what it gives goes to others of its kind only", e.From)
		return
	}
	switch role := from.Role; {
	case role == graph.RoleModel:
		if to.Role != graph.RoleSegmenter {
			refuse("a model's text goes to the segmenter only: change it behind that, piece by piece")
		}
	case role == graph.RoleDetector, role == graph.RoleSpeaker, role == graph.RoleResponder, role == graph.RoleDeadLetter:
		refuse("what comes out of %s goes to the runtime and along no edge: leave the edge out", e.From)
	default:
		w.mayFollow(e, from, to, zones, refuse)
	}
}

// zoneBehind is where things are that a node gives.
func zoneBehind(from *GraphNode, zones map[string]zone) zone {
	if from.Role == graph.RoleRecogniser {
		return zoneWords
	}
	if from.Role == graph.RoleSegmenter {
		return zoneReply
	}
	return zones[string(from.ID)]
}

// mayFollow is mayRun behind the recogniser, the segmenter, and what stands between.
func (w *work) mayFollow(e *graph.Edge, from, to *GraphNode, zones map[string]zone, refuse func(string, ...any)) {
	z := zoneBehind(from, zones)
	switch {
	case to.Role == graph.RoleModel:
		if z == zoneReply {
			refuse("what comes along is the agent's reply: only what the caller said leads to a model")
		}
	case to.Role == graph.RoleSynthesiser:
		if z == zoneWords {
			refuse("what comes along is what the caller said: lead it to an llm node, or give the reply to it")
		}
	case between(to):
		if z != zoneNone && zones[string(e.To)] != z {
			refuse("it takes what the caller said and the agent's reply at once; give each a node of its own")
		}
	default:
		refuse("text does not go there: what the caller said goes to an llm node, a reply to a tts node")
	}
}

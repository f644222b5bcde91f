// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// queue says where what goes along an edge of a declared graph waits.
type queue struct {
	// id is the edge under which the kernel keeps the queue: one of the voice graph, or of a
	// node beside the turn the edge itself. Empty = it has none: what comes out of the node in
	// front is handed to the one behind.
	id eventabi.EdgeID
	// from is who offers to an edge beside the turn, as the kernel names it.
	from string
}

// beside says of a node that it works beside the turns: it reads along and may be slow.
func beside(n *GraphNode) bool {
	return n != nil && n.Role == graph.RoleWork && n.Scope == graph.ScopeSession
}

// queueOf finds the queue of an edge.
func (d *declared) queueOf(e *graph.Edge) queue {
	from, to := d.node(string(e.From)), d.node(string(e.To))
	if from == nil || to == nil {
		return queue{}
	}
	if d.inSound(to) {
		return queue{}
	}
	if beside(to) {
		switch {
		case from.Role == graph.RoleRecogniser:
			return queue{e.ID, session.FromCallerText}
		case from.Role == graph.RoleSegmenter:
			return queue{e.ID, session.FromAgentText}
		case beside(from):
			return queue{e.ID, string(e.From)}
		}
		return queue{}
	}
	sound := from.Role == graph.RoleCaller || d.hears(from)
	switch role := from.Role; {
	case sound && to.Role == graph.RoleDetector:
		return queue{id: turn.EdgeTransportVAD}
	case sound && to.Role == graph.RoleRecogniser:
		return queue{id: turn.EdgeTransportSTT}
	case role == graph.RoleRecogniser:
		return queue{id: turn.EdgeSTTLLM}
	case role == graph.RoleSegmenter:
		return queue{id: turn.EdgeLLMTTS}
	case role == graph.RoleSynthesiser || d.speaks(from):
		return queue{id: turn.EdgeTTSTransport}
	}
	return queue{}
}

// roomField says how many texts may wait in a turn for the node at the end of an edge.
const roomField = "max_queue_items"

// waitsInTurn says of an edge without a queue that what comes along it waits in the turn, for a
// node that is still at the one before.
func (d *declared) waitsInTurn(id string) bool {
	e := d.edge(id)
	if e == nil || d.queueOf(e).id != "" {
		return false
	}
	to := d.node(string(e.To))
	if to == nil || d.inSound(to) || to.Scope == graph.ScopeSession {
		return false
	}
	return to.Role == graph.RoleWork || to.Role == graph.RoleModel || to.Role == graph.RoleSynthesiser
}

// edge finds an edge of the declared graph.
func (d *declared) edge(id string) *graph.Edge {
	if d == nil {
		return nil
	}
	i := slices.IndexFunc(d.edges, func(e graph.Edge) bool { return string(e.ID) == id })
	if i < 0 {
		return nil
	}
	return &d.edges[i]
}

// queueAt finds the queue of an edge by its id.
func (d *declared) queueAt(id string) queue {
	e := d.edge(id)
	if e == nil {
		return queue{}
	}
	return d.queueOf(e)
}

// basis is the policy of a queue before anything was said of it.
func (q queue) basis() turn.VoiceEdge {
	if v, ok := voiceEdge(string(q.id)); ok && q.from == "" {
		return v
	}
	strategy := turn.ProfileEdge("drop")
	if q.from == session.FromCallerText {
		strategy = turn.ProfileEdge("latest_only")
	}
	return turn.VoiceEdge{Profile: strategy, Policy: strategy}
}

// shareQueues has edges with one queue agree: what was said of one holds for the others.
func (w *work) shareQueues() {
	if w.declared == nil {
		return
	}
	said := map[eventabi.EdgeID]map[string]string{} // by queue and field: who said it
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		q := w.declared.queueOf(e)
		if q.id == "" {
			continue
		}
		if said[q.id] == nil {
			said[q.id] = map[string]string{}
		}
		path := join("edges", string(e.ID))
		own := w.given.below(path).withoutRoute()
		for _, field := range own.sorted() {
			first := said[q.id][field]
			mine := w.given[path+"."+field]
			if first == "" {
				said[q.id][field] = path
				continue
			}
			theirs := w.given[first+"."+field]
			switch d := theirs.source.Layer.rank() - mine.source.Layer.rank(); {
			case d == 0 && theirs.json() != mine.json():
				w.fault(mine.source, path+"."+field, CodeSharedQueue, mine.text, "is %s, but what comes out of %s waits in one queue, and %s says %s; make them one, or say it once",
					mine.text, e.From, first, theirs.text)
			case d < 0:
				said[q.id][field] = path
			}
		}
	}
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		for field, path := range said[w.declared.queueOf(e).id] {
			w.given[join("edges", string(e.ID))+"."+field] = w.given[path+"."+field]
		}
	}
}

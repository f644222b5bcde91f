// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"
	"strconv"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// Nodes of registered types may stand in the sound, the caller's or the agent's:
//
//	caller --> node --> ... --> vad           tts --> node --> ... --> speaker
//	             \----> ... --> stt           tts --/
//
// They live as long as the session, take sound from one side, and give it on. The kernel has the
// last word; here is said where the fault stands and what to do about it.

// findSound finds the nodes in the sound.
func (d *declared) findSound() {
	def := graph.Definition{Edges: d.edges}
	for i := range d.nodes {
		def.Nodes = append(def.Nodes, d.nodes[i].Node)
	}
	silent := func(id eventabi.NodeID) bool { // which is told of the edge
		n := d.node(string(id))
		return len(n.Inputs) > 0 && !slices.Contains(n.Inputs, typeAudio)
	}
	d.heard = slices.DeleteFunc(session.SoundNodes(&def), silent)
	d.spoken = slices.DeleteFunc(session.VoiceNodes(&def), silent)
}

// hears says of a node that it stands in the caller's sound.
func (d *declared) hears(n *GraphNode) bool { return n != nil && slices.Contains(d.heard, n.ID) }

// speaks says of a node that it stands in the agent's.
func (d *declared) speaks(n *GraphNode) bool { return n != nil && slices.Contains(d.spoken, n.ID) }

// inSound says that it stands in either.
func (d *declared) inSound(n *GraphNode) bool { return d.hears(n) || d.speaks(n) }

// mayHear is mayRun for the caller's sound.
func (w *work) mayHear(from, to *GraphNode, refuse func(string, ...any)) {
	if slices.Contains(w.declared.unknown, from.ID) || slices.Contains(w.declared.unknown, to.ID) {
		return // what it is will be seen when its config is right
	}
	listens := to.Role == graph.RoleDetector || to.Role == graph.RoleRecogniser
	switch sound := from.Role == graph.RoleCaller || w.declared.hears(from); {
	case w.declared.hears(to) && w.declared.speaks(to):
		refuse("it takes the caller's sound and the agent's at once: give each a node of its own")
	case !sound:
		refuse("it stands in the caller's sound, and what %s gives is none: lead sound there only", from.ID)
	case listens || w.declared.hears(to):
	case from.Role == graph.RoleCaller && to.Role == graph.RoleWork:
		refuse("sound belongs to no turn before somebody has heard one in it: give it a type of scope session that takes and gives %s", typeAudio)
	default:
		refuse("the caller's sound goes to a vad node, an stt node, and nodes of the session that take and give %s", typeAudio)
	}
}

// maySpeak is mayRun for the agent's sound.
func (w *work) maySpeak(from, to *GraphNode, refuse func(string, ...any)) {
	if slices.Contains(w.declared.unknown, from.ID) || slices.Contains(w.declared.unknown, to.ID) {
		return // what it is will be seen when its config is right
	}
	switch sound := from.Role == graph.RoleSynthesiser || w.declared.speaks(from); {
	case !sound:
		refuse("it stands in the agent's sound, and what %s gives is none: lead what a tts node says there only", from.ID)
	case to.Role == graph.RoleSpeaker || w.declared.speaks(to):
	case to.Role == graph.RoleWork && !beside(to):
		refuse("the agent's sound is one, whatever turn speaks: give it a type of scope session that takes and gives %s", typeAudio)
	default:
		refuse("what a tts node says goes to the speaker, and to nodes of the session that take and give %s", typeAudio)
	}
}

// hearing holds the nodes that take the caller's sound, and those that give the agent's, to one way
// of it each, and to what can be waited for.
func (w *work) hearing() {
	for i := range w.declared.nodes {
		n := &w.declared.nodes[i]
		sound := w.declared.inSound(n)
		if w.declared.speaks(n) || n.Role == graph.RoleSynthesiser {
			w.onceOut(n)
		}
		if v, said := w.given[join("nodes", string(n.ID))+".unanswered"]; said && !sound {
			w.fault(v.source, join("nodes", string(n.ID))+".unanswered", CodeNodeField, quote(v.text), "is %s, but %s gives no frames back: it stands in nobody's sound; leave it out", v.text, n.ID)
		}
		if !sound && n.Role != graph.RoleDetector && n.Role != graph.RoleRecogniser {
			continue
		}
		if !w.declared.speaks(n) {
			w.oneWay(n)
		}
		if !sound {
			continue
		}
		path := join("nodes", string(n.ID))
		if v := w.values[path+".limits.event_ms"]; n.BudgetMS > session.MaxSoundBudgetMS {
			w.fault(v.source, path+".limits.event_ms", CodeCannotRun, v.text, "is %s, and for so long nobody would be heard while the node is slow; give at most %d", v.text, session.MaxSoundBudgetMS)
		}
		of := w.declared.node(string(n.FallbackOf))
		if of != nil && !slices.Equal(w.leadsTo(n.ID), w.leadsTo(of.ID)) {
			v := w.given[path+".fallback_of"]
			w.fault(v.source, path+".fallback_of", CodeFallback, quote(v.text), "is %s, whose sound goes to %s; lead the edges from this one there as well, and nowhere else", of.ID, names(w.leadsTo(of.ID)))
		}
	}
}

// oneWay refuses a second edge of sound to a node.
func (w *work) oneWay(n *GraphNode) {
	var first *graph.Edge
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		from := w.declared.node(string(e.From))
		if e.To != n.ID || w.told("edges", string(e.ID)) || from.FallbackOf != "" || from.Role != graph.RoleCaller && !w.declared.hears(from) {
			continue
		}
		if first == nil {
			first = e
			continue
		}
		path := join("edges", string(e.ID)) + ".to"
		v := w.given[path]
		w.fault(v.source, path, CodeCannotRun, quote(v.text), "is %s, to which %s leads sound as well; sound of two sides is not mixed: leave one of the edges out, or put the nodes one behind the other", n.ID, first.ID)
	}
}

// onceOut refuses a second edge of sound from a node.
func (w *work) onceOut(n *GraphNode) {
	var first *graph.Edge
	for i := range w.declared.edges {
		e := &w.declared.edges[i]
		if e.From != n.ID || w.told("edges", string(e.ID)) {
			continue
		}
		if first == nil {
			first = e
			continue
		}
		path := join("edges", string(e.ID)) + ".from"
		v := w.given[path]
		w.fault(v.source, path, CodeCannotRun, quote(v.text), "is %s, whose sound %s leads on as well; it would be heard twice: leave one of the edges out, or put the nodes one behind the other", n.ID, first.ID)
	}
}

// told says that something is wrong with a node or an edge, and that this is told.
func (w *work) told(section, id string) bool {
	owner := join(section, id)
	return slices.ContainsFunc(w.faults, func(f Fault) bool { return ownerOf(f.Path) == owner && !f.Warning })
}

// leadsTo lists where the edges of a node lead, sorted.
func (w *work) leadsTo(id eventabi.NodeID) (list []eventabi.NodeID) {
	for i := range w.declared.edges {
		if e := &w.declared.edges[i]; e.From == id {
			list = append(list, e.To)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func names(list []eventabi.NodeID) string {
	out := ""
	for i, id := range list {
		if i > 0 {
			out += ", "
		}
		out += strconv.Quote(string(id))
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// asksGraph says that the words of the live turn need no more asking for: they are on their
// way, or there are none to come.
func (m *Machine) asksGraph() bool {
	if m.turn.apology != "" {
		m.sayApology()
		return true
	}
	return m.turn.run.sent
}

// What the recogniser and the segmenter give, as events have it.
const (
	typeTranscript = "transcript"
	typeSegment    = "segment"
)

// routeWords sends the caller's words on their way to a model.
func (m *Machine) routeWords(about []graph.Attribute) {
	r := m.turn.run
	r.sent = true
	about = slices.Clone(about)
	if m.turn.language != "" && !slices.ContainsFunc(about, func(a graph.Attribute) bool { return a.Name == attributeLanguage }) {
		about = append(about, graph.Attribute{Name: attributeLanguage, Value: m.turn.language})
	}
	m.emitItem(m.graph.ear, 0, typeTranscript, content{text: m.turn.text}, about)
}

const attributeLanguage = "language"

// routeSegment sends a piece of the reply on its way to a synthesiser.
func (m *Machine) routeSegment(in *Segment, c *call) {
	r := m.turn.run
	if in.Index != c.pieces {
		m.refuse("segment_out_of_order", in.kind(), c.turn)
		return
	}
	c.chunks++
	c.pieces++
	m.renew(c)
	if m.turn.firstOutput == 0 && m.turn.speech.Limit() == 0 && !m.turn.output.reply.Muted() {
		m.turn.speech = m.turn.budget.Nest(m.now, timebase.MS(m.turn.plan.Budgets.PathBudgetMSDefault))
	}
	says := content{text: in.Text, index: in.Index + c.base, protected: in.Protected}
	m.emitItem(m.graph.cutter, 0, typeSegment, says, slices.Clone(r.about))
}

// voiceReached takes a piece of the reply that has come to a synthesiser.
func (m *Machine) voiceReached(it *graph.Item, at eventabi.NodeID) {
	r := m.turn.run
	if it.Seq == r.spoken {
		m.refuse("arrived_already", string(at), m.turn.id)
		return
	}
	r.spoken = it.Seq
	says := &r.says[it.Handle]
	if !m.arrive(graph.Spoken{Text: says.text.Handle, Runes: says.text.Runes, Protected: says.protected}, at) {
		m.refuse("segment_limit", typeSegment, m.turn.id)
	}
	if m.voiceFull() {
		r.exec.Pause(graph.RoleSynthesiser)
	}
}

// modelReached asks the model to which the caller's words have come, as they came. There is
// one answer: nothing comes to a model any more.
func (m *Machine) modelReached(it *graph.Item, at eventabi.NodeID) {
	t := &m.turn
	r, text := t.run, t.run.says[it.Handle].text
	if text.Class == TextNone {
		return // nothing is left of them
	}
	for i := range m.graph.nodes {
		if n := &m.graph.nodes[i].Node; n.Role == graph.RoleModel {
			r.exec.End(n.ID, r.log)
		}
	}
	r.model, r.about = at, it.Attributes
	t.asked, t.text = true, text
	m.wished.owed = false
	if u := m.utterance(t.utterance); u != nil {
		u.text, u.passed = text, true
		m.recordUser(u)
	} else if t.utterance == 0 {
		m.recordTyped()
	}
	m.refreshHeard()
	m.generate(1)
}

// modelAsked is the model that is asked in this turn; without words it is the first one.
func (m *Machine) modelAsked() eventabi.NodeID {
	switch r := m.turn.run; {
	case r == nil:
		return ""
	case r.model != "":
		return r.model
	}
	return m.graph.model
}

// voiceOf is the synthesiser that says a piece of the reply.
func (m *Machine) voiceOf(segment int) eventabi.NodeID {
	r := m.turn.run
	switch {
	case r == nil:
		return ""
	case segment < len(r.voices):
		return r.voices[segment]
	}
	return m.graph.voice
}

// lineEmpty meets the end of what is under way: of the words, when none has come to a model,
// and of the reply.
func (m *Machine) lineEmpty() {
	t := &m.turn
	r := t.run
	if m.scopeTurn() == "" || r.over || len(t.troubles) > 0 {
		return
	}
	if r.sent && !t.asked && !r.exec.Towards(graph.RoleModel) {
		t.asked = true // a node has kept the words: there is nothing to answer
		m.keepWords()
		t.output.reply.End()
		m.finished()
	}
	if m.replyUnderWay() {
		return
	}
	if r.ended && !t.output.reply.Ended() {
		t.output.reply.End()
		m.sayNext()
		m.finished()
	}
	m.toolsAnswered()
}

// replyWritten: the model has ended, and what is under way in the graph is the rest.
func (m *Machine) replyWritten() {
	m.turn.run.ended = true
	m.sayNext()
	m.lineEmpty()
}

// replyUnderWay says that pieces of the reply have not come through the graph.
func (m *Machine) replyUnderWay() bool {
	r := m.turn.run
	return r != nil && !r.over && m.turn.asked && r.exec.Towards(graph.RoleSynthesiser)
}

// withheld says that words which came to no model are to be shown to none later: there is a
// node among the words whose business they are.
func (m *Machine) withheld() bool { return m.graph != nil && m.graph.screens }

// verifyGraph speaks of what is under way in the graph.
func (m *Machine) verifyGraph() {
	r := m.turn.run
	if r == nil {
		return
	}
	ensure(m.arbiter.State() == controlplane.TurnActive, "graph_runs_in_a_turn")
	ensure(len(r.work) <= len(m.graph.nodes) && len(r.says) <= maxGraphSays, "graph_items_bounded")
	for i := range r.work {
		w := &r.work[i]
		ensure(r.exec.Lives(w.node), "graph_work_is_with_a_living_node")
		for k := range r.work[:i] {
			ensure(r.work[k].node != w.node, "graph_nodes_have_one_item_in_hand")
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// begin is the run of a turn.
func (g *graphSetup) begin() *graphRun { return &graphRun{} }

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
	m.emitItem(m.graph.ear, item{typ: typeTranscript, text: m.turn.text, attributes: about}, 0)
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
	m.emitItem(m.graph.cutter, item{
		typ: typeSegment, text: in.Text, index: in.Index + c.base, protected: in.Protected, attributes: slices.Clone(r.about),
	}, 0)
}

// arrived takes what has come to a model or to a synthesiser.
func (m *Machine) arrived(it *item, at eventabi.NodeID) {
	if m.graph.zones[m.graph.index(at)] == zoneModel {
		m.modelReached(it, at)
		return
	}
	if !m.arrive(graph.Spoken{Text: it.text.Handle, Runes: it.text.Runes, Protected: it.protected}, at) {
		m.refuse("segment_limit", typeSegment, m.turn.id)
	}
}

// modelReached asks the model to which the caller's words have come, as they came.
func (m *Machine) modelReached(it *item, at eventabi.NodeID) {
	t := &m.turn
	if t.asked {
		m.refuse("model_asked_already", string(at), t.id)
		return
	}
	if it.text.Class == TextNone {
		return // nothing is left of them
	}
	t.run.model, t.run.about = at, it.attributes
	t.asked, t.text = true, it.text
	m.wished.owed = false
	if u := m.utterance(t.utterance); u != nil {
		u.text, u.passed = it.text, true
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
	if r.sent && len(r.lines[0]) == 0 && !t.asked {
		t.asked = true // a node has kept the words: there is nothing to answer
		m.keepWords()
		t.output.reply.End()
		m.finished()
	}
	if len(r.lines[1]) > 0 {
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
func (m *Machine) replyUnderWay() bool { return m.turn.run != nil && len(m.turn.run.lines[1]) > 0 }

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
	ensure(len(r.jobs) <= maxGraphItems*maxGraphNodes && len(r.lines[0])+len(r.lines[1]) <= maxGraphItems+1, "graph_items_bounded")
	for i := range r.jobs {
		j := &r.jobs[i]
		ensure(!slices.Contains(r.dead, j.node) && r.standsIn(j.node) == j.node, "graph_work_is_with_a_living_node")
		ensure(j.handed || r.job(j.node) != nil, "graph_nodes_that_are_free_work")
		for k := range r.jobs[:i] {
			ensure(r.jobs[k].node != j.node || !r.jobs[k].handed || !j.handed, "graph_nodes_have_one_item_in_hand")
		}
	}
	for i := range r.lines {
		for k := range r.lines[i] {
			ensure(r.lines[i][k].pending > 0 || k > 0, "graph_items_go_on")
		}
	}
}

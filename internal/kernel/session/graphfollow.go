// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
)

// follow carries out what the run has decided, in its order. What is done on the way may have
// it decide more.
func (m *Machine) follow() {
	r := m.turn.run
	for i := 0; i < len(r.log.List) && !r.over; i++ {
		ev := r.log.List[i]
		m.carryOut(&ev)
	}
	r.log.Reset()
	m.lineEmpty()
}

// carryOut does one thing that the run has decided.
func (m *Machine) carryOut(ev *graph.Event) {
	r := m.turn.run
	switch ev.What {
	case graph.Dispatched:
		m.dispatched(ev)
	case graph.Routed:
		m.routeDecision(ev)
	case graph.DeadLetter:
		why := ev.Why.String()
		if ev.Reason != "" {
			why = ev.Reason
		}
		m.deadLetter(ev.Node, r.number(ev.Item.Seq), why)
	case graph.Dropped:
		if ev.Why == graph.NoRoute && m.graph.node(ev.Node).Node.Role == graph.RoleSelect {
			m.deadLetter(ev.Node, r.number(ev.Item.Seq), ev.Why.String())
		}
	case graph.FellBack:
		r.drop(ev.Node)
		signal := m.emit(eventabi.SignalFallback, eventabi.EmitterBudget, m.turn.id, ev.Reason)
		signal.NodeID = ev.Node
		body := m.fx.body(64)
		body.str("branch", string(ev.To))
		signal.Payload = body.done()
		m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: ev.Node})
	case graph.Cancelled:
		if r.drop(ev.Node) {
			m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: ev.Node})
		}
	case graph.Unresolved:
		r.drop(ev.Node)
	case graph.Merged, graph.Rewired:
	}
}

// dispatched gives a node its item. Models and synthesisers take theirs at once: what becomes
// of it is a call's.
func (m *Machine) dispatched(ev *graph.Event) {
	r := m.turn.run
	n := m.graph.node(ev.Node)
	switch n.Node.Role {
	case graph.RoleWork:
		m.handOver(n, &ev.Item)
		return
	case graph.RoleModel:
		m.modelReached(&ev.Item, ev.Node)
	case graph.RoleSynthesiser:
		m.voiceReached(&ev.Item, ev.Node)
	case graph.RoleCaller, graph.RoleDetector, graph.RoleRecogniser, graph.RoleSegmenter, graph.RoleSpeaker, graph.RoleMerge,
		graph.RoleSelect, graph.RoleDeadLetter, graph.RoleResponder: // no text of a turn comes there
	}
	if !r.over && r.exec.Lives(ev.Node) {
		r.exec.Done(ev.Node, ev.Item.Seq, r.log)
	}
}

// routeDecision tells what came of a condition (turn-plan section 1).
func (m *Machine) routeDecision(ev *graph.Event) {
	reason := "matched"
	switch {
	case !ev.Holds:
		reason = "not_matched"
	case ev.Condition < 0:
		reason = "default"
	}
	signal := m.emit(eventabi.SignalRouteDecision, eventabi.EmitterExecutor, m.turn.id, reason)
	signal.EdgeID = ev.Edge
	if m.graph.node(ev.Node).Node.Role == graph.RoleSelect {
		signal.NodeID = ev.Node
	}
	body := m.fx.body(64)
	body.int("item", m.turn.run.number(ev.Item.Seq))
	body.str("to", string(ev.To))
	signal.Payload = body.done()
}

// voiceFull says that enough waits for the synthesisers: who gives more than can be said is
// not to fill the edge to them.
func (m *Machine) voiceFull() bool {
	out := m.turn.output
	return !out.reply.Muted() && out.reply.Len()-m.turn.run.begun >= maxAheadOfVoice
}

// letOn lets what waited for a synthesiser go on when there is room. It says whether anything
// moved.
func (m *Machine) letOn() bool {
	r := m.turn.run
	if r == nil || r.over || m.scopeTurn() == "" || m.arbiter.Ending() || !r.exec.Paused(graph.RoleSynthesiser) || m.voiceFull() {
		return false
	}
	r.exec.Resume(graph.RoleSynthesiser, r.log)
	moved := len(r.log.List) > 0
	m.follow()
	return moved
}

// deadLetter counts an item that could not be processed, and tells the graph's dead letter
// node of it: where and why, and nothing of what it says (nodes-providers-transports section
// 2, F-132).
func (m *Machine) deadLetter(at eventabi.NodeID, number int64, why string) {
	m.counters.DeadLetters++
	if m.graph.letters < 0 {
		m.refuse("dead_letter:"+why, string(at), m.turn.id)
		return
	}
	n := m.graph.node(at)
	class := eventabi.ClassTextRaw
	m.fx.add(&Work{
		Turn: m.turn.id, Node: m.graph.nodes[m.graph.letters].Node.ID, Item: number, Type: deadLetterType,
		Attributes: []graph.Attribute{
			{Name: "node", Value: string(at)},
			{Name: "node_type", Value: n.Node.Type},
			{Name: "reason", Value: why},
			{Name: "payload_class", Value: string(class)},
			{Name: "item", Value: strconv.FormatInt(number, 10)},
		},
	})
}

// deadLetterType is the type of what a dead letter node is told.
const deadLetterType = "dead_letter"

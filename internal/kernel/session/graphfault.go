// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"strconv"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// branch says which node stands in for which, for the rest of the turn.
type branch struct{ of, branch eventabi.NodeID }

// graphNodeFailed takes the failure of a node that works for the live turn in its graph; false
// where it is another node's. What it had in hand, and what waits for it, goes to the branch
// that stands in for it, or the turn cannot go on as planned (failure-matrix F2).
func (m *Machine) graphNodeFailed(in *NodeFailed) bool {
	r := m.turn.run
	n := m.graph.node(in.Node)
	if n == nil || n.Node.Role != graph.RoleWork || beside(&n.Node) {
		return n != nil && n.Node.Role == graph.RoleDeadLetter
	}
	if slices.Contains(r.dead, in.Node) || r.standsIn(in.Node) != in.Node {
		m.refuse("node_failed:"+in.Reason, string(in.Node), in.Turn)
		return true
	}
	x := trouble{
		name: string(in.Node), reason: "node_failed:" + string(in.Node), awaits: m.stageOf(in.Node),
		lost: true, abort: controlplane.AbortNodeFailure, triggers: triggersOf(in.Reason),
	}
	told := false
	if j := r.job(in.Node); j != nil {
		x.item, told = j.item.number, j.told
	}
	if in.Reason == reasonHookTimeout && in.LimitMS > 0 && in.LimitMS <= maxSettingMS && !told {
		m.timedOut(&x, timebase.MS(in.LimitMS))
	}
	m.raise(x)
	return true
}

// reasonHookTimeout is the reason of a node that has passed a time limit.
const reasonHookTimeout = "hook_timeout"

// triggersOf gives what a failure is to the branches of the graph.
func triggersOf(reason string) []graph.Trigger {
	if reason == reasonHookTimeout {
		return timeoutTriggers()
	}
	return []graph.Trigger{graph.OnError}
}

// A budget that is over is a time-out to a branch that knows no budgets: its node is given up
// then, and not only when it hangs.
func budgetTriggers() []graph.Trigger  { return []graph.Trigger{graph.OnBudget, graph.OnTimeout} }
func timeoutTriggers() []graph.Trigger { return []graph.Trigger{graph.OnTimeout, graph.OnBudget} }

// branchFor gives the node that stands in for another when one of the triggers happens to it.
func (m *Machine) branchFor(id eventabi.NodeID, triggers []graph.Trigger) (eventabi.NodeID, bool) {
	for _, t := range triggers {
		for i := range m.graph.nodes {
			n := &m.graph.nodes[i].Node
			if n.FallbackOf == id && slices.Contains(n.FallbackOn, t) && !slices.Contains(m.turn.run.dead, n.ID) {
				return n.ID, true
			}
		}
	}
	return "", false
}

// graphWays says what could be done about a node of the graph: its branch first, then the line
// that stands in for an answer, and to go on where the turn does without the node, or is told
// of a slow one while it has something to say.
func (m *Machine) graphWays(x *trouble) turn.Ways {
	_, branch := m.branchFor(eventabi.NodeID(x.name), x.triggers)
	leads := m.graph.leads[m.graph.index(eventabi.NodeID(x.name))]
	early := x.awaits == stageWords || m.turn.output.reply.Len() == 0
	return turn.Ways{
		Fallback: branch || leads && early && m.canStandIn(),
		Continue: !leads || x.soft && m.turn.firstOutput != 0,
	}
}

// graphMoot says that nobody needs any more what a node has not done.
func (m *Machine) graphMoot(x *trouble) bool {
	r := m.turn.run
	if r == nil || r.over || r.standsIn(eventabi.NodeID(x.name)) != eventabi.NodeID(x.name) {
		return true
	}
	if !x.soft {
		return false
	}
	j := r.job(eventabi.NodeID(x.name))
	return j == nil || j.item.number != x.item
}

// takeBranch has a branch of the graph stand in for a node, for the rest of the turn. It says
// false where there is none.
func (m *Machine) takeBranch(x *trouble) bool {
	if x.triggers == nil {
		return false
	}
	id := eventabi.NodeID(x.name)
	to, ok := m.branchFor(id, x.triggers)
	if !ok {
		return false
	}
	r := m.turn.run
	signal := m.emit(eventabi.SignalFallback, eventabi.EmitterBudget, m.turn.id, x.cause())
	signal.NodeID = id
	body := m.fx.body(64)
	body.str("branch", string(to))
	signal.Payload = body.done()
	m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: id})
	r.branches = append(r.branches, branch{of: id, branch: to})
	for i := range r.jobs {
		if j := &r.jobs[i]; j.node == id {
			if m.graph.leads[m.graph.index(id)] && !m.graph.leads[m.graph.index(to)] {
				m.settleHand(j.item.number)
			}
			*j = job{node: to, item: j.item}
		}
	}
	m.proceed()
	return true
}

// loseNode gives a node up that has failed and has no branch: what it had in hand could not be
// processed, and what comes to it from now on cannot.
func (m *Machine) loseNode(x *trouble) {
	r := m.turn.run
	id := eventabi.NodeID(x.name)
	if x.triggers == nil || x.soft || r == nil || slices.Contains(r.dead, id) {
		return
	}
	r.dead = append(r.dead, id)
	if j := r.job(id); j != nil {
		m.deadLetter(id, j.item.number, x.reason)
	}
	m.dropJobs(func(j *job) bool { return j.node == id })
	m.proceed()
}

// dropJobs forgets what nodes have, or what waits for them.
func (m *Machine) dropJobs(of func(j *job) bool) {
	r := m.turn.run
	for i := range r.jobs {
		if j := &r.jobs[i]; of(j) && m.graph.leads[m.graph.index(j.node)] {
			m.settleHand(j.item.number)
		}
	}
	r.jobs = slices.DeleteFunc(r.jobs, func(j job) bool { return of(&j) })
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
			{Name: "node", Value: string(at)}, {Name: "node_type", Value: n.Node.Type}, {Name: "reason", Value: why},
			{Name: "payload_class", Value: string(class)}, {Name: "item", Value: strconv.FormatInt(number, 10)},
		},
	})
}

// deadLetterType is the type of what a dead letter node is told.
const deadLetterType = "dead_letter"

// stopRun gives up everything that is under way in the graph: nobody needs it any more.
func (m *Machine) stopRun() {
	r := m.turn.run
	if r == nil || r.over {
		return
	}
	r.over = true
	for i := range r.jobs {
		if j := &r.jobs[i]; j.handed {
			m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: j.node})
		}
	}
	r.jobs, r.joined, r.lines = nil, nil, [2]line{}
}

// cancelWork cancels a node of the graph that works for the live turn, and what only it feeds.
// It says whether there is such a node.
func (m *Machine) cancelWork(in *Cancel, reason controlplane.CancelReason) bool {
	n := m.graph.node(in.Node)
	if n == nil || n.Node.Role != graph.RoleWork || beside(&n.Node) {
		return false
	}
	r := m.turn.run
	switch {
	case in.Turn != "" && in.Turn != m.scopeTurn():
		m.refuse("unknown_turn", in.kind(), in.Turn)
		return true
	case m.scopeTurn() == "" || r == nil || r.job(in.Node) == nil:
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
		return true
	case !in.Force && m.protectedOf(m.turn.output) > 0:
		m.refuse("uninterruptible", in.kind(), in.Turn)
		return true
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, m.scopeTurn(), string(reason))
	signal.Scope = eventabi.CancelNode
	signal.NodeID = in.Node
	m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: in.Node})
	r.dead = append(r.dead, in.Node)
	m.dropJobs(func(j *job) bool { return j.node == in.Node })
	if m.graph.leads[m.graph.index(in.Node)] {
		m.withoutRest(reason, controlplane.AbortNodeFailure)
	}
	return true
}

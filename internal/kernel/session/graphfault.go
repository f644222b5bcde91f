// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// graphNodeFailed takes the failure of a node that works for the live turn in its graph; false
// where it is another node's. What it had in hand, and what waits for it, goes to the branch
// that stands in for it, or the turn cannot go on as planned (failure-matrix F2).
func (m *Machine) graphNodeFailed(in *NodeFailed) bool {
	r := m.turn.run
	n := m.graph.node(in.Node)
	if n == nil || n.Node.Role != graph.RoleWork || beside(&n.Node) {
		return n != nil && n.Node.Role == graph.RoleDeadLetter
	}
	if !r.exec.Lives(in.Node) {
		m.refuse("node_failed:"+in.Reason, string(in.Node), in.Turn)
		return true
	}
	x := trouble{
		name: string(in.Node), reason: "node_failed:" + string(in.Node), awaits: m.stageOf(in.Node),
		lost: true, abort: controlplane.AbortNodeFailure, triggers: triggersOf(in.Reason),
	}
	told := false
	if w := r.hand(in.Node); w != nil {
		x.item, told = r.number(w.seq), w.told
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

// branchTrigger gives the first trigger that a branch stands in for another node at.
func (m *Machine) branchTrigger(x *trouble) (graph.Trigger, bool) {
	for _, t := range x.triggers {
		if _, ok := m.turn.run.exec.Branch(eventabi.NodeID(x.name), t); ok {
			return t, true
		}
	}
	return "", false
}

// graphWays says what could be done about a node of the graph: its branch first, then the line
// that stands in for an answer, and to go on where the turn does without the node, or is told
// of a slow one while it has something to say.
func (m *Machine) graphWays(x *trouble) turn.Ways {
	_, branch := m.branchTrigger(x)
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
	if r == nil || r.over || !r.exec.Lives(eventabi.NodeID(x.name)) {
		return true
	}
	if !x.soft {
		return false
	}
	w := r.hand(eventabi.NodeID(x.name))
	return w == nil || r.number(w.seq) != x.item
}

// takeBranch has a branch of the graph stand in for a node, for the rest of the turn. It says
// false where there is none.
func (m *Machine) takeBranch(x *trouble) bool {
	trigger, ok := m.branchTrigger(x)
	if ok {
		r := m.turn.run
		r.exec.Fail(eventabi.NodeID(x.name), trigger, x.cause(), r.log)
		m.follow()
	}
	return ok
}

// loseNode gives a node up that has failed, and for which no branch is to stand in: what it
// has could not be processed, and what comes to it from now on cannot.
func (m *Machine) loseNode(x *trouble) {
	r := m.turn.run
	if x.triggers == nil || x.soft || r == nil || r.over {
		return
	}
	r.exec.Fail(eventabi.NodeID(x.name), "", x.reason, r.log)
	m.follow()
}

// stopRun gives up everything that is under way in the graph: nobody needs it any more.
func (m *Machine) stopRun() {
	r := m.turn.run
	if r == nil || r.over {
		return
	}
	r.over = true
	for i := range r.work {
		m.fx.add(&Hook{Turn: m.turn.id, Hook: HookCancel, Node: r.work[i].node})
	}
	r.work = nil
}

// cancelWork cancels a node of the graph that works for the live turn, and what only it feeds
// (lifecycle section 8). Where that is the way to the answer, the reply ends with what was
// said. It says whether there is such a node.
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
	case m.scopeTurn() == "" || r == nil || r.over || !r.exec.Holds(in.Node):
		m.refuse("nothing_to_cancel", in.kind(), in.Turn)
		return true
	case !in.Force && m.protectedOf(m.turn.output) > 0:
		m.refuse("uninterruptible", in.kind(), in.Turn)
		return true
	}
	signal := m.emit(eventabi.SignalCancel, eventabi.EmitterCancellation, m.scopeTurn(), string(reason))
	signal.Scope = eventabi.CancelNode
	signal.NodeID = in.Node
	r.exec.Cancel(in.Node, r.log)
	cut := false
	for i := range r.log.List {
		ev := &r.log.List[i]
		role := m.graph.node(ev.Node).Node.Role
		cut = cut || ev.What == graph.Cancelled && (role == graph.RoleModel || role == graph.RoleSynthesiser)
	}
	if cut {
		m.withoutRest(reason, controlplane.AbortNodeFailure)
	}
	m.follow()
	return true
}

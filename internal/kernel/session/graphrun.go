// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// graphRun is what goes through the session's graph in one turn.
//
//	recogniser --item--> node --Work--> its answers: outputs, each an item, and its end
//	                                      |  its budget or its life ends: the branch that
//	                                      |  stands in for it, else failure-matrix F2
//	                     a model, a synthesiser: the item has arrived
//
// Rules:
//
//  1. A node has one item in hand. The others wait for it here, and its time counts from
//     when it was handed over.
//  2. Every item that was handed over is done, failed, cancelled or given up, once. What a
//     node says of another is refused.
//  3. The first item that comes to a model is what the turn is about; there is one answer.
//  4. Items come to synthesisers in the order of the segments that they were made of, and
//     what a node made of one in the order in which it gave it.
//  5. The reply is complete when the model has ended and nothing of it is under way here.
type graphRun struct {
	jobs []job
	// lines are the items of the words and of the reply that are not settled, in order.
	lines  [2]line
	sent   bool // the caller's words are under way, or were
	model  eventabi.NodeID
	about  []graph.Attribute // what the words said of themselves when they came to it
	ended  bool              // the model has
	over   bool              // nothing is wanted any more
	voices []eventabi.NodeID // of the pieces of the reply: who says them
	moved  []servedNode

	branches []branch
	dead     []eventabi.NodeID // failed or cancelled, with nothing that stands in for it
	joined   []joined          // items that merges hold
	passed   []passed
}

// servedNode says which of its own providers serves a node in this turn.
type servedNode struct {
	node      eventabi.NodeID
	candidate int64
}

// job is an item that a node has, or that waits for it.
type job struct {
	node    eventabi.NodeID
	item    item
	handed  bool
	outputs int64
	spent   turn.Allowance
	told    bool // its budget's end was told
}

// item is something on its way through the graph.
type item struct {
	number     int64 // in the session, from 1
	origin     int64 // the item from outside that it was made of
	typ        string
	text       TextRef
	index      int64 // of a segment
	protected  bool
	attributes []graph.Attribute
}

// line is an order of items that are under way.
type line []place

// place is where an item stands in its line, until everything of it is settled.
type place struct {
	item    item
	pending int             // hands in which it is
	voice   eventabi.NodeID // where it has arrived
}

// The bounds of a run.
const (
	maxGraphItems   = 1024 // under way in one turn
	maxNodeOutputs  = 64   // of one item
	maxItemRunes    = 1 << 14
	maxAttributes   = 16
	maxAttributeLen = 128
)

func (r *graphRun) served(id eventabi.NodeID) int64 {
	for i := range r.moved {
		if r.moved[i].node == id {
			return r.moved[i].candidate
		}
	}
	return 0
}

func (r *graphRun) serve(id eventabi.NodeID, candidate int64) {
	for i := range r.moved {
		if r.moved[i].node == id {
			r.moved[i].candidate = candidate
			return
		}
	}
	r.moved = append(r.moved, servedNode{node: id, candidate: candidate})
}

// job finds the one that a node has in hand, nil when it has none.
func (r *graphRun) job(id eventabi.NodeID) *job {
	for i := range r.jobs {
		if r.jobs[i].node == id && r.jobs[i].handed {
			return &r.jobs[i]
		}
	}
	return nil
}

// handOver gives every node that has nothing in hand the next item that waits for it.
func (m *Machine) handOver() {
	r := m.turn.run
	for i := range r.jobs {
		j := &r.jobs[i]
		if j.handed || r.job(j.node) != nil {
			continue
		}
		n := m.graph.node(j.node)
		j.handed, j.spent = true, turn.Allow(m.now, m.graph.budget(n, &m.turn.plan))
		m.nestWork(j)
		m.fx.add(&Work{
			Turn: m.turn.id, Node: j.node, Item: j.item.number, Type: j.item.typ, Text: j.item.text.Handle, Index: j.item.index,
			BudgetMS: j.spent.Limit().MS(), Protected: j.item.protected, Attributes: j.item.attributes,
		})
	}
}

// nestWork has a node warn at 80 % of what it has: of its own time, or of what the turn leaves
// it where that is less (flow section 8).
func (m *Machine) nestWork(j *job) {
	if left := m.turn.budget.Remaining(m.now); left > 0 {
		j.spent.Warn(j.spent.Used(m.now) + min(left, j.spent.Limit()))
	}
}

// nodeOutput takes what a node gives for the item that it has in hand.
func (m *Machine) nodeOutput(in *NodeOutput) {
	j := m.inHand(in.Node, in.Turn, in.Item, in)
	if j == nil {
		return
	}
	n := m.graph.node(in.Node)
	switch {
	case in.Index != j.outputs:
		m.refuse("node_output_out_of_order", in.kind(), in.Turn)
		return
	case j.outputs >= maxNodeOutputs:
		m.refuse("node_output_limit", in.kind(), in.Turn)
		return
	}
	j.outputs++
	if why := outputFault(n, in); why != "" {
		m.refuse(why, in.kind(), in.Turn)
		m.deadLetter(in.Node, j.item.number, why)
		return
	}
	m.emitItem(in.Node, item{
		origin: j.item.origin, typ: in.Type, text: in.Text, index: j.item.index, protected: in.Protected || j.item.protected,
		attributes: slices.Clone(in.Attributes),
	}, j.item.number)
}

// outputFault says what is wrong with what a node gives, empty when nothing is.
func outputFault(n *GraphNode, in *NodeOutput) string {
	switch {
	case !slices.Contains(n.Node.Outputs, in.Type):
		return "node_output_type"
	case in.Text.Runes < 0 || in.Text.Runes > maxItemRunes:
		return "node_output_length"
	case len(in.Attributes) > maxAttributes:
		return "node_output_attributes"
	}
	for _, a := range in.Attributes {
		if a.Name == "" || len(a.Name) > maxAttributeLen || len(a.Value) > maxAttributeLen {
			return "node_output_attributes"
		}
	}
	return ""
}

// inHand finds the job that a node speaks of; what it says of another is late, or made up.
func (m *Machine) inHand(id eventabi.NodeID, of eventabi.TurnID, number int64, in Input) *job {
	if of != m.turn.id || m.arbiter.State() != controlplane.TurnActive || m.turn.run == nil {
		m.late(in, of)
		return nil
	}
	j := m.turn.run.job(id)
	if j == nil || j.item.number != number {
		m.refuse("unknown_work", in.kind(), of)
		return nil
	}
	return j
}

// nodeDone ends a node's work on an item.
func (m *Machine) nodeDone(in *NodeDone) {
	j := m.inHand(in.Node, in.Turn, in.Item, in)
	if j == nil {
		return
	}
	m.dropJobs(func(other *job) bool { return other.node == in.Node && other.item.number == in.Item })
	m.proceed()
}

// workDue is when time alone changes something about what nodes have in hand.
func (m *Machine) workDue() timebase.Instant {
	due := timebase.Never
	if r := m.turn.run; r != nil {
		for i := range r.jobs {
			if j := &r.jobs[i]; j.handed {
				due = timebase.Earliest(due, j.spent.Deadline())
			}
		}
	}
	return due
}

// expireWork tells what nodes have used of their budgets, and has the turn answer where one
// is over.
func (m *Machine) expireWork() {
	r := m.turn.run
	if r == nil || m.arbiter.State() != controlplane.TurnActive {
		return
	}
	for i := range r.jobs {
		j := &r.jobs[i]
		if !j.handed {
			continue
		}
		for event := j.spent.Due(m.now); event != turn.BudgetNothing; event = j.spent.Due(m.now) {
			x := trouble{
				scope: turn.ScopeNode, name: string(j.node), reason: nodeBudget, awaits: m.stageOf(j.node), soft: true,
				used: j.spent.Used(m.now), limit: j.spent.Limit(), item: j.item.number, abort: controlplane.AbortNodeFailure,
				triggers: budgetTriggers(),
			}
			if event == turn.BudgetWarning {
				x.limit = j.spent.Warned()
				m.accountSignal(eventabi.SignalBudgetWarning, &x, m.turn.id, turn.OutcomeContinue)
				continue
			}
			j.told = true
			m.raise(x)
		}
	}
}

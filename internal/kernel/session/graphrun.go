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

// graphRun is one turn in the session's graph. graph.Run decides what goes where; the session
// tells it what nodes give, and carries out what it decides:
//
//	recogniser, segmenter --Emit--> graph.Run --Log--> Work for a node --NodeOutput--> Emit
//	                                          |        words for a model, a piece for a synthesiser
//	                                          |        route_decision, fallback, dead letters
//	a node's budget, failure, cancel -------> Fail, Cancel
//
// Rules:
//
//  1. The run holds descriptors, and here lies what the items say.
//  2. What a node has in hand counts its time from when it was handed over. It is done, failed,
//     cancelled or given up, once; what a node says of another item is refused.
//  3. The first item that comes to a model is what the turn is about; there is one answer.
//  4. No more than a few pieces wait for synthesis; the others wait in the run, in order.
//  5. The reply is complete when the model has ended and nothing comes to a synthesiser any
//     more.
type graphRun struct {
	exec *graph.Run
	log  *graph.Log
	base int64     // items of the session before this turn's
	says []content // by the handle of an item
	work []work    // what nodes have in hand

	sent   bool // the caller's words are under way, or were
	model  eventabi.NodeID
	about  []graph.Attribute // what the words said of themselves when they came to it
	ended  bool              // the model has
	over   bool              // nothing is wanted any more
	spoken int64             // the last item that a synthesiser was given
	voices []eventabi.NodeID // of the pieces of the reply: who says them
	begun  int               // of those, how many a synthesiser was handed
	moved  []servedNode
}

// content is what an item says.
type content struct {
	text      TextRef
	index     int64 // of a segment
	protected bool
}

// work is an item that a node has in hand.
type work struct {
	node    eventabi.NodeID
	seq     int64 // of the item in its run
	says    content
	outputs int64
	spent   turn.Allowance
	told    bool // its budget's end was told
}

// servedNode says which of its own providers serves a node in this turn.
type servedNode struct {
	node      eventabi.NodeID
	candidate int64
}

// MaxGraphItems is how many items may wait for one node of a graph in a turn.
const MaxGraphItems = 512

// The bounds of a run.
const (
	maxGraphSays    = 8192 // items of one turn
	maxAheadOfVoice = 8    // pieces that wait for a synthesiser: the handoff's max_pending_segments
	maxNodeOutputs  = 64   // of one item
	maxItemRunes    = 1 << 14
	maxAttributes   = 16
	maxAttributeLen = 128
)

// begin is the run of a turn. It keeps the memory of the one before.
func (g *graphSetup) begin() *graphRun {
	g.items += g.exec.Seq()
	g.exec.Begin(g.compiled, MaxGraphItems)
	g.log.Reset()
	clear(g.says)
	return &graphRun{exec: &g.exec, log: &g.log, base: g.items, says: g.says[:0]}
}

// number is how the session names an item of the run.
func (r *graphRun) number(seq int64) int64 { return r.base + seq }

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

// hand finds what a node has in hand, nil when it has nothing.
func (r *graphRun) hand(id eventabi.NodeID) *work {
	if i := slices.IndexFunc(r.work, func(w work) bool { return w.node == id }); i >= 0 {
		return &r.work[i]
	}
	return nil
}

// drop forgets what a node has in hand. It says whether there was anything.
func (r *graphRun) drop(id eventabi.NodeID) bool {
	n := len(r.work)
	r.work = slices.DeleteFunc(r.work, func(w work) bool { return w.node == id })
	return len(r.work) < n
}

// emitItem sends what somebody gives on its way. cause is the item that it was made of, 0 for
// what comes from outside.
func (m *Machine) emitItem(from eventabi.NodeID, cause int64, typ string, c content, attributes []graph.Attribute) {
	r := m.turn.run
	if r.over || len(r.says) >= maxGraphSays {
		m.refuse("graph_item_limit", string(from), m.turn.id)
		return
	}
	r.says = append(r.says, c)
	m.graph.says = r.says
	it := graph.Item{Handle: int64(len(r.says) - 1), Type: typ, Attributes: attributes}
	if _, v := r.exec.Emit(from, cause, it, r.log); v != graph.Taken {
		r.says = r.says[:len(r.says)-1]
		m.refuse("graph_item_"+v.String(), string(from), m.turn.id)
		return
	}
	m.follow()
}

// handOver gives a node an item to work on.
func (m *Machine) handOver(n *GraphNode, it *graph.Item) {
	r := m.turn.run
	r.work = append(r.work, work{
		node: n.Node.ID, seq: it.Seq, says: r.says[it.Handle], spent: turn.Allow(m.now, m.graph.budget(n, &m.turn.plan)),
	})
	w := &r.work[len(r.work)-1]
	m.nestWork(w)
	m.fx.add(&Work{
		Turn: m.turn.id, Node: w.node, Item: r.number(w.seq), Type: it.Type, Text: w.says.text.Handle, Index: w.says.index,
		BudgetMS: w.spent.Limit().MS(), Protected: w.says.protected, Attributes: it.Attributes,
	})
}

// nestWork has a node warn at 80 % of what it has: of its own time, or of what the turn leaves
// it where that is less (flow section 8).
func (m *Machine) nestWork(w *work) {
	if left := m.turn.budget.Remaining(m.now); left > 0 {
		w.spent.Warn(w.spent.Used(m.now) + min(left, w.spent.Limit()))
	}
}

// nodeOutput takes what a node gives for the item that it has in hand.
func (m *Machine) nodeOutput(in *NodeOutput) {
	w := m.inHand(in.Node, in.Turn, in.Item, in)
	if w == nil {
		return
	}
	n := m.graph.node(in.Node)
	switch {
	case in.Index != w.outputs:
		m.refuse("node_output_out_of_order", in.kind(), in.Turn)
		return
	case w.outputs >= maxNodeOutputs:
		m.refuse("node_output_limit", in.kind(), in.Turn)
		return
	}
	w.outputs++
	if why := outputFault(n, in); why != "" {
		m.refuse(why, in.kind(), in.Turn)
		m.deadLetter(in.Node, in.Item, why)
		return
	}
	says := content{text: in.Text, index: w.says.index, protected: in.Protected || w.says.protected}
	m.emitItem(in.Node, w.seq, in.Type, says, slices.Clone(in.Attributes))
}

// outputFault says what is wrong with what a node gives, empty when nothing is.
func outputFault(n *GraphNode, in *NodeOutput) string {
	switch {
	case len(n.Node.Outputs) > 0 && !slices.Contains(n.Node.Outputs, in.Type):
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

// inHand finds the item that a node speaks of; what it says of another is late, or made up.
func (m *Machine) inHand(id eventabi.NodeID, of eventabi.TurnID, number int64, in Input) *work {
	if of != m.turn.id || m.arbiter.State() != controlplane.TurnActive || m.turn.run == nil {
		m.late(in, of)
		return nil
	}
	w := m.turn.run.hand(id)
	if w == nil || m.turn.run.number(w.seq) != number {
		m.refuse("unknown_work", in.kind(), of)
		return nil
	}
	return w
}

// nodeDone ends a node's work on an item.
func (m *Machine) nodeDone(in *NodeDone) {
	w := m.inHand(in.Node, in.Turn, in.Item, in)
	if w == nil {
		return
	}
	r, seq := m.turn.run, w.seq
	r.drop(in.Node)
	r.exec.Done(in.Node, seq, r.log)
	m.follow()
}

// workDue is when time alone changes something about what nodes have in hand.
func (m *Machine) workDue() timebase.Instant {
	due := timebase.Never
	if r := m.turn.run; r != nil {
		for i := range r.work {
			due = timebase.Earliest(due, r.work[i].spent.Deadline())
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
	for i := range r.work {
		w := &r.work[i]
		for event := w.spent.Due(m.now); event != turn.BudgetNothing; event = w.spent.Due(m.now) {
			x := trouble{
				scope: turn.ScopeNode, name: string(w.node), reason: nodeBudget, awaits: m.stageOf(w.node), soft: true,
				used: w.spent.Used(m.now), limit: w.spent.Limit(), item: r.number(w.seq), abort: controlplane.AbortNodeFailure,
				triggers: budgetTriggers(),
			}
			if event == turn.BudgetWarning {
				x.limit = w.spent.Warned()
				m.accountSignal(eventabi.SignalBudgetWarning, &x, m.turn.id, turn.OutcomeContinue)
				continue
			}
			w.told = true
			m.raise(x)
		}
	}
}

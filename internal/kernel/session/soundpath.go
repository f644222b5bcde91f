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

// Work nodes may stand in the caller's sound, ahead of those who listen:
//
//	caller --> node --> node --> detector
//	             \----> node --> recogniser
//
// Sound has no turn before the detector has heard it, so they live as long as the session. The
// shell takes the frames through them and keeps each at its place; here is decided what stands
// in for a node that has failed. A node that has nothing which stands in for it is passed by: the
// frames go on as they are.

// detour says that a node in the caller's sound has failed, and by which node the sound goes
// instead; empty = by none.
type detour struct{ of, by eventabi.NodeID }

// MaxSoundBudgetMS is the longest that a frame may be with one node: what comes later than that
// is no conversation any more.
const MaxSoundBudgetMS = 1000

// inSound says that a node stands in the caller's sound.
func (g *graphSetup) inSound(id eventabi.NodeID) bool {
	i := g.index(id)
	return i >= 0 && i < len(g.sound) && g.sound[i]
}

// SoundNodes lists the nodes of a definition that stand in the caller's sound, in its order: those
// of the session to which a way leads from the caller, and what stands in for them.
func SoundNodes(d *graph.Definition) (list []eventabi.NodeID) {
	for i, in := range soundNodes(d) {
		if in {
			list = append(list, d.Nodes[i].ID)
		}
	}
	return list
}

// soundNodes says of each node whether it stands in the caller's sound.
func soundNodes(d *graph.Definition) []bool {
	in := make([]bool, len(d.Nodes))
	index := func(id eventabi.NodeID) int {
		return slices.IndexFunc(d.Nodes, func(n graph.Node) bool { return n.ID == id })
	}
	for moved := true; moved; {
		moved = false
		mark := func(from, to int) {
			if from < 0 || to < 0 || in[to] || !beside(&d.Nodes[to]) {
				return
			}
			if in[from] || d.Nodes[from].Role == graph.RoleCaller {
				in[to], moved = true, true
			}
		}
		for i := range d.Edges {
			mark(index(d.Edges[i].From), index(d.Edges[i].To))
		}
		for i := range d.Nodes {
			if of := d.Nodes[i].FallbackOf; of != "" {
				mark(index(of), i)
			}
		}
	}
	return in
}

// soundWays finds the nodes in the caller's sound, and what cannot stand there. It gives the
// reason of a refusal, empty when there is none.
func (g *graphSetup) soundWays() string {
	d := graph.Definition{Edges: g.edges}
	for i := range g.nodes {
		d.Nodes = append(d.Nodes, g.nodes[i].Node)
	}
	g.sound = soundNodes(&d)
	for i := range g.edges {
		if why := g.soundEdge(&g.edges[i]); why != "" {
			return "invalid_graph:edges." + string(g.edges[i].ID) + "." + why
		}
	}
	for i := range g.nodes {
		if why := g.soundNode(i); why != "" {
			return "invalid_graph:nodes." + string(g.nodes[i].Node.ID) + "." + why
		}
	}
	return ""
}

// soundEdge holds an edge to the ways of the caller's sound.
func (g *graphSetup) soundEdge(e *graph.Edge) string {
	from, to := g.node(e.From), g.node(e.To)
	if from == nil || to == nil {
		return "" // which is told
	}
	sound, takes := from.Node.Role == graph.RoleCaller || g.inSound(e.From), g.inSound(e.To)
	listens := to.Node.Role == graph.RoleDetector || to.Node.Role == graph.RoleRecogniser
	switch {
	case !sound && (takes || listens):
		return "from:only_sound_goes_there"
	case g.inSound(e.From) && !takes && !listens:
		return "to:only_what_listens"
	case sound && len(e.When) > 0:
		return "when:sound_has_no_attributes"
	}
	return ""
}

// soundNode wants one way of sound to each node that takes it, and one on from each that gives
// it. What stands in for a node takes and gives what that one does.
func (g *graphSetup) soundNode(i int) string {
	n := &g.nodes[i].Node
	if !g.sound[i] && n.Role != graph.RoleDetector && n.Role != graph.RoleRecogniser {
		return ""
	}
	ways := 0
	for k := range g.edges {
		if e := &g.edges[k]; e.To == n.ID && g.node(e.From).Node.FallbackOf == "" {
			ways++
		}
	}
	switch {
	case ways > 1:
		return "from:sound_from_two_sides"
	case !g.sound[i]:
		return ""
	case len(g.targets(n.ID)) == 0:
		return "to:leads_nowhere"
	case n.BudgetMS > MaxSoundBudgetMS:
		return "budget_ms"
	case n.FallbackOf != "" && !slices.Equal(g.targets(n.ID), g.targets(n.FallbackOf)):
		return "fallback_of:leads_elsewhere"
	}
	return ""
}

// targets lists where the edges of a node lead, sorted.
func (g *graphSetup) targets(id eventabi.NodeID) (list []eventabi.NodeID) {
	for i := range g.edges {
		if g.edges[i].From == id {
			list = append(list, g.edges[i].To)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// soundFailed takes the failure of a node in the caller's sound; false where it is another
// node's. It costs that node alone: its branch stands in for it, or the sound goes by.
func (m *Machine) soundFailed(in *NodeFailed) bool {
	if in.Turn != "" || !m.graph.inSound(in.Node) {
		return false
	}
	m.refuse("node_failed:"+in.Reason, string(in.Node), "")
	if m.detoured(in.Node) {
		return true // it was given up already
	}
	d := detour{of: in.Node}
	if m.allows(controlplane.ActionFallback) {
		d.by = m.soundBranch(in.Node, triggersOf(in.Reason))
	}
	m.detours = append(m.detours, d)
	switch {
	case d.by != "":
		signal := m.emit(eventabi.SignalFallback, eventabi.EmitterBudget, "", "node_failed:"+string(in.Node))
		signal.NodeID = in.Node
		body := m.fx.body(64)
		body.str("branch", string(d.by))
		signal.Payload = body.done()
	case m.allows(controlplane.ActionDegrade):
		signal := m.emit(eventabi.SignalDegrade, eventabi.EmitterBudget, "", "capability_lost:"+string(in.Node))
		signal.NodeID = in.Node
	}
	m.fx.add(&Detour{Node: in.Node, By: d.by})
	return true
}

func (m *Machine) detoured(id eventabi.NodeID) bool {
	return slices.ContainsFunc(m.detours, func(d detour) bool { return d.of == id })
}

// soundBranch gives the node that stands in for another in the caller's sound, empty when there
// is none.
func (m *Machine) soundBranch(id eventabi.NodeID, triggers []graph.Trigger) eventabi.NodeID {
	for _, t := range triggers {
		for i := range m.graph.nodes {
			if n := &m.graph.nodes[i].Node; n.FallbackOf == id && slices.Contains(n.FallbackOn, t) && !m.detoured(n.ID) {
				return n.ID
			}
		}
	}
	return ""
}

// soundLate tells that frames have gone by a node in the caller's sound, because it did not give
// them back in its time; false where it is another node. It is told once, with the warning that
// belongs before it (flow section 8).
func (m *Machine) soundLate(in *NodeSpent) bool {
	if in.Turn != "" || !m.graph.inSound(in.Node) {
		return false
	}
	if slices.Contains(m.lateSound, in.Node) {
		return true
	}
	m.lateSound = append(m.lateSound, in.Node)
	x := trouble{
		scope: turn.ScopeNode, name: string(in.Node), reason: nodeBudget, used: timebase.MS(in.UsedMS), limit: timebase.MS(in.LimitMS),
	}
	m.accountSignal(eventabi.SignalBudgetWarning, &x, "", turn.OutcomeContinue)
	m.accountSignal(eventabi.SignalBudgetExhausted, &x, "", turn.OutcomeContinue)
	return true
}

// Detour has the caller's sound go by a node that has failed: through another, or, without one,
// as it is.
type Detour struct {
	Node eventabi.NodeID
	By   eventabi.NodeID
}

func (*Detour) effect()      {}
func (*Detour) kind() string { return "detour" }

func (e *Detour) code(c *coder) {
	str(c, "node", &e.Node)
	str(c, "by", &e.By)
}

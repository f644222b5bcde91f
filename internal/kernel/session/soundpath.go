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

// Work nodes may stand in the caller's sound, ahead of those who listen, and in the agent's,
// behind those who speak:
//
//	caller --> node --> node --> detector         synthesiser --> node --> node --> speaker
//	             \----> node --> recogniser        synthesiser -------------/
//
// Sound has no turn before the detector has heard it, and the agent's is one sound whatever turn
// speaks, so they live as long as the session. The shell takes the frames through them and keeps
// each at its place; here is decided what stands in for a node that has failed. A node that has
// nothing which stands in for it is passed by: the frames go on as they are.

// A side is whose sound a node stands in.
type side uint8

const (
	sideNone   side = 0
	sideCaller side = 1
	sideAgent  side = 2
)

// detour says that a node in the sound has failed, and by which node the sound goes
// instead; empty = by none.
type detour struct{ of, by eventabi.NodeID }

// MaxSoundBudgetMS is the longest that a frame may be with one node: what comes later than that
// is no conversation any more.
const MaxSoundBudgetMS = 1000

// inSound says that a node stands in the sound of either side.
func (g *graphSetup) inSound(id eventabi.NodeID) bool { return g.sideOf(id) != sideNone }

// sideOf says whose sound a node stands in.
func (g *graphSetup) sideOf(id eventabi.NodeID) side {
	if i := g.index(id); i >= 0 && i < len(g.sound) {
		return g.sound[i]
	}
	return sideNone
}

// SoundNodes lists the nodes of a definition that stand in the caller's sound, in its order: those
// of the session to which a way leads from the caller, and what stands in for them.
func SoundNodes(d *graph.Definition) []eventabi.NodeID { return onSide(d, sideCaller) }

// VoiceNodes lists those that stand in the agent's sound: of the session, behind a synthesiser.
func VoiceNodes(d *graph.Definition) []eventabi.NodeID { return onSide(d, sideAgent) }

func onSide(d *graph.Definition, of side) (list []eventabi.NodeID) {
	for i, s := range soundSides(d) {
		if s&of != 0 {
			list = append(list, d.Nodes[i].ID)
		}
	}
	return list
}

// soundSides says of each node whose sound it stands in.
func soundSides(d *graph.Definition) []side {
	in := make([]side, len(d.Nodes))
	index := func(id eventabi.NodeID) int {
		return slices.IndexFunc(d.Nodes, func(n graph.Node) bool { return n.ID == id })
	}
	for moved := true; moved; {
		moved = false
		mark := func(from, to int) {
			if from < 0 || to < 0 || !beside(&d.Nodes[to]) {
				return
			}
			if s := in[to] | in[from] | sourceOf(&d.Nodes[from]); s != in[to] {
				in[to], moved = s, true
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

// sourceOf says whose sound begins at a node.
func sourceOf(n *graph.Node) side {
	switch n.Role { //nolint:exhaustive // the others are no beginning
	case graph.RoleCaller:
		return sideCaller
	case graph.RoleSynthesiser:
		return sideAgent
	}
	return sideNone
}

// soundWays finds the nodes in the sound, and what cannot stand there. It gives the reason
// of a refusal, empty when there is none.
func (g *graphSetup) soundWays() string {
	d := graph.Definition{Edges: g.edges}
	for i := range g.nodes {
		d.Nodes = append(d.Nodes, g.nodes[i].Node)
	}
	g.sound = soundSides(&d)
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

// soundEdge holds an edge to the ways of sound.
func (g *graphSetup) soundEdge(e *graph.Edge) string {
	from, to := g.node(e.From), g.node(e.To)
	if from == nil || to == nil {
		return "" // which is told
	}
	sound, takes := sourceOf(&from.Node)|g.sideOf(e.From), g.sideOf(e.To)
	listens := to.Node.Role == graph.RoleDetector || to.Node.Role == graph.RoleRecogniser
	speaks := to.Node.Role == graph.RoleSpeaker
	switch {
	case takes == sideCaller|sideAgent:
		return "to:sound_of_both_sides"
	case sound != sideCaller && (takes == sideCaller || listens), sound != sideAgent && takes == sideAgent:
		return "from:only_sound_goes_there"
	case g.sideOf(e.From) == sideCaller && takes != sideCaller && !listens:
		return "to:only_what_listens"
	case sound == sideAgent && takes != sideAgent && !speaks:
		return "to:only_the_speaker"
	case sound != sideNone && len(e.When) > 0:
		return "when:sound_has_no_attributes"
	}
	return ""
}

// soundNode wants one way of sound to each node that takes the caller's, and one on from each that
// gives the agent's. What stands in for a node takes and gives what that one does.
func (g *graphSetup) soundNode(i int) string {
	n := &g.nodes[i].Node
	in := g.sound[i] != sideNone
	if !in && n.Role != graph.RoleDetector && n.Role != graph.RoleRecogniser && n.Role != graph.RoleSynthesiser {
		return ""
	}
	ways, on := 0, g.targets(n.ID)
	for k := range g.edges {
		if e := &g.edges[k]; e.To == n.ID && g.node(e.From).Node.FallbackOf == "" {
			ways++
		}
	}
	speaks := g.sound[i] == sideAgent || n.Role == graph.RoleSynthesiser
	switch {
	case ways > 1 && !speaks:
		return "from:sound_from_two_sides"
	case len(on) > 1 && speaks:
		return "to:speaks_twice"
	case !in:
		return ""
	case len(on) == 0:
		return "to:leads_nowhere"
	case n.BudgetMS > MaxSoundBudgetMS:
		return "budget_ms"
	case n.FallbackOf != "" && !slices.Equal(on, g.targets(n.FallbackOf)):
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

// soundFailed takes the failure of a node in the sound; false where it is another
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

// soundBranch gives the node that stands in for another in the sound, empty when there
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

// soundLate tells that frames have gone by a node in the sound, because it did not give
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

// Detour has the sound go by a node that has failed: through another, or, without one,
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

// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	kernelgraph "github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// graph is the graph of a session that has one, and the nodes in it. It draws from a chance of
// its own, so that sessions without one are what they are without any.
//
//	caller -> hush (hiss stands in) -> ear
//	ear -> clean (raw stands in) -> by_language -> mind, other
//	cutter -> gate -> filter (plain stands in) -> mouth -> warm -> speaker; gate -> low -> speaker
type graph struct {
	random  timebase.Random
	on      bool
	words   bool // there is a node among the words
	branch  bool // there are nodes that stand in
	sorry   bool // there is a responder
	letters bool
	sound   bool // there are nodes in the sound, the caller's and the agent's
	bad     []Fault
	budget  int64
	jobs    []work
	segment int64 // of the session so far
}

// work is an item that a node has.
type work struct {
	turn    eventabi.TurnID
	node    eventabi.NodeID
	item    int64
	typ     string
	text    int64
	fault   Fault
	over    bool // done, failed, or given up
	stopped bool
}

// graphFaults are what nodes of graphs do wrong.
func graphFaults() []Fault {
	return []Fault{WorkHang, WorkError, WorkPanic, WorkLate, WorkFlood, WorkGarbage}
}

// drawGraph draws a graph for every fourth session, and for those whose faults are of one.
func (w *world) drawGraph(seed uint64, allowed FaultSet) {
	g := &w.graph
	*g = graph{random: timebase.NewRandom(seed ^ 0x6772617068), jobs: g.jobs[:0], bad: g.bad[:0]}
	r := &g.random
	some := r.Chance(3, 4)
	if g.on = r.Chance(1, 4); !g.on {
		return
	}
	for _, f := range graphFaults() {
		if r.Chance(1, 3) && some && allowed.Has(f) {
			w.faults = w.faults.With(f)
			g.bad = append(g.bad, f)
		}
	}
	g.words, g.branch, g.sorry, g.letters = r.Chance(1, 2), r.Chance(1, 2), r.Chance(1, 2), r.Chance(1, 2)
	g.budget = r.Between(0, 1) * r.Between(100, 900)
	g.sound = r.Chance(1, 2)
}

// declareGraph gives the kernel the graph, ahead of the bootstrap.
func (w *world) declareGraph() {
	g := &w.graph
	if !g.on {
		return
	}
	types := []string{"transcript", "segment"}
	node := func(id eventabi.NodeID, role kernelgraph.Role) *session.GraphNode {
		in := &session.GraphNode{Node: kernelgraph.Node{ID: id, Type: string(role), Role: role, Scope: kernelgraph.ScopeTurn}}
		if role == kernelgraph.RoleWork {
			in.Node.Inputs, in.Node.Outputs, in.Node.BudgetMS = types, types, g.budget
		}
		w.add(in)
		return in
	}
	way := func(from, to eventabi.NodeID, when ...kernelgraph.Test) {
		w.add(&session.GraphEdge{Edge: kernelgraph.Edge{
			ID: eventabi.EdgeID(from + "-" + to), From: from, To: to, When: when, Rank: int64(1 - len(when)),
		}})
	}
	standIn := func(id, of eventabi.NodeID) *session.GraphNode {
		in := node(id, kernelgraph.RoleWork)
		in.Node.FallbackOf, in.Node.FallbackOn = of, []kernelgraph.Trigger{kernelgraph.OnTimeout, kernelgraph.OnError, kernelgraph.OnBudget}
		return in
	}
	node("caller", kernelgraph.RoleCaller)
	node("speaker", kernelgraph.RoleSpeaker)
	node("ear", kernelgraph.RoleRecogniser)
	w.declareSound(node, way, standIn)
	way("low", "speaker")
	node("by_language", kernelgraph.RoleSelect)
	node("mind", kernelgraph.RoleModel)
	other := node("other", kernelgraph.RoleModel)
	node("cutter", kernelgraph.RoleSegmenter)
	node("gate", kernelgraph.RoleSelect)
	node("filter", kernelgraph.RoleWork)
	node("mouth", kernelgraph.RoleSynthesiser)
	low := node("low", kernelgraph.RoleSynthesiser)
	other.Provider, low.Provider = "own", "own"
	w.drawSeconds(other, low)
	way("by_language", "other", kernelgraph.Test{Attribute: "language", Op: kernelgraph.OpEqual, Value: "de"})
	way("by_language", "mind")
	way("mind", "cutter")
	way("other", "cutter")
	way("cutter", "gate")
	way("gate", "low", kernelgraph.Test{Attribute: "confidence", Op: kernelgraph.OpMore, Value: "0.9"})
	way("gate", "filter")
	way("filter", "mouth")
	if g.branch {
		standIn("plain", "filter")
		way("plain", "mouth")
	}
	w.declareWords(node, way, standIn)
	if g.letters {
		node("letters", kernelgraph.RoleDeadLetter)
	}
	if g.sorry {
		node("sorry", kernelgraph.RoleResponder).Line = w.text(0, 5, session.TextWords, false)
	}
}

// declareSound gives the caller's sound its way to the recogniser and the agent's its way to the
// speaker, with nodes on it or without.
func (w *world) declareSound(
	node func(eventabi.NodeID, kernelgraph.Role) *session.GraphNode, way func(from, to eventabi.NodeID, when ...kernelgraph.Test),
	standIn func(id, of eventabi.NodeID) *session.GraphNode,
) {
	if !w.graph.sound {
		way("caller", "ear")
		way("mouth", "speaker")
		return
	}
	takesSound(node("hush", kernelgraph.RoleWork))
	way("caller", "hush")
	way("hush", "ear")
	takesSound(node("warm", kernelgraph.RoleWork))
	way("mouth", "warm")
	way("warm", "speaker")
	if w.graph.branch {
		takesSound(standIn("hiss", "hush"))
		way("hiss", "ear")
	}
}

// declareWords gives the caller's words their way to the models, with a node on it or without.
func (w *world) declareWords(
	node func(eventabi.NodeID, kernelgraph.Role) *session.GraphNode, way func(from, to eventabi.NodeID, when ...kernelgraph.Test),
	standIn func(id, of eventabi.NodeID) *session.GraphNode,
) {
	if !w.graph.words {
		way("ear", "by_language")
		return
	}
	node("clean", kernelgraph.RoleWork)
	way("ear", "clean")
	way("clean", "by_language")
	if w.graph.branch {
		standIn("raw", "clean")
		way("raw", "by_language")
	}
}

// takesSound makes a node one that takes sound.
func takesSound(in *session.GraphNode) {
	sound := []string{"audio_chunk"}
	in.Node.Scope, in.Node.Inputs, in.Node.Outputs, in.Node.BudgetMS = kernelgraph.ScopeSession, sound, sound, 0
}

// soundFails has a node in the sound do what another one does.
func (w *world) soundFails(f Fault) {
	g := &w.graph
	if !g.sound || !g.random.Chance(1, 3) {
		return
	}
	id := [...]eventabi.NodeID{"hush", "hiss", "warm"}[g.random.Below(3)]
	switch f { //nolint:exhaustive // the others have no meaning for sound
	case WorkHang, WorkError, WorkPanic:
		in := w.pool.failures.get()
		in.Node, in.Turn, in.Reason = id, "", [...]string{"hook_timeout", "error", "panic"}[f-WorkHang]
		w.add(in)
	case WorkLate:
		w.add(&session.NodeSpent{Node: id, UsedMS: 60, LimitMS: 50})
	}
}

// drawSeconds gives nodes second providers where their modalities have some.
func (w *world) drawSeconds(model, voice *session.GraphNode) {
	if w.habits.seconds[1] {
		model.Second = "own-2"
	}
	if w.habits.seconds[2] {
		voice.Second = "own-2"
	}
}

// describes gives what is said attributes, where a graph may ask for them.
func (w *world) describes(in session.Input) {
	if !w.graph.on {
		return
	}
	switch in := in.(type) { //nolint:gochecksumtype // the others say nothing of themselves
	case *session.TextIn:
		in.Attributes = w.said()
	case *session.Transcript:
		if in.Final {
			in.Attributes = w.said()
		}
	case *session.Segment:
		w.graph.segment++
		w.texts[in.Text.Handle].segment = w.graph.segment
	}
}

func (w *world) said() []kernelgraph.Attribute {
	r := &w.graph.random
	return []kernelgraph.Attribute{
		{Name: "language", Value: [...]string{"de", "en"}[r.Below(2)]}, {Name: "confidence", Value: [...]string{"0.5", "0.95"}[r.Below(2)]},
	}
}

// works hands an item to a node of the graph.
func (w *world) works(e *session.Work) {
	if e.Type == "dead_letter" {
		return
	}
	g := &w.graph
	j := work{turn: e.Turn, node: e.Node, item: e.Item, typ: e.Type, text: e.Text, fault: noFault}
	if len(g.bad) > 0 && !w.calm && g.random.Chance(1, 4) {
		j.fault = g.bad[g.random.Below(int64(len(g.bad)))]
		w.covered[j.fault]++
	}
	g.jobs = append(g.jobs, j)
	wait := g.random.Between(0, 120)
	switch j.fault { //nolint:exhaustive // only the faults of nodes
	case WorkHang:
		wait = 5000 // the hard limit of a hook
	case WorkLate:
		wait = g.random.Between(200, 4000)
	}
	w.after(w.now, wait, evWork, int32(len(g.jobs)-1), 0)
}

// stopWork has nodes hear that they are to stop.
func (w *world) stopWork(e *session.Hook) {
	if e.Hook != session.HookCancel {
		return
	}
	for i := range w.graph.jobs {
		if j := &w.graph.jobs[i]; j.turn == e.Turn && (e.Node == "" || e.Node == j.node) {
			j.stopped = true
		}
	}
}

// worked is a node that is done with an item, or what comes instead of it.
func (w *world) worked(e *event) {
	g := &w.graph
	j := &g.jobs[e.who]
	if j.over || j.stopped && j.fault != WorkLate && j.fault != WorkHang && g.random.Chance(1, 2) {
		return
	}
	if j.fault != noFault {
		w.soundFails(j.fault)
	}
	switch j.fault { //nolint:exhaustive // only the faults of nodes
	case WorkHang:
		w.workFailed(j, "hook_timeout")
		return
	case WorkError:
		w.workFailed(j, "error")
		return
	case WorkPanic:
		w.gives(j, 0)
		w.workFailed(j, "panic")
		return
	case WorkGarbage:
		w.nonsense(j)
	}
	outputs := g.random.Between(0, 8)
	switch {
	case j.fault == WorkFlood:
		outputs = 100
	case outputs > 2:
		outputs = 1
	}
	for i := range outputs {
		w.gives(j, i)
	}
	w.add(&session.NodeDone{Node: j.node, Turn: j.turn, Item: j.item})
	j.over = true
}

// workFailed is a node that is gone: nothing more comes from it in its turn.
func (w *world) workFailed(j *work, reason string) {
	in := w.pool.failures.get()
	in.Node, in.Turn, in.Reason = j.node, j.turn, reason
	if reason == "hook_timeout" {
		in.LimitMS = 5000
	}
	w.add(in)
	for i := range w.graph.jobs {
		if k := &w.graph.jobs[i]; k.turn == j.turn && k.node == j.node {
			k.over = true
		}
	}
}

// gives is an output of a node.
func (w *world) gives(j *work, index int64) {
	g := &w.graph
	of := &w.texts[j.text]
	owner, segment, protected := of.owner, of.segment, of.protected
	words := g.random.Between(1, 10)
	ref := w.text(owner, words, session.TextWords, protected)
	w.texts[ref.Handle].segment = segment
	w.add(&session.NodeOutput{
		Node: j.node, Turn: j.turn, Item: j.item, Index: index, Type: j.typ, Text: ref, Attributes: w.said(),
	})
}

// nonsense is output that answers nothing.
func (w *world) nonsense(j *work) {
	r := &w.graph.random
	in := &session.NodeOutput{Node: j.node, Turn: j.turn, Item: j.item, Type: j.typ, Text: w.text(0, 2, session.TextWords, false)}
	switch r.Below(5) {
	case 0:
		in.Item += 7
	case 1:
		in.Type = "audio_chunk"
	case 2:
		in.Index = -3
	case 3:
		in.Node = "nobody"
	case 4:
		in.Turn = "t999"
	}
	if in.Type == "audio_chunk" { // it counts as one that was given
		in.Index = 1000
	}
	w.add(in)
}

// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"slices"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// graphWatch is what the nodes of a session's graph have and give, as seen from outside.
type graphWatch struct {
	on     bool
	hands  []handWatch
	placed []int64 // handles that have come to a synthesiser, of the live turn
	said   int     // of those
	last   int64   // the segment that the piece placed last was made of
	seen   map[handKey]struct{}
	mute   []eventabi.NodeID // nodes in the sound that have failed
	passed []eventabi.NodeID // and those that it goes by
	sound  bool              // there is such a node
	spare  bool              // another stands in for it
}

// handKey names an item in the hands of a node.
type handKey struct {
	node eventabi.NodeID
	item int64
}

// handWatch is an item that a node has.
type handWatch struct {
	handKey
	turn   eventabi.TurnID
	bound  timebase.Instant // its budget is over then
	told   bool
	failed bool // its node failed: something is made of that in this step
}

func (g *graphWatch) begin(on bool) {
	seen := g.seen
	if seen == nil {
		seen = map[handKey]struct{}{}
	}
	clear(seen)
	*g = graphWatch{on: on, hands: g.hands[:0], placed: g.placed[:0], seen: seen, mute: g.mute[:0], passed: g.passed[:0]}
}

func (g *graphWatch) hand(node eventabi.NodeID) *handWatch {
	for i := range g.hands {
		if g.hands[i].node == node {
			return &g.hands[i]
		}
	}
	return nil
}

// free takes what a node has out of its hands.
func (g *graphWatch) free(node eventabi.NodeID) {
	for i := range g.hands {
		if g.hands[i].node == node {
			g.hands = append(g.hands[:i], g.hands[i+1:]...)
			return
		}
	}
}

// nodeDone follows the end of a node's work.
func (k *watch) nodeDone(in *session.NodeDone) {
	if h := k.flow.hand(in.Node); h != nil && h.item == in.Item && h.turn == in.Turn && k.live >= 0 && k.turns[k.live].id == in.Turn {
		k.flow.free(in.Node)
	}
}

// workFailed follows the failure of a node.
func (k *watch) workFailed(in *session.NodeFailed) bool {
	if in.Node == "hush" || in.Node == "hiss" || in.Node == "warm" {
		k.soundFailed(in)
		return true
	}
	h := k.flow.hand(in.Node)
	if h != nil && h.turn == in.Turn && k.running() {
		h.failed = true
	}
	return k.flow.on && in.Node != "segmenter" && in.Node != "llm" && in.Node != "tts" && in.Node != "endpointer"
}

// graphEffect checks what is decided about the graph alone.
func (k *watch) graphEffect(e session.Effect) {
	switch e := e.(type) { //nolint:gochecksumtype // the others are about something else as well
	case *session.Work:
		k.work(e)
	case *session.Place:
		k.placed(e)
	case *session.Detour:
		k.detoured(e)
	}
}

// soundFailed follows the failure of a node in the sound. That of one which is not
// declared is nobody's.
func (k *watch) soundFailed(in *session.NodeFailed) {
	f := &k.flow
	if f.sound && in.Turn == "" && (in.Node != "hiss" || f.spare) && !slices.Contains(f.mute, in.Node) {
		f.mute = append(f.mute, in.Node)
	}
}

// detoured checks by which node the sound goes.
func (k *watch) detoured(e *session.Detour) {
	f := &k.flow
	k.ok(SoundGoesOn, slices.Contains(f.mute, e.Node), "sound goes by a node that has not failed")
	k.ok(SoundGoesOn, !slices.Contains(f.passed, e.Node), "sound goes by a node twice")
	k.ok(SoundGoesOn, e.By == "" || f.spare && e.Node == "hush" && e.By == "hiss" && !slices.Contains(f.passed, e.By), "sound goes by way of a node that does not stand in, or has failed")
	f.passed = append(f.passed, e.Node)
}

// work checks an item that a node is handed.
func (k *watch) work(e *session.Work) {
	if e.Type == "dead_letter" {
		k.ok(WorkOnce, e.Text == 0, "a dead letter says what the item said")
		return
	}
	key := handKey{e.Node, e.Item}
	_, twice := k.flow.seen[key]
	k.flow.seen[key] = struct{}{}
	k.ok(WorkOnce, !twice, "a node is handed an item twice")
	k.ok(WorkOnce, k.flow.hand(e.Node) == nil, "a node is handed an item while it has one")
	k.ok(WorkOnce, k.live >= 0 && k.turns[k.live].id == e.Turn && k.pass.terminal == "", "work for a turn that is not live")
	k.flow.hands = append(k.flow.hands, handWatch{handKey: key, turn: e.Turn, bound: k.now.Add(timebase.MS(e.BudgetMS))})
}

// workHook follows nodes that are told to stop.
func (k *watch) workHook(e *session.Hook) {
	if e.Hook == session.HookCancel && e.Node != "" {
		k.flow.free(e.Node)
	}
}

// workBudget follows what is told of a node's budget.
func (k *watch) workBudget(v *eventabi.Envelope) {
	if h := k.flow.hand(v.NodeID); h != nil && v.Reason == "node_budget" && v.Signal == eventabi.SignalBudgetExhausted {
		h.told = true
	}
}

// placed checks a piece that has come to a synthesiser.
func (k *watch) placed(e *session.Place) {
	g := k.genOf(e.Turn)
	k.ok(GraphFenced, k.live >= 0 && k.turns[k.live].id == e.Turn && (g < 0 || !k.gens[g].fenced || k.gens[g].fencedNow), "a piece of a turn that is fenced or not live comes to a synthesiser")
	k.ok(GraphOrdered, e.Segment == int64(len(k.flow.placed)), "pieces do not count up")
	segment := k.texts[e.Text].segment
	k.ok(GraphOrdered, segment == 0 || segment >= k.flow.last, "a piece comes ahead of one that was cut before it")
	k.flow.last = max(k.flow.last, segment)
	k.flow.placed = append(k.flow.placed, e.Text)
}

// voiced checks that what is said has come through the graph, in its order.
func (k *watch) voiced(e *session.Say) {
	if !k.flow.on || e.Attempt > 1 || k.live >= 0 && k.turns[k.live].stoodIn {
		return
	}
	k.ok(GraphOrdered, k.flow.said < len(k.flow.placed) && k.flow.placed[k.flow.said] == e.Text, "something is said that has not come through the graph, or not in its order")
	k.flow.said++
}

// answersOnce checks that a turn asks one model, and asks another round only of that.
func (k *watch) answersOnce(e *session.Generate) {
	if !k.flow.on || k.live < 0 {
		return
	}
	t := &k.turns[k.live]
	k.ok(OneAnswer, e.Node != "" && (t.model == "" || t.model == e.Node), "two models answer in one turn, or none of the graph")
	t.model = e.Node
}

// graphTurn begins and ends what is known of a turn.
func (k *watch) graphTurn() {
	k.flow.hands, k.flow.placed, k.flow.said, k.flow.last = k.flow.hands[:0], k.flow.placed[:0], 0, 0
}

// graphSettled checks what nodes have when a step is over.
func (k *watch) graphSettled() {
	for i := range k.flow.hands {
		h := &k.flow.hands[i]
		if k.live < 0 || k.turns[k.live].id != h.turn || k.ended {
			continue
		}
		if !h.told {
			k.by(WorkBounded, h.bound, "what a node has in hand")
		}
	}
	k.ok(SoundGoesOn, k.ended || len(k.flow.passed) == len(k.flow.mute), "a node in the sound has failed, and nothing was made of it")
	kept := k.flow.hands[:0]
	for _, h := range k.flow.hands {
		if !h.failed {
			kept = append(kept, h)
		}
	}
	k.flow.hands = kept
}

// itemOf reads the item from a signal's payload.
func itemOf(payload []byte) string {
	_, rest, _ := bytes.Cut(payload, []byte(`"item":`))
	number, _, _ := bytes.Cut(rest, []byte(","))
	return string(number)
}

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

// trouble is something with which a turn cannot go on as planned: a budget that is
// exhausted (it has a scope), or a part of the turn that has failed (it has none). It is
// answered within its pass, at the arbitration point: where the turn ends anyway, nothing
// is adapted.
type trouble struct {
	scope   turn.Scope // empty = a failure
	name    string     // of the node, the path or the edge
	reason  string     // of the signals that tell of it
	used    timebase.Span
	limit   timebase.Span
	nested  timebase.Span // what the warning is about; 0 = the limit
	awaits  stage         // what the turn waits for because of it
	soft    bool          // a turn that has something to say goes on all the same
	final   bool          // no action helps
	lost    bool          // what it waits for is gone, not merely slow
	shed    bool          // it was not scheduled: no provider has failed
	call    eventabi.InvocationID
	attempt int64
	class   string // of the call's outcome
	said    string // the call's outcome in the words of the taxonomy
	abort   controlplane.AbortReason
	// Of a node of the session's graph: what the trouble is to its branches, and the item that
	// it had in hand.
	triggers []graph.Trigger
	item     int64
}

// stage is what a turn waits for on its way to sound.
type stage uint8

const (
	stageNone  stage = iota
	stageWords       // the caller's words
	stageReply       // the first piece of the model's reply
	stageSound       // the synthesiser
)

// The nodes of the voice graph, as failures and cancels name them. The last three work
// within a turn.
const (
	nodeEndpointer eventabi.NodeID = "endpointer"
	nodeSTT        eventabi.NodeID = "stt"
	nodeLLM        eventabi.NodeID = "llm"
	nodeSegmenter  eventabi.NodeID = "segmenter"
	nodeTTS        eventabi.NodeID = "tts"
)

// nodeStage is what a turn waits for while a node works.
func nodeStage(id eventabi.NodeID) stage {
	switch id {
	case nodeLLM, nodeSegmenter:
		return stageReply
	case nodeTTS:
		return stageSound
	}
	return stageNone
}

// edgeStage is what a turn waits for while something waits on an edge.
func edgeStage(edge eventabi.EdgeID) stage {
	switch edge {
	case turn.EdgeSTTLLM:
		return stageWords
	case turn.EdgeLLMTTS:
		return stageSound
	}
	return stageNone
}

// waitsFor is what the live turn waits for.
func (m *Machine) waitsFor() stage {
	t := &m.turn
	switch reply := &t.output.reply; {
	case !t.asked:
		return stageWords
	case reply.Len() == 0 && !reply.Ended():
		return stageReply
	case !reply.Complete():
		return stageSound
	}
	return stageNone
}

// allows says whether an adaptive action is authorised: by the plan of the live turn, and
// outside one by the set that every plan of the session has.
func (m *Machine) allows(a controlplane.AdaptiveAction) bool {
	if m.arbiter.State() == controlplane.TurnActive {
		return slices.Contains(m.turn.plan.AllowedAdaptiveActions, a)
	}
	return slices.Contains(m.plans.actions, a)
}

// raise notes a trouble of the live turn, to be answered at the arbitration point.
func (m *Machine) raise(x trouble) {
	if m.arbiter.State() == controlplane.TurnActive {
		m.turn.troubles = append(m.turn.troubles, x)
	}
}

// failed notes a call whose attempts are over.
func (m *Machine) failed(c *call, class, reason string) {
	x := trouble{
		reason: "provider_failed:" + c.kind.String(), awaits: stageReply, call: c.id, class: class, said: reason,
		lost: true, abort: controlplane.AbortProviderFailure,
	}
	if c.kind == callTTS {
		x.awaits = stageSound
	}
	m.raise(x)
}

// nothingHeard: the recogniser has failed, or was not scheduled, before it had a word, so the model has nothing
// to answer.
func (m *Machine) nothingHeard(shed bool) {
	x := trouble{
		reason: "provider_failed:" + callSTT.String(), awaits: stageWords, lost: true,
		abort: controlplane.AbortProviderFailure,
	}
	if shed {
		x.name, x.reason, x.shed, x.abort = string(nodeSTT), unscheduledNode(nodeSTT), true, controlplane.AbortNodeFailure
	}
	m.raise(x)
}

// adapt answers the troubles of this pass, budgets first, as they stand first in the
// precedence of lifecycle section 4. One without a way on is the end of the turn, whatever
// the others are. It reports whether there were any.
func (m *Machine) adapt() bool {
	t := &m.turn
	moved := len(t.troubles) > 0
	for i := range t.troubles {
		if x := &t.troubles[i]; !m.moot(x) && m.movable(x) == nil && m.outcome(x) == turn.OutcomeTerminate {
			m.giveUp(x)
		}
	}
	for len(t.troubles) > 0 {
		i := max(0, slices.IndexFunc(t.troubles, func(x trouble) bool { return x.scope != "" }))
		x := t.troubles[i]
		t.troubles = slices.Delete(t.troubles, i, i+1)
		if m.arbiter.State() == controlplane.TurnActive && !m.moot(&x) {
			m.answer(&x)
		}
	}
	return moved
}

// moot says that nobody needs any more what has failed.
func (m *Machine) moot(x *trouble) bool {
	switch {
	case x.triggers != nil:
		return m.graphMoot(x)
	case x.scope != "":
		return false
	case x.call != "":
		c := m.call(x.call)
		return c == nil || !c.parked
	}
	return x.awaits == stageWords && m.turn.asked
}

// answer decides what follows: for a call another provider (turn-plan section 10), then
// the first of degrade and fallback that the plan allows and that helps, else the end.
func (m *Machine) answer(x *trouble) {
	if m.arbiter.Ending() {
		m.settleParked(x.call)
		return
	}
	if c := m.movable(x); c != nil {
		m.moveOn(c, x.said)
		return
	}
	outcome := m.outcome(x)
	if outcome == turn.OutcomeTerminate {
		m.giveUp(x)
		return
	}
	if x.scope != "" {
		m.announce(x, outcome)
	}
	if x.scope == turn.ScopeTurn {
		m.turn.budget.Continue()
		m.nestAll()
		if t := &m.turn; t.speech.Limit() != 0 && t.speech.Remaining(m.now) == 0 { // it began in what was spent
			t.speech = t.budget.Nest(m.now, timebase.MS(t.plan.Budgets.PathBudgetMSDefault))
		}
	}
	m.settleParked(x.call)
	if outcome == turn.OutcomeContinue {
		m.loseNode(x)
	}
	switch outcome {
	case turn.OutcomeDegrade:
		step, _ := m.stepFor(x)
		m.turn.adapted = m.now
		m.degrade(step, eventabi.EmitterBudget, x.cause())
	case turn.OutcomeFallback:
		m.turn.adapted = m.now
		if !m.takeBranch(x) {
			m.standIn(x)
		}
	case turn.OutcomeContinue, turn.OutcomeTerminate:
	}
}

// outcome is what the plan has to say.
func (m *Machine) outcome(x *trouble) turn.Outcome {
	return turn.Follow(m.turn.plan.AllowedAdaptiveActions, m.ways(x))
}

// cause is how the reason of an action names the trouble.
func (x *trouble) cause() string {
	if x.scope != "" && x.name != "" {
		return x.reason + ":" + x.name
	}
	return x.reason
}

// giveUp makes the trouble a cause of the turn's end, by its place in the precedence.
func (m *Machine) giveUp(x *trouble) {
	m.settleParked(x.call)
	m.loseNode(x)
	if x.scope == "" {
		m.arbiter.Raise(turn.CauseFailure, x.abort)
		return
	}
	if !m.arbiter.Pending(turn.CauseBudget) {
		m.turn.spent = *x
	}
	m.arbiter.Raise(turn.CauseBudget, x.abort)
}

// settleParked ends a call that failed and gets no further attempt.
func (m *Machine) settleParked(id eventabi.InvocationID) {
	c := m.call(id)
	switch {
	case c == nil || !c.parked:
	case c.hung:
		m.abandonCall(c)
	default:
		m.removeCall(id)
	}
}

// ways says what could be done. A budget that ends in the pass in which an action was
// taken waits for what that brings.
func (m *Machine) ways(x *trouble) turn.Ways {
	t := &m.turn
	if x.final {
		return turn.Ways{}
	}
	if x.triggers != nil {
		return m.graphWays(x)
	}
	if x.scope != "" && !x.lost && t.adapted == m.now {
		return turn.Ways{Continue: true}
	}
	_, helps := m.stepFor(x)
	return turn.Ways{
		Degrade:  helps,
		Fallback: (x.awaits == stageWords || x.awaits == stageReply) && m.canStandIn(),
		Continue: m.doesWithout(x) || x.soft && (t.firstOutput != 0 || x.awaits != stageSound && t.output.reply.Len() > 0),
	}
}

// doesWithout says that an action taken before has made the turn independent of what is in
// trouble.
func (m *Machine) doesWithout(x *trouble) bool {
	t := &m.turn
	return x.awaits == stageReply && t.stoodIn || x.awaits == stageSound && t.output.reply.Muted()
}

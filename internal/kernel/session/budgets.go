// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// The reasons of budget signals: which budget it is.
const (
	turnBudget       = "turn_budget"
	turnHardCap      = "turn_hard_cap"
	nodeBudget       = "node_budget"
	pathBudget       = "path_budget"
	edgeBudget       = "edge_budget"
	invocationBudget = "invocation_budget"
	edgeOverflow     = string(controlplane.AbortEdgeOverflow)
)

// speechPath is the one path that the voice graph declares: from the first piece of a
// reply to its first sound, over every attempt and provider.
const speechPath = "speech"

// meter is the budget of a node or an edge: the amounts are reported, not timed here.
type meter struct {
	scope turn.Scope
	name  string
	turn  eventabi.TurnID // empty in session scope
	spent turn.Allowance
}

// meter finds or begins an account, nil when there are too many.
func (m *Machine) meter(scope turn.Scope, name string, id eventabi.TurnID, limit timebase.Span) *turn.Allowance {
	if spent := m.metered(scope, name, id); spent != nil {
		return spent
	}
	if len(m.meters) >= maxMeters {
		m.refuse("meter_limit", name, id)
		return nil
	}
	m.meters = append(m.meters, meter{scope: scope, name: name, turn: id, spent: turn.Allow(0, limit)})
	return &m.meters[len(m.meters)-1].spent
}

// metered finds an account, nil when there is none.
func (m *Machine) metered(scope turn.Scope, name string, id eventabi.TurnID) *turn.Allowance {
	for i := range m.meters {
		if x := &m.meters[i]; x.scope == scope && x.name == name && x.turn == id {
			return &x.spent
		}
	}
	return nil
}

// charge takes what a node or an edge has used of its budget, and reports the warning and
// the exhaustion, each once a turn. Outside a turn there is nothing that could be done
// about it: the session goes on.
func (m *Machine) charge(x trouble, id eventabi.TurnID) {
	spent := m.meter(x.scope, x.name, id, x.limit)
	if spent == nil {
		return
	}
	if x.nested != 0 {
		spent.Warn(x.nested) // what the turn leaves is another for each item
	}
	for {
		switch spent.Due(timebase.Instant(x.used)) {
		case turn.BudgetWarning:
			y := x
			y.limit = spent.Warned()
			m.accountSignal(eventabi.SignalBudgetWarning, &y, id, turn.OutcomeContinue)
		case turn.BudgetExhausted:
			if id == "" {
				m.accountSignal(eventabi.SignalBudgetExhausted, &x, id, turn.OutcomeContinue)
				continue
			}
			m.raise(x)
		case turn.BudgetNothing, turn.BudgetOverrun, turn.BudgetHardCap:
			return
		}
	}
}

// nodeSpent: a node's budget is soft. Passing it is answered by the plan, and costs the
// turn its life only where that has nothing to say yet.
func (m *Machine) nodeSpent(in *NodeSpent) {
	if in.Node == "" || in.LimitMS <= 0 || in.LimitMS > maxSettingMS || in.UsedMS < 0 || in.UsedMS > maxSettingMS {
		m.refuse("node_spent_malformed", string(in.Node), in.Turn)
		return
	}
	if in.Turn != "" && in.Turn != m.scopeTurn() {
		m.late(in, in.Turn)
		return
	}
	if m.soundLate(in) {
		return
	}
	m.charge(trouble{
		scope: turn.ScopeNode, name: string(in.Node), reason: nodeBudget, soft: true, awaits: m.stageOf(in.Node),
		used: timebase.MS(in.UsedMS), limit: timebase.MS(in.LimitMS), abort: controlplane.AbortNodeFailure,
	}, in.Turn)
}

// nodeFailed: a node that failed costs its own instance. Where the plan has no way on
// without it, the turn ends (T10). One that passed a time limit has exhausted its budget
// with that, if it had not before (failure-matrix F2).
func (m *Machine) nodeFailed(in *NodeFailed) {
	m.drain.degraded = true
	if m.soundFailed(in) {
		return
	}
	if in.Turn == "" || in.Turn != m.scopeTurn() {
		m.refuse("node_failed:"+in.Reason, string(in.Node), in.Turn)
		return
	}
	if m.turn.run != nil && m.graphNodeFailed(in) {
		return
	}
	x := trouble{
		name: string(in.Node), reason: "node_failed:" + string(in.Node), awaits: m.stageOf(in.Node),
		lost: true, abort: controlplane.AbortNodeFailure,
	}
	if in.Reason == "hook_timeout" && in.LimitMS > 0 && in.LimitMS <= maxSettingMS {
		m.timedOut(&x, timebase.MS(in.LimitMS))
	}
	m.raise(x)
}

// timedOut makes a node's failure the end of its budget, with the warning that belongs
// before it, unless the budget has ended already.
func (m *Machine) timedOut(x *trouble, limit timebase.Span) {
	spent := m.meter(turn.ScopeNode, x.name, m.turn.id, limit)
	if spent == nil {
		return
	}
	y := *x
	y.scope, y.reason, y.used, y.limit = turn.ScopeNode, nodeBudget, limit, limit
	for {
		switch spent.Due(timebase.Instant(limit)) {
		case turn.BudgetWarning:
			m.accountSignal(eventabi.SignalBudgetWarning, &y, m.turn.id, turn.OutcomeContinue)
		case turn.BudgetExhausted:
			*x = y
		case turn.BudgetNothing, turn.BudgetOverrun, turn.BudgetHardCap:
			return
		}
	}
}

// edgeSpent takes how long an item has waited on an edge whose clock runs. Whoever waits
// beside the turn costs it nothing, and of a wait behind which the turn has something to
// say it is not aware; any other is answered by the plan.
func (m *Machine) edgeSpent(edge eventabi.EdgeID, beside bool, used, nested, limit timebase.Span) {
	x := trouble{
		scope: turn.ScopeEdge, name: string(edge), reason: edgeBudget, soft: true, awaits: edgeStage(edge),
		used: used, nested: nested, limit: limit, abort: controlplane.AbortBudgetExhausted,
	}
	if beside {
		m.charge(x, "")
		return
	}
	m.charge(x, m.scopeTurn())
}

// overflow: an edge holds nothing but protected items and has no room for another, even
// after the block cap. What follows is decided as for a budget; an end is edge_overflow
// (flow section 1).
func (m *Machine) overflow(edge eventabi.EdgeID, awaits stage) {
	x := trouble{
		scope: turn.ScopeEdge, name: string(edge), reason: edgeOverflow, awaits: awaits, lost: awaits == stageSound,
		abort: controlplane.AbortEdgeOverflow,
	}
	if m.scopeTurn() == "" {
		m.accountSignal(eventabi.SignalBudgetExhausted, &x, "", turn.OutcomeContinue)
		return
	}
	m.raise(x)
}

// callSlow gives the warning of a provider call's budget. What its end brings is another
// matter: that is provider_error, and the rest of the turn's time goes to the next action
// (flow section 8). A recogniser that has answered owes nothing.
func (m *Machine) callSlow(c *call) {
	if m.answered(c) {
		return
	}
	x := trouble{
		scope: turn.ScopeInvocation, reason: invocationBudget, call: c.id, attempt: c.attempt,
		used: c.budget.Used(m.now), limit: c.budget.Warned(),
	}
	m.accountSignal(eventabi.SignalBudgetWarning, &x, c.turn, turn.OutcomeContinue)
}

// expireBudget reports what the turn's envelope and the path inside it have to say. When
// the outer one is over, the inner one says nothing of its own.
func (m *Machine) expireBudget() {
	t := &m.turn
	if m.arbiter.State() != controlplane.TurnActive {
		return
	}
	for event := t.budget.Due(m.now); event != turn.BudgetNothing; event = t.budget.Due(m.now) {
		switch event {
		case turn.BudgetNothing:
		case turn.BudgetWarning:
			m.budgetSignal(eventabi.SignalBudgetWarning, turnBudget, turn.OutcomeContinue)
		case turn.BudgetOverrun:
			m.budgetSignal(eventabi.SignalBudgetWarning, turnBudget+":continue", turn.OutcomeContinue)
		case turn.BudgetExhausted:
			t.speech.Close()
			m.raise(trouble{
				scope: turn.ScopeTurn, reason: turnBudget, awaits: m.waitsFor(), final: t.budget.Capped(m.now),
				abort: controlplane.AbortBudgetExhausted,
			})
		case turn.BudgetHardCap:
			t.speech.Close()
			m.raise(trouble{scope: turn.ScopeTurn, reason: turnHardCap, final: true, abort: controlplane.AbortBudgetExhausted})
		}
	}
	for event := t.speech.Due(m.now); event != turn.BudgetNothing; event = t.speech.Due(m.now) {
		x := trouble{
			scope: turn.ScopePath, name: speechPath, reason: pathBudget, awaits: stageSound,
			used: t.speech.Used(m.now), limit: t.speech.Limit(), abort: controlplane.AbortBudgetExhausted,
		}
		if event == turn.BudgetWarning {
			m.accountSignal(eventabi.SignalBudgetWarning, &x, t.id, turn.OutcomeContinue)
		} else {
			m.raise(x)
		}
	}
}

// left is how much of the turn's time there is for another attempt at something: of the
// path where one runs, and nothing once the envelope has ended without output.
func (m *Machine) left() timebase.Span {
	t := &m.turn
	if t.budget.Spent() {
		return 0
	}
	return min(t.budget.Remaining(m.now), t.speech.Remaining(m.now))
}

// fits says that there is time for something that takes so long.
func (m *Machine) fits(span timebase.Span) bool { return span <= m.left() }

// announce says what an exhausted budget leads to (flow section 8), to everybody and to
// the nodes that it is about.
func (m *Machine) announce(x *trouble, outcome turn.Outcome) {
	hook := &Hook{Turn: m.turn.id, Hook: HookBudgetExhausted, Outcome: outcome}
	switch x.scope {
	case turn.ScopeTurn:
		m.budgetSignal(eventabi.SignalBudgetExhausted, x.reason, outcome)
	case turn.ScopeNode:
		hook.Node = eventabi.NodeID(x.name)
		m.accountSignal(eventabi.SignalBudgetExhausted, x, m.turn.id, outcome)
	case turn.ScopePath, turn.ScopeEdge, turn.ScopeInvocation:
		m.accountSignal(eventabi.SignalBudgetExhausted, x, m.turn.id, outcome)
	}
	m.fx.add(hook)
}

// budgetSignal reports an outcome of the turn's budget with its values.
func (m *Machine) budgetSignal(s eventabi.Signal, reason string, outcome turn.Outcome) {
	signal := m.emit(s, eventabi.EmitterBudget, m.turn.id, reason)
	body := m.fx.body(64)
	body.str("outcome", string(outcome))
	body.int("used_ms", m.turn.budget.Used(m.now).MS())
	body.int("turn_budget_ms", m.turn.plan.Budgets.TurnBudgetMS)
	body.int("turn_hard_cap_ms", m.settings.TurnHardCapMS)
	signal.Payload = body.done()
}

// accountSignal reports an outcome of another budget with its values.
func (m *Machine) accountSignal(s eventabi.Signal, x *trouble, id eventabi.TurnID, outcome turn.Outcome) {
	signal := m.emit(s, eventabi.EmitterBudget, id, x.reason)
	body := m.fx.body(96)
	body.str("outcome", string(outcome))
	body.str("scope", string(x.scope))
	switch x.scope {
	case turn.ScopeNode:
		signal.NodeID = eventabi.NodeID(x.name)
	case turn.ScopeInvocation:
		signal.ProviderInvocationID = x.call
		body.int("attempt", x.attempt)
	case turn.ScopeEdge:
		signal.EdgeID = eventabi.EdgeID(x.name)
	case turn.ScopeTurn, turn.ScopePath:
		body.str("name", x.name)
	}
	if x.item != 0 {
		body.int("item", x.item)
	}
	body.int("used_ms", x.used.MS())
	body.int("limit_ms", x.limit.MS())
	signal.Payload = body.done()
}

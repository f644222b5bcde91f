// SPDX-License-Identifier: Apache-2.0

package node

import "github.com/parley-voice/parley/api/eventabi"

// Node is one node of a graph (nodes-providers-transports section 1). An error from a
// hook, a panic or a passed time limit ends the instance; other nodes and other
// sessions go on.
type Node interface {
	// Declaration says what the node is and needs. It is asked before Init, takes no
	// time and always answers the same.
	Declaration() Declaration
	// Init prepares the instance.
	Init(ctx *Context) error
	// Start is called once, before the first event.
	Start(ctx *Context) error
	// OnEvent takes one event and emits zero or more through ctx, now or later.
	OnEvent(ctx *Context, ev *Event) error
	// OnCancel says that the instance's scope was cancelled. The acknowledgement is its
	// return; the runtime does not wait for it before it fences.
	OnCancel(ctx *Context, cancel Cancel) error
	// Stop releases what the instance holds. The host calls it once, also after a failure.
	Stop(ctx *Context) error
}

// BargeInHandler is implemented by nodes that buffer audio: the user has cut in, and
// what is buffered must go.
type BargeInHandler interface {
	OnBargeIn(ctx *Context) error
}

// BudgetHandler is implemented by nodes whose work outlasts a hook: a budget is gone
// and the engine has decided what follows.
type BudgetHandler interface {
	OnBudgetExhausted(ctx *Context, outcome BudgetOutcome) error
}

// Cancel is what OnCancel is told.
type Cancel struct {
	Scope      eventabi.CancelScope
	Invocation eventabi.InvocationID // scope provider_invocation
	Reason     string                // cause code of lifecycle section 8
}

// BudgetOutcome is what follows when a budget is exhausted (flow section 8).
type BudgetOutcome string

// The budget outcomes.
const (
	BudgetContinue  BudgetOutcome = "continue"
	BudgetDegrade   BudgetOutcome = "degrade"
	BudgetFallback  BudgetOutcome = "fallback"
	BudgetTerminate BudgetOutcome = "terminate"
)

// SPDX-License-Identifier: Apache-2.0

package node

// NoOp has every hook and does nothing in any. Embed it in a node that needs only some.
type NoOp struct{}

var (
	_ BargeInHandler = NoOp{}
	_ BudgetHandler  = NoOp{}
)

// Init does nothing.
func (NoOp) Init(*Context) error { return nil }

// Start does nothing.
func (NoOp) Start(*Context) error { return nil }

// OnEvent drops the event.
func (NoOp) OnEvent(*Context, *Event) error { return nil }

// OnCancel does nothing.
func (NoOp) OnCancel(*Context, Cancel) error { return nil }

// OnBargeIn does nothing: there is nothing buffered.
func (NoOp) OnBargeIn(*Context) error { return nil }

// OnBudgetExhausted does nothing.
func (NoOp) OnBudgetExhausted(*Context, BudgetOutcome) error { return nil }

// Stop does nothing.
func (NoOp) Stop(*Context) error { return nil }

// Func makes a node of one function: it is called for each event.
type Func struct {
	NoOp
	About Declaration
	Event func(ctx *Context, ev *Event) error
}

var _ Node = (*Func)(nil)

// Declaration returns About.
func (f *Func) Declaration() Declaration { return f.About }

// OnEvent calls the function.
func (f *Func) OnEvent(ctx *Context, ev *Event) error { return f.Event(ctx, ev) }

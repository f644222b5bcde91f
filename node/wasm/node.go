// SPDX-License-Identifier: Apache-2.0

package wasm

import (
	"context"
	"errors"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/wasm/internal/abi"
)

// abandonAfter is how long an instance is kept whose scope is over and which is not stopped:
// the host of nodes does not stop what it gave up.
const abandonAfter = 30 * time.Second

// reasonFailure is how the host of nodes cancels what it gives up.
const reasonFailure = "node_failure"

// Node is a sandboxed node. Its instance begins with Init and is gone after Stop, and after
// the first fault.
type Node struct {
	program *program
	guest   *instance
}

var (
	_ node.Node           = (*Node)(nil)
	_ node.BargeInHandler = (*Node)(nil)
	_ node.BudgetHandler  = (*Node)(nil)
)

// Declaration is what the guest said when it was described.
func (n *Node) Declaration() node.Declaration { return n.program.about }

// Init takes an instance.
func (n *Node) Init(ctx *node.Context) error {
	if n.guest != nil {
		return errors.New("wasm: init: the node has an instance already: make another node")
	}
	i, err := n.program.take()
	if err != nil {
		return err
	}
	n.guest = i
	i.watch(ctx.Cancel)
	return i.serve(ctx)
}

// watch sees to it that an instance which nobody stops does not stay.
func (i *instance) watch(token *node.CancelToken) {
	i.stopping = context.AfterFunc(token.Context(), func() {
		if c, _ := token.Cancelled(); c.Reason == reasonFailure {
			i.close()
			return
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		if !i.closed {
			i.reaper = time.AfterFunc(abandonAfter, i.close)
		}
	})
}

// on runs a hook of the instance.
func (n *Node) on(hook func(i *instance) error) error {
	if n.guest == nil {
		return errors.New("wasm: the node has no instance: call Init first")
	}
	return hook(n.guest)
}

// Start runs the guest's parley_start.
func (n *Node) Start(*node.Context) error {
	return n.on(func(i *instance) error { return i.hook(exportStart, i.program.limits.Start, 0) })
}

// OnEvent gives the guest an event and emits what it answers.
func (n *Node) OnEvent(_ *node.Context, ev *node.Event) error {
	if n.guest == nil {
		return n.on(nil)
	}
	return n.guest.onEvent(ev)
}

// OnCancel runs the guest's parley_on_cancel.
func (n *Node) OnCancel(_ *node.Context, c node.Cancel) error {
	return n.on(func(i *instance) error {
		return i.callWith(exportCancel, i.program.limits.Cancel, abi.AppendCancel(nil, c))
	})
}

// OnBargeIn runs the guest's parley_on_barge_in.
func (n *Node) OnBargeIn(*node.Context) error {
	return n.on(func(i *instance) error { return i.hook(exportBargeIn, i.program.limits.Cancel, 0) })
}

// OnBudgetExhausted runs the guest's parley_on_budget.
func (n *Node) OnBudgetExhausted(_ *node.Context, o node.BudgetOutcome) error {
	return n.on(func(i *instance) error {
		return i.hook(exportBudget, i.program.limits.Budget, uint64(abi.OutcomeCode(o)))
	})
}

// Stop runs the guest's parley_stop and frees the instance. A second one does nothing.
func (n *Node) Stop(*node.Context) error {
	if n.guest == nil {
		return nil
	}
	i := n.guest
	i.mu.Lock()
	over := i.closed
	i.mu.Unlock()
	if over {
		return nil
	}
	defer i.close()
	return i.hook(exportStop, i.program.limits.Stop, 0)
}

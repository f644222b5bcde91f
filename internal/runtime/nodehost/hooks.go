// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/node"
)

type hook uint8

const (
	hookInit hook = iota
	hookStart
	hookEvent
	hookBargeIn
	hookCancel
	hookBudget
	hookStop
)

func (h hook) String() string {
	return [...]string{"init", "start", "on_event", "on_barge_in", "on_cancel", "on_budget_exhausted", "stop"}[h]
}

// pending is a hook that waits for its turn; due is its limit, counted from the request. 0 =
// it is counted from when the hook runs.
type pending struct {
	hook   hook
	due    timebase.Instant
	cancel node.Cancel
	budget node.BudgetOutcome
}

const (
	workIdle int32 = iota
	workBusy
	workMore
	workHere // on the goroutine of whoever has the events; nothing of it is in the pool
	workHereMore
)

// maxHooks bounds the hooks that wait; a turn gives an instance at most four.
const maxHooks = 16

// Feed makes pull the source of events: after each Kick the instance takes events from
// it until it says false. pull fills the event that it is given; it runs on the
// instance's worker. It is set before the first Kick.
func (i *Instance) Feed(pull func(ev *node.Event) bool) { i.pull = pull }

// Kick says that there may be something to pull. It does not wait.
func (i *Instance) Kick() {
	for {
		switch i.work.Load() {
		case workIdle:
			if i.work.CompareAndSwap(workIdle, workBusy) {
				i.worker.Launch()
				return
			}
		case workBusy:
			if i.work.CompareAndSwap(workBusy, workMore) {
				return
			}
		case workHere:
			if i.work.CompareAndSwap(workHere, workHereMore) {
				return
			}
		default:
			return
		}
	}
}

// Warm has Init and Start run ahead of the first event. It does not wait.
func (i *Instance) Warm() {
	i.cold.Store(true)
	i.Kick()
}

// BargeIn runs OnBargeIn; a Cancel follows.
func (i *Instance) BargeIn() {
	i.request(pending{hook: hookBargeIn, due: i.due(hookBargeIn)})
}

// Cancel trips the instance's token at once and runs OnCancel. It does not wait.
func (i *Instance) Cancel(c node.Cancel) {
	i.token.Trip(c)
	i.request(pending{hook: hookCancel, due: i.due(hookCancel), cancel: c})
}

// Budget runs OnBudgetExhausted. Its limit counts from when it runs: it is mostly an event
// of this node that takes too long, and that is no failure yet.
func (i *Instance) Budget(outcome node.BudgetOutcome) {
	i.request(pending{hook: hookBudget, budget: outcome})
}

// Stop runs Stop once, after the hooks that wait. It does not wait itself.
func (i *Instance) Stop() { i.request(pending{hook: hookStop, due: i.due(hookStop)}) }

func (i *Instance) request(p pending) {
	i.mu.Lock()
	ok := len(i.hooks) < maxHooks || p.hook == hookStop
	if ok {
		i.hooks = append(i.hooks, p)
		i.asked.Store(true)
	}
	i.mu.Unlock()
	if !ok {
		i.context.Telemetry.Count("node_hook_dropped", 1)
		return
	}
	if p.due != 0 {
		i.watch.expect(p.due)
	}
	i.urge()
}

// urge is Kick for a hook: it does not wait behind events that do.
func (i *Instance) urge() {
	for {
		if i.work.CompareAndSwap(workIdle, workBusy) {
			i.worker.Restart()
			return
		}
		if i.work.CompareAndSwap(workBusy, workMore) || i.work.Load() == workMore {
			i.worker.Urge()
			return
		}
		if i.work.CompareAndSwap(workHere, workHereMore) || i.work.Load() == workHereMore {
			return // it is next
		}
	}
}

// quantum is how many events an instance takes while others wait for a worker.
const quantum = 4

// run is the work of the instance on a worker: hooks first, then events, until there is
// nothing to do. An urgent run has hooks only. It says whether it wants to go on later.
func (i *Instance) run(urgent bool) (again bool) {
	for events := 0; ; {
		for i.nextHook() {
		}
		if urgent && i.Alive() {
			i.work.Store(workBusy)
			if !i.hooked() {
				return true
			}
			continue
		}
		if i.nextEvent() {
			if events++; events >= quantum && i.worker.Crowded() {
				return true
			}
			continue
		}
		if i.work.CompareAndSwap(workBusy, workIdle) {
			return false
		}
		i.work.Store(workBusy)
	}
}

func (i *Instance) hooked() bool { return i.asked.Load() }

func (i *Instance) nextHook() bool {
	if !i.hooked() {
		return false
	}
	i.mu.Lock()
	var p pending
	asked := len(i.hooks) > 0
	if asked {
		p = i.hooks[0]
		i.hooks = append(i.hooks[:0], i.hooks[1:]...)
		i.asked.Store(len(i.hooks) > 0)
	}
	i.mu.Unlock()
	if asked {
		i.hook(p)
	}
	return asked
}

// nextEvent gives the node the event of its timer, or the next of its source.
func (i *Instance) nextEvent() bool {
	if !i.Alive() {
		return false
	}
	if i.cold.Load() && i.cold.Swap(false) {
		if i.enter() {
			i.prepare()
			i.leave()
		}
		return true
	}
	if i.rang.Load() != 0 {
		due := node.Instant(i.rang.Swap(0))
		i.event = node.Event{Kind: eventabi.KindControl, Type: node.TypeTimer, Class: eventabi.ClassMetadata, At: due}
		return i.call(&i.event)
	}
	if i.pull == nil {
		return false
	}
	i.event = node.Event{}
	if !i.pull(&i.event) {
		return false
	}
	return i.call(&i.event)
}

// hook runs a requested hook. An instance that never ran an event has nothing to be
// told; it only stops.
func (i *Instance) hook(p pending) {
	if p.due != 0 {
		defer i.watch.met()
	}
	if !i.enter() {
		if p.hook == hookStop {
			i.retire()
			i.owed.Store(true)
			i.release()
		}
		return
	}
	defer i.leave()
	if i.phase == phaseRunning {
		i.perform(p.hook, nil, p)
	}
	if p.hook == hookStop {
		i.phase = phaseStopped
		i.retire()
	}
}

// retire releases what the host holds for an instance that has stopped or failed.
func (i *Instance) retire() {
	if i.state.CompareAndSwap(alive, stopped) {
		close(i.dead)
	}
	i.stopTimer()
	i.watch.stop()
	i.token.Release()
}

// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/parley-voice/parley/internal/kernel/session"

// toolRun is a tool at work: who called it, and what becomes of its result.
type toolRun struct {
	call   string
	failed bool
}

// callsTools draws what an attempt of the language model calls.
func (w *world) callsTools(c *call, forbidden bool) {
	c.made, c.tools = 0, 0
	if w.random.Below(100) >= w.habits.tools {
		return
	}
	c.tools = w.random.Between(1, 3)
	if w.random.Chance(1, 16) {
		c.tools = w.random.Between(4, 10) // more than there may be
	}
	if forbidden && !w.strikes(c, ProviderMalformed) {
		c.tools = 0
	}
	c.pieces = w.random.Between(0, 1) * c.pieces // not every model says something first
}

// callTool sends the next call of the model.
func (w *world) callTool(c *call) {
	in := w.pool.toolCalls.get()
	in.Invocation, in.Attempt, in.Index, in.Name = c.id, c.attempt, c.made, "tool"
	in.Arguments = w.text(0, w.random.Between(0, 4), session.TextWords, false)
	c.made++
	if w.strikes(c, ProviderWrongOrder) {
		in.Index += w.random.Between(-1, 1)
	}
	w.add(in)
	if w.strikes(c, ProviderDuplicate) {
		w.add(in)
	}
}

// runTool has a tool answer: soon, late, not at all, or more than once.
func (w *world) runTool(e *session.CallTool) {
	x := toolRun{call: e.Call, failed: w.random.Chance(1, 16)}
	wait := w.random.Between(0, 2500)
	switch {
	case w.fault(ToolSilent, 3):
		return
	case w.fault(ToolLate, 3):
		wait = e.TimeoutMS + w.random.Between(-50, 20000)
	case w.fault(ToolFailed, 2):
		x.failed = true
	}
	w.running = append(w.running, x)
	w.after(w.now, wait, evTool, int32(len(w.running)-1), 0)
}

// toolAnswers is a tool that has come to its end; some say so again.
func (w *world) toolAnswers(e *event) {
	x := &w.running[e.who]
	in := w.pool.toolResults.get()
	in.Call, in.Failed = x.call, x.failed
	in.Output = w.text(0, w.random.Between(0, 9), session.TextWords, false)
	w.add(in)
	if w.fault(ToolTwice, 2) {
		if w.random.Chance(1, 3) {
			w.add(in)
			return
		}
		w.after(e.at, w.random.Between(0, 6000), evTool, e.who, 0)
	}
}

// SPDX-License-Identifier: Apache-2.0

package session

import "github.com/parley-voice/parley/api/eventabi"

// ToolCalled says that the model calls a tool: a complete call, with its arguments.
type ToolCalled struct {
	Invocation eventabi.InvocationID
	Attempt    int64  // of the call that produced it
	Index      int64  // from 0, strictly rising within the invocation
	Name       string // of the tool, as the model gave it
	Arguments  TextRef
}

// ToolResult is what a tool answered. It may come at any time, also when the turn that
// called has long closed.
type ToolResult struct {
	Call   string // the key of its CallTool
	Output TextRef
	Failed bool // Output says why
}

// CallTool asks for a tool to be run, once. Call is its idempotency key: it names the call
// for as long as anybody may ask about it, and is the same whenever the same conversation is
// led again.
type CallTool struct {
	Call       string
	Turn       eventabi.TurnID
	Invocation eventabi.InvocationID
	Index      int64
	Name       string
	Arguments  int64 // handle
	TimeoutMS  int64 // how long the turn waits for the result
}

func (in *ToolCalled) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
	num(c, "index", &in.Index)
	str(c, "name", &in.Name)
	in.Arguments.code(c)
}

func (in *ToolResult) code(c *coder) {
	str(c, "call", &in.Call)
	in.Output.code(c)
	boolean(c, "failed", &in.Failed)
}

func (e *CallTool) code(c *coder) {
	str(c, "call", &e.Call)
	str(c, "turn", &e.Turn)
	str(c, "invocation", &e.Invocation)
	num(c, "index", &e.Index)
	str(c, "name", &e.Name)
	num(c, "arguments", &e.Arguments)
	num(c, "timeout_ms", &e.TimeoutMS)
}

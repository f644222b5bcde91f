// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/parley-voice/parley/internal/kernel/session"

func toolMutations() map[Invariant]func(*world) {
	result := func(e session.Effect) bool {
		c, ok := e.(*session.Converse)
		return ok && c.Item.Role == session.ItemToolResult && c.Item.Text != 0
	}
	return map[Invariant]func(*world){
		ToolCalledOnce: twice(func(e *session.CallTool) session.Effect { again := *e; return &again }),
		ToolResultOnce: twice(func(e *session.Converse) session.Effect {
			if !result(e) {
				return nil
			}
			again := *e
			return &again
		}),
		ToolResultKept: drop(func(_ *world, e session.Effect) bool { return result(e) }),
		ToolsAwaited:   on(func(_ *world, e *session.Generate) { e.NoTools = e.NoTools != (e.Segment > 0) }),
		ToolsBounded:   on(func(_ *world, e *session.CallTool) { e.TimeoutMS++ }),
	}
}

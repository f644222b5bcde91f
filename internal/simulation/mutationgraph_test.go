// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
)

func graphMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		WorkOnce:    twice(func(e *session.Work) session.Effect { again := *e; return &again }),
		WorkBounded: on(func(_ *world, e *session.Work) { e.BudgetMS = 1 }),
		OneAnswer: on(func(_ *world, e *session.Generate) {
			if e.Segment > 0 && e.Node != "" {
				e.Node = "third"
			}
		}),
		GraphFenced: edit(func(w *world, list []session.Effect) []session.Effect {
			for _, e := range list {
				if w.graph.on && isSignal(e, eventabi.SignalClose) && w.phase == talking {
					return append(list, &session.Place{Turn: w.shown})
				}
			}
			return list
		}),
		SoundGoesOn:  on(func(_ *world, e *session.Detour) { e.By = "hush" }),
		GraphOrdered: on(func(_ *world, e *session.Place) { e.Segment++ }),
	}
}

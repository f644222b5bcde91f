// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
)

// saidMutations break what follows from what clients say beside sound and text.
func saidMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		ConditionsOnce: twiceSignal(eventabi.SignalStall),
		ConditionsTold: drop(func(_ *world, e session.Effect) bool {
			emit, ok := e.(*session.Emit)
			return ok && emit.Envelope.Reason == "user_muted"
		}),
		ControlsTold: drop(func(_ *world, e session.Effect) bool { return isSignal(e, eventabi.SignalTransportControl) }),
		GivenKept: on(func(_ *world, e *session.Converse) {
			if e.Item.Role == session.ItemSystem {
				e.Item.HeardRunes--
			}
		}),
		ForgottenStays: drop(func(_ *world, e session.Effect) bool {
			c, ok := e.(*session.Converse)
			return ok && c.Item.Role == session.ItemForgotten
		}),
		RespondOnce: onSignal(eventabi.SignalTurnOpen, func(_ *world, v *eventabi.Envelope) {
			if v.IdempotencyKey != "" {
				v.IdempotencyKey = "nobody's"
			}
		}),
		ClientEndsTurns: onSignal(eventabi.SignalEndOfUtterance, func(_ *world, v *eventabi.Envelope) { v.Reason = "vad" }),
		AnswersWhenAsked: func(w *world) {
			for _, e := range w.fx.List {
				if isSignal(e, eventabi.SignalTurnOpen) {
					w.watch.said.due = 0 // as if the kernel had opened it by itself
				}
			}
		},
		WrittenUnspoken: on(func(_ *world, e *session.Generate) { e.Written = !e.Written }),
	}
}

// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// TestEveryInvariantCanFail breaks each invariant on purpose, by spoiling what the kernel
// decided or how the world performs it, and wants the watch to name that invariant
// before any other. A check that cannot fail proves nothing.
func TestEveryInvariantCanFail(t *testing.T) {
	table := mutations()
	for i := range invariantCount {
		t.Run(i.String(), func(t *testing.T) {
			mutate, ok := table[i]
			if !ok {
				t.Fatal("no mutation trips it")
			}
			seen := map[string]int{}
			for seed := range int64(600) {
				w := newWorld()
				w.tamper = mutate
				one := w.runSeed(seed, 10, AllFaults, false)
				if i == DigestEqual && one.violation == nil {
					two := newWorld().runSeed(seed, 10, AllFaults, false)
					one.violation = compare(seed, &one, &two)
				}
				if one.violation == nil {
					continue
				}
				if one.violation.Invariant == i.String() {
					return
				}
				seen[one.violation.Invariant]++
			}
			t.Errorf("the mutation trips %v instead", seen)
		})
	}
}

// edit replaces the decisions of the step.
func edit(f func(w *world, list []session.Effect) []session.Effect) func(*world) {
	return func(w *world) { w.fx.List = f(w, w.fx.List) }
}

// on changes decisions of one kind in place.
func on[T session.Effect](f func(w *world, e T)) func(*world) {
	return func(w *world) {
		for _, e := range w.fx.List {
			if e, ok := e.(T); ok {
				f(w, e)
			}
		}
	}
}

// drop takes out the decisions that a predicate picks.
func drop(pick func(w *world, e session.Effect) bool) func(*world) {
	return edit(func(w *world, list []session.Effect) []session.Effect {
		return slices.DeleteFunc(list, func(e session.Effect) bool { return pick(w, e) })
	})
}

// twice repeats decisions of one kind, changed by f.
func twice[T session.Effect](f func(e T) session.Effect) func(*world) {
	return edit(func(_ *world, list []session.Effect) []session.Effect {
		var out []session.Effect
		for _, e := range list {
			out = append(out, e)
			if e, ok := e.(T); ok {
				if again := f(e); again != nil {
					out = append(out, again)
				}
			}
		}
		return out
	})
}

// insert puts a decision at the end of a step that a predicate picks.
func insert(what func(w *world) session.Effect) func(*world) {
	return edit(func(w *world, list []session.Effect) []session.Effect {
		if e := what(w); e != nil {
			return append(list, e)
		}
		return list
	})
}

func isSignal(e session.Effect, signals ...eventabi.Signal) bool {
	emit, ok := e.(*session.Emit)
	return ok && slices.Contains(signals, emit.Envelope.Signal)
}

// onSignal changes signals of one name in place.
func onSignal(s eventabi.Signal, f func(w *world, v *eventabi.Envelope)) func(*world) {
	return on(func(w *world, e *session.Emit) {
		if e.Envelope.Signal == s {
			f(w, &e.Envelope)
		}
	})
}

// dropSignalOf takes out signals with the decisions that stand by them.
func dropSignalOf(pick func(v *eventabi.Envelope) bool) func(*world) {
	gone := false
	return drop(func(_ *world, e session.Effect) bool {
		if emit, ok := e.(*session.Emit); ok {
			gone = pick(&emit.Envelope)
			return gone
		}
		_, decided := e.(*session.Decide)
		return decided && gone
	})
}

// twiceSignal repeats a signal with an identity of its own.
func twiceSignal(s eventabi.Signal) func(*world) {
	return twice(func(e *session.Emit) session.Effect {
		if e.Envelope.Signal != s {
			return nil
		}
		return forged(&e.Envelope, s)
	})
}

// forged makes a signal that is well formed, out of another one.
func forged(v *eventabi.Envelope, s eventabi.Signal) *session.Emit {
	e := &session.Emit{Envelope: *v}
	e.Envelope.Signal = s
	e.Envelope.RuntimeSequence += 1_000_000
	e.Envelope.EventID = "e999999999"
	return e
}

// forge adds a signal behind the last one of a step.
func forge(s eventabi.Signal, fill func(w *world, v *eventabi.Envelope) bool) func(*world) {
	return insert(func(w *world) session.Effect {
		for _, e := range slices.Backward(w.fx.List) {
			if emit, ok := e.(*session.Emit); ok {
				made := forged(&emit.Envelope, s)
				if fill(w, &made.Envelope) {
					return made
				}
				return nil
			}
		}
		return nil
	})
}

func turnScope(v *eventabi.Envelope, id eventabi.TurnID, by eventabi.Emitter, reason string) {
	v.EventScope, v.TurnID, v.EmittedBy, v.Reason = eventabi.ScopeTurn, id, by, reason
}

func has1[T session.Effect](w *world) bool {
	return slices.ContainsFunc(w.fx.List, func(e session.Effect) bool { _, ok := e.(T); return ok })
}

func arrived[T session.Input](w *world, pick func(in T) bool) bool {
	return slices.ContainsFunc(w.in, func(in session.Input) bool {
		got, ok := in.(T)
		return ok && pick(got)
	})
}

// sleepPast makes the kernel ask to be woken too late for an open call.
func sleepPast(state callState, kind func(c *callWatch) bool, bound func(k *watch, c *callWatch) timebase.Instant) func(*world) {
	return func(w *world) {
		for i := range w.watch.open {
			if c := &w.watch.open[i]; c.state == state && kind(c) && !w.watch.ended {
				w.watch.deadline = max(w.watch.deadline, bound(&w.watch, c)+1)
			}
		}
	}
}

func mutations() map[Invariant]func(*world) {
	all := soundMutations()
	for _, more := range []map[Invariant]func(*world){turnMutations(), budgetMutations(), callMutations(), sessionMutations(), loadMutations(), flowMutations(), saidMutations(), toolMutations(), graphMutations()} {
		for i, f := range more {
			all[i] = f
		}
	}
	return all
}

func soundMutations() map[Invariant]func(*world) {
	rotated := func(w *world) bool {
		return arrived(w, func(in *session.LeaseChange) bool { return in.Revoked || in.Epoch >= w.watch.epoch })
	}
	fencedAhead := func(w *world) bool {
		return arrived(w, func(in *session.Stop) bool { return in.Fenced != 0 })
	}
	return map[Invariant]func(*world){
		FencedNeverPlayed: func(w *world) { w.egress.defect = leaky },
		OldEpochNeverPlayed: drop(func(w *world, e session.Effect) bool {
			_, fence := e.(*session.Fence)
			return rotated(w) && (fence || isSignal(e, eventabi.SignalPlaybackCancelled))
		}),
		PlayedInOrderOnce:   on(func(_ *world, e *session.Play) { e.Handle = 0 }),
		NoChunkLeaked:       drop(func(_ *world, e session.Effect) bool { _, ok := e.(*session.Discard); return ok }),
		AcceptedWhileActive: drop(func(_ *world, e session.Effect) bool { _, ok := e.(*session.Play); return ok }),
		NothingAfterEnd:     twice(func(e *session.EndOfAudio) session.Effect { return e }),
		StartedOnce:         twiceSignal(eventabi.SignalPlaybackStarted),
		PlaybackEndsOnce:    twiceSignal(eventabi.SignalPlaybackCompleted),
		PlaybackAccounted: drop(func(_ *world, e session.Effect) bool {
			return isSignal(e, eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled)
		}),
		CompletedIsWhole: twice(func(e *session.Emit) session.Effect {
			if e.Envelope.Signal != eventabi.SignalPlaybackStarted {
				return nil
			}
			return forged(&e.Envelope, eventabi.SignalPlaybackCompleted)
		}),
		FencesFirst: edit(func(_ *world, list []session.Effect) []session.Effect {
			if len(list) > 1 {
				if f, ok := list[0].(*session.Fence); ok {
					return append(slices.Clone(list[1:]), f)
				}
			}
			return list
		}),
		FenceOnce: twice(func(e *session.Fence) session.Effect { return e }),
		CancelIsFenced: drop(func(w *world, e session.Effect) bool {
			_, ok := e.(*session.Fence)
			return ok && !rotated(w)
		}),
		PrefenceConfirmed: drop(func(w *world, _ session.Effect) bool { return fencedAhead(w) }),
		HoldsPaired:       twice(func(e *session.Hold) session.Effect { return e }),
		HoldBounded:       drop(func(_ *world, e session.Effect) bool { _, ok := e.(*session.Resume); return ok }),
		HoldKeepsPlace:    func(w *world) { w.egress.defect = deaf },
	}
}

func turnMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		DeclaredEdges: on(func(_ *world, e *session.TurnChange) { e.Transition.ToState = controlplane.TurnClosed }),
		OneLiveTurn: insert(func(w *world) session.Effect {
			if w.watch.live < 0 || len(w.fx.List) > 0 {
				return nil
			}
			return &session.TurnChange{Turn: "ghost", Transition: controlplane.TurnTransition{
				FromState: controlplane.TurnIdle, Trigger: controlplane.TriggerTurnOpenProposed, ToState: controlplane.TurnOpening,
			}}
		}),
		OpenAfterGates: drop(func(_ *world, e session.Effect) bool {
			d, ok := e.(*session.Decide)
			return isSignal(e, eventabi.SignalAdmit) || ok && d.Outcome.OutcomeKind == controlplane.OutcomeAdmit
		}),
		TerminalThenClose: drop(func(_ *world, e session.Effect) bool { return isSignal(e, eventabi.SignalClose) }),
		NoTerminalUnopened: forge(eventabi.SignalAbort, func(_ *world, v *eventabi.Envelope) bool {
			turnScope(v, "ghost", eventabi.EmitterArbiter, string(controlplane.AbortCancelled))
			return true
		}),
		AbortReasonDeclared: onSignal(eventabi.SignalAbort, func(_ *world, v *eventabi.Envelope) { v.Reason = "boredom" }),
		TiesResolved: onSignal(eventabi.SignalAbort, func(w *world, v *eventabi.Envelope) {
			if w.watch.pass.rank == rankAuthority {
				v.Reason = string(controlplane.AbortProviderFailure)
			}
		}),
		CommitNeedsAppend: drop(func(w *world, e session.Effect) bool {
			asked, ok := e.(*session.AppendTerminal)
			if ok {
				w.append(asked) // the recorder answers what the watch did not see
			}
			return ok
		}),
		EvidenceOnce: twice(func(e *session.Evidence) session.Effect { return e }),
		BargeInSequence: edit(func(_ *world, list []session.Effect) []session.Effect {
			for i := 1; i < len(list); i++ {
				a, first := list[i-1].(*session.Hook)
				b, second := list[i].(*session.Hook)
				if first && second && a.Hook == session.HookBargeIn && b.Hook == session.HookCancel {
					list[i-1], list[i] = b, a
				}
			}
			return list
		}),
		CancelledHasCancel: drop(func(w *world, e session.Effect) bool {
			barge := slices.ContainsFunc(w.fx.List, func(e session.Effect) bool { return isSignal(e, eventabi.SignalBargeIn) })
			return !barge && isSignal(e, eventabi.SignalCancel)
		}),
		NoBargeInOnNoise: func(w *world) {
			if !w.watch.talk.noiseOnly(&w.watch) || w.watch.sequence == 0 {
				return
			}
			v := eventabi.Envelope{EventID: "e", EventScope: eventabi.ScopeTurn, AuthorityEpoch: &w.epoch, RuntimeTimestampMS: w.watch.stampMS, WallClockTimestampMS: w.watch.wall()}
			e := forged(&v, eventabi.SignalBargeIn)
			turnScope(&e.Envelope, w.shown, eventabi.EmitterCancellation, "")
			w.fx.List = append(w.fx.List, e)
		},
		TurnBounded: func(w *world) {
			if w.watch.live >= 0 && len(w.fx.List) == 0 {
				w.watch.deadline = w.watch.turnBound() + 1
			}
		},
		NoTurnOutsideActive: forge(eventabi.SignalTurnOpen, func(w *world, v *eventabi.Envelope) bool {
			turnScope(v, "ghost", eventabi.EmitterArbiter, "")
			return w.watch.state == controlplane.SessionDraining
		}),
		DecisionsWellFormed: on(func(_ *world, e *session.Decide) {
			if e.Outcome.Scope == controlplane.OutcomeTurn {
				e.Outcome.TurnID = ""
			}
		}),
		SignalsWellFormed:    on(func(_ *world, e *session.Emit) { e.Envelope.EmittedBy = eventabi.EmitterRecorder }),
		NothingAfterTerminal: on(func(_ *world, e *session.Generate) { e.Turn = "ghost" }),
		OneVoiceAtATime: twice(func(e *session.Say) session.Effect {
			again := *e
			again.Invocation += "-too"
			return &again
		}),
		GenerationsRise: insert(func(w *world) session.Effect {
			if len(w.watch.gens) == 0 || w.watch.ended {
				return nil
			}
			return &session.Hold{}
		}),
		ProposalsAreNotStates: insert(func(w *world) session.Effect {
			if w.watch.live >= 0 || len(w.watch.turns) == 0 || len(w.fx.List) > 0 {
				return nil
			}
			return &session.TurnChange{Turn: w.watch.turns[0].id, Transition: controlplane.TurnTransition{
				FromState: controlplane.TurnIdle, Trigger: controlplane.TriggerTurnOpenProposed, ToState: controlplane.TurnOpening,
			}}
		}),
	}
}

func budgetMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		AdaptsAsAllowed: insert(func(w *world) session.Effect {
			if w.watch.live < 0 || w.watch.ended || len(w.fx.List) > 0 || w.watch.rules.allows("fallback") {
				return nil
			}
			return &session.Fallback{Turn: w.shown}
		}),
		FidelityOnlyFalls: twice(func(e *session.Degrade) session.Effect { return e }),
		WarnedBeforeExhausted: drop(func(_ *world, e session.Effect) bool {
			return isSignal(e, eventabi.SignalBudgetWarning)
		}),
		NestedInParent: on(func(_ *world, e *session.Generate) { e.TimeoutMS += 1_000_000 }),
		BudgetAnswered: func(w *world) {
			k := &w.watch
			if k.live < 0 || k.ended || len(w.fx.List) > 0 || k.rules.early || len(k.open) > 0 {
				return
			}
			if t := &k.turns[k.live]; !t.flows && !t.answered {
				k.deadline = t.opened.Add(k.rules.envelope) + 1
			}
		},
	}
}

func callMutations() map[Invariant]func(*world) {
	inertPass := func(pick func(p *passWatch) bool) func(*world) {
		return insert(func(w *world) session.Effect {
			if !pick(&w.watch.pass) || w.watch.pass.due {
				return nil
			}
			return &session.Hook{Turn: w.shown, Hook: session.HookBudgetExhausted}
		})
	}
	return map[Invariant]func(*world){
		DuplicateNoEffect: inertPass(func(p *passWatch) bool { return p.again }),
		StaleNoEffect:     inertPass(func(p *passWatch) bool { return p.stale }),
		CallsEndOnce:      twice(func(e *session.CancelCall) session.Effect { return e }),
		AttemptsRise:      on(func(_ *world, e *session.Generate) { e.Attempt++ }),
		CallsTimeOut: sleepPast(running, func(c *callWatch) bool { return c.kind != recognise },
			func(k *watch, c *callWatch) timebase.Instant { return c.at.Add(k.rules.invocation) }),
		CancelledGivenUp: sleepPast(cancelled, func(*callWatch) bool { return true },
			func(_ *watch, c *callWatch) timebase.Instant { return c.at.Add(cancelGrace) }),
		CallsBounded: edit(func(w *world, list []session.Effect) []session.Effect {
			if w.watch.ended || len(w.watch.open) == 0 {
				return list
			}
			for i := range 70 {
				list = append(list, &session.Open{Invocation: eventabi.InvocationID("ghost" + string(rune('0'+i)))})
			}
			return list
		}),
		FinalizedOnce: twice(func(e *session.Finalize) session.Effect { return e }),
		UtterancesBounded: sleepPast(running, func(c *callWatch) bool { return c.kind == recognise && !c.finalized },
			func(k *watch, c *callWatch) timebase.Instant { return c.opened.Add(k.rules.utterance) }),
		ItemsKeepPlace: on(func(w *world, e *session.Converse) {
			if e.Item.Key <= int64(len(w.watch.items)) {
				e.Item.Order++
			}
		}),
		OneItemPerWords: twice(func(e *session.Converse) session.Effect {
			if e.Item.Role != session.ItemUser {
				return nil
			}
			again := *e
			again.Item.Key++
			return &again
		}),
		WordsKept: drop(func(_ *world, e session.Effect) bool {
			c, ok := e.(*session.Converse)
			return ok && c.Item.Role == session.ItemUser
		}),
		InterruptedBefore: on(func(w *world, e *session.Converse) {
			if e.Item.Role == session.ItemUser && e.Item.Key > int64(len(w.watch.items)) {
				e.Item.Order = -1
			}
		}),
		HeardWithinPlayed: on(func(_ *world, e *session.Converse) { e.Item.HeardRunes = e.Item.GeneratedRunes + 1 }),
		OneAssistantItem: twice(func(e *session.Converse) session.Effect {
			if e.Item.Role != session.ItemAssistant {
				return nil
			}
			again := *e
			again.Item.Key++
			return &again
		}),
		HeardWholeWhenDone: on(func(w *world, e *session.Converse) {
			if e.Item.Role == session.ItemAssistant && e.Item.HeardRunes == e.Item.GeneratedRunes {
				e.Item.HeardRunes--
			}
		}),
	}
}

func sessionMutations() map[Invariant]func(*world) {
	return map[Invariant]func(*world){
		SequenceRises: on(func(w *world, e *session.Emit) {
			if w.watch.sequence > 0 {
				e.Envelope.RuntimeSequence = 1
			}
		}),
		EventIDsUnique: on(func(w *world, e *session.Emit) {
			if w.watch.events > 0 {
				e.Envelope.EventID = "e1"
			}
		}),
		TimeNeverReturns:     on(func(_ *world, e *session.Emit) { e.Envelope.RuntimeTimestampMS++ }),
		EpochOnEverything:    on(func(_ *world, e *session.Emit) { e.Envelope.AuthorityEpoch = nil }),
		WallProjected:        on(func(_ *world, e *session.Emit) { e.Envelope.WallClockTimestampMS++ }),
		RebaseEvidenced:      drop(func(_ *world, e session.Effect) bool { _, ok := e.(*session.Nondeterministic); return ok }),
		MediaMapped:          func(w *world) { w.watch.mapped.Media += maxMappingMS*16 + 16 },
		GapMarked:            drop(func(_ *world, e session.Effect) bool { return isSignal(e, eventabi.SignalDiscontinuity) }),
		DeclaredSessionEdges: on(func(_ *world, e *session.SessionChange) { e.From = controlplane.SessionEnded }),
		EndsOnce:             twice(func(e *session.Ended) session.Effect { return e }),
		DrainBounded: func(w *world) {
			if w.watch.drainBy != timebase.Never && !has1[*session.Ended](w) && !w.watch.ended {
				w.watch.deadline = w.watch.drainBy + 1
			}
		},
		LinkBounded: func(w *world) {
			if w.watch.linkSince != 0 && w.watch.state == controlplane.SessionActive && len(w.fx.List) == 0 {
				w.watch.deadline = w.watch.linkSince.Add(w.watch.rules.disconnect) + 1
			}
		},
		ConnectionEdges: twiceSignal(eventabi.SignalConnected),
		DeadlineAhead:   func(w *world) { w.watch.deadline = w.watch.now },
		ComesToRest:     func(w *world) { w.egress.defect = stuck },
		NoPanic:         func(*world) { panic("a bug") },
		DigestEqual:     on(func(_ *world, e *session.Finalize) { e.Through++ }),
	}
}

func loadMutations() map[Invariant]func(*world) {
	quota := func(reason string) bool {
		return strings.HasPrefix(reason, "tenant_quota:") || strings.HasPrefix(reason, "session_quota:") || strings.HasPrefix(reason, "headroom:")
	}
	overload := func(reason string) bool { return strings.HasPrefix(reason, "overload:") }
	return map[Invariant]func(*world){
		// A proposal that a quota refuses is admitted instead, and opens.
		OpenWithinQuota: edit(func(_ *world, list []session.Effect) []session.Effect {
			for i, e := range list {
				d, ok := e.(*session.Decide)
				if !ok || i == 0 || d.Outcome.Scope != controlplane.OutcomeTurn || !quota(d.Outcome.Reason) || d.Outcome.OutcomeKind == controlplane.OutcomeAdmit {
					continue
				}
				admit, ok := list[i-1].(*session.Emit)
				if !ok {
					continue
				}
				admit.Envelope.Signal, d.Outcome.OutcomeKind = eventabi.SignalAdmit, controlplane.OutcomeAdmit
				opened := forged(&admit.Envelope, eventabi.SignalTurnOpen)
				turnScope(&opened.Envelope, d.Outcome.TurnID, eventabi.EmitterArbiter, "")
				opened.Envelope.Payload = []byte(`{"plan_hash":"x"}`)
				return slices.Insert(list, i+1, session.Effect(opened))
			}
			return list
		}),
		// A session that is refused begins all the same.
		EntryFollowsCounts: edit(func(_ *world, list []session.Effect) []session.Effect {
			for _, e := range list {
				if c, ok := e.(*session.SessionChange); ok && strings.HasPrefix(c.Reason, "session_refused:") {
					c.To = controlplane.SessionActive
					return slices.DeleteFunc(list, func(e session.Effect) bool { _, end := e.(*session.Ended); return end })
				}
			}
			return list
		}),
		RefusalsReasoned: on(func(_ *world, e *session.Decide) {
			if quota(e.Outcome.Reason) && e.Outcome.OutcomeKind != controlplane.OutcomeAdmit {
				e.Outcome.Reason = "tenant_quota:smiles"
			}
		}),
		QueuedBeforeLive: drop(func(_ *world, e session.Effect) bool {
			d, ok := e.(*session.Decide)
			emit, is := e.(*session.Emit)
			return ok && overload(d.Outcome.Reason) || is && overload(emit.Envelope.Reason)
		}),
		ShedsAreTold:   dropSignalOf(func(v *eventabi.Envelope) bool { return v.Signal == eventabi.SignalShed && v.NodeID != "" }),
		LevelsMonotone: func(w *world) { w.host.defect = hasty },
	}
}

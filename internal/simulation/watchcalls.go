// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// callWatch is a provider call that has not ended, as seen from outside.
type callWatch struct {
	id        eventabi.InvocationID
	kind      callKind
	turn      eventabi.TurnID
	attempt   int64
	candidate int64
	tries     int64 // attempts with this candidate
	state     callState
	touched   bool             // its attempt ended in this pass: a cancel may have crossed it
	at        timebase.Instant // of what its bound counts from
	opened    timebase.Instant
	finalized bool
	overdue   bool  // cancelled for its timeout in this step: another attempt follows if the turn lives
	forgiven  bool  // it was to be tried again when its turn ended: nobody waits for it
	owner     int32 // recogniser: the utterance
	revision  int64
	tools     int64 // that it has called
}

type callState uint8

const (
	running   callState = iota
	waiting             // the attempt failed; another may follow
	cancelled           //
	gone                // ended in this pass
)

// The limits of one session (house, point 8).
const (
	maxCalls    = 64
	maxOutputs  = 8
	cancelGrace = 75 * timebase.Millisecond // lifecycle section 8
)

func (k *watch) call(id eventabi.InvocationID) *callWatch {
	for i := range k.open {
		if k.open[i].id == id {
			return &k.open[i]
		}
	}
	return nil
}

// alive notes a result of a running call: its patience begins anew.
func (k *watch) alive(id eventabi.InvocationID, attempt int64) {
	if c := k.call(id); c != nil && c.state == running && (attempt == 0 || attempt == c.attempt) {
		c.at = k.now
	}
}

// attemptEnd follows the outcome of an attempt.
func (k *watch) attemptEnd(in *session.InvocationEnd) {
	c := k.call(in.Invocation)
	if c == nil || in.Attempt != 0 && in.Attempt != c.attempt {
		return
	}
	switch {
	case c.state == cancelled || c.state == running && (in.Class == "success" || c.kind == recognise):
		if c.state == running {
			k.modelEnded(c)
		}
		c.state, c.touched = gone, true
	case c.state == running:
		c.state, c.touched = waiting, true
	}
}

func (k *watch) ackInput(in *session.CancelAck) {
	if c := k.call(in.Invocation); c != nil && c.state == cancelled {
		c.state, c.touched = gone, true
	}
}

func (k *watch) finalize(e *session.Finalize) {
	c := k.call(e.Invocation)
	if k.ok(FinalizedOnce, c != nil && c.kind == recognise && !c.finalized, "finalize of what is not open, or twice") {
		c.finalized, c.at, k.talk.over = true, k.now, k.now
		if k.state == controlplane.SessionActive && !k.said.asked {
			k.propose(c.owner)
		}
	}
}

func (k *watch) detach(e *session.Detach) {
	c := k.call(e.Invocation)
	if k.ok(CallsEndOnce, c != nil && c.state == cancelled, "detach of a call that was not cancelled") {
		c.state = gone
	}
}

// start checks the beginning of an attempt.
func (k *watch) start(id eventabi.InvocationID, kind callKind, turn eventabi.TurnID, attempt, candidate int64) {
	k.ok(AdaptsAsAllowed, candidate >= 0 && candidate < k.rules.candidates[kind], "a candidate that the plan does not list")
	if kind != recognise {
		k.ok(NothingAfterTerminal, k.live >= 0 && k.turns[k.live].id == turn && k.pass.terminal == "", "a call of a turn that is not live")
	}
	if c := k.call(id); c != nil && c.state == waiting {
		again := candidate == c.candidate
		plainly := kind == voice && k.turnStep(turn) == simplify
		k.ok(AdaptsAsAllowed, again && (plainly || k.rules.allows("retry")) || candidate == c.candidate+1 && k.rules.allows("provider_switch"),
			"an attempt that the plan does not allow")
		c.tries++
		if !again {
			c.tries = 1
		}
		k.ok(AttemptsRise, attempt == c.attempt+1 && c.tries <= k.rules.attempts, "attempts do not count up by one, or pass the limit")
		c.attempt, c.candidate, c.state, c.at = attempt, candidate, running, k.now
		k.ok(ToolCalledOnce, c.tools == 0, "an attempt that has called tools is followed by another")
		c.touched, c.overdue = false, false
		return
	}
	_, twice := k.ids[id]
	k.ok(CallsEndOnce, !twice, "a call was started twice")
	k.ok(AttemptsRise, attempt == 1, "the first attempt is not 1")
	k.ids[id] = struct{}{}
	if kind == voice {
		k.ok(OneVoiceAtATime, !k.voicing(turn), "two segments are being synthesised at once")
	}
	k.open = append(k.open, callWatch{
		id: id, kind: kind, turn: turn, attempt: attempt, candidate: candidate, tries: 1, at: k.now, opened: k.now,
	})
}

func (k *watch) voicing(turn eventabi.TurnID) bool {
	for i := range k.open {
		if c := &k.open[i]; c.kind == voice && c.state == running && c.turn == turn {
			return true
		}
	}
	return false
}

func (k *watch) cancelCall(e *session.CancelCall) {
	c := k.call(e.Invocation)
	if c != nil && c.touched && c.state != cancelled {
		if g := k.genOf(c.turn); g >= 0 && c.kind == voice {
			k.gens[g].cut = true
		}
		if c.kind == recognise {
			k.giveUp(c.owner)
		}
		return // crossed: the attempt ended in the pass that cancelled it
	}
	if !k.ok(CallsEndOnce, c != nil && c.state == running, "cancel of a call that is not running") {
		return
	}
	c.at = k.now
	c.state = cancelled
	if g := k.genOf(c.turn); g >= 0 && c.kind == voice {
		k.gens[g].cut = true
	}
	if e.Reason == string(controlplane.CancelTimeout) && c.kind != recognise && !k.dropped(c) {
		c.state, c.overdue = waiting, true
	}
	if c.kind == recognise {
		k.giveUp(c.owner)
		k.talk.loud = true // without a recogniser nobody can tell noise from words
	}
}

// callBounds checks everything that a call may not outlast, and forgets what has ended.
func (k *watch) callBounds() {
	k.ok(CallsBounded, len(k.open) <= maxCalls, "more calls are open than the limit")
	kept := k.open[:0]
	for i := range k.open {
		c := &k.open[i]
		c.touched = false
		live := k.live >= 0 && k.turns[k.live].id == c.turn
		if c.overdue && !live {
			c.state, c.forgiven = cancelled, c.tries < k.rules.attempts
		}
		c.overdue = false
		switch {
		case c.state == gone || c.state == waiting && !live:
			continue
		case c.state == cancelled && c.forgiven:
			if k.now >= c.at.Add(cancelGrace) {
				continue
			}
		case c.state == cancelled:
			k.by(CancelledGivenUp, c.at.Add(cancelGrace), "a cancelled call")
		case c.state == running && c.kind == recognise && !c.finalized:
			k.by(UtterancesBounded, c.opened.Add(k.rules.utterance), "an utterance")
		case c.state == running:
			k.by(CallsTimeOut, c.at.Add(k.rules.invocation), "a call without results")
		}
		kept = append(kept, *c)
	}
	k.open = kept
}

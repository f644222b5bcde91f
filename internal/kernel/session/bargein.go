// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// interruption ties the policy's judge to the utterance that it judges.
type interruption struct {
	judge     turn.Interruption
	utterance int64
}

// bargeIn is a confirmed interruption that waits to take effect: at once, unless
// protected output is still to be heard out.
type bargeIn struct{ wanted bool }

// overlap meets user speech over assistant output: what counts as a barge-in is policy
// (lifecycle section 7.1).
func (m *Machine) overlap(u *utterance, lead timebase.Span) {
	if m.barge.wanted || u.waiting {
		return // what is being said is an interruption, or a proposal, already
	}
	switch m.policy.Interruption {
	case turn.Off:
	case turn.Immediate:
		m.counters.InterruptionsConfirmed++
		m.requestBargeIn()
	case turn.HoldThenDecide:
		if m.interruption.judge.Open() && m.interruption.utterance != u.number {
			m.settleStart(m.enoughSpeech()) // a new start ends the judgement of the one before
			if m.barge.wanted {
				return // and is part of it, if that was an interruption
			}
		}
		m.interruption.utterance = u.number
		m.interruption.judge.Start(m.now, max(0, lead))
		m.interruption.judge.Text(textKind(u.text.Class), u.text.Words)
		u.judging = true
	}
}

// judge asks the policy for its verdict.
func (m *Machine) judge() {
	j := &m.interruption.judge
	if !j.Open() {
		return
	}
	if !m.speaking() {
		m.ordinary()
		return
	}
	switch j.Judge(&m.policy, m.settings.StreamingSTT, m.now) {
	case turn.VerdictWait:
	case turn.VerdictConfirm:
		m.settleStart(true)
	case turn.VerdictResume:
		m.settleStart(false)
	}
}

// ordinary: the output that the start met is gone by itself, so the start is speech
// like any other.
func (m *Machine) ordinary() {
	u := m.utterance(m.interruption.utterance)
	m.interruption.judge.Close()
	if u == nil {
		return
	}
	u.judging = false
	m.goOn(u)
}

// goOn lets a start of speech that is no longer in doubt become a turn: now if it is
// over, else at its end, or at once where the profile opens turns early.
func (m *Machine) goOn(u *utterance) {
	switch {
	case m.closing():
		if u.final && u.ended {
			m.recordUser(u)
		}
	case !u.ended:
		m.proposeEarly(u)
	case u.final && u.text.Class == TextNone && !u.failed: // nothing was said
	default:
		m.propose(u, m.authority.Epoch)
	}
}

// settleStart takes the verdict: confirmed speech cancels and goes on to be a turn;
// anything else was no utterance, and its recognition is given up.
func (m *Machine) settleStart(confirmed bool) {
	u := m.utterance(m.interruption.utterance)
	m.interruption.judge.Close()
	if confirmed {
		m.counters.InterruptionsConfirmed++
		m.requestBargeIn()
	} else {
		m.counters.InterruptionsFalse++
	}
	if u == nil {
		return
	}
	u.judging = false
	if confirmed {
		m.goOn(u)
		return
	}
	u.ended, u.final, u.voiced = true, true, false
	u.text = TextRef{} // no utterance, no words
	if c := m.call(u.stt); c != nil {
		m.cancelCall(c, string(controlplane.CancelPolicy))
	}
}

// enoughSpeech says that the start being judged lacks nothing but its final words.
func (m *Machine) enoughSpeech() bool {
	u := m.utterance(m.interruption.utterance)
	return u != nil && u.text.Class != TextBackchannel &&
		m.interruption.judge.Speech(m.now) >= timebase.MS(m.policy.MinInterruptionMS)
}

func (m *Machine) requestBargeIn() { m.barge.wanted = true }

// cutIn lets a confirmed interruption take effect. Protected output is heard out
// first, with what stands in front of it; what is queued behind it stays held.
func (m *Machine) cutIn() bool {
	if !m.barge.wanted {
		return false
	}
	if m.protected() {
		return false
	}
	m.barge = bargeIn{}
	if !m.speaking() {
		return true
	}
	m.stopAll(cancelOrder{scope: eventabi.CancelTurn, reason: controlplane.CancelBargeIn, barge: true})
	return true
}

// protected says that output which may not be interrupted is still to be heard.
func (m *Machine) protected() bool { return m.protectedLeft() > 0 }

// protectedLeft is how long the listener will hear protected sound at least. Protected
// text that is still being synthesised counts as some.
func (m *Machine) protectedLeft() timebase.Span {
	var left timebase.Span
	for _, out := range m.outputs {
		left = max(left, m.protectedOf(out))
	}
	return left
}

func (m *Machine) protectedOf(out *output) timebase.Span {
	if out == nil || out.cancelled || out.completed {
		return 0
	}
	left := (out.reply.ProtectedUntil(out.played) - out.played).Span()
	if out.turn == m.scopeTurn() && out.reply.Owed() { // it comes behind what egress has
		left = max(left, out.ahead(), protectedPoll)
	}
	return max(left, 0)
}

// protectedNext says that nothing unprotected stands in front of protected output. Where
// something does, egress may not hold: it would stand at the unprotected part and the
// interruption would wait for ever for what is behind it.
func (m *Machine) protectedNext() bool {
	open, next := false, true
	for _, out := range m.outputs {
		if out.cancelled || out.completed {
			continue
		}
		out.reply.Ahead(out.played, out.turn == m.scopeTurn(), func(s *graph.Spoken) {
			open = open || !s.Protected
			next = next && (!s.Protected || !open)
		})
	}
	return next
}

func (m *Machine) protectedDeadline() timebase.Instant {
	if !m.barge.wanted || m.holds&holdLink != 0 { // the link says when playback goes on
		return timebase.Never
	}
	return m.looked.Add(max(m.protectedLeft(), protectedPoll))
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// conditions tell three kinds of quiet apart (nodes-providers-transports section 6). Each
// is told once a stretch and none cancels anything (lifecycle section 7). What ends one has
// no signal of its own:
//
//	silence, user_muted   the microphone is on again
//	stall                 caller audio comes, the microphone is switched off, or the link is lost
//	silence, no_input     somebody speaks, the caller or the agent; or one of the others begins
//
// A stall is looked for from the first caller audio on, while the link is connected and the
// microphone is on; not between the client's end of an utterance and the next audio where
// the client alone ends them, because whoever pushes to talk sends nothing in between.
// No input is looked for from the first caller audio on, while it is the caller's turn to
// speak.
type conditions struct {
	muted   bool
	streams bool             // caller audio has begun
	resting bool             // by the client's word there is none until it comes again
	stalled bool             // told
	last    timebase.Instant // when caller audio came last, or began to be expected
	waiting bool             // for the caller to speak
	quiet   timebase.Instant // since when
	silent  bool             // told
	unheard bool             // somebody speaks, and there is no room for another utterance
}

// The reasons of silence.
const (
	silenceMuted   = "user_muted"
	silenceNoInput = "no_input"
)

// came notes caller audio. It is part of the path of a caller frame.
func (c *conditions) came(at timebase.Instant) {
	c.streams, c.resting, c.stalled = true, false, false
	c.last = at
}

// steady says that a caller frame is no news.
func (c *conditions) steady() bool { return c.streams && !c.stalled }

// afresh has caller audio expected from now on, and silence begin anew.
func (c *conditions) afresh(at timebase.Instant) {
	c.last, c.stalled, c.unheard = at, false, false
	c.spoken()
}

// spoken ends a stretch of silence, also where what was said is over with the same pass.
func (c *conditions) spoken() { c.waiting, c.silent = false, false }

// mutedChanged follows the microphone. An utterance that is open when it is switched off is
// over: the endpointer, which hears pauses, hears nothing any more.
func (m *Machine) mutedChanged(in *Muted) {
	if m.stale(in.Epoch, controlplane.OutcomeEdgeEnqueue, in) {
		return
	}
	if in.On == m.caller.muted {
		m.refuse("unchanged", in.kind(), "")
		return
	}
	m.caller.muted = in.On
	m.caller.afresh(m.now)
	if !in.On || m.closing() {
		return
	}
	m.counters.Mutes++
	m.emit(eventabi.SignalSilence, eventabi.EmitterConnection, "", silenceMuted)
	u := m.open()
	if u != nil && m.wished.clientEnds {
		m.voiceStopped(u)
	} else if u != nil {
		m.emit(eventabi.SignalEndOfUtterance, eventabi.EmitterConnection, "", endByClient)
		m.endUtterance(u, in.Sample)
		m.utteranceOver(u, m.authority.Epoch)
	}
}

// voiceStopped: nothing is heard of who spoke any more. Without it, what an interruption holds
// would be held for as long as nobody says that the speech is over.
func (m *Machine) voiceStopped(u *utterance) {
	if u.voiced && m.interruption.utterance == u.number {
		m.interruption.judge.Pause(m.now, max(0, m.heard-u.voicedFrom).Span(), 0)
	}
	u.voiced = false
}

// settleConditions tells what has lasted long enough by the end of a pass.
func (m *Machine) settleConditions() {
	c := &m.caller
	if m.stallDue() <= m.now {
		c.stalled, c.unheard = true, false
		m.counters.Stalls++
		m.emit(eventabi.SignalStall, eventabi.EmitterConnection, "", "")
		if u := m.open(); u != nil {
			m.voiceStopped(u)
		}
	}
	if !m.awaitsCaller() {
		c.spoken()
		return
	}
	if !c.waiting {
		c.waiting, c.quiet = true, m.now
	}
	if m.silenceDue() <= m.now {
		c.silent = true
		m.counters.Silences++
		m.emit(eventabi.SignalSilence, eventabi.EmitterConnection, "", silenceNoInput)
	}
}

// listens says that the caller could be heard.
func (m *Machine) listens() bool {
	return m.caller.streams && !m.caller.muted && !m.caller.stalled &&
		m.link.state == controlplane.ConnectionConnected && !m.closing()
}

// awaitsCaller says that nobody speaks and the caller may.
func (m *Machine) awaitsCaller() bool {
	return m.listens() && !m.speaking() && m.open() == nil && !m.caller.unheard && len(m.proposals)+len(m.queue) == 0
}

// stallDue is when missing caller audio is a stall.
func (m *Machine) stallDue() timebase.Instant {
	if !m.listens() || m.caller.resting {
		return timebase.Never
	}
	return m.caller.last.Add(timebase.MS(m.settings.StallMS))
}

// silenceDue is when silence of the caller is told.
func (m *Machine) silenceDue() timebase.Instant {
	if !m.caller.waiting || m.caller.silent {
		return timebase.Never
	}
	return m.caller.quiet.Add(timebase.MS(m.settings.SilenceMS))
}

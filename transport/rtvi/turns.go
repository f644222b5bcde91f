// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// turn is one of the session's, as far as a client is told of it.
type turn struct {
	id         eventabi.TurnID
	generation uint32 // of its sound; 0 = none came
	opened     bool
	waits      bool // it has opened while the client is told of another
	speaking   bool // bot-started-speaking was told
	accepted   bool // there is sound whose playback ends by itself
	played     bool // all of it
	fenced     bool // no sound of generation goes out any more
	cancelled  bool // playback was
	closed     bool
	reason     string // of its abort; empty = it was not aborted
}

// maxTurns bounds the turns that are told apart. One is live, and one may be heard.
const maxTurns = 8

// reasonCancelled is that of a turn which was interrupted.
const reasonCancelled = "cancelled"

// in says whether a fence names the turn. Generations are counted over a session, and a fence
// may name nothing else.
func (t *turn) in(f transport.Fence) bool {
	if f.Generation != 0 && t.generation != 0 {
		return f.Generation == t.generation
	}
	return f.Turn != "" && f.Turn == t.id
}

// stopped says that nothing of the turn is heard any more.
func (t *turn) stopped() bool { return t.cancelled || t.reason != "" }

// over says that nothing of the turn is to come.
func (t *turn) over() bool { return t.closed && (!t.accepted || t.played || t.cancelled) }

// turnOf finds a turn, or begins to follow it; the lock is held.
func (c *conn) turnOf(id eventabi.TurnID) *turn {
	for _, t := range c.turns {
		if t.id == id {
			return t
		}
	}
	if len(c.turns) >= maxTurns {
		c.turns = append(c.turns[:0], c.turns[1:]...)
	}
	t := &turn{id: id}
	c.turns = append(c.turns, t)
	return t
}

// WriteSignal follows the turns.
func (c *conn) WriteSignal(e *eventabi.Envelope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flags.signals {
		c.emit(outServerMessage, object{"type": "signal", "signal": e.Signal, "turn_id": e.TurnID, "reason": e.Reason})
	}
	switch e.Signal { //nolint:exhaustive // a client is told of these
	case eventabi.SignalEndOfUtterance:
		c.utteranceOver()
		return
	case eventabi.SignalReject, eventabi.SignalDefer: // what was said gets no turn
		c.restore()
		c.fault("there is no answer: " + e.Reason)
	}
	if e.TurnID == "" {
		return
	}
	t := c.turnOf(e.TurnID)
	switch e.Signal { //nolint:exhaustive // as above
	case eventabi.SignalTurnOpen:
		t.opened = true
		c.restore()
		if c.told == nil || c.told == t {
			c.tellOf(t)
		} else {
			t.waits = true
		}
	case eventabi.SignalBargeIn:
		c.announce()
	case eventabi.SignalOutputAccepted:
		t.accepted, t.played = true, false
	case eventabi.SignalPlaybackCompleted:
		t.played = true
	case eventabi.SignalPlaybackCancelled:
		t.cancelled = true
		c.cut(t)
	case eventabi.SignalAbort:
		t.reason = e.Reason
	case eventabi.SignalClose:
		t.closed = true
		if t.reason == reasonCancelled {
			c.cut(t)
		} else if t.reason != "" && t == c.told {
			c.fault("the answer could not be given: " + t.reason)
		}
	}
	if t == c.told && t.over() {
		c.finish(t)
	}
}

// restore has answers spoken or written as before the last one was asked for; the lock is
// held.
func (c *conn) restore() {
	if !c.spoken {
		return
	}
	c.spoken = false
	c.text = !c.text
	written := c.text
	if !c.Later(func() { c.Tell(func(in transport.Ingress) { in.Configure(transport.Wishes{TextOnly: &written}) }) }) {
		c.server.count(func(s *Stats) { s.Flooded++ })
	}
}

// fault tells the client of what went wrong, and goes on; the lock is held.
func (c *conn) fault(text string) {
	c.emit(outError, object{"error": text, "message": text, "fatal": false})
}

// tellOf has messages be of a turn from now on; the lock is held.
func (c *conn) tellOf(t *turn) {
	if c.told == t {
		return
	}
	if c.told != nil { // what comes of another one says that it is over
		c.end(c.told)
	}
	c.told, t.waits = t, false
	if c.said != "" {
		c.emit(outUserLLMText, object{"text": c.said})
		c.said = ""
	}
	c.emit(outLLMStarted, nil)
}

// cut tells that a turn was interrupted; the lock is held.
func (c *conn) cut(t *turn) {
	if c.told != t {
		t.waits = false
		return
	}
	if c.speech.voiced { // who interrupted is told first
		c.announce()
	}
	c.output = c.output[:0]
	c.emit(outInterrupted, nil)
	if c.binary && c.ready {
		c.writeInterruption()
	}
	c.finish(t)
}

// finish ends what is told of a turn, and begins with one that waits; the lock is held.
func (c *conn) finish(t *turn) {
	c.end(t)
	if c.speech.voiced {
		c.announce()
	}
	for _, next := range c.turns {
		if next.waits && !next.closed && !next.fenced && !next.cancelled {
			c.tellOf(next)
			return
		}
	}
}

// end tells the ends of what has begun; the lock is held.
func (c *conn) end(t *turn) {
	if !t.stopped() && t.played {
		c.heard()
	}
	c.output = c.output[:0]
	c.emit(outLLMStopped, nil)
	if t.speaking {
		t.speaking = false
		c.emit(outTTSStopped, nil)
		c.emit(outBotStopped, nil)
	}
	c.told = nil
}

// speaks tells that the bot's voice begins; the lock is held.
func (c *conn) speaks(t *turn) {
	if t.speaking {
		return
	}
	t.speaking = true
	c.emit(outTTSStarted, nil)
	c.emit(outBotStarted, nil)
}

// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// message gives the item that a response says something in; the lock is held.
func (c *conn) message(r *response) *item {
	if r.message != nil {
		return r.message
	}
	c.settleWords(r.turn)
	it := &item{
		id: newID("item"), kind: kindMessage, role: string(transport.ContextAssistant), status: statusInProgress, known: true,
		of: transport.Forget{Role: transport.ForgetAgent, Name: string(r.turn.id)},
	}
	r.message, r.index = it, len(r.output)
	r.output = append(r.output, it)
	c.outputAdded(r, it, r.index)
	it.part = partOutputAudio
	part := object{"type": "audio", "transcript": ""}
	if r.text {
		it.part = partOutputText
		part = object{"type": "text", "text": ""}
	}
	c.emit(evPartAdded, object{
		"response_id": r.id, "item_id": it.id, "output_index": r.index, "content_index": 0, "part": part,
	})
	return it
}

// outputAdded begins an item of a response; the lock is held.
func (c *conn) outputAdded(r *response, it *item, index int) {
	previous := c.items.add(it)
	c.emit(evOutputAdded, object{"response_id": r.id, "output_index": index, "item": it.describe()})
	c.emit(evItemAdded, object{"item": it.describe(), "previous_item_id": previous})
}

// say adds to what a response says; the lock is held.
func (c *conn) say(r *response, words string) {
	it := c.message(r)
	if len(it.text)+len(words) > maxText {
		return
	}
	it.text += words
	name := evAudioTextDelta
	if r.text {
		name = evTextDelta
	}
	c.emit(name, object{
		"response_id": r.id, "item_id": it.id, "output_index": r.index, "content_index": 0, "delta": words,
	})
}

// WriteFrame sends a frame of a response. Padding is left out, so that what a client has
// played is a place in the turn.
func (c *conn) WriteFrame(f *transport.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Voiced <= 0 {
		return nil
	}
	t := c.turnOf(f.Turn)
	if t.held && !t.stopping() {
		c.keep(t, f)
		return nil
	}
	r := c.outOf(t, true)
	if r == nil || r.text { // fenced, or the client has asked for no sound
		c.server.count(func(s *Stats) { s.Unheard++ })
		return nil
	}
	return c.play(r, f)
}

// play sends a frame of a response; the lock is held.
func (c *conn) play(r *response, f *transport.Frame) error {
	if c.speaking == nil || c.speaking.format != r.format {
		s, err := newSpeaking(r.format)
		if err != nil {
			return err
		}
		c.speaking = s
	}
	it := c.message(r)
	if it.turn == "" {
		it.turn, it.generation, it.base = f.Turn, f.Generation, f.Position
	}
	it.sent = f.Position + int64(f.Voiced) - it.base
	now := time.Now()
	c.sent(f, now)
	c.delta(r, f)
	if r.calls { // words beside them, whose end is not told
		c.quiet.Reset(callsEnd)
	}
	return nil
}

// Fence drops the frames that wait, and lets no more of the turn through.
func (c *conn) Fence(f transport.Fence) {
	c.mu.Lock()
	if f.Session {
		for _, t := range c.turns {
			t.fenced = true
		}
	} else if f.Turn != "" { // else its name is not known, and the outbox knows the generation
		c.turnOf(f.Turn).fenced = true
	}
	c.playout.stopped(f)
	c.mu.Unlock()
	c.out.Fence(f)
}

// WriteText takes what is said, or what was understood of the caller.
func (c *conn) WriteText(t transport.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.From == transport.TextCaller {
		c.understood(t)
		return
	}
	u := c.turnOf(eventabi.TurnID(t.Of))
	if u.cut || t.Text == "" {
		return
	}
	if u.held || c.active != nil && c.active.turn != u { // it is generated while the one before is heard
		if u.waiting = !u.held; len(u.text)+len(t.Text) <= maxText {
			u.text += t.Text
		}
		return
	}
	if r := c.outOf(u, false); r != nil {
		c.say(r, t.Text)
	}
}

// TextWindow says that any number of pieces is taken.
func (*conn) TextWindow() int { return 0 }

// WriteSignal follows the turns.
func (c *conn) WriteSignal(e *eventabi.Envelope) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Signal { //nolint:exhaustive // a client is told of these
	case eventabi.SignalEndOfUtterance:
		c.utteranceOver(e.Reason)
		return
	case eventabi.SignalReject, eventabi.SignalDefer:
		c.turnedDown(e)
		return
	}
	if e.TurnID == "" {
		return
	}
	if e.Signal == eventabi.SignalTurnOpen {
		c.turnOpened(e)
		return
	}
	t := c.turnOf(e.TurnID)
	switch e.Signal { //nolint:exhaustive // as above
	case eventabi.SignalBargeIn:
		t.barged = true
		if u := c.speech.current; u != nil && !c.set.manual() {
			c.announce(u)
		}
	case eventabi.SignalOutputAccepted:
		t.accepted, t.played = true, false
	case eventabi.SignalPlaybackCompleted:
		t.played = true
		c.settle(t)
	case eventabi.SignalPlaybackCancelled:
		t.cut = true
		if c.active != nil && c.active.turn == t {
			c.finish(c.active)
		}
	case eventabi.SignalAbort:
		t.reason = e.Reason
	case eventabi.SignalClose:
		t.closed = true
		c.settle(t)
	}
}

// turnedDown tells that an answer will not come: one that was asked for, or one to what the
// caller has said; the lock is held.
func (c *conn) turnedDown(e *eventabi.Envelope) {
	switch a := c.asked; {
	case a != nil && a.key == e.IdempotencyKey:
		c.refused(e.Reason)
	case e.IdempotencyKey == "":
		c.fail("", &fault{Type: errServer, Code: codeRefused, Message: "There will be no answer: " + short(e.Reason) + "."})
	}
}

// refused tells that the answer which was asked for will not come; the lock is held.
func (c *conn) refused(reason string) {
	a := c.asked
	c.asked = nil
	a.timer.Stop()
	if a.text != nil {
		c.later(c.restore)
	}
	if reason == "turn_in_progress" {
		c.fail(a.eventID, active(""))
		return
	}
	c.fail(a.eventID, &fault{Code: codeRefused, Message: "The response.create was not accepted: " + short(reason) + "."})
}

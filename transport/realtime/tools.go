// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/parley-voice/parley/transport"
)

// A turn that calls tools goes on by itself when it has their results; clients ask for that
// with a response.create. Some send it at once behind the results, and some wait for the
// response that is under way to be done. So
//
//   - the response of calls ends with their results, or when nothing is said beside them,
//   - what the turn says behind the results waits shortly for the response.create, and goes
//     out in the response that it creates,
//   - what it says before the results, when that response is done, is a response of its own,
//     which goes on behind them,
//   - and a response.create that comes when all is said is answered by a response that says
//     nothing.
const (
	// callsEnd is how long behind a call another one of the same response may come, or the
	// first sound of the words that go with it, and behind sound the next.
	callsEnd = 300 * time.Millisecond
	// createWithin is how long what a turn says with results waits for the response.create.
	createWithin = 400 * time.Millisecond
	// lateCreate is how long after its end a turn still has one to come.
	lateCreate = 2 * time.Second
	// maxHeld bounds the frames that wait, and is more than createWithin.
	maxHeld = 50
)

// WriteToolCall hands a call to the client. Its response ends with it, soon.
func (c *conn) WriteToolCall(call transport.ToolCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turnOf(call.Turn)
	c.unhold(t) // another round, and nobody has asked for it
	r := c.outOf(t, true)
	if r == nil {
		return
	}
	it := &item{
		id: newID("item"), kind: kindCall, status: statusInProgress, call: call.ID, name: call.Name, turn: call.Turn,
		of: transport.Forget{Role: transport.ForgetToolCall, Name: call.ID},
	}
	index := len(r.output)
	r.output = append(r.output, it)
	c.outputAdded(r, it, index)
	at := object{"response_id": r.id, "item_id": it.id, "output_index": index, "call_id": it.call}
	it.args, it.status = call.Arguments, statusCompleted
	if !json.Valid([]byte(it.args)) { // libraries parse it
		it.args = "{}"
	}
	c.emit(evArgumentsDelta, with(at, object{"delta": it.args}))
	c.emit(evArgumentsDone, with(at, object{"arguments": it.args, "name": it.name}))
	c.outputDone(r, it, index)
	t.outstanding++
	t.expects, t.asks = true, false
	r.calls = true
	c.quiet.Reset(callsEnd)
}

// quieten ends a response whose calls are out and that has nothing more to say.
func (c *conn) quieten() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.active; r != nil && r.calls {
		c.finish(r)
	}
}

// answered meets the result of a call; the lock is held.
func (c *conn) answered(call *item) {
	if call.answered {
		return
	}
	call.answered = true
	i := slices.IndexFunc(c.turns, func(t *turn) bool { return t.id == call.turn })
	if i < 0 {
		return
	}
	t := c.turns[i]
	if t.outstanding--; t.outstanding > 0 || !t.expects || t.over() || t.stopping() {
		return
	}
	if c.active != nil && c.active.turn == t {
		if !c.active.calls {
			return
		}
		c.finish(c.active)
	}
	t.held = true
	time.AfterFunc(createWithin, transport.Contain(c.broken, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unhold(t)
	}))
}

// keep has a frame wait for its response; the lock is held.
func (c *conn) keep(t *turn, f *transport.Frame) {
	if len(t.frames) >= maxHeld {
		c.server.count(func(s *Stats) { s.Unheard++ })
		return
	}
	kept := *f
	kept.PCM = slices.Clone(f.PCM)
	t.frames = append(t.frames, kept)
}

// unhold lets go of what a turn has said meanwhile, in a response of its own if it was not
// asked for; the lock is held.
func (c *conn) unhold(t *turn) {
	if !t.held {
		return
	}
	t.held = false
	if t.text != "" || len(t.frames) > 0 {
		c.flush(c.outOf(t, false), t)
	}
	c.settle(t)
}

// flush sends what waited for its response; the lock is held.
func (c *conn) flush(r *response, t *turn) {
	text, frames := t.text, t.frames
	if r == nil && t.waiting { // for the end of another one
		return
	}
	t.text, t.frames = "", nil
	if r == nil {
		return
	}
	if text != "" {
		c.say(r, text)
	}
	for i := range frames {
		if !r.text && !t.stopping() {
			_ = c.play(r, &frames[i]) // its format was taken before
		}
	}
}

// goesOn says that a response.create belongs to a turn that goes on with the results of its
// tools, and creates its response; the lock is held.
func (c *conn) goesOn(a *request) bool {
	for _, t := range c.turns {
		if !t.expects || t.stopping() || t.reason != "" {
			continue
		}
		late := t.over()
		if late && (t.asks || time.Since(t.ended) > lateCreate || c.active != nil) {
			continue
		}
		t.expects, t.held = false, false
		if c.active != nil {
			return true
		}
		t.asked = a
		r := c.open(t)
		c.flush(r, t)
		if late {
			c.finish(r)
			return true
		}
		c.settle(t)
		return true
	}
	return false
}

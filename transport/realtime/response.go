// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// turn is one of the session's, as far as its responses need it.
type turn struct {
	id       eventabi.TurnID
	waiting  bool   // its response waits for another one's end
	text     string // that came while it waited
	accepted bool   // there is sound whose playback ends by itself
	played   bool   // all of it
	fenced   bool   // no sound of it goes out any more
	cut      bool   // playback was cancelled
	closed   bool
	reason   string // of its abort; empty = it was not aborted
	barged   bool   // by the caller's speech
	stopped  bool   // by the client's response.cancel
	asked    *request
	words    []*utterance    // whose words it waits for
	usage    transport.Usage // of what was not told of yet

	// Of its tools.
	outstanding int               // calls without a result
	expects     bool              // the response.create that goes with the results
	asks        bool              // something was said since to be answered
	held        bool              // what it says waits for that response.create
	frames      []transport.Frame // that wait
	ended       time.Time
}

// maxTurns bounds the turns that are told apart. One is live, and one may be heard.
const maxTurns = 8

// stopping says that what was sent of the turn is all that will be.
func (t *turn) stopping() bool { return t.fenced || t.cut || t.barged || t.stopped }

// over says that nothing of the turn is to come.
func (t *turn) over() bool { return t.closed && (!t.accepted || t.played || t.cut) }

// status is how a response of the turn ended.
func (t *turn) status() (status string, details any) {
	switch {
	case t.cut || t.reason == "cancelled":
		reason := any(nil)
		if t.barged {
			reason = reasonTurnDetected
		} else if t.stopped {
			reason = reasonClient
		}
		return statusCancelled, object{"type": statusCancelled, "reason": reason}
	case t.reason != "":
		return statusFailed, object{"type": statusFailed, "error": object{
			"type": errServer, "code": t.reason, "message": "The answer could not be given: " + t.reason + ".",
		}}
	}
	return statusCompleted, nil
}

// response is what the client knows of a turn, or of a part of it between calls of tools.
type response struct {
	id      string
	turn    *turn
	text    bool // written, not spoken
	output  []*item
	message *item // what is being said
	index   int   // of message in output
	calls   bool  // tools were called in it
	format  format
}

// request is a response.create whose turn has not opened yet.
type request struct {
	key      eventabi.IdempotencyKey
	eventID  string
	metadata json.RawMessage
	text     *bool // other than the session's
	timer    *time.Timer
}

// used is what the turn's model has used since its response before, as clients are told it: nil
// when no engine has said.
func (t *turn) used() any {
	u := t.usage
	t.usage = transport.Usage{}
	if u.InputTokens+u.OutputTokens == 0 {
		return nil
	}
	return object{
		"total_tokens": u.InputTokens + u.OutputTokens, "input_tokens": u.InputTokens, "output_tokens": u.OutputTokens,
		"input_token_details": object{
			"text_tokens": u.InputTokens, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": u.CachedTokens,
			"cached_tokens_details": object{"text_tokens": u.CachedTokens, "audio_tokens": 0, "image_tokens": 0},
		},
		"output_token_details": object{"text_tokens": u.OutputTokens, "audio_tokens": 0},
	}
}

// WriteUsage notes what an answer has used.
func (c *conn) WriteUsage(u transport.Usage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turnOf(u.Turn)
	t.usage.InputTokens += u.InputTokens
	t.usage.CachedTokens += u.CachedTokens
	t.usage.OutputTokens += u.OutputTokens
}

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

// open creates the response of a turn, unless it has to wait; the lock is held.
func (c *conn) open(t *turn) *response {
	if c.active != nil {
		t.waiting = true
		return nil
	}
	t.waiting = false
	r := &response{id: newID("resp"), turn: t, text: c.set.text, format: c.set.out}
	if t.asked != nil && t.asked.text != nil {
		r.text = *t.asked.text
	}
	c.active = r
	c.server.count(func(s *Stats) { s.Responses++ })
	c.emit(evResponseCreated, object{"response": c.describe(r, statusInProgress, nil)})
	return r
}

// describe is a response as the client is told; the lock is held.
func (c *conn) describe(r *response, status string, details any) object {
	output := []object{}
	for _, it := range r.output {
		output = append(output, it.describe())
	}
	o := object{
		"object": "realtime.response", "id": r.id, "status": status, "status_details": details, "output": output,
		"conversation_id": c.conversation, "output_modalities": modalities(r.text), "max_output_tokens": "inf",
		"audio":    object{"output": object{"format": r.format.describe(), "voice": voice(c.set.voice)}},
		"metadata": nil, "usage": nil,
	}
	if status != statusInProgress {
		o["usage"] = r.turn.used()
	}
	if a := r.turn.asked; a != nil {
		o["metadata"] = or(a.metadata, nil)
	}
	return o
}

// out gives the response that output of a turn belongs to, nil when there is none; the
// lock is held. Sound of a turn says that the one before it has ended.
func (c *conn) outOf(t *turn, ends bool) *response {
	if t.fenced || t.cut {
		return nil
	}
	if c.active != nil && c.active.turn != t && ends {
		c.finish(c.active)
	}
	if c.active != nil && c.active.turn == t {
		return c.active
	}
	return c.open(t)
}

// turnOpened meets the beginning of a turn; the lock is held.
func (c *conn) turnOpened(e *eventabi.Envelope) {
	t := c.turnOf(e.TurnID)
	if a := c.asked; a != nil && a.key == e.IdempotencyKey {
		t.asked, c.asked = a, nil
		a.timer.Stop()
		if a.text != nil {
			c.later(c.restore)
		}
	}
	for _, u := range c.speech.known {
		if !u.item.known {
			t.words = append(t.words, u)
		}
	}
	c.open(t)
}

// settle ends the response of a turn of which nothing is to come; the lock is held.
func (c *conn) settle(t *turn) {
	if t.over() && t.ended.IsZero() {
		t.ended = time.Now()
	}
	if c.active != nil && c.active.turn == t && t.over() {
		c.finish(c.active)
	}
}

// finish ends a response and lets the next one begin; the lock is held.
func (c *conn) finish(r *response) {
	status, details := r.turn.status()
	if !r.turn.closed && !r.turn.cut { // its calls end it, or another turn is heard
		status, details = statusCompleted, nil
	}
	c.finishMessage(r, status)
	c.emit(evResponseDone, object{"response": c.describe(r, status, details)})
	c.active = nil
	c.quiet.Stop()
	if u := c.speech.current; u != nil && !u.announced && u.voiced && !c.set.manual() {
		c.announce(u)
	}
	for _, t := range c.turns {
		if !t.waiting {
			continue
		}
		t.waiting = false
		if t.fenced || t.cut { // nothing was said of it, and nobody knows of it
			continue
		}
		c.flush(c.open(t), t)
		c.settle(t)
		return
	}
}

// finishMessage ends what is being said; the lock is held.
func (c *conn) finishMessage(r *response, status string) {
	it := r.message
	if it == nil {
		return
	}
	it.status = statusCompleted
	if status != statusCompleted {
		it.status = statusIncomplete
	}
	r.message = nil
	at := object{"response_id": r.id, "item_id": it.id, "output_index": r.index, "content_index": 0}
	part := object{"type": "text", "text": it.text}
	if it.part == partOutputAudio {
		part = object{"type": "audio", "transcript": it.text}
		c.emit(evAudioDone, maps.Clone(at))
		c.emit(evAudioTextDone, with(at, object{"transcript": it.text}))
	} else {
		c.emit(evTextDone, with(at, object{"text": it.text}))
	}
	c.emit(evPartDone, with(at, object{"part": part}))
	c.outputDone(r, it, r.index)
}

// outputDone ends an item of a response; the lock is held.
func (c *conn) outputDone(r *response, it *item, index int) {
	c.emit(evOutputDone, object{"response_id": r.id, "output_index": index, "item": it.describe()})
	c.emit(evItemDone, object{"item": it.describe(), "previous_item_id": c.items.before(it)})
}

// with is an object and further fields.
func with(o, more object) object {
	next := maps.Clone(o)
	maps.Copy(next, more)
	return next
}

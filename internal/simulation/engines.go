// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// call is a provider call as the provider sees it: one attempt at a time.
type call struct {
	id      eventabi.InvocationID
	kind    callKind
	attempt int64
	owner   int32 // recogniser: the utterance
	speech  int32 // recogniser: the speech it hears
	act     act   // recogniser: what kind of speech that is
	runes   int64 // synthesiser: of the text
	pieces  int64 // results of this attempt, in all
	next    int64 // the piece that comes next
	index   int64 // the number that it will carry
	ends    bool  // recogniser: the utterance was finalised
	tools   int64 // calls of tools of this attempt, in all
	made    int64 // and so far
	stopped bool  // cancelled, and heeds it
	done    bool
	fault   Fault // of this attempt, noFault = none
	struck  bool  // the fault was counted
	late    int64 // results after the cancel
}

const noFault = faultCount

type callKind uint8

const (
	recognise callKind = iota
	think
	voice
)

// findCall gives the index of a call, -1 when the world never heard of it.
func (w *world) findCall(id eventabi.InvocationID) int {
	for i := len(w.calls) - 1; i >= 0; i-- {
		if w.calls[i].id == id {
			return i
		}
	}
	return -1
}

// begin starts an attempt and draws its fault.
func (w *world) begin(id eventabi.InvocationID, kind callKind, attempt int64) int {
	i := w.findCall(id)
	if i < 0 {
		w.calls = append(w.calls, call{id: id, kind: kind})
		i = len(w.calls) - 1
	}
	c := &w.calls[i]
	c.attempt, c.next, c.index, c.ends, c.stopped, c.done = attempt, 0, 0, false, false, false
	c.fault, c.struck, c.late = noFault, false, 0
	if len(w.bad) > 0 && !w.calm && w.random.Chance(1, 5) {
		c.fault = w.bad[w.random.Below(int64(len(w.bad)))]
	}
	return i
}

// strikes says whether the call has a fault, and counts it once.
func (w *world) strikes(c *call, f Fault) bool {
	if c.fault != f {
		return false
	}
	if !c.struck {
		c.struck = true
		w.covered[f]++
	}
	return true
}

// listen starts a recogniser.
func (w *world) listen(e *session.Open) {
	w.owners++
	i := w.begin(e.Invocation, recognise, 1)
	c := &w.calls[i]
	c.owner, c.speech, c.act = w.owners, w.speech.number, w.speech.kind
	if w.turnedAway(i) {
		return
	}
	if w.habits.settings.StreamingSTT && !w.strikes(c, ProviderTimeout) {
		w.after(w.now, w.random.Between(120, 400), evHear, int32(i), 1)
	}
}

// finalize ends a recogniser's utterance; its final comes soon.
func (w *world) finalize(e *session.Finalize) {
	i := w.findCall(e.Invocation)
	if i < 0 || w.calls[i].ends || w.calls[i].done || refusal(w.calls[i].fault) != "" {
		return
	}
	c := &w.calls[i]
	c.ends = true
	wait := w.random.Between(5, 160)
	switch {
	case w.strikes(c, ProviderTimeout), w.strikes(c, ProviderStall):
		return
	case w.strikes(c, ProviderSlowStart):
		wait = w.random.Between(700, 1600)
	}
	w.after(w.now, wait, evHeard, int32(i), 1)
}

// generate starts an attempt of the language model.
func (w *world) generate(e *session.Generate) {
	i := w.begin(e.Invocation, think, e.Attempt)
	w.calls[i].pieces = w.random.Between(1, w.habits.replies)
	w.callsTools(&w.calls[i], e.NoTools)
	w.start(i, w.random.Between(30, 300))
}

// say starts an attempt of the synthesiser.
func (w *world) say(e *session.Say) {
	i := w.begin(e.Invocation, voice, e.Attempt)
	w.calls[i].runes = max(1, w.texts[e.Text].ref.Runes)
	w.calls[i].pieces = w.random.Between(1, 3)
	w.start(i, w.random.Between(20, 150))
}

// start schedules the first piece, or what comes instead of it.
func (w *world) start(i int, wait int64) {
	if w.turnedAway(i) {
		return
	}
	c := &w.calls[i]
	kind := evThink
	if c.kind == voice {
		kind = evVoice
	}
	switch {
	case w.strikes(c, ProviderTimeout):
		return
	case w.strikes(c, ProviderSlowStart):
		wait = w.random.Between(600, 1800)
	}
	w.after(w.now, wait, kind, int32(i), c.attempt)
}

// serve lets a provider go on.
func (w *world) serve(e *event) {
	c := &w.calls[e.who]
	if e.kind == evStopped {
		w.halt(e, c)
		return
	}
	if e.arg != c.attempt || c.done {
		return
	}
	if refusal(c.fault) != "" {
		w.unscheduled(c)
		return
	}
	if c.stopped {
		if c.fault != ProviderLate {
			return
		}
		w.strikes(c, ProviderLate)
		if c.late++; c.late > 4 {
			return
		}
	}
	switch {
	case e.kind == evHear:
		w.partial(e, c)
	case e.kind == evHeard:
		w.final(c)
	case e.kind == evThink, e.kind == evVoice:
		w.piece(e, c)
	}
}

// partial is an interim transcript.
func (w *world) partial(e *event, c *call) {
	if c.ends && c.fault != ProviderLate {
		return
	}
	elapsed := int64(1000)
	if w.speech.number == c.speech {
		elapsed = w.speech.heardMS
		if w.speech.voiced {
			elapsed += e.at.Sub(w.speech.since).MS()
		}
	}
	words := 1 + elapsed/300
	class := session.TextWords
	switch {
	case c.act == actCough:
		w.after(e.at, 400, evHear, e.who, e.arg)
		return
	case c.act == actBackchannel, c.act == actMumble:
		class = session.TextBackchannel
	default:
		if c.next == 0 && w.random.Chance(1, 5) {
			class = session.TextBackchannel
		}
	}
	w.transcribe(c, words, class, false)
	if c.fault == ProviderStall && c.next > 1 {
		w.strikes(c, ProviderStall)
		return
	}
	w.after(e.at, w.random.Between(150, 350), evHear, e.who, e.arg)
}

// transcribe sends a result of a recogniser.
func (w *world) transcribe(c *call, words int64, class session.TextClass, final bool) {
	in := w.pool.heard.get()
	c.next++
	c.index++
	if w.strikes(c, ProviderWrongOrder) && c.next > 1 {
		c.index -= w.random.Between(0, 2)
	}
	in.Invocation, in.Revision, in.Final = c.id, c.index, final
	in.Text = w.text(c.owner, words, class, false)
	w.add(in)
	if w.strikes(c, ProviderDuplicate) {
		w.add(in)
	}
}

// final is the end of a recognition.
func (w *world) final(c *call) {
	words, class := int64(4), session.TextWords
	switch {
	case c.act == actCough:
		words, class = 0, session.TextNone
	case c.act == actBackchannel, c.act == actMumble:
		words, class = 1, session.TextBackchannel
	}
	switch {
	case w.strikes(c, ProviderServerError), w.strikes(c, ProviderTruncation), w.strikes(c, ProviderOverload):
		w.end(c, "infrastructure_failure", "stream_broken", true)
		return
	case w.strikes(c, ProviderMalformed) && w.random.Chance(1, 2):
		class = session.TextNone // nothing was recognised although something was said
	}
	if w.random.Chance(7, 8) {
		w.transcribe(c, words, class, true)
	}
	w.end(c, "success", "", false)
}

// end reports the outcome of an attempt.
func (w *world) end(c *call, class, reason string, retryable bool) {
	c.done = true
	in := w.pool.ends.get()
	in.Invocation, in.Attempt, in.Class, in.Reason, in.Retryable = c.id, c.attempt, class, reason, retryable
	if class == "overload" {
		in.BackoffMS = w.random.Between(0, 400)
	}
	w.add(in)
	if c.fault == ProviderDuplicate {
		w.add(in)
	}
}

// piece is the next result of a stream, or its end.
func (w *world) piece(e *event, c *call) {
	switch {
	case w.strikes(c, ProviderOverload):
		w.end(c, "overload", "rate_limit", true)
		return
	case w.strikes(c, ProviderServerError):
		w.end(c, "infrastructure_failure", "status_503", w.random.Chance(3, 4))
		return
	case c.fault == ProviderStall && c.next >= min(1, c.pieces-1):
		w.strikes(c, ProviderStall)
		return
	case c.fault == ProviderTruncation && c.next > 0:
		w.strikes(c, ProviderTruncation)
		w.end(c, "infrastructure_failure", "stream_truncated", true)
		return
	}
	if c.next == 0 && c.index == 0 && w.random.Chance(1, 4) {
		alive := w.pool.alive.get()
		alive.Invocation, alive.Attempt = c.id, c.attempt
		w.add(alive)
	}
	if c.next < c.pieces {
		w.result(c)
	}
	if c.next < c.pieces || w.random.Chance(1, 3) && c.next == c.pieces && c.index <= c.pieces {
		if c.next == c.pieces {
			c.index = c.pieces + 1 // the end comes by itself
		}
		w.after(e.at, w.random.Between(5, 150), e.kind, e.who, e.arg)
		return
	}
	if c.made < c.tools {
		w.callTool(c)
		w.after(e.at, w.random.Between(0, 60), e.kind, e.who, e.arg)
		return
	}
	w.end(c, "success", "", false)
}

// result sends one segment or one chunk.
func (w *world) result(c *call) {
	index := c.index
	c.next++
	c.index++
	if c.fault == ProviderWrongOrder && (c.next > 1 || w.random.Chance(1, 2)) {
		w.strikes(c, ProviderWrongOrder)
		index += w.random.Between(-1, 1)
	}
	again := w.strikes(c, ProviderDuplicate)
	if c.kind == think {
		in := w.pool.segments.get()
		in.Invocation, in.Attempt, in.Index = c.id, c.attempt, index
		in.Protected = w.random.Below(100) < w.habits.protect
		in.Text = w.text(0, w.random.Between(2, 14), session.TextWords, in.Protected)
		if w.strikes(c, ProviderMalformed) && w.random.Chance(1, 2) {
			in.Index = -7
		}
		w.add(in)
		if again {
			w.add(in)
		}
		return
	}
	samples := timebase.SamplesIn(timebase.MS(c.runes*w.random.Between(50, 80))) / timebase.Samples(c.pieces)
	if w.strikes(c, ProviderMalformed) && w.random.Chance(1, 2) {
		samples = timebase.Samples(w.random.Between(-400, 0))
	}
	w.chunk(c, index, samples)
	if again {
		w.chunk(c, index, samples)
	}
}

func (w *world) chunk(c *call, index int64, samples timebase.Samples) {
	in := w.pool.speeches.get()
	w.lastHandle++
	in.Invocation, in.Attempt, in.Chunk, in.Handle, in.Samples = c.id, c.attempt, index, w.lastHandle, samples
	w.add(in)
}

// cancelled is a call that the kernel cancelled: it acknowledges, ends or says nothing.
func (w *world) cancelled(e *session.CancelCall) {
	i := w.findCall(e.Invocation)
	if i < 0 {
		return
	}
	c := &w.calls[i]
	c.stopped = true
	if c.done {
		return
	}
	if c.fault == noFault && len(w.bad) > 0 && !w.calm && w.faults.Has(ProviderLate) && w.random.Chance(1, 3) {
		c.fault = ProviderLate
	}
	answer := w.random.Below(5)
	if answer < 4 && c.fault != ProviderLate {
		w.after(w.now, w.random.Between(0, 90), evStopped, int32(i), answer)
	}
}

// halt is a provider's answer to a cancel.
func (w *world) halt(e *event, c *call) {
	if c.done || !c.stopped {
		return
	}
	if e.arg < 2 {
		c.done = true
		in := w.pool.acks.get()
		in.Invocation = c.id
		w.add(in)
		return
	}
	w.end(c, "cancelled", "", false)
}

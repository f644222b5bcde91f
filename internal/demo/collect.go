// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/report"
)

func (c *Collector) transcript(at time.Duration, r *session.Transcript, text string) {
	utterance, _, _ := strings.Cut(string(r.Invocation), "-")
	c.data.Partials = append(c.data.Partials, report.Partial{
		AtMs: report.Millis(at), Utterance: utterance, Text: text, Final: r.Final,
	})
	c.texts[r.Text.Handle] = utterance
	if c.held != nil && utterance != c.aside.utterance {
		c.aside = aside{utterance: utterance}
	}
	if !r.Final {
		c.view.Partial(at, text)
		return
	}
	switch {
	case utterance != c.aside.utterance:
	case c.held != nil:
		c.aside.text = text
		return
	case c.aside.dismissed:
		c.view.Dismissed(at, text)
		return
	}
	c.final = at
	if t := c.turn(c.current); t != nil && t.ClosedMs == nil && t.STTFinalMs == nil {
		t.STTFinalMs = report.At(at)
	}
	c.view.Final(at, text)
}

func (c *Collector) segment(at time.Duration, r *session.Segment, text string) {
	id := c.calls[r.Invocation]
	t := c.turn(id)
	if t == nil {
		return
	}
	if t.FirstTokenMs == nil {
		t.FirstTokenMs = report.At(at)
	}
	if !c.graph {
		c.piece(at, id, text)
	}
}

// piece adds to the agent's reply, what the model writes or what stands in for it.
func (c *Collector) piece(at time.Duration, id eventabi.TurnID, text string) {
	t := c.turn(id)
	if t == nil {
		return
	}
	if t.FirstSegmentMs == nil {
		t.FirstSegmentMs = report.At(at)
	}
	t.Segments = append(t.Segments, report.Segment{AtMs: report.Millis(at), Text: text})
	t.Reply += text
	c.caption.add(id, text)
	c.view.Say(at, strings.TrimSpace(text))
}

func (c *Collector) turnChange(at time.Duration, r *session.TurnChange) {
	switch r.Transition.ToState {
	case controlplane.TurnActive:
		c.current = r.Turn
		c.byTurn[r.Turn] = len(c.data.Turns)
		t := report.Turn{TurnID: string(r.Turn), Index: len(c.data.Turns) + 1, OpenedMs: report.At(at)}
		if c.eou > 0 {
			t.EOUMs = report.At(c.eou)
		}
		if c.final >= c.eou && c.eou > 0 {
			t.STTFinalMs = report.At(c.final)
		}
		c.data.Turns = append(c.data.Turns, t)
		c.director.TurnOpened()
		c.view.Turn(at, t.Index, "active", "")
	case controlplane.TurnTerminal:
		if t := c.turn(r.Turn); t != nil {
			t.TerminalMs = report.At(at)
			t.Terminal = string(r.Transition.Trigger)
		}
	case controlplane.TurnClosed:
		if t := c.turn(r.Turn); t != nil {
			t.ClosedMs = report.At(at)
		}
		c.director.TurnClosed(at)
	case controlplane.TurnIdle, controlplane.TurnOpening:
	}
}

func (c *Collector) signal(at time.Duration, e *eventabi.Envelope) {
	if e.Signal == eventabi.SignalCreditGrant {
		return // counted with the edge
	}
	c.data.Signals = append(c.data.Signals, report.Signal{
		AtMs: report.Millis(at), Signal: string(e.Signal), Emitter: string(e.EmittedBy), TurnID: string(e.TurnID),
		EdgeID: string(e.EdgeID), Reason: e.Reason,
	})
	t := c.turn(e.TurnID)
	switch is := e.Signal; { // the few of them that are shown
	case is == eventabi.SignalReject, is == eventabi.SignalDefer:
		c.remark(string(e.Signal) + ": " + e.Reason)
	case is == eventabi.SignalDiscontinuity && e.EdgeID == "":
		c.remark("caller audio is missing: " + e.Reason)
	case is == eventabi.SignalSilence, is == eventabi.SignalStall:
		c.note(at, condition(e))
	case is == eventabi.SignalProviderError:
		text := "provider error: " + e.Reason
		if c.detail != "" {
			text += ": " + c.detail
		}
		c.note(at, text)
	case is == eventabi.SignalCommit, is == eventabi.SignalAbort:
		if t != nil {
			c.view.Turn(at, t.Index, string(e.Signal), e.Reason)
		}
	case is == eventabi.SignalPlaybackStarted:
		c.playing(at, t)
	case is == eventabi.SignalPlaybackCompleted, is == eventabi.SignalPlaybackCancelled:
		c.silent(at, t)
	case is == eventabi.SignalCancel:
		if t = c.turn(c.meant(e.TurnID)); t != nil {
			c.accepted(at, t, e)
		}
	}
}

func (c *Collector) playing(at time.Duration, t *report.Turn) {
	c.agent = true
	c.director.AgentStarted(at)
	if t == nil {
		return
	}
	t.PlaybackStartedMs = report.At(at)
	c.caption.playing(eventabi.TurnID(t.TurnID))
	l := report.LatenciesOf(t)
	if l.EOUToFirstAudioMs == nil {
		return
	}
	parts := make([]console.Part, 0, 5)
	for _, p := range l.Parts() {
		parts = append(parts, console.Part{Label: p.Short, For: millis(p.Ms)})
	}
	c.view.Latency(at, millis(*l.EOUToFirstAudioMs), parts)
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func (c *Collector) silent(at time.Duration, t *report.Turn) {
	c.agent = false
	c.caption.silent()
	c.director.AgentStopped(at)
	if t != nil {
		t.PlaybackEndMs = report.At(at)
	}
}

// accepted notes a cancel of the turn, with its fence.
func (c *Collector) accepted(at time.Duration, t *report.Turn, e *eventabi.Envelope) {
	id := eventabi.TurnID(t.TurnID)
	bargeIn := e.Reason == string(controlplane.CancelBargeIn)
	t.Cancel = &report.Cancel{AcceptedMs: report.Millis(at)}
	if n := len(t.Hold); n > 0 && t.Hold[n-1].Verdict == report.VerdictConfirmed {
		if from := t.Hold[n-1].FromMs; bargeIn {
			t.Cancel.DetectedMs, t.Cancel.HeldMs = &from, &from
		} else {
			t.Hold[n-1].Verdict = report.VerdictEnded
		}
	}
	var body struct {
		Samples *int64 `json:"played_through_samples"`
	}
	if json.Unmarshal(e.Payload, &body) == nil && body.Samples != nil {
		t.Cancel.PlayedThroughMs = report.At(time.Duration(timebase.Samples(*body.Samples).Span()))
	}
	f, ok := c.fences[id]
	if !ok {
		return
	}
	delete(c.fences, id)
	us := float64(f.took) / float64(timebase.Microsecond)
	t.Cancel.FenceAppliedMs, t.Cancel.CancelToFenceUs = report.At(f.at+time.Duration(f.took)), &us
	if bargeIn {
		c.view.BargeIn(at, t.Index, time.Duration(f.took))
	} else {
		c.view.Note(at, "turn "+strconv.Itoa(t.Index)+" cancelled: "+e.Reason)
	}
}

func (c *Collector) converse(r *session.Converse, text string) {
	t := c.turn(r.Item.Turn)
	if t == nil {
		return
	}
	switch r.Item.Role {
	case session.ItemUser:
		c.said(t, &r.Item, text)
		return
	case session.ItemToolCall:
		c.remark("turn " + string(r.Item.Turn) + " calls the tool " + r.Item.Name)
		return
	case session.ItemToolResult:
		c.remark("a tool of turn " + string(r.Item.Turn) + " " + toolOutcome(&r.Item))
		return
	case session.ItemForgotten:
		c.remark("the client has taken an item of turn " + string(r.Item.Turn) + " out of the conversation")
		return
	case session.ItemAssistant, session.ItemSystem:
	}
	t.HeardText = text
	t.HeardErrorMs = nil
	if r.Item.HeardErrorMS > 0 {
		t.HeardErrorMs = report.At(time.Duration(r.Item.HeardErrorMS) * time.Millisecond)
	}
	heard := strings.TrimSpace(text)
	if t.PlaybackEndMs != nil && (c.uttered.turn != t.TurnID || c.uttered.heard != heard) {
		c.uttered = uttered{t.TurnID, heard} // a client's word may come later, and say the same
		unheard := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(t.Reply), heard))
		c.view.Said(millis(*t.PlaybackEndMs), heard, unheard)
	}
}

func toolOutcome(it *session.Item) string {
	switch {
	case it.Failed && it.Text == 0:
		return "did not answer in time"
	case it.Failed:
		return "failed"
	}
	return "answered"
}

// said notes one of the utterances that a turn answers.
func (c *Collector) said(t *report.Turn, item *session.Item, text string) {
	utterance := c.texts[item.Text]
	for i := range c.data.Partials {
		if p := &c.data.Partials[i]; p.Utterance == utterance {
			p.TurnID = t.TurnID
		}
	}
	i := slices.IndexFunc(c.items, func(it userItem) bool { return it.key == item.Key })
	if i < 0 {
		i = len(c.items)
		c.items = append(c.items, userItem{key: item.Key})
	}
	c.items[i].turn, c.items[i].text = t.TurnID, text
	var all []string
	for _, it := range c.items {
		if it.turn == t.TurnID {
			all = append(all, it.text)
		}
	}
	t.Transcript = strings.Join(all, " ")
}

func (c *Collector) hold(at time.Duration, r *session.Hold) {
	t := c.turn(r.Turn)
	if t == nil {
		return
	}
	c.held = &held{turn: r.Turn, from: at}
	c.view.Hold(at, t.Index)
}

// release ends the hold, if there is one; t is then its turn.
func (c *Collector) release(at time.Duration, verdict report.Verdict) (t *report.Turn, lasted time.Duration) {
	h := c.held
	if h == nil {
		return nil, 0
	}
	c.held = nil
	t = c.turn(h.turn)
	t.Hold = append(t.Hold, report.Hold{FromMs: report.Millis(h.from), ToMs: report.Millis(at), Verdict: verdict})
	return t, at - h.from
}

func (c *Collector) resume(at time.Duration) {
	t, lasted := c.release(at, report.VerdictResumed)
	if t == nil {
		return
	}
	c.view.Resume(at, t.Index, lasted)
	c.aside.dismissed = true
	if c.aside.text != "" {
		c.view.Dismissed(at, c.aside.text)
		c.aside.text = ""
	}
}

// fence is performed ahead of the signals of its step. What was held for is no aside any
// more.
func (c *Collector) fence(at time.Duration, r *session.Fence, took timebase.Span) {
	if r.Session || c.held != nil && c.held.turn == r.Turn {
		c.release(at, report.VerdictConfirmed)
	}
	if text := c.aside.text; text != "" {
		c.final = at
		c.view.Final(at, text)
	}
	c.aside = aside{}
	c.fences[c.meant(r.Turn)] = fenced{at: at, took: took}
}

// meant is the turn that a fence or a cancel hits: the one it names, or, when it is of
// the whole session, the one that is heard or being made.
func (c *Collector) meant(id eventabi.TurnID) eventabi.TurnID {
	if id != "" {
		return id
	}
	if c.caption.aloud != "" {
		return c.caption.aloud
	}
	if t := c.turn(c.current); t != nil && t.ClosedMs == nil {
		return c.current
	}
	return ""
}

func (c *Collector) evidence(r *session.Evidence) {
	t := c.turn(r.Turn)
	if t == nil {
		return
	}
	t.Reason = r.Reason
	if r.Proposed != 0 {
		t.ProposedMs = report.At(time.Duration(r.Proposed))
	}
	if r.EndOfSpeech != 0 {
		t.EOUMs = report.At(time.Duration(r.EndOfSpeech))
	}
}

// condition says what kind of quiet it is.
func condition(e *eventabi.Envelope) string {
	switch {
	case e.Signal == eventabi.SignalStall:
		return "no caller audio comes"
	case e.Reason == "user_muted":
		return "the caller has switched the microphone off"
	}
	return "the caller does not speak"
}

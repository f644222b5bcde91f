// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// Collector turns the session's notices into the report's data, and shows them live.
// Notices come from the session's owner; the levels from the frames' goroutines.
type Collector struct {
	view     *console.View
	director *Director

	mu      sync.Mutex
	data    report.Data
	byTurn  map[eventabi.TurnID]int // index into data.Turns
	current eventabi.TurnID         // the live turn, or the last
	held    map[eventabi.TurnID]time.Duration
	holder  console.Holder
	caller  bool // voiced
	agent   bool // audible
	holding bool
	fences  map[eventabi.TurnID]fenced
	eou     time.Duration // of the last utterance
	final   time.Duration // of its transcript
	spoken  string        // the last utterance with a final transcript
	ended   string
	levels  [2]float64
}

// fenced is a fence whose cancel has not been told yet: a fence is performed first.
type fenced struct {
	at   time.Duration
	took timebase.Span
}

// NewCollector feeds a view and a director.
func NewCollector(view *console.View, director *Director) *Collector {
	return &Collector{
		view: view, director: director,
		byTurn: map[eventabi.TurnID]int{}, held: map[eventabi.TurnID]time.Duration{},
		fences: map[eventabi.TurnID]fenced{},
	}
}

// Observe takes one notice; it is the session's Observer.
func (c *Collector) Observe(n *sessionhost.Notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Duration(n.At)
	switch r := n.Record.(type) {
	case *session.VoiceOn:
		c.speech(at, report.VoiceOn)
		c.caller = true
	case *session.VoiceOff:
		c.speech(at, report.VoiceOff)
		c.caller = false
	case *session.EndOfUtterance:
		c.speech(at, report.EndOfUtterance)
		c.caller, c.eou = false, at
	case *session.Transcript:
		c.transcript(at, r, n.Text)
	case *session.Progress:
		c.stamp(at, func(t *report.Turn) **float64 { return &t.FirstTokenMs })
	case *session.Segment:
		c.segment(at, n.Text)
	case *session.Speech:
		c.stamp(at, func(t *report.Turn) **float64 { return &t.FirstAudioMs })
	case *session.TurnChange:
		c.turnChange(at, r)
	case *session.Emit:
		c.signal(at, &r.Envelope)
	case *session.Converse:
		c.converse(r, n.Text)
	case *session.Hold:
		c.hold(at)
	case *session.Resume:
		c.resume(at)
	case *session.Fence:
		c.fence(at, r, n.FenceTook)
	case *session.Evidence:
		c.evidence(r)
	case *session.Ended:
		c.ended = r.Reason
	case *session.RuntimeFault:
		c.data.Session.Violations = append(c.data.Session.Violations, n.Detail)
	case *session.NodeFailed:
		c.note(at, "node "+string(r.Node)+" failed: "+r.Reason+" "+n.Detail)
	default:
	}
	c.floor(at)
}

func (c *Collector) note(at time.Duration, text string) {
	c.data.Notes = append(c.data.Notes, text)
	c.view.Note(at, text)
}

// turn gives the report's turn, nil when it was not accepted.
func (c *Collector) turn(id eventabi.TurnID) *report.Turn {
	if i, ok := c.byTurn[id]; ok {
		return &c.data.Turns[i]
	}
	return nil
}

func (c *Collector) speech(at time.Duration, kind report.SpeechKind) {
	c.data.Speech = append(c.data.Speech, report.Speech{AtMs: report.Millis(at), Kind: kind})
}

// stamp notes the first time that something happened in the current turn.
func (c *Collector) stamp(at time.Duration, field func(*report.Turn) **float64) {
	if t := c.turn(c.current); t != nil {
		if f := field(t); *f == nil {
			*f = report.At(at)
		}
	}
}

func (c *Collector) transcript(at time.Duration, r *session.Transcript, text string) {
	utterance, _, _ := strings.Cut(string(r.Invocation), "-")
	c.data.Partials = append(c.data.Partials, report.Partial{
		AtMs: report.Millis(at), Utterance: utterance, Text: text, Final: r.Final,
	})
	if !r.Final {
		c.view.Partial(at, text)
		return
	}
	c.final, c.spoken = at, utterance
	if t := c.turn(c.current); t != nil && t.ClosedMs == nil && t.STTFinalMs == nil {
		t.STTFinalMs = report.At(at)
	}
	c.view.Final(at, text)
}

func (c *Collector) segment(at time.Duration, text string) {
	t := c.turn(c.current)
	if t == nil {
		return
	}
	if t.FirstSegmentMs == nil {
		t.FirstSegmentMs = report.At(at)
	}
	if t.FirstTokenMs == nil {
		t.FirstTokenMs = report.At(at)
	}
	t.Segments = append(t.Segments, report.Segment{AtMs: report.Millis(at), Text: text})
	t.Reply += text
	c.view.Say(at, t.Index, strings.TrimSpace(text))
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
		if c.final >= c.eou && c.final > 0 {
			t.STTFinalMs = report.At(c.final)
		}
		c.data.Turns = append(c.data.Turns, t)
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
	case controlplane.TurnIdle, controlplane.TurnOpening:
	}
}

func (c *Collector) signal(at time.Duration, e *eventabi.Envelope) {
	c.data.Signals = append(c.data.Signals, report.Signal{
		AtMs: report.Millis(at), Signal: string(e.Signal), Emitter: string(e.EmittedBy), TurnID: string(e.TurnID), Reason: e.Reason,
	})
	t := c.turn(e.TurnID)
	switch e.Signal {
	case eventabi.SignalReject, eventabi.SignalDefer:
		c.note(at, string(e.Signal)+": "+e.Reason)
	case eventabi.SignalProviderError:
		c.note(at, "provider error: "+e.Reason)
	case eventabi.SignalCommit, eventabi.SignalAbort:
		if t != nil {
			c.view.Turn(at, t.Index, string(e.Signal), e.Reason)
		}
	case eventabi.SignalPlaybackStarted:
		c.playing(at, t)
	case eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled:
		c.silent(at, t)
	case eventabi.SignalCancel:
		if t != nil {
			c.accepted(at, t, e)
		}
	default:
	}
}

func (c *Collector) playing(at time.Duration, t *report.Turn) {
	c.agent = true
	c.director.AgentStarted(at)
	if t == nil {
		return
	}
	t.PlaybackStartedMs = report.At(at)
	l := report.LatenciesOf(t)
	if l.EOUToFirstAudioMs == nil {
		return
	}
	parts := make([]console.Part, 0, 5)
	for _, p := range l.Parts() {
		parts = append(parts, console.Part{Label: p.Label, For: millis(p.Ms)})
	}
	c.view.Latency(at, t.Index, millis(*l.EOUToFirstAudioMs), parts)
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

func (c *Collector) silent(at time.Duration, t *report.Turn) {
	c.agent = false
	c.director.AgentStopped(at)
	if t != nil {
		t.PlaybackEndMs = report.At(at)
	}
}

// accepted notes a cancel of the turn, with its fence.
func (c *Collector) accepted(at time.Duration, t *report.Turn, e *eventabi.Envelope) {
	id := eventabi.TurnID(t.TurnID)
	t.Cancel = &report.Cancel{AcceptedMs: report.Millis(at)}
	if n := len(t.Hold); n > 0 && t.Hold[n-1].Verdict == report.VerdictConfirmed {
		from := t.Hold[n-1].FromMs
		t.Cancel.DetectedMs, t.Cancel.HeldMs = &from, &from
	}
	var body struct {
		Samples int64 `json:"played_through_samples"`
	}
	if json.Unmarshal(e.Payload, &body) == nil {
		t.Cancel.PlayedThroughMs = report.At(time.Duration(timebase.Samples(body.Samples).Span()))
	}
	f, ok := c.fences[id]
	if !ok {
		return
	}
	delete(c.fences, id)
	us := float64(f.took) / float64(timebase.Microsecond)
	t.Cancel.FenceAppliedMs, t.Cancel.CancelToFenceUs = report.At(f.at+time.Duration(f.took)), &us
	if e.Reason == string(controlplane.CancelBargeIn) {
		c.view.BargeIn(at, t.Index, time.Duration(f.took), 0)
	}
}

func (c *Collector) converse(r *session.Converse, text string) {
	t := c.turn(r.Item.Turn)
	if t == nil {
		return
	}
	if r.Item.Role == session.ItemUser {
		t.Transcript = text
		for i := range c.data.Partials {
			if p := &c.data.Partials[i]; p.Utterance == c.spoken && p.TurnID == "" {
				p.TurnID = t.TurnID
			}
		}
		return
	}
	t.HeardText = text
	t.HeardErrorMs = nil
	if r.Item.HeardErrorMS > 0 {
		t.HeardErrorMs = report.At(time.Duration(r.Item.HeardErrorMS) * time.Millisecond)
	}
	if t.PlaybackEndMs != nil {
		heard := strings.TrimSpace(text)
		unheard := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(t.Reply), heard))
		c.view.Said(time.Duration(*t.PlaybackEndMs*float64(time.Millisecond)), t.Index, heard, unheard)
	}
}

func (c *Collector) hold(at time.Duration) {
	t := c.turn(c.current)
	if t == nil {
		return
	}
	c.holding = true
	c.held[c.current] = at
	c.view.Hold(at, t.Index)
}

func (c *Collector) resume(at time.Duration) {
	t := c.turn(c.current)
	from, ok := c.held[c.current]
	if t == nil || !ok {
		return
	}
	delete(c.held, c.current)
	c.holding = false
	t.Hold = append(t.Hold, report.Hold{FromMs: report.Millis(from), ToMs: report.Millis(at), Verdict: report.VerdictResumed})
	c.view.Resume(at, t.Index, at-from)
}

// fence is performed ahead of the signals of its step.
func (c *Collector) fence(at time.Duration, r *session.Fence, took timebase.Span) {
	t := c.turn(r.Turn)
	if t == nil {
		return
	}
	if from, ok := c.held[r.Turn]; ok {
		delete(c.held, r.Turn)
		t.Hold = append(t.Hold, report.Hold{FromMs: report.Millis(from), ToMs: report.Millis(at), Verdict: report.VerdictConfirmed})
	}
	c.holding = false
	c.fences[r.Turn] = fenced{at: at, took: took}
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

// Cue notes that the caller begins to play a recording.
func (c *Collector) Cue(at time.Duration, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.Note(at, "caller plays "+name)
}

// Level shows how loud a frame of one voice (0 the caller, 1 the agent) is.
func (c *Collector) Level(voice int, at time.Duration, pcm []int16) {
	peak := int16(0)
	for _, v := range pcm {
		peak = max(peak, v, -max(v, -32767))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.levels[voice] = float64(peak) / 32768
	if voice == 0 {
		c.view.Tick(at, c.levels[0], c.levels[1])
		c.levels[1] = 0
	}
}

// Data gives the report of a session that has ended.
func (c *Collector) Data(s *parley.Session) report.Data {
	stats := s.Stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.data
	d.Session.ID = string(s.ID())
	d.Session.State = string(stats.State)
	d.Session.Reason = c.ended
	d.Session.Pipeline = "voice-1"
	d.Session.Profile = controlplane.ProfileSimple
	d.Session.Digest = hex.EncodeToString(stats.Digest[:])
	for i := range d.Turns {
		t := &d.Turns[i]
		id := eventabi.TurnID(t.TurnID)
		t.Reply = s.Conversation().ReplyText(id)
		t.HeardText = s.Conversation().HeardText(id)
		if t.Cancel != nil {
			t.Cancel.FramesAfterFence = int(s.FramesAfterFence(id))
		}
	}
	return d
}

// floor shows who is heard.
func (c *Collector) floor(at time.Duration) {
	who := console.Nobody
	switch {
	case c.holding:
		who = console.Held
	case c.caller && c.agent:
		who = console.Both
	case c.caller:
		who = console.Caller
	case c.agent:
		who = console.Agent
	}
	if who != c.holder {
		c.holder = who
		c.view.Floor(at, who)
	}
}

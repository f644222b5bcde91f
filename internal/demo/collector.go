// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/waits"
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
	byTurn  map[eventabi.TurnID]int                   // index into data.Turns
	current eventabi.TurnID                           // the live turn, or the last
	calls   map[eventabi.InvocationID]eventabi.TurnID // of the model and the synthesiser
	held    *held                                     // nil = nothing is held
	holder  console.Holder
	caller  bool // voiced
	agent   bool // audible
	fences  map[eventabi.TurnID]fenced
	eou     time.Duration    // of the last utterance
	final   time.Duration    // of its transcript
	texts   map[int64]string // the utterance of each transcript's text
	items   []userItem
	detail  string // of the outcome of the last call, for people
	aside   aside
	uttered uttered // shown last
	caption caption
	ended   string
	waits   *waits.Keeper
	panel   []console.Edge
	panelAt time.Duration // when the panel was brought up to date
	levels  [2]float64
	graph   bool // the session has one, and what is said is what comes through it
	// forget: nobody will ask for the report, and what it is made of is kept for a while.
	forget bool
}

// userItem is an utterance of the conversation record that a turn took up.
type userItem struct {
	key        int64
	turn, text string
}

// fenced is a fence whose cancel has not been told yet: a fence is performed first.
type fenced struct {
	at   time.Duration
	took timebase.Span
}

// aside is an utterance during a hold: whether it was an interruption is not known yet,
// and its final transcript may come before or after that.
type aside struct {
	utterance string
	text      string // final, not shown yet
	dismissed bool
}

// uttered is the reply that was shown last, as far as it was heard.
type uttered struct{ turn, heard string }

// held is a hold that lasts.
type held struct {
	turn eventabi.TurnID
	from time.Duration
}

// NewCollector feeds a view and a director.
func NewCollector(view *console.View, director *Director) *Collector {
	c := &Collector{
		view: view, director: director,
		byTurn: map[eventabi.TurnID]int{}, calls: map[eventabi.InvocationID]eventabi.TurnID{},
		fences: map[eventabi.TurnID]fenced{}, texts: map[int64]string{},
	}
	c.waits = waits.NewKeeper(c.marked)
	return c
}

// Forget has the collector show the conversation and not keep it: it may last for days.
func (c *Collector) Forget() { c.forget = true }

// What is kept of a conversation whose report nobody asks for.
const (
	mostKept  = 2048 // of each kind
	mostWhole = 16   // turns with their words
)

// trim forgets what is old.
func (c *Collector) trim() {
	d := &c.data
	d.Partials, d.Signals, d.Speech, d.Notes = latest(d.Partials), latest(d.Signals), latest(d.Speech), latest(d.Notes)
	c.items = latest(c.items)
	if n := len(d.Turns) - mostWhole; n > 0 { // of the others their number remains
		d.Turns[n-1] = report.Turn{TurnID: d.Turns[n-1].TurnID, Index: n}
	}
	if len(c.calls) > mostKept {
		clear(c.calls)
	}
	if len(c.texts) > mostKept {
		clear(c.texts)
	}
}

// latest gives the second half of a list that has become too long.
func latest[T any](list []T) []T {
	if len(list) <= mostKept {
		return list
	}
	return append(list[:0], list[len(list)/2:]...)
}

// Observe takes one notice; it is the session's Observer.
func (c *Collector) Observe(n *sessionhost.Notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forget {
		c.trim()
	}
	at := time.Duration(n.At)
	c.waits.Took(n.At, n.Record)
	c.take(at, n)
	c.floor(at)
}

// take shows one notice by its kind.
func (c *Collector) take(at time.Duration, n *sessionhost.Notice) {
	switch r := n.Record.(type) {
	case *session.VoiceOn:
		c.speech(at, report.VoiceOn)
		c.caller, c.eou = true, 0
	case *session.VoiceOff:
		c.speech(at, report.VoiceOff)
		c.caller = false
	case *session.EndOfUtterance:
		c.utteranceEnded(at)
	case *session.Transcript:
		c.transcript(at, r, n.Text)
	case *session.Progress:
		c.stamp(at, r.Invocation, func(t *report.Turn) **float64 { return &t.FirstTokenMs })
	case *session.Segment:
		c.segment(at, r, n.Text)
	case *session.GraphNode, *session.Place:
		c.graphSays(at, n)
	case *session.Generate:
		c.calls[r.Invocation] = r.Turn
	case *session.Say:
		c.calls[r.Invocation] = r.Turn
		c.caption.say(r.Turn, r.Invocation)
	case *session.Fallback, *session.Degrade, *session.NodeSpent:
		c.adapts(at, n)
	case *session.InvocationEnd:
		c.caption.end(r.Invocation)
		c.detail = ""
		if n.Call != nil {
			c.detail = n.Call.Outcome.Detail
		}
	case *session.Speech:
		c.caption.speech(r.Invocation, r.Samples)
		c.stamp(at, r.Invocation, func(t *report.Turn) **float64 { return &t.FirstAudioMs })
	case *session.TurnChange:
		c.turnChange(at, r)
	case *session.Emit:
		c.signal(at, &r.Envelope)
	case *session.Converse:
		c.converse(r, n.Text)
	case *session.Hold, *session.Resume, *session.Fence:
		c.playback(at, n)
	case *session.Evidence:
		c.evidence(r)
	case *session.Ended:
		c.ended = r.Reason
	case *session.RuntimeFault:
		c.data.Session.Violations = append(c.data.Session.Violations, n.Detail)
	case *session.NodeFailed:
		c.note(at, "node "+string(r.Node)+" failed: "+r.Reason+" "+n.Detail)
	case *session.Refused, *session.Work:
		c.lost(at, n.Record)
	case *session.Nondeterministic:
		c.note(at, r.Key+" was rebased by "+strconv.FormatInt(r.SkewUS/1000, 10)+" ms")
	case *session.AppendTerminal, *session.Appended, *session.AudioIn, *session.Bootstrap, *session.Cancel, *session.CancelAck,
		*session.CancelCall, *session.CloseRequest, *session.Decide, *session.Delivery, *session.Detach, *session.Discard,
		*session.EndOfAudio, *session.EvidenceLost, *session.Finalize, *session.Hook, *session.LeaseChange, *session.Link,
		*session.Open, *session.Play, *session.SessionChange, *session.Snapshots, *session.Stop,
		*session.Superseded, *session.TextIn, *session.Wake, *session.ClockReading, *session.AudioGap, *session.Quota,
		*session.Usage, *session.Admission, *session.Load, *session.Combine, *session.Deliver, *session.EdgePolicy,
		*session.FlowPolicy, *session.NodePolicy, *session.Unscheduled, *session.Merged, *session.Offer, *session.Overflow, *session.Ready, *session.Release, *session.Skip,
		*session.CallTool, *session.ToolCalled, *session.ToolResult, *session.Muted, *session.TransportControl, *session.Context, *session.Forget, *session.Respond, *session.Wishes,
		*session.GraphEdge, *session.NodeOutput, *session.NodeDone, *session.Detour:
		// not shown; the recording has them
	}
}

// graphSays takes what a session with a graph says: what comes through it, and not the model's
// own segments.
func (c *Collector) graphSays(at time.Duration, n *sessionhost.Notice) {
	c.graph = true
	if p, ok := n.Record.(*session.Place); ok {
		c.piece(at, p.Turn, n.Text)
	}
}

// lost tells of a text in the graph that nobody could take: without a word of it, a node that
// gives what is refused would look like one that gives nothing.
func (c *Collector) lost(at time.Duration, r session.Record) {
	node, why := "", ""
	switch r := r.(type) { //nolint:gochecksumtype // the others lose nothing
	case *session.Refused:
		if reason, dead := strings.CutPrefix(r.Code, "dead_letter:"); dead {
			node, why = r.What, reason
		} else if strings.HasPrefix(r.Code, "graph_item_") {
			node, why = r.What, r.Code
		}
	case *session.Work:
		if r.Type == "dead_letter" {
			for _, a := range r.Attributes {
				switch a.Name {
				case "node":
					node = a.Value
				case "reason":
					why = a.Value
				}
			}
		}
	}
	if why == "" || strings.HasPrefix(why, "node_failed:") { // which is told of the node
		return
	}
	if remedy := remedies()[why]; remedy != "" {
		why += ": " + remedy
	}
	c.note(at, "node "+node+": a text was lost: "+why)
}

// remedies say what to do about the reasons that a node can do something about.
func remedies() map[string]string {
	return map[string]string{
		"node_output_type":       "the node gives what it does not declare; add the type to its outputs",
		"node_output_length":     "the node gives more than 16384 characters at once; give it in pieces",
		"node_output_attributes": "the node gives more than 16 attributes, one without a name, or one of more than 128 bytes",
		"no_route":               "no condition holds for it; add an edge without one, with the largest rank",
		"graph_item_full":        "more waits for a node than it may; give less, or a quicker node",
		"graph_item_limit":       "the turn has more texts than it may",
	}
}

// playback follows what becomes of sound that is on its way.
func (c *Collector) playback(at time.Duration, n *sessionhost.Notice) {
	switch r := n.Record.(type) { //nolint:gochecksumtype // the others are not playback's
	case *session.Hold:
		c.hold(at, r)
	case *session.Resume:
		c.resume(at)
	case *session.Fence:
		c.fence(at, r, n.FenceTook)
	}
}

func (c *Collector) utteranceEnded(at time.Duration) {
	c.speech(at, report.EndOfUtterance)
	c.caller, c.eou = false, at
	if t := c.turn(c.current); t != nil && t.EOUMs == nil && t.ClosedMs == nil {
		t.EOUMs = report.At(at) // the turn opened before
	}
}

// adapts notes what a turn does about something that fails or takes too long.
func (c *Collector) adapts(at time.Duration, n *sessionhost.Notice) {
	if f, ok := n.Record.(*session.Fallback); ok {
		c.remark("turn " + string(f.Turn) + " falls back: " + f.Reason)
		c.piece(at, f.Turn, n.Text)
	}
	if d, ok := n.Record.(*session.Degrade); ok {
		c.remark("turn " + string(d.Turn) + " degrades: " + string(d.Step) + ", " + d.Reason)
	}
	if s, ok := n.Record.(*session.NodeSpent); ok {
		c.note(at, fmt.Sprintf("node %s has used %d of %d ms", s.Node, s.UsedMS, s.LimitMS))
	}
}

func (c *Collector) note(at time.Duration, text string) {
	c.remark(text)
	c.view.Note(at, text)
}

// remark notes what the view shows in another way.
func (c *Collector) remark(text string) { c.data.Notes = append(c.data.Notes, text) }

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

// stamp notes the first time that a call brought something to its turn.
func (c *Collector) stamp(at time.Duration, call eventabi.InvocationID, field func(*report.Turn) **float64) {
	if t := c.turn(c.calls[call]); t != nil {
		if f := field(t); *f == nil {
			*f = report.At(at)
		}
	}
}

// Cue shows that the caller begins to play a recording.
func (c *Collector) Cue(at time.Duration, cue *Cue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.Plays(at, cue.Name, cue.Words)
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
	if voice == 1 {
		c.caption.played(len(pcm))
		return
	}
	if text, moved := c.caption.text(); moved {
		c.view.Speaking(at, text)
	}
	c.view.Tick(at, c.levels[0], c.levels[1])
	c.levels[1] = 0
}

// Data gives the report of a session that has ended.
func (c *Collector) Data(s *parley.Session) report.Data {
	stats := s.Stats()
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.data
	d.Waits = c.waits.Account()
	d.Session.ID = string(s.ID())
	d.Session.State = string(stats.State)
	d.Session.Reason = c.ended
	d.Session.Pipeline = "voice-1"
	d.Session.Profile = controlplane.ProfileSimple
	d.Session.Digest = hex.EncodeToString(stats.Digest[:])
	for i := range d.Turns {
		t := &d.Turns[i]
		id := eventabi.TurnID(t.TurnID)
		t.Reply = strings.TrimSpace(s.Conversation().ReplyText(id))
		t.HeardText = strings.TrimSpace(s.Conversation().HeardText(id))
		if t.Cancel != nil {
			t.Cancel.FramesAfterFence = int(s.FramesAfterFence(id))
		}
	}
	return d
}

// refused gives the report of a session that was not let in.
func (c *Collector) refused() report.Data {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.data
	d.Waits = c.waits.Account()
	d.Session.State = string(controlplane.SessionEnded)
	d.Session.Reason = c.ended
	d.Session.Pipeline = "voice-1"
	d.Session.Profile = controlplane.ProfileSimple
	return d
}

// floor shows who is heard.
func (c *Collector) floor(at time.Duration) {
	who := console.Nobody
	switch {
	case c.held != nil:
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

// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/runtime/invocation"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/provider"
)

// told is a collector with what it showed.
type told struct {
	*Collector
	t    *testing.T
	show bytes.Buffer
}

func newTold(t *testing.T) *told {
	t.Helper()
	c := &told{t: t}
	c.Collector = NewCollector(console.New(&c.show, false, nil), NewDirector(nil, nil))
	return c
}

// tell hands records over, all at one instant.
func (c *told) tell(ms float64, records ...session.Record) {
	c.t.Helper()
	for _, r := range records {
		c.Observe(&sessionhost.Notice{At: instant(ms), Record: r, FenceTook: 40 * timebase.Microsecond})
	}
}

// text hands over a record that has words.
func (c *told) text(ms float64, r session.Record, words string) {
	c.Observe(&sessionhost.Notice{At: instant(ms), Record: r, Text: words})
}

func instant(ms float64) timebase.Instant { return timebase.Instant(ms * float64(time.Millisecond)) }

func becomes(turn eventabi.TurnID, to controlplane.TurnState, by controlplane.Trigger) session.Record {
	return &session.TurnChange{Turn: turn, Transition: controlplane.TurnTransition{Trigger: by, ToState: to}}
}

func signal(name eventabi.Signal, turn eventabi.TurnID, reason, payload string) session.Record {
	return &session.Emit{Envelope: eventabi.Envelope{Signal: name, TurnID: turn, Reason: reason, Payload: json.RawMessage(payload)}}
}

// turn takes a turn from the caller's voice to the agent's.
func (c *told) turn(from float64, id eventabi.TurnID) {
	model, voice := eventabi.InvocationID("m"+id), eventabi.InvocationID("v"+id)
	c.tell(from, &session.VoiceOn{})
	c.text(from+100, &session.Transcript{Invocation: eventabi.InvocationID("u" + id + "-stt")}, "he")
	c.tell(from+500, &session.VoiceOff{})
	c.tell(from+1000, &session.EndOfUtterance{}, becomes(id, controlplane.TurnActive, "turn_open"))
	c.text(from+1020, &session.Transcript{Invocation: eventabi.InvocationID("u" + id + "-stt"), Final: true, Text: session.TextRef{Handle: int64(from)}}, "hello")
	c.text(from+1020, &session.Converse{Item: session.Item{Key: int64(from), Turn: id, Role: session.ItemUser, Text: int64(from)}}, "hello")
	c.tell(from+1020, &session.Generate{Turn: id, Invocation: model})
	c.tell(from+1025, &session.Progress{Invocation: model})
	c.text(from+1030, &session.Segment{Invocation: model}, "Good day, and ")
	c.text(from+1030, &session.Segment{Invocation: model, Index: 1}, "good bye.")
	c.tell(from+1030, &session.Say{Turn: id, Invocation: voice})
	c.tell(from+1050, &session.Speech{Invocation: voice, Samples: 16000}, signal(eventabi.SignalPlaybackStarted, id, "", ""))
}

func (c *told) shows(texts ...string) {
	c.t.Helper()
	rest := c.show.String()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			c.t.Errorf("%q is not shown, or not in this order, in\n%s", text, c.show.String())
			return
		}
		rest = after
	}
}

func TestCollectsATurn(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(2100, becomes("t1", controlplane.TurnTerminal, "commit"), signal(eventabi.SignalCommit, "t1", "", ""), becomes("t1", controlplane.TurnClosed, "close"))
	c.text(3050, &session.Converse{Item: session.Item{Turn: "t1", Role: session.ItemAssistant}}, "Good day, and good bye.")
	c.tell(3050, signal(eventabi.SignalPlaybackCompleted, "t1", "", ""))
	c.tell(3050, &session.Evidence{Turn: "t1", Reason: "completed", EndOfSpeech: instant(2000), Proposed: instant(2000)})

	got := c.data.Turns[0]
	at := func(ms float64) *float64 { return &ms }
	want := report.Turn{
		TurnID: "t1", Index: 1, ProposedMs: at(2000), OpenedMs: at(2000), EOUMs: at(2000), STTFinalMs: at(2020), FirstTokenMs: at(2025),
		FirstSegmentMs: at(2030), FirstAudioMs: at(2050), PlaybackStartedMs: at(2050), TerminalMs: at(2100), ClosedMs: at(2100), PlaybackEndMs: at(3050),
		Transcript: "hello", Reply: "Good day, and good bye.", HeardText: "Good day, and good bye.",
		Segments: []report.Segment{{AtMs: 2030, Text: "Good day, and "}, {AtMs: 2030, Text: "good bye."}},
		Terminal: "commit", Reason: "completed",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if l := report.LatenciesOf(&got); *l.EOUToFirstAudioMs != 50 {
		t.Errorf("the wait is %v ms", *l.EOUToFirstAudioMs)
	}
	if p := c.data.Partials; len(p) != 2 || p[0].TurnID != "t1" || p[1].TurnID != "t1" || !p[1].Final || p[0].Utterance != "ut1" {
		t.Errorf("partials are %+v", p)
	}
	c.shows("hearing   he", "turn 1    active", "caller    hello", "saying    Good day, and\n",
		"audio after 50.0 ms = final 20.0 + TTFT 5.0 + segment 5.0 + TTFB 20.0", "turn 1    commit")
}

// A short sound holds, and is shown as what it was, whether its words come before the
// verdict or after it.
func TestCollectsAHoldThatIsResumed(t *testing.T) {
	for _, late := range []bool{false, true} {
		c := newTold(t)
		c.turn(1000, "t1")
		c.tell(4000, &session.VoiceOn{}, &session.Hold{Turn: "t1"})
		c.text(4100, &session.Transcript{Invocation: "cough-stt"}, "ma")
		if !late {
			c.text(4600, &session.Transcript{Invocation: "cough-stt", Final: true}, "my")
		}
		c.tell(4776, &session.Resume{})
		if late {
			c.text(4800, &session.Transcript{Invocation: "cough-stt", Final: true}, "my")
		}
		turn := c.data.Turns[0]
		if len(turn.Hold) != 1 || turn.Hold[0] != (report.Hold{FromMs: 4000, ToMs: 4776, Verdict: report.VerdictResumed}) {
			t.Errorf("holds are %+v", turn.Hold)
		}
		if *turn.STTFinalMs != 2020 || turn.Cancel != nil {
			t.Errorf("the sound has changed the turn: %+v", turn)
		}
		for _, p := range c.data.Partials[2:] {
			if p.TurnID != "" {
				t.Errorf("the sound is of no turn: %+v", p)
			}
		}
		c.shows("hold      turn 1 waits", "hearing   ma", "resume    turn 1 goes on after 776.0 ms", "aside     my (no interruption)")
		if strings.Contains(c.show.String(), "caller    my") {
			t.Errorf("the sound is shown as the caller's turn:\n%s", c.show.String())
		}
	}
}

func TestCollectsABargeIn(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(4000, &session.VoiceOn{}, &session.Hold{Turn: "t1"})
	c.tell(4236, &session.Fence{Turn: "t1"}, signal(eventabi.SignalBargeIn, "t1", "", ""),
		signal(eventabi.SignalCancel, "t1", "barge_in", `{"played_through_samples":16000}`),
		signal(eventabi.SignalPlaybackCancelled, "t1", "", ""))
	c.text(4236, &session.Converse{Item: session.Item{Turn: "t1", Role: session.ItemAssistant, HeardErrorMS: 70}}, "Good day,")
	c.tell(4236, becomes("t1", controlplane.TurnTerminal, "abort"), signal(eventabi.SignalAbort, "t1", "cancelled", ""))

	turn := c.data.Turns[0]
	at := func(ms float64) *float64 { return &ms }
	want := &report.Cancel{DetectedMs: at(4000), HeldMs: at(4000), AcceptedMs: 4236, FenceAppliedMs: at(4236.04), CancelToFenceUs: at(40), PlayedThroughMs: at(1000)}
	if !reflect.DeepEqual(turn.Cancel, want) {
		t.Errorf("cancel is %+v, want %+v", turn.Cancel, want)
	}
	if len(turn.Hold) != 1 || turn.Hold[0].Verdict != report.VerdictConfirmed || *turn.HeardErrorMs != 70 || *turn.PlaybackEndMs != 4236 {
		t.Errorf("turn is %+v", turn)
	}
	c.shows("barge-in  turn 1 cancelled and fenced after 40 µs", "agent     Good day, [not heard: and good bye.]", "turn 1    abort: cancelled")
}

// A cancel of the whole session names no turn; it hits the one that is heard. A hold that
// it ends was neither confirmed nor resumed.
func TestCollectsACancelOfTheSession(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(2100, becomes("t1", controlplane.TurnTerminal, "commit"), becomes("t1", controlplane.TurnClosed, "close"))
	c.tell(4000, &session.Hold{Turn: "t1"})
	c.tell(4100, &session.Fence{Session: true}, signal(eventabi.SignalCancel, "", "user_cancel", ""), signal(eventabi.SignalPlaybackCancelled, "t1", "", ""),
		&session.Ended{Reason: "interrupted"})
	turn := c.data.Turns[0]
	if turn.Cancel == nil || *turn.Cancel.CancelToFenceUs != 40 || turn.Cancel.DetectedMs != nil || turn.Cancel.PlayedThroughMs != nil {
		t.Errorf("cancel is %+v", turn.Cancel)
	}
	if len(turn.Hold) != 1 || turn.Hold[0].Verdict != report.VerdictEnded {
		t.Errorf("holds are %+v", turn.Hold)
	}
	if c.ended != "interrupted" {
		t.Errorf("ended with %q", c.ended)
	}
}

// A turn may answer several utterances.
func TestCollectsTwoUtterancesOfATurn(t *testing.T) {
	c := newTold(t)
	c.text(500, &session.Transcript{Invocation: "u0-stt", Final: true, Text: session.TextRef{Handle: 7}}, "well")
	c.turn(1000, "t1")
	for range 2 { // told again, it is still one item
		c.text(2030, &session.Converse{Item: session.Item{Key: 2, Turn: "t1", Role: session.ItemUser, Text: 7}}, "well")
	}
	if got := c.data.Turns[0].Transcript; got != "hello well" {
		t.Errorf("the turn answers %q", got)
	}
	for _, p := range c.data.Partials {
		if p.TurnID != "t1" {
			t.Errorf("%+v is of the turn too", p)
		}
	}
}

// A turn that opens while the caller still speaks counts from the end of that utterance,
// not from the one before.
func TestCollectsATurnThatOpensEarly(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(2100, becomes("t1", controlplane.TurnTerminal, "commit"), becomes("t1", controlplane.TurnClosed, "close"))
	c.tell(5000, &session.VoiceOn{})
	c.tell(9000, becomes("t2", controlplane.TurnActive, "turn_open"))
	if turn := c.data.Turns[1]; turn.EOUMs != nil || turn.STTFinalMs != nil {
		t.Errorf("turn 2 begins with %+v", turn)
	}
	c.tell(9500, &session.EndOfUtterance{})
	c.tell(9700, signal(eventabi.SignalPlaybackStarted, "t2", "", ""))
	if l := report.LatenciesOf(&c.data.Turns[1]); l.EOUToFirstAudioMs == nil || *l.EOUToFirstAudioMs != 200 {
		t.Errorf("latencies are %+v", l)
	}
}

// What the calls of a turn that is over still bring does not count for the next.
func TestCollectsEachCallForItsTurn(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(4000, &session.EndOfUtterance{}, becomes("t2", controlplane.TurnActive, "turn_open"))
	c.tell(4010, &session.Progress{Invocation: "mt1"}, &session.Speech{Invocation: "vt1", Samples: 320})
	c.text(4020, &session.Segment{Invocation: "mt1", Index: 2}, " Late.")
	if turn := c.data.Turns[1]; turn.FirstTokenMs != nil || turn.FirstAudioMs != nil || turn.Reply != "" {
		t.Errorf("turn 2 has what turn 1 was brought: %+v", turn)
	}
}

func TestCollectsFailures(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.Observe(&sessionhost.Notice{
		At: instant(2500), Record: &session.InvocationEnd{Invocation: "mt1"},
		Call: &invocation.End{Outcome: provider.Outcome{Detail: "nothing listens at the base URL"}},
	})
	c.tell(2500, signal(eventabi.SignalProviderError, "t1", "infrastructure_failure:connection_refused", ""))
	c.Observe(&sessionhost.Notice{At: instant(2600), Record: &session.NodeFailed{Node: "vad", Reason: "panic"}, Detail: "index out of range"})
	c.Observe(&sessionhost.Notice{At: instant(2700), Record: &session.RuntimeFault{Reason: "panic"}, Detail: "the fence was passed"})
	c.tell(2800, signal(eventabi.SignalDefer, "", "quota", ""))
	notes := strings.Join(c.data.Notes, "\n")
	for _, text := range []string{"connection_refused: nothing listens at the base URL", "node vad failed: panic index out of range", "defer: quota"} {
		if !strings.Contains(notes, text) {
			t.Errorf("no note says %q:\n%s", text, notes)
		}
	}
	if v := c.data.Session.Violations; len(v) != 1 || v[0] != "the fence was passed" {
		t.Errorf("violations are %q", v)
	}
}

func TestCaptionFollowsTheSound(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	said := func(samples int) string {
		c.Level(1, 0, make([]int16, samples))
		text, moved := c.caption.text()
		if !moved {
			return "-"
		}
		return text
	}
	if got := said(8000); got != "Good day," { // half of the first segment, which has 14 characters in 1 s
		t.Errorf("after half a second: %q", got)
	}
	if got := said(0); got != "-" {
		t.Errorf("without sound: %q", got)
	}
	c.tell(2200, &session.InvocationEnd{Invocation: "vt1"}, &session.Say{Turn: "t1", Invocation: "second"},
		&session.Speech{Invocation: "second", Samples: 8000}, &session.InvocationEnd{Invocation: "second"})
	if got := said(8000 + 4000); got != "Good day, and good" {
		t.Errorf("in the second segment: %q", got)
	}
	c.tell(3000, signal(eventabi.SignalPlaybackCompleted, "t1", "", ""))
	if got := said(320); got != "-" {
		t.Errorf("after the end: %q", got)
	}
}

// The fallback line is the agent's reply like any other, and what a turn does about trouble
// is noted.
func TestAdaptationsAreNoted(t *testing.T) {
	c := newTold(t)
	c.tell(1000, becomes("t1", controlplane.TurnActive, controlplane.TriggerTurnOpen))
	c.tell(1100, &session.NodeSpent{Node: "llm", Turn: "t1", UsedMS: 800, LimitMS: 800})
	c.text(1200, &session.Fallback{Turn: "t1", Text: 1, Reason: "node_budget:llm"}, "One moment please.")
	c.tell(1300, &session.Degrade{Turn: "t1", Step: turn.TextOnly, Reason: "capability_lost:tts"})
	data := c.data
	if got := data.Turns[0].Reply; got != "One moment please." {
		t.Errorf("the reply is %q", got)
	}
	want := []string{"node llm has used 800 of 800 ms", "turn t1 falls back: node_budget:llm", "turn t1 degrades: text_only, capability_lost:tts"}
	if !slices.Equal(data.Notes, want) {
		t.Errorf("notes %q, want %q", data.Notes, want)
	}
}

// A text that nobody in the graph could take is told of, with what to do where that is known; what is
// refused besides is not.
func TestLostTextsAreNoted(t *testing.T) {
	c := newTold(t)
	c.tell(1000, &session.Refused{Code: "node_output_length", What: "node_output"}, &session.Refused{Code: "dead_letter:node_output_length", What: "clean"},
		&session.Refused{Code: "late_event", What: "segment"}, &session.Refused{Code: "dead_letter:node_failed:clean", What: "clean"}, &session.Refused{Code: "graph_item_full", What: "cutter"},
		&session.Work{Node: "clean", Type: "segment", Item: 2},
		&session.Work{Node: "letters", Type: "dead_letter", Item: 3, Attributes: []graph.Attribute{{Name: "node", Value: "menu"}, {Name: "reason", Value: "no_route"}}})
	want := []string{
		"node clean: a text was lost: node_output_length: the node gives more than 16384 characters at once; give it in pieces",
		"node cutter: a text was lost: graph_item_full: more waits for a node than it may; give less, or a quicker node",
		"node menu: a text was lost: no_route: no condition holds for it; add an edge without one, with the largest rank",
	}
	if !slices.Equal(c.data.Notes, want) {
		t.Errorf("notes %q, want %q", c.data.Notes, want)
	}
}

// Where the client tells how far it has played, the reply is noted again: it is shown again
// when that differs, and once when it does not.
func TestRepliesAreShownOnce(t *testing.T) {
	c := newTold(t)
	c.turn(1000, "t1")
	c.tell(3050, signal(eventabi.SignalPlaybackCancelled, "t1", "", ""))
	for _, heard := range []string{"Good day,", "Good day,", "Good day, and"} {
		c.text(3060, &session.Converse{Item: session.Item{Turn: "t1", Role: session.ItemAssistant}}, heard)
	}
	if n := strings.Count(c.show.String(), "agent     Good day"); n != 2 {
		t.Errorf("shown %d times\n%s", n, c.show.String())
	}
	c.shows("agent     Good day, [not heard: and good bye.]", "agent     Good day, and [not heard: good bye.]")
}

// A conversation that nobody wants a report of may last: what is kept of it does not grow.
func TestForgets(t *testing.T) {
	c := newTold(t)
	c.Forget()
	for i := range 3000 {
		id := eventabi.TurnID("t" + strconv.Itoa(i))
		c.turn(float64(1000+5000*i), id)
		c.tell(float64(3000+5000*i), becomes(id, controlplane.TurnClosed, "close"))
	}
	d := &c.data
	for what, n := range map[string]int{
		"partials": len(d.Partials), "signals": len(d.Signals), "speech": len(d.Speech), "notes": len(d.Notes), "items": len(c.items),
		"calls": len(c.calls), "texts": len(c.texts),
	} {
		if n > mostKept+4 {
			t.Errorf("%d %s are kept", n, what)
		}
	}
	if first, last := d.Turns[0], d.Turns[2999]; first.Reply != "" || first.Index != 1 || last.Reply == "" || last.Index != 3000 {
		t.Errorf("the first turn is %+v, the last %+v", first, last)
	}
	c.show.Reset()
	c.text(2e7, &session.Converse{Item: session.Item{Turn: "t2999", Role: session.ItemAssistant}}, "Good day,")
	c.shows() // it still knows the turn
}

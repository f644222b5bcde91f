// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/demo"
)

// watcher shows the conversation. One goroutine uses it.
type watcher interface {
	take(at time.Duration, ev client.Event)
	// level shows how loud 20 ms of one voice (0 the caller, 1 the agent) are; the caller's come
	// with every frame.
	level(voice int, at time.Duration, pcm []int16)
}

// onlooker shows a session by what its server tells.
type onlooker struct {
	view     *console.View
	director *demo.Director

	turns  int
	index  map[eventabi.TurnID]int // of the latest turns
	latest eventabi.TurnID
	reply  strings.Builder // of the latest turn, as it began to be heard
	ended  int64           // when the utterance ended, in the session's ms; 0 = it did not
	typed  string          // shown already

	caller, agent bool
	holder        console.Holder
	levels        [2]float64
}

func newOnlooker(view *console.View, director *demo.Director) *onlooker {
	return &onlooker{view: view, director: director, index: map[eventabi.TurnID]int{}}
}

func (o *onlooker) take(at time.Duration, ev client.Event) {
	switch ev := ev.(type) {
	case *wire.Speech:
		o.caller = ev.Began
	case *wire.Transcript:
		o.transcript(at, ev)
	case *wire.Signal:
		o.signal(at, ev.Signal)
	case *wire.Error:
		o.view.Note(at, "the server refused a message: "+ev.Code+": "+ev.Message)
	}
	o.floor(at)
}

func (o *onlooker) transcript(at time.Duration, t *wire.Transcript) {
	if t.From != "caller" {
		o.reply.WriteString(t.Text)
		o.view.Say(at, strings.TrimSpace(t.Text))
		o.view.Speaking(at, o.reply.String())
		return
	}
	if !t.Final {
		o.view.Partial(at, t.Text)
		return
	}
	if o.typed != "" && strings.TrimSpace(t.Text) == o.typed {
		o.typed = ""
		return
	}
	o.view.Final(at, t.Text)
}

func (o *onlooker) signal(at time.Duration, e *eventabi.Envelope) {
	switch e.Signal { //nolint:exhaustive // the few of them that are shown
	case eventabi.SignalEndOfUtterance:
		o.caller, o.ended = false, e.RuntimeTimestampMS
	case eventabi.SignalTurnOpen:
		o.opened(at, e.TurnID)
	case eventabi.SignalCommit, eventabi.SignalAbort:
		if i := o.index[e.TurnID]; i > 0 {
			o.view.Turn(at, i, string(e.Signal), e.Reason)
		}
	case eventabi.SignalClose:
		o.director.TurnClosed(at)
	case eventabi.SignalPlaybackStarted:
		o.agent = true
		o.director.AgentStarted(at)
		if o.ended > 0 {
			o.view.Latency(at, time.Duration(e.RuntimeTimestampMS-o.ended)*time.Millisecond, nil)
			o.ended = 0
		}
	case eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled:
		o.agent = false
		o.director.AgentStopped(at)
		o.said(at, e.Signal == eventabi.SignalPlaybackCancelled)
	case eventabi.SignalBargeIn:
		if i := o.index[e.TurnID]; i > 0 {
			o.view.BargeIn(at, i, 0)
		}
	case eventabi.SignalReject, eventabi.SignalDefer, eventabi.SignalProviderError, eventabi.SignalFallback, eventabi.SignalDegrade:
		o.view.Mark(at, "server", string(e.Signal)+e.Reason, fmt.Sprintf("%s: %s", e.Signal, e.Reason), true)
	}
}

// said ends a reply. Where in it the agent fell silent a client is not told.
func (o *onlooker) said(at time.Duration, cut bool) {
	text := strings.TrimSpace(o.reply.String())
	if cut {
		text = strings.TrimSpace(text + " (cut off)")
	}
	o.view.Said(at, text, "")
	o.reply.Reset()
}

// mostTurns is how many turns keep their number.
const mostTurns = 64

func (o *onlooker) opened(at time.Duration, turn eventabi.TurnID) {
	if o.index[turn] > 0 {
		return
	}
	if len(o.index) >= mostTurns {
		clear(o.index)
	}
	o.turns++
	o.index[turn], o.latest = o.turns, turn
	o.reply.Reset()
	o.director.TurnOpened()
	o.view.Turn(at, o.turns, "active", "")
}

func (o *onlooker) floor(at time.Duration) {
	who := console.Nobody
	switch {
	case o.caller && o.agent:
		who = console.Both
	case o.caller:
		who = console.Caller
	case o.agent:
		who = console.Agent
	}
	if who != o.holder {
		o.holder = who
		o.view.Floor(at, who)
	}
}

func (o *onlooker) level(voice int, at time.Duration, pcm []int16) {
	peak := int16(0)
	for _, v := range pcm {
		peak = max(peak, v, -max(v, -32767))
	}
	o.levels[voice] = float64(peak) / 32768
	if voice == 0 {
		o.view.Tick(at, o.levels[0], o.levels[1])
		o.levels[1] = 0
	}
}

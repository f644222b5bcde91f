// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Call is one call of Ingress. What is one of: Audio, transport.Gap, Text, EndOfUtterance,
// Cancel, Stop, transport.LinkState, TextTaken, transport.Playout, Muted, transport.Control,
// transport.Context, transport.Forget, Respond, transport.Wishes, transport.ToolResult, Hangup.
type Call struct {
	At   time.Duration
	What any
}

func (c Call) String() string {
	if a, ok := c.What.(Audio); ok {
		return fmt.Sprintf("%8.3f s  audio %d: %d samples", c.At.Seconds(), a.Sequence, len(a.PCM))
	}
	return fmt.Sprintf("%8.3f s  %s %+v", c.At.Seconds(), strings.TrimPrefix(fmt.Sprintf("%T", c.What), "transporttest."), c.What)
}

// Audio is caller audio.
type Audio struct {
	Sequence int64
	PCM      []int16
}

// Text is an utterance that was typed.
type Text struct {
	Text string
	Key  eventabi.IdempotencyKey
}

// EndOfUtterance is the client's word that the user has finished.
type EndOfUtterance struct{ Key eventabi.IdempotencyKey }

// Cancel and Stop are requests of the client.
type (
	Cancel struct{ transport.Request }
	Stop   struct{ transport.Request }
)

// TextTaken says that the client can take more text.
type TextTaken struct{ Pieces int }

// Muted says that the microphone was switched off or on.
type Muted struct{ On bool }

// Respond asks for an answer without new words.
type Respond struct{ Key eventabi.IdempotencyKey }

// Hangup asks to end the session.
type Hangup struct{ Reason string }

// Came gives what came of one kind, in order.
func Came[T any](s *Session) (list []T) {
	for _, c := range s.Calls() {
		if what, ok := c.What.(T); ok {
			list = append(list, what)
		}
	}
	return list
}

// Await waits for something of one kind that matches, nil = anything, and fails the test if
// it does not come. What came before counts.
func Await[T any](s *Session, match func(T) bool) T {
	s.host.tb.Helper()
	var found T
	if !s.host.until(func() bool {
		for _, what := range Came[T](s) {
			if match == nil || match(what) {
				found = what
				return true
			}
		}
		return false
	}) {
		s.host.tb.Fatalf("no %T came that was waited for; what came:\n%s", found, s.Transcript())
	}
	return found
}

// Transcript is what came, as text, with runs of audio as one line.
func (s *Session) Transcript() string {
	var b strings.Builder
	frames, samples := 0, 0
	flush := func() {
		if frames > 0 {
			fmt.Fprintf(&b, "            %d calls of audio, %d samples\n", frames, samples)
			frames, samples = 0, 0
		}
	}
	for _, c := range s.Calls() {
		if a, ok := c.What.(Audio); ok {
			frames, samples = frames+1, samples+len(a.PCM)
			continue
		}
		flush()
		fmt.Fprintf(&b, "%s\n", c)
	}
	flush()
	return b.String()
}

// ingress notes what comes of one session.
type ingress struct{ s *Session }

var _ transport.Ingress = ingress{}

func (i ingress) Audio(sequence int64, pcm []int16) {
	i.s.audio(sequence, pcm)
	i.s.note("audio", Audio{sequence, append([]int16(nil), pcm...)})
	i.s.heard.Store(false)
}

func (i ingress) Gap(g transport.Gap) { i.s.note("a gap", g) }

func (i ingress) Text(text string, key eventabi.IdempotencyKey) { i.s.note("text", Text{text, key}) }

func (i ingress) EndOfUtterance(key eventabi.IdempotencyKey) {
	i.s.note("an end of utterance", EndOfUtterance{key})
}

func (i ingress) Cancel(r transport.Request) { i.s.note("a cancel", Cancel{r}) }

func (i ingress) Stop(r transport.Request) { i.s.note("a stop", Stop{r}) }

func (i ingress) Link(state transport.LinkState) {
	i.s.note("link "+string(state), state) // first: it may end the session
	i.s.linked(state)
}

func (i ingress) TextTaken(n int) {
	i.s.note("text taken", TextTaken{n})
	i.s.showTaken(n)
}

func (i ingress) Played(p transport.Playout) { i.s.note("a playout", p) }

func (i ingress) Muted(on bool) { i.s.note("mute", Muted{on}) }

func (i ingress) Control(c transport.Control) { i.s.note("a control", c) }

func (i ingress) Context(c transport.Context) { i.s.note("context", c) }
func (i ingress) Forget(f transport.Forget)   { i.s.note("forget", f) }

func (i ingress) Respond(key eventabi.IdempotencyKey) { i.s.note("a wish for an answer", Respond{key}) }

func (i ingress) Configure(w transport.Wishes) { i.s.note("wishes", w) }

func (i ingress) ToolResult(r transport.ToolResult) { i.s.note("a tool's result", r) }

func (i ingress) Hangup(reason string) {
	i.s.note("hang-up", Hangup{reason})
	i.s.left(reason)
}

// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Holder is who can be heard.
type Holder uint8

const (
	// Nobody speaks.
	Nobody Holder = iota
	// Caller speaks.
	Caller
	// Agent speaks.
	Agent
	// Both speak.
	Both
	// Held means that the agent waits to learn whether the caller means to interrupt (lifecycle section 7.1).
	Held
)

// Part is one stretch of a latency, in the order in which it was lived.
type Part struct {
	Label string
	For   time.Duration
}

// View draws one conversation. Its calls come from one goroutine, in the order of the conversation; a lock makes it safe
// to Close from another, such as a signal's. Every at is time since the conversation began.
type View struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	color    bool
	ascii    bool
	width    func() int
	height   func() int
	err      error
	closed   bool

	at     time.Duration
	holder Holder
	caller meter
	agent  meter
	turn   int
	state  string
	// words are in the making: a partial transcript, or what the agent is saying.
	words   string
	speaker Holder
	// lastPartial keeps plain output from repeating itself.
	lastPartial string
	edges       []Edge             // of the panel
	entry       entry              // what is being typed
	repeats     map[string]*repeat // marks by what is alike in them

	drawn     []int // the width of each line of the live area on the screen
	drawnAt   time.Duration
	hidCursor bool
}

// New returns a View for out. width may be nil. See Detect for what a real terminal wants.
func New(out io.Writer, isTTY bool, width func() int) *View {
	return Open(Settings{Out: out, Terminal: isTTY, Color: isTTY, Width: width})
}

// Open returns a View for s. Close it, whatever happens:
//
//	view := console.Open(console.Detect(os.Stdout, os.Getenv))
//	defer view.Close()
//
// which also restores the cursor when the goroutine panics; on an interrupt, close it before the process exits.
func Open(s Settings) *View {
	return &View{out: s.Out, terminal: s.Terminal, color: s.Color && s.Terminal, ascii: s.ASCII, width: s.Width, height: s.Height}
}

// Tick moves the clock and the level meters; levels are peaks from 0 to 1. It may come with every frame: the screen is
// drawn at most every 50 ms of the conversation.
func (v *View) Tick(at time.Duration, caller, agent float64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	v.caller.hear(caller)
	v.agent.hear(agent)
	if v.terminal && (at-v.drawnAt >= 50*time.Millisecond || at < v.drawnAt || len(v.drawn) == 0) {
		v.flush(nil)
	}
}

// Floor says who can be heard from now on.
func (v *View) Floor(at time.Duration, who Holder) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.holder = at, who
	v.flush(nil)
}

// Partial shows what the caller is understood to be saying; text is the whole of it.
func (v *View) Partial(at time.Duration, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text = clean(text)
	v.at, v.words, v.speaker = at, text, Caller
	if text == v.lastPartial || text == "" {
		return
	}
	v.lastPartial = text
	if v.terminal {
		v.flush(nil)
		return
	}
	v.event("hearing", dim, text, dim)
}

// Final shows what the caller said.
func (v *View) Final(at time.Duration, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.words, v.lastPartial = at, "", ""
	text = clean(text)
	if text == "" {
		v.event("caller", cyan, "(nothing understood)", dim)
		return
	}
	v.event("caller", cyan, text, plain)
}

// Turn shows the state that turn index has come to: "opening", "active", "commit", "abort" or "closed", with the reason
// of an abort. On a terminal only the terminals stay; the others pass in the live area.
func (v *View) Turn(at time.Duration, index int, state, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.turn, v.state = at, index, clean(state)
	how := plain
	switch state {
	case "commit":
		how = green
	case "abort":
		how = red
	default:
		if v.terminal {
			v.flush(nil)
			return
		}
	}
	text := v.state
	if reason = clean(reason); reason != "" {
		text += ": " + reason
	}
	v.event("turn "+strconv.Itoa(index), bold, text, how)
}

// Dismissed shows what the caller said while the agent held, when that was no interruption.
func (v *View) Dismissed(at time.Duration, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.lastPartial = at, ""
	if v.speaker == Caller {
		v.words = ""
	}
	text = clean(text)
	if text == "" {
		text = "(nothing understood)"
	}
	v.flush(v.block("aside", cyan, run{text, dim}, run{"(no interruption)", dim}))
}

// Plays shows that the caller begins to play a recording, and the words in it where they are known.
func (v *View) Plays(at time.Duration, name, words string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	text := clean(name)
	if words = clean(words); words != "" {
		text += ": " + words
	}
	v.event("plays", dim, text, dim)
}

// Say shows the next segment of a reply as it is handed to synthesis. On a terminal Speaking shows it when it
// is heard.
func (v *View) Say(at time.Duration, segment string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	if !v.terminal {
		v.event("saying", dim, clean(segment), dim)
	}
}

// Speaking shows how far the agent has spoken: heard is the beginning of its reply. It is drawn with the next
// Tick, and on a terminal only.
func (v *View) Speaking(at time.Duration, heard string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.words, v.speaker = at, clean(heard), Agent
}

// Said ends a reply: what was heard of it, and what was generated but not heard.
func (v *View) Said(at time.Duration, heard, unheard string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	if v.speaker == Agent {
		v.words = ""
	}
	heard, unheard = clean(heard), shorten(clean(unheard), v.ellipsis())
	switch {
	case heard == "" && unheard == "":
		v.event("agent", yellow, "(said nothing)", dim)
	case unheard == "":
		v.event("agent", yellow, heard, plain)
	default:
		if heard == "" {
			heard = "(nothing heard)"
		}
		v.flush(v.block("agent", yellow, run{heard, plain}, run{v.notHeard(unheard), struck}))
	}
}

// notHeard needs no words where it can be struck through.
func (v *View) notHeard(text string) string {
	if v.color {
		return text
	}
	return "[not heard: " + text + "]"
}

// Hold says that the agent has fallen silent because the caller may be interrupting.
func (v *View) Hold(at time.Duration, index int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.holder = at, Held
	v.event("hold", magenta, fmt.Sprintf("turn %d waits: is this an interruption?", index), plain)
}

// Resume says that it was none, and that playback goes on at the next sample.
func (v *View) Resume(at time.Duration, index int, held time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.holder = at, Agent
	v.event("resume", magenta, fmt.Sprintf("turn %d goes on after %s", index, span(held)), plain)
}

// BargeIn says that turn index was cancelled, and how long its fence took; 0 where that is not measured.
func (v *View) BargeIn(at time.Duration, index int, fence time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.holder = at, Caller
	text := fmt.Sprintf("turn %d cancelled and fenced", index)
	if fence > 0 {
		text += " after " + span(fence)
	}
	v.event("barge-in", red, text, plain)
}

// Latency shows the wait from the end of the caller's utterance to the first agent audio and what it is made of. What
// rounds to nothing is left out.
func (v *View) Latency(at time.Duration, total time.Duration, parts []Part) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	var terms []string
	for _, part := range parts {
		if part.For >= 50*time.Microsecond {
			terms = append(terms, clean(part.Label)+" "+trimUnit(part.For))
		}
	}
	text := "audio after " + span(total)
	if len(terms) > 0 {
		text += " = " + strings.Join(terms, " + ")
	}
	v.event("latency", dim, text, dim)
}

func trimUnit(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

// Note shows a remark about the conversation.
func (v *View) Note(at time.Duration, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at = at
	v.event("note", dim, clean(text), plain)
}

// Close takes the live area away and gives the cursor back. It may be called more than once, and nothing is drawn after
// it. It returns the first error that writing met.
func (v *View) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return v.err
	}
	v.closed = true
	if v.terminal {
		ending := v.erase()
		if v.hidCursor {
			ending += v.paintOff() + "\x1b[?25h"
		}
		v.write(ending)
	}
	return v.err
}

func (v *View) write(text string) {
	if v.err != nil || text == "" {
		return
	}
	if _, err := io.WriteString(v.out, text); err != nil {
		v.err = fmt.Errorf("show the conversation: %w", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/audio"
)

// Moment is what a cue waits for.
type Moment uint8

// The moments.
const (
	AtTime        Moment = iota // an instant of the session's clock
	AgentSpeaking               // the agent has begun to speak since the last cue
	AgentDone                   // the agent has spoken and fallen silent since the last cue, or ended its turn without a sound
)

// Cue is one thing that the caller says.
type Cue struct {
	Name  string // of the recording
	Words string // what is said in it, as far as that is known
	PCM   []int16
	When  Moment
	Delay time.Duration // after the moment; for AtTime the instant itself
}

// Duration is how long the caller speaks.
func (c *Cue) Duration() time.Duration {
	return time.Duration(len(c.PCM)) * time.Second / audio.Rate
}

// A caller who gets no answer speaks again, and no demo hangs: patience is how long a
// cue waits when no turn opens, unanswered when a turn ends without a sound. While a
// turn is live the caller waits for it; its budget ends it.
const (
	patience   = 12 * time.Second
	unanswered = 1500 * time.Millisecond
)

// Director is the caller: it follows its cues and gives the audio of each 20 ms. It
// may be used from several goroutines.
type Director struct {
	mu       sync.Mutex
	cues     []Cue
	next     int // cue to come
	playing  []int16
	last     time.Duration // when the last cue ended, or the session began
	started  time.Duration // when the agent last began to speak, -1 = not since the last cue
	done     time.Duration // when it fell silent, -1 = not since the last cue
	mute     time.Duration // when a turn ended without a sound, -1 = not since the last cue
	speaking bool
	live     bool // a turn is
	finished bool
	onCue    func(at time.Duration, c Cue)
}

// NewDirector gives the caller who follows cues; onCue (nil = nobody) is told when one
// begins.
func NewDirector(cues []Cue, onCue func(time.Duration, Cue)) *Director {
	if onCue == nil {
		onCue = func(time.Duration, Cue) {}
	}
	return &Director{cues: cues, started: -1, done: -1, mute: -1, onCue: onCue}
}

// AgentStarted tells the caller that the agent begins to be heard.
func (d *Director) AgentStarted(at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.speaking, d.started, d.mute = true, at, -1
}

// AgentStopped tells the caller that the agent has fallen silent.
func (d *Director) AgentStopped(at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.speaking, d.done = false, at
}

// TurnOpened tells the caller that an answer is being made.
func (d *Director) TurnOpened() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live, d.mute = true, -1
}

// TurnClosed tells the caller that it has been made, or that none comes.
func (d *Director) TurnClosed(at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live = false
	if !d.speaking && d.started < 0 {
		d.mute = at
	}
}

// Frame fills the caller's audio of the 20 ms that end at an instant.
func (d *Director) Frame(at time.Duration, frame []int16) {
	clear(frame)
	if cue, begins := d.fill(at, frame); begins {
		d.onCue(at, cue)
	}
}

func (d *Director) fill(at time.Duration, frame []int16) (cue Cue, begins bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.playing) == 0 && d.next < len(d.cues) && d.ripe(at) {
		cue, begins = d.cues[d.next], true
		d.next++
		d.playing = cue.PCM
	}
	if len(d.playing) > 0 {
		n := copy(frame, d.playing)
		if d.playing = d.playing[n:]; len(d.playing) == 0 {
			d.last, d.done, d.mute = at, -1, -1
			if !d.speaking {
				d.started = -1
			}
		}
	}
	return cue, begins
}

// ripe says that the next cue's moment has come.
func (d *Director) ripe(at time.Duration) bool {
	c := d.cues[d.next]
	if c.When == AtTime {
		return at >= c.Delay
	}
	return d.reached(c.When, c.Delay, at)
}

func (d *Director) reached(m Moment, delay, at time.Duration) bool {
	since := d.started
	if m == AgentDone {
		since = d.done
		if d.speaking {
			return false
		}
	}
	switch {
	case since >= 0:
		return at >= since+delay
	case d.speaking || d.live:
		return false
	case d.mute >= 0:
		return at >= d.mute+unanswered
	}
	return at >= d.last+patience
}

// Finished says that everything was said and answered: the call can end.
func (d *Director) Finished(at time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.finished || d.next < len(d.cues) || len(d.playing) > 0 {
		return d.finished
	}
	d.finished = d.reached(AgentDone, farewell, at)
	return d.finished
}

// farewell is how long the caller listens on after the last answer.
const farewell = 700 * time.Millisecond

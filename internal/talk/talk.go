// SPDX-License-Identifier: Apache-2.0

package talk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/client"
	"github.com/parley-voice/parley/internal/audio"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/demo"
)

// Config is one conversation.
type Config struct {
	// Local is the agent in this process; nil = Client.URL names a server.
	Local  *Local
	Client client.Config
	View   *console.View
	// Keys is a terminal in raw mode, Lines anything else that is typed; nil = nobody types.
	Keys, Lines io.Reader
	// Cues are recordings that the caller plays. Without a microphone, and when nothing is typed,
	// the call ends when all of them were said and answered.
	Cues []demo.Cue
	// Microphone and Speaker are sound devices; nil = there is none. They are closed in the end.
	Microphone *Microphone
	Speaker    *Speaker
	// Out is a WAV file of the conversation, replaced if it is there; empty = none.
	Out   string
	Notes []string // shown at the beginning
}

// Summary is what came of it.
type Summary struct {
	Session  eventabi.SessionID
	Lasted   time.Duration
	Turns    int
	Reason   string // of the end
	Heard    time.Duration
	Counters client.Stats
}

// Errors of a conversation; test for them with errors.Is.
var (
	// ErrForced: the user did not wait for the end in good order.
	ErrForced = errors.New("ended at once, without waiting for the session")
	// ErrNoStart: the conversation could not begin.
	ErrNoStart = errors.New("the conversation could not begin")
)

// Line is a session of a client, with what belongs to it.
type Line struct {
	Client *client.Client
	now    func() time.Duration
	watch  watcher
	end    func(context.Context) error // nil = nothing is left to end
}

// Times of a conversation.
const (
	frameTime = 20 * time.Millisecond
	frameSize = audio.Rate / 50
	// mostLate is how much sound is caught up with; beyond it time is given up.
	mostLate = 500 * time.Millisecond
	// pause is how long it is quiet before the next line of a pipe, farewell before the end.
	pause    = 300 * time.Millisecond
	farewell = 700 * time.Millisecond
	// patience is how long a line waits for its turn to open.
	patience = 12 * time.Second
	// closeTime bounds the end: longer than a session's drain.
	closeTime = 35 * time.Second
	// mostTyped bounds what the keyboard is ahead.
	mostTyped = 256
)

// Run holds the conversation until it is hung up, the context is over, or the session ends.
func Run(ctx context.Context, c Config) (s Summary, err error) {
	x := &conversation{config: c, stop: make(chan struct{})}
	defer close(x.stop)
	defer func() { err = errors.Join(err, x.config.Microphone.Close(), x.config.Speaker.Close()) }()
	if c.Out != "" {
		if x.wav, err = audio.CreateWAV(c.Out, audio.Rate); err != nil {
			return s, fmt.Errorf("%w: --out %w", ErrNoStart, err)
		}
	}
	x.director = demo.NewDirector(c.Cues, func(at time.Duration, cue demo.Cue) { c.View.Plays(at, cue.Name, cue.Words) })
	if err = x.dial(ctx); err != nil {
		if x.wav != nil {
			err = errors.Join(err, x.wav.Abort())
		}
		return s, fmt.Errorf("%w: %w", ErrNoStart, err)
	}
	err = x.hold(ctx)
	s = x.summary
	s.Session, s.Lasted, s.Counters = x.line.Client.Session(), x.line.now(), x.line.Client.Stats()
	s.Heard = time.Duration(x.heard) * time.Second / audio.Rate
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer stop()
	if errors.Is(err, ErrForced) {
		stop()
	}
	if x.line.end != nil {
		if end := x.line.end(bounded); !errors.Is(err, ErrForced) {
			err = errors.Join(err, end)
		}
	}
	if x.wav != nil {
		err = errors.Join(err, x.wav.Close())
	}
	return s, err
}

// conversation belongs to one goroutine.
type conversation struct {
	config   Config
	line     *Line
	director *demo.Director
	wav      *audio.WAVWriter
	stop     chan struct{}
	input    chan typed
	editor   editor
	muted    bool

	heard    int64 // samples of the agent
	frames   int64
	began    time.Time
	summary  Summary
	hangup   chan struct{} // nil = not asked yet
	cut      error         // why the session ended by itself
	spoke    bool          // the user has typed something
	pipeOver bool          // the pipe has no more lines
	waiting  *string       // the next line of a pipe
	flow     flow
}

// flow is how the conversation goes, as its signals tell.
type flow struct {
	asked   time.Duration // when an utterance was typed whose turn has not opened; 0 = none
	typedAt time.Time     // when an utterance was typed that has not been answered
	live    eventabi.TurnID
	playing bool
	quiet   time.Duration // since when nothing goes on
}

// idle says that nobody has anything to say or to answer for so long.
func (f *flow) idle(at, long time.Duration) bool {
	if f.asked > 0 && at < f.asked+patience {
		return false
	}
	return f.live == "" && !f.playing && at >= f.quiet+long
}

func (x *conversation) dial(ctx context.Context) (err error) {
	c := x.config.Client
	if x.config.Local != nil {
		collector := demo.NewCollector(x.config.View, x.director)
		collector.Forget()
		x.line, err = x.config.Local.Dial(ctx, c, collector)
		return err
	}
	cl, err := client.Dial(ctx, c)
	if err != nil {
		return err
	}
	began := time.Now()
	x.line = &Line{Client: cl, now: func() time.Duration { return time.Since(began) }, watch: newOnlooker(x.config.View, x.director)}
	return nil
}

// hold runs the conversation to its end.
func (x *conversation) hold(ctx context.Context) error {
	for _, n := range x.config.Notes {
		x.config.View.Note(x.line.now(), n)
	}
	if !x.voice() { // who only types is not silent
		x.mute()
	}
	x.listen()
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	x.began = time.Now()
	over := ctx.Done()
	for {
		input := x.input
		if x.waiting != nil {
			input = nil // one line waits for its moment, and the others in the pipe
		}
		select {
		case ev, open := <-x.line.Client.Events():
			if !open {
				return x.cut
			}
			x.event(ev)
		case <-tick.C:
			x.sound()
			x.next()
		case in := <-input:
			if x.typed(in) {
				return ErrForced
			}
		case <-over:
			over = nil
			x.hangUp("interrupted")
		}
	}
}

// listen begins to take what is typed.
func (x *conversation) listen() {
	switch {
	case x.config.Keys != nil:
		x.input = make(chan typed, mostTyped)
		go readKeys(x.config.Keys, x.input, x.stop)
		x.prompt()
	case x.config.Lines != nil:
		x.input = make(chan typed) // no buffer: a line waits for its moment
		go readLines(x.config.Lines, x.input, x.stop)
	default:
		x.pipeOver = true
	}
}

// hangUp asks the session to end, once.
func (x *conversation) hangUp(why string) {
	if x.hangup != nil {
		return
	}
	x.hangup = make(chan struct{})
	x.summary.Reason = why
	go func() {
		defer close(x.hangup)
		_ = x.line.Client.Close() // gives no errors; the end is its last event
	}()
}

// sound exchanges the frames that are due.
func (x *conversation) sound() {
	var frame, reply [frameSize]int16
	for behind := time.Since(x.began) - time.Duration(x.frames)*frameTime; behind >= frameTime; behind -= frameTime {
		if behind > mostLate { // the machine stood still: what is lost is lost
			x.frames += int64((behind - mostLate) / frameTime)
			behind = mostLate
		}
		x.frames++
		at := x.line.now()
		x.director.Frame(at, frame[:])
		x.config.Microphone.Mix(frame[:])
		if x.muted {
			clear(frame[:])
		} else {
			_ = x.line.Client.SendAudio(frame[:]) // it says only that the session is over
		}
		n := x.line.Client.ReadAudio(reply[:])
		if n > 0 {
			x.answered(at)
			x.line.watch.level(1, at, reply[:n])
		}
		x.heard += int64(n)
		x.line.watch.level(0, at, frame[:])
		x.config.Speaker.Play(reply[:])
		if x.wav != nil {
			if err := x.wav.Write(frame[:], reply[:]); err != nil {
				x.config.View.Note(at, "the recording has ended: "+err.Error())
				x.cut, x.wav = errors.Join(x.cut, err), nil
			}
		}
	}
	for _, gone := range []error{x.config.Microphone.Gone(), x.config.Speaker.Gone()} {
		if gone != nil {
			x.config.View.Note(x.line.now(), gone.Error())
		}
	}
}

// answered is called when the agent is heard, and shows how long the answer to what was typed has taken, to the first sample that
// was heard.
func (x *conversation) answered(at time.Duration) {
	x.flow.quiet = at
	if x.flow.typedAt.IsZero() || x.flow.asked > 0 {
		return
	}
	x.config.View.Latency(at, time.Since(x.flow.typedAt), nil)
	x.flow.typedAt = time.Time{}
}

// next says the next line of a pipe, or hangs up when all is said and answered.
func (x *conversation) next() {
	at := x.line.now()
	if x.waiting != nil && x.flow.idle(at, pause) {
		x.say(*x.waiting)
		x.waiting = nil
	}
	if x.hangup != nil || x.waiting != nil || x.config.Microphone != nil {
		return
	}
	cues := len(x.config.Cues) > 0
	if over := x.pipeOver || x.config.Keys != nil && cues && !x.spoke; !over || cues && !x.director.Finished(at) {
		return
	}
	if x.flow.idle(at, farewell) {
		x.hangUp("conversation_over")
	}
}

// say sends an utterance that was typed.
func (x *conversation) say(text string) {
	at := x.line.now()
	if err := x.line.Client.SendText(text); err != nil {
		x.config.View.Note(at, err.Error())
		return
	}
	if o, ok := x.line.watch.(*onlooker); ok {
		o.typed = text
	}
	x.config.View.Final(at, text)
	x.spoke, x.flow.asked, x.flow.typedAt = true, max(at, 1), time.Now()
}

// event takes what the server tells.
func (x *conversation) event(ev client.Event) {
	at := x.line.now()
	switch ev := ev.(type) {
	case *client.Disconnected:
		x.config.View.Note(at, fmt.Sprintf("the connection is lost, again in %v: %v", ev.Again.Round(time.Millisecond), ev.Err))
	case *client.Connected:
		if ev.Resumed {
			x.config.View.Note(at, "connected again")
		}
	case *client.Ended:
		x.ended(ev)
	case *wire.Signal:
		x.follow(at, ev.Signal)
	}
	x.line.watch.take(at, ev)
}

func (x *conversation) ended(e *client.Ended) {
	if x.hangup != nil {
		return // it was asked to
	}
	x.summary.Reason = e.Reason
	err := e.Err
	if err == nil {
		err = fmt.Errorf("the session was ended: %s", e.Reason)
	}
	x.cut = errors.Join(x.cut, err)
}

// follow keeps track of whose moment it is.
func (x *conversation) follow(at time.Duration, e *eventabi.Envelope) {
	f := &x.flow
	switch e.Signal { //nolint:exhaustive // the rest does not change it
	case eventabi.SignalTurnOpen:
		x.summary.Turns++
		f.live, f.asked = e.TurnID, 0
	case eventabi.SignalClose:
		if f.live == e.TurnID {
			f.live = ""
		}
	case eventabi.SignalOutputAccepted, eventabi.SignalPlaybackStarted:
		f.playing = true
	case eventabi.SignalPlaybackCompleted, eventabi.SignalPlaybackCancelled:
		f.playing = false
	case eventabi.SignalReject:
		f.asked = 0
	default:
		return
	}
	f.quiet = at
}

// The hints of the keys.
const (
	hintKeys  = "type and press Enter; Ctrl-S stops the agent, Ctrl-C hangs up"
	hintVoice = "speak, or type and press Enter; Ctrl-S stops the agent, Ctrl-T mutes, Ctrl-C hangs up"
	hintMuted = "muted: Ctrl-T to be heard again; Enter sends, Ctrl-C hangs up"
	hintEnd   = "hanging up; Ctrl-C once more does not wait"
)

func (x *conversation) prompt() {
	hint := hintKeys
	switch {
	case x.hangup != nil:
		hint = hintEnd
	case x.muted && x.voice():
		hint = hintMuted
	case x.voice():
		hint = hintVoice
	}
	x.config.View.Input(string(x.editor.line), hint)
}

// typed takes a key or a line; true when the user does not want to wait any longer.
func (x *conversation) typed(in typed) (forced bool) {
	switch {
	case in.over:
		x.pipeOver, x.input = true, nil
		if x.config.Keys != nil {
			x.hangUp("the terminal is gone")
		}
		return false
	case in.line != "":
		if x.flow.idle(x.line.now(), pause) {
			x.say(in.line)
			return false
		}
		x.waiting = &in.line
		return false
	}
	switch x.editor.key(in.key) {
	case actNone:
		return false
	case actEdit:
	case actSend:
		x.say(x.editor.take())
	case actStop:
		if err := x.line.Client.Stop(); err != nil {
			x.config.View.Note(x.line.now(), err.Error())
		}
	case actMute:
		if x.voice() {
			x.mute()
		}
	case actHangUp:
		if x.hangup != nil {
			return true
		}
		x.hangUp("hung up")
	}
	x.prompt()
	return false
}

// voice says whether the caller can be heard.
func (x *conversation) voice() bool { return x.config.Microphone != nil || len(x.config.Cues) > 0 }

// mute switches the microphone off, and on again.
func (x *conversation) mute() {
	x.muted = !x.muted
	if err := x.line.Client.Mute(x.muted); err != nil {
		x.config.View.Note(x.line.now(), err.Error())
	}
}

// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
)

// Kind is the transport's name.
const Kind transport.Kind = "loopback"

// DefaultKeep is how much of the conversation is kept, 19 MB for each side.
const DefaultKeep = 10 * time.Minute

// maxSignals bounds the signals and the texts that are kept; the oldest go first.
const maxSignals = 4096

// Clip is a recording at a place of the caller's timeline: mono, 16 bit, 16000 Hz.
type Clip struct {
	At  time.Duration
	PCM []int16
}

// Config is what a Line is made of. The zero value is a silent caller in real time.
type Config struct {
	Clips []Clip
	// Length ends the caller's timeline with a hang-up; 0 = the caller stays.
	Length time.Duration
	// Manual leaves the pace to a driver, which calls Step for each frame.
	Manual bool
	// Keep bounds what is kept of both sides; 0 = DefaultKeep.
	Keep time.Duration
	// Impairment puts a bad network and a jitter buffer between the caller and the session;
	// nil = every frame comes when it is complete.
	Impairment *Impairment
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	for i, clip := range c.Clips {
		if clip.At < 0 {
			faults = append(faults, fmt.Errorf("loopback: clips[%d].at: %v: place it at 0 or later", i, clip.At))
		}
		if len(clip.PCM) == 0 {
			faults = append(faults, fmt.Errorf("loopback: clips[%d].pcm: is empty: give samples", i))
		}
	}
	if c.Length < 0 || c.Keep < 0 {
		faults = append(faults, fmt.Errorf("loopback: length: %v, keep: %v: use 0 or a positive time", c.Length, c.Keep))
	}
	if c.Impairment != nil {
		faults = append(faults, c.Impairment.Validate())
	}
	return errors.Join(faults...)
}

// Line is the transport of one session. Its methods may be called from any goroutine.
type Line struct {
	config Config
	in     transport.Ingress
	stop   context.CancelFunc
	pacer  sync.WaitGroup
	net    *network      // of an impaired line, else nil
	rest   time.Duration // of Advance that came to no whole frame

	mu      sync.Mutex
	opened  bool
	closed  bool
	left    bool // the caller hangs up before the next frame
	reason  string
	clips   []Clip
	frame   [transport.FrameSamples]int16
	next    int64 // number of the caller's next frame
	caller  []int16
	agent   []int16
	signals []eventabi.Envelope
	texts   []transport.Text
	lost    int64
	did     Impaired
}

var (
	_ transport.Adapter    = (*Line)(nil)
	_ transport.Link       = (*Line)(nil)
	_ transport.SignalSink = (*Line)(nil)
	_ transport.TextSink   = (*Line)(nil)
)

// ErrOpened says that the line has served its session.
var ErrOpened = errors.New("loopback: the line has served its session; make another")

// New makes a line.
func New(c Config) (*Line, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	l := &Line{config: c, clips: append([]Clip(nil), c.Clips...)}
	if c.Impairment != nil {
		var err error
		if l.net, err = newNetwork(*c.Impairment); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Kind names the transport.
func (l *Line) Kind() transport.Kind { return Kind }

// Capabilities says what the transport does.
func (l *Line) Capabilities() transport.Capabilities {
	return transport.Capabilities{
		CodecsIn: []string{"pcm_s16le"}, CodecsOut: []string{"pcm_s16le"}, Ack: transport.AckEstimate,
	}
}

// Open binds the session. There is nobody to authenticate: the caller is this process.
func (l *Line) Open(_ context.Context, _ transport.Bootstrap, in transport.Ingress) (transport.Link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened {
		return nil, ErrOpened
	}
	l.opened, l.in = true, in
	if !l.config.Manual {
		ctx, stop := context.WithCancel(context.Background())
		l.stop = stop
		began := time.Now()
		l.pacer.Go(transport.Contain(func(*transport.Panic) { in.Link(transport.LinkGone) }, func() { l.pace(ctx, began) }))
	}
	return l, nil
}

// pace delivers frames at absolute times, so that lateness does not add up.
func (l *Line) pace(ctx context.Context, began time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	step := transport.FrameDuration
	if l.net != nil {
		step = tick
	}
	for due := began.Add(step); ; due = due.Add(step) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if !l.Advance(step) {
			return
		}
	}
}

// Step delivers the caller's next frame, or what an impaired network has of it by then;
// one goroutine calls it. It says false when the caller has hung up or the line is closed.
func (l *Line) Step() bool {
	if l.net != nil {
		return l.Advance(transport.FrameDuration)
	}
	l.mu.Lock()
	if l.closed || !l.opened {
		l.mu.Unlock()
		return false
	}
	n := l.next
	l.next++
	over := l.ends(n)
	l.fill(n)
	if !over {
		l.caller = l.keep(l.caller, n*transport.FrameSamples, l.frame[:])
	}
	l.mu.Unlock()
	if over {
		l.in.Link(transport.LinkLeft)
		return false
	}
	l.in.Audio(n, l.frame[:]) // the frame is Step's alone, and steps do not overlap
	return true
}

// ends says that the caller hangs up instead of making a frame.
func (l *Line) ends(n int64) bool {
	return l.left || l.config.Length > 0 && time.Duration(n)*transport.FrameDuration >= l.config.Length
}

// fill mixes what is placed at frame n. Clips that are over are forgotten.
func (l *Line) fill(n int64) {
	clear(l.frame[:])
	from := n * transport.FrameSamples
	kept := l.clips[:0]
	for _, c := range l.clips {
		start := samples(c.At)
		end := start + int64(len(c.PCM))
		for at := max(from, start); at < min(from+transport.FrameSamples, end); at++ {
			l.frame[at-from] = mix(l.frame[at-from], c.PCM[at-start])
		}
		if end > from+transport.FrameSamples {
			kept = append(kept, c)
		}
	}
	clear(l.clips[len(kept):])
	l.clips = kept
}

// Place puts a recording on the caller's timeline. What would lie in the past begins
// with the next frame. It gives the place.
func (l *Line) Place(at time.Duration, pcm []int16) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at = max(at, time.Duration(l.next)*transport.FrameDuration)
	l.clips = append(l.clips, Clip{At: at, PCM: pcm})
	return at
}

// HangUp has the caller hang up in place of the next frame.
func (l *Line) HangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = true
}

// Now is the end of the caller's audio that was delivered.
func (l *Line) Now() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.next) * transport.FrameDuration
}

// WriteFrame collects a frame of the agent at its instant.
func (l *Line) WriteFrame(f *transport.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("loopback: the line is closed")
	}
	at := max(samples(f.At), int64(len(l.agent)))
	l.agent = l.keep(l.agent, at, f.PCM)
	return nil
}

// keep puts samples at a place of a track and fills the gap before them.
func (l *Line) keep(track []int16, at int64, pcm []int16) []int16 {
	end := at + int64(len(pcm))
	if end > samples(l.config.Keep) {
		l.lost += int64(len(pcm))
		return track
	}
	if gap := at - int64(len(track)); gap > 0 {
		track = append(track, make([]int16, gap)...)
	}
	return append(track, pcm...)
}

// WriteSignal keeps a control signal.
func (l *Line) WriteSignal(e *eventabi.Envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.signals) >= maxSignals {
		l.signals = append(l.signals[:0], l.signals[1:]...)
	}
	l.signals = append(l.signals, *e)
}

// TextWindow says that the line takes any number of texts.
func (l *Line) TextWindow() int { return 0 }

// WriteText keeps a text.
func (l *Line) WriteText(t transport.Text) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.texts) >= maxSignals {
		l.texts = append(l.texts[:0], l.texts[1:]...)
	}
	l.texts = append(l.texts, t)
}

// Texts gives the latest texts, oldest first.
func (l *Line) Texts() []transport.Text {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]transport.Text(nil), l.texts...)
}

// Fence has nothing to drop: nothing is held behind WriteFrame.
func (l *Line) Fence(transport.Fence) {}

// Close ends the line and returns when the caller has fallen silent.
func (l *Line) Close(reason string) error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	if !already {
		l.reason = reason
	}
	stop := l.stop
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
	l.pacer.Wait()
	return nil
}

// Reason is why the line was closed, empty while it is open.
func (l *Line) Reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Caller gives the caller's track so far.
func (l *Line) Caller() []int16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int16(nil), l.caller...)
}

// Agent gives the agent's track so far: each frame where it went out on the session's
// clock, silence between.
func (l *Line) Agent() []int16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int16(nil), l.agent...)
}

// Signals gives the latest control signals, oldest first.
func (l *Line) Signals() []eventabi.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]eventabi.Envelope(nil), l.signals...)
}

// Lost counts the samples beyond what is kept.
func (l *Line) Lost() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// samples is the position of an instant.
func samples(d time.Duration) int64 {
	return int64(d/time.Microsecond) * transport.SampleRate / 1_000_000
}

// mix adds two samples without running over.
func mix(a, b int16) int16 {
	return int16(max(-32768, min(32767, int32(a)+int32(b))))
}

// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/report"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// Config is one demo.
type Config struct {
	Runtime parley.Config
	Cues    []Cue
	Out     string // folder to leave everything in
	// Overwrite replaces an earlier demo in the folder.
	Overwrite bool
	// Fast runs in virtual time. Clock is then moved by it.
	Fast    bool
	Clock   *Clock
	View    *console.View
	Engines []report.Engine
	Notes   []string
	// Metrics is told the session's metrics events, nil = nobody looks.
	Metrics func(e *eventabi.Envelope)
}

// ErrInterrupted: the conversation was ended early from outside. What was said until
// then is in the folder, whole.
var ErrInterrupted = errors.New("interrupted")

// RefusedError: the session was not let in. Its recording, which has the decision, and the
// summary are in the folder.
type RefusedError struct{ Refusal *parley.Refusal }

func (e *RefusedError) Error() string { return e.Refusal.Error() }

// Unwrap gives the refusal.
func (e *RefusedError) Unwrap() error { return e.Refusal }

// StartError is a failure before the conversation began: nothing was left anywhere.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *StartError) Unwrap() error { return e.Err }

// Run holds the conversation and leaves the folder. The folder appears when it is
// complete: until then everything lies in a folder whose name says that it is partial.
// With ErrInterrupted the summary and the folder are good, with a RefusedError as well; a StartError is one of the
// configuration; after any other error nothing is left, or the error says what and where.
func Run(ctx context.Context, c Config) (summary report.Summary, err error) {
	folder, err := prepare(c.Out, c.Overwrite)
	if err != nil {
		return report.Summary{}, &StartError{err}
	}
	defer func() {
		if cerr := folder.close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("demo: leave %s: %w", folder.partial, cerr))
		}
	}()
	call := &call{config: c, mix: &Mixdown{}, folder: folder}
	call.director = NewDirector(c.Cues, func(at time.Duration, cue Cue) { call.cued(at, cue) })
	call.collector = NewCollector(c.View, call.director)
	for _, n := range c.Notes {
		call.collector.note(0, n)
	}
	if c.Fast {
		call.collector.note(0, "virtual time: every latency is what the engines are expected to take; without --fast it is measured")
		err = call.virtual(ctx)
	} else {
		err = call.live(ctx)
	}
	var refusal *parley.Refusal
	if errors.As(err, &refusal) {
		return call.refused(refusal)
	}
	if call.session == nil {
		return report.Summary{}, &StartError{err}
	}
	select {
	case <-call.session.Done():
	default:
		return report.Summary{}, errors.Join(err, errors.New("demo: the session did not end: nothing is left of it"))
	}
	if len(call.mix.voices[0]) == 0 {
		return report.Summary{}, errors.Join(err, fmt.Errorf("demo: the session ended before it heard anything: %s", call.session.Stats().Reason))
	}
	summary, left := call.leave()
	if err = errors.Join(err, left); err == nil && call.interrupted {
		err = ErrInterrupted
	}
	return summary, err
}

// call is the demo's conversation while it runs.
type call struct {
	config    Config
	folder    *folder
	director  *Director
	collector *Collector
	mix       *Mixdown
	line      line
	session   *parley.Session
	began     time.Time

	interrupted bool
}

func (c *call) spec() parley.Call {
	s := parley.Call{
		Transport: &c.line,
		Record:    c.folder.path(recordingName),
		Observe:   c.collector.Observe,
		Waits:     c.collector.Look,
		Metrics:   c.config.Metrics,
		Frames: func(d parley.Direction, at time.Duration, sample int64, pcm []int16) {
			c.mix.Add(int(d), sample, pcm)
			c.collector.Level(int(d), at, pcm)
		},
	}
	if c.config.Fast { // equal callers make equal calls
		sum := callerDigest(c.config.Cues)
		s.ID = "demo-" + hex.EncodeToString(sum[:6])
		s.TextKey = binary.LittleEndian.Uint64(sum[8:])
	}
	return s
}

func callerDigest(cues []Cue) [32]byte {
	h := sha256.New()
	for _, c := range cues {
		fmt.Fprintf(h, "%s %d %d %d\n", c.Name, c.When, c.Delay, len(c.PCM))
		var b []byte
		for _, v := range c.PCM {
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		}
		_, _ = h.Write(b) // a hash's Write never fails
	}
	return [32]byte(h.Sum(nil))
}

func (c *call) cued(at time.Duration, cue Cue) {
	c.collector.Cue(at, &cue)
}

// virtual holds the call as fast as it goes.
func (c *call) virtual(ctx context.Context) error {
	world, err := parley.NewVirtual(c.config.Runtime, c.config.Clock.Now())
	if err != nil {
		return err
	}
	c.config.Clock.follow(world.Now)
	c.began = world.Now()
	if c.session, err = world.Start(ctx, c.spec()); err != nil {
		return err
	}
	frame := make([]int16, frameSamples)
	sequence := int64(0)
	world.Every(frameTime, func() bool {
		sequence++
		return c.frame(ctx, sequence, frame)
	})
	// An interrupt is the caller's to see, between two frames: the session drains.
	return world.Run(context.WithoutCancel(ctx), longest(c.config.Cues))
}

// longest bounds a demo in virtual time: everything that the caller says, and far more
// for the answers than they take.
func longest(cues []Cue) time.Duration {
	most := 2 * time.Hour
	for i := range cues {
		most += cues[i].Delay + cues[i].Duration()
	}
	return most
}

// live holds the call at the pace of speech.
func (c *call) live(ctx context.Context) error {
	rt, err := parley.New(c.config.Runtime)
	if err != nil {
		return err
	}
	c.began = time.Now()
	if c.session, err = rt.Start(ctx, c.spec()); err != nil {
		return errors.Join(err, rt.Close(ctx))
	}
	frame := make([]int16, frameSamples)
	start := time.Now()
	for sequence := int64(1); ; sequence++ {
		time.Sleep(time.Until(start.Add(time.Duration(sequence) * frameTime)))
		if !c.frame(ctx, sequence, frame) {
			break
		}
	}
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer stop()
	return rt.Close(bounded)
}

// closeTime bounds the end of the runtime: longer than a session's drain.
const closeTime = 35 * time.Second

const (
	frameTime    = 20 * time.Millisecond
	frameSamples = 320
)

// frame brings the next 20 ms of the caller to the session; false when the call is over.
func (c *call) frame(ctx context.Context, sequence int64, frame []int16) bool {
	select {
	case <-c.session.Done():
		return false
	default:
	}
	at := time.Duration(c.session.Now())
	if ctx.Err() != nil {
		c.interrupt()
	} else if c.director.Finished(at) {
		c.session.Close("conversation_over")
	}
	c.director.Frame(at, frame)
	c.line.in.Audio(sequence, frame)
	return true
}

// interrupt ends the call at once: nothing of the agent's is played to its end.
func (c *call) interrupt() {
	if c.interrupted {
		return
	}
	c.interrupted = true
	c.session.Close("interrupted")
	c.session.Cancel(sessionhost.Cancel{Scope: eventabi.CancelSession, Reason: string(controlplane.CancelUser)})
}

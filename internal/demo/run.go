// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/console"
	"github.com/parley-voice/parley/internal/report"
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
}

// The files of a demo's folder.
const (
	recordingName = "recording.parley"
	audioName     = "conversation.wav"
	timelineName  = "timeline.html"
	summaryName   = "summary.json"
)

// mostVirtual bounds a demo in virtual time; cues and answers end long before.
const mostVirtual = 2 * time.Hour

// Run holds the conversation and leaves the folder. The folder appears when it is
// complete: until then everything lies in a folder beside it whose name says so.
func Run(ctx context.Context, c Config) (report.Summary, error) {
	folder, err := prepare(c.Out, c.Overwrite)
	if err != nil {
		return report.Summary{}, err
	}
	defer folder.discard()
	call := &call{config: c, mix: &Mixdown{}, folder: folder}
	call.director = NewDirector(c.Cues, func(at time.Duration, cue Cue) { call.cued(at, cue) })
	call.collector = NewCollector(c.View, call.director)
	for _, n := range c.Notes {
		call.collector.note(0, n)
	}
	if c.Fast {
		err = call.virtual(ctx)
	} else {
		err = call.live(ctx)
	}
	if err != nil && call.session == nil {
		return report.Summary{}, err
	}
	if len(call.mix.voices[0]) == 0 {
		return report.Summary{}, errors.Join(err, fmt.Errorf("demo: the session ended before it heard anything: %s", call.session.Stats().Reason))
	}
	summary, left := call.leave()
	return summary, errors.Join(err, left)
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
}

func (c *call) spec() parley.Call {
	s := parley.Call{
		Transport: &c.line,
		Record:    c.folder.path(recordingName),
		Observe:   c.collector.Observe,
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
	c.collector.Cue(at, cue.Name)
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
	return world.Run(ctx, mostVirtual)
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
	if err := rt.Close(bounded); err != nil {
		return err
	}
	return ctx.Err()
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
		c.session.Close("interrupted")
	} else if c.director.Finished(at) {
		c.session.Close("conversation_over")
	}
	c.director.Frame(at, frame)
	c.line.in.Audio(sequence, frame)
	return true
}

// leave writes everything that the demo leaves, and gives the folder its name.
func (c *call) leave() (report.Summary, error) {
	d := c.collector.Data(c.session)
	d.Session.Recording = filepath.Join(c.config.Out, recordingName)
	d.Session.Audio = audioName
	d.Session.Mode = report.ModeReal
	if c.config.Fast {
		d.Session.Mode = report.ModeFast
	} else {
		d.Session.StartedAt = c.began.UTC().Format(time.RFC3339)
	}
	d.Session.Engines = c.config.Engines
	d.Process = process(c.config.Runtime.Build)
	if err := c.voices(&d); err != nil {
		return report.Summary{}, err
	}
	summary := report.SummaryOf(d)
	if err := c.folder.write(d, summary, c.mix); err != nil {
		return summary, err
	}
	return summary, c.folder.finish()
}

// voices draws both tracks.
func (c *call) voices(d *report.Data) error {
	caller, agent := c.mix.Tracks()
	for _, v := range [...]struct {
		pcm []int16
		to  *report.Envelope
	}{{caller, &d.Voices.Caller}, {agent, &d.Voices.Agent}} {
		tracer, err := report.NewTracer(16000, 5)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		tracer.Add(v.pcm)
		*v.to = tracer.Envelope()
	}
	d.Session.DurationMs = float64(len(caller)) / 16
	return nil
}

func process(build string) report.Process {
	p := report.Process{
		Version: build, GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
	}
	if peak, ok := PeakMemory(); ok {
		p.PeakMemoryBytes = &peak
	}
	return p
}

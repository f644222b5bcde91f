// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/timeline"
	"github.com/parley-voice/parley/internal/observability/waits"
)

// ErrCodec is wrapped when a recording was written by a kernel whose records this
// build does not know.
var ErrCodec = errors.New("replay: unknown kernel codec")

// ErrRecord is wrapped when a record is intact but is not what the codec says.
var ErrRecord = errors.New("replay: malformed record")

// contextLines is how much stands before a divergence.
const contextLines = 12

// Report is what a replay found.
type Report struct {
	Path      string           `json:"path"`
	Session   string           `json:"session"`
	Build     string           `json:"recorded_by"`
	Passes    int64            `json:"passes"`
	Inputs    int64            `json:"inputs"`
	Decisions int64            `json:"decisions"`
	Turns     int64            `json:"turns"`
	Duration  timebase.Instant `json:"duration_ns"` // of the call
	Wall      time.Duration    `json:"wall_ns"`     // of the replay
	Digest    string           `json:"digest"`
	// Whole says that the recording has its end; Damage says why not. Cut: its end is
	// missing, as a crash leaves it, and nothing else is wrong.
	Whole      bool        `json:"whole"`
	Cut        bool        `json:"cut"`
	Damage     string      `json:"damage,omitempty"`
	Identical  bool        `json:"identical"`
	Divergence *Divergence `json:"divergence,omitempty"`
}

// Divergence is the first place where recording and recomputation differ.
type Divergence struct {
	Decision   int64    `json:"decision"` // number of the decision, from 1
	AtMS       int64    `json:"at_ms"`
	Recorded   string   `json:"recorded"`
	Recomputed string   `json:"recomputed"`
	Context    []string `json:"context"` // inputs and decisions before it, oldest first
}

// Watcher looks on while a recording is replayed, as far as the decisions come out again
// or differ: at each input that the kernel takes and each decision that it makes anew, and
// at its edges after each pass. It is how the account of a session is made again from its
// recording.
type Watcher interface {
	Took(at timebase.Instant, r session.Record)
	Look(at timebase.Instant, v waits.View)
}

// Run replays a recording: it steps a fresh kernel over the recorded inputs and
// compares every decision and every digest. Damage is no error: what is good is
// replayed, and the report says what is not. An error means that there is nothing to
// replay, or that now (the clock that measures the replay) is the only thing it lacks.
func Run(path string, now func() time.Time) (Report, error) { return Watch(path, now, nil) }

// Watch is Run with somebody who looks on, nil = nobody.
func Watch(path string, now func() time.Time, w Watcher) (Report, error) {
	r, err := timeline.Open(path)
	if err != nil {
		return Report{Path: path}, fmt.Errorf("replay %s: %w", path, err)
	}
	defer r.Close()
	meta := r.Meta()
	if meta.Codec == "" { // lost, or of a later segment alone: what is wrong is in the account
		if err := drain(r); err != nil {
			return Report{Path: path}, fmt.Errorf("replay: nothing can be replayed: %w", err)
		}
	}
	if meta.Codec != Codec {
		return Report{Path: path}, fmt.Errorf("%w: %s was written with codec %q, this build reads %q; replay it with the version that wrote it (%s)",
			ErrCodec, path, meta.Codec, Codec, meta.Build)
	}
	start := now()
	p := player{machine: session.New(), watcher: w, report: Report{Path: path, Session: meta.SessionID, Build: meta.Build}}
	err = p.playSafely(r)
	p.report.Wall = now().Sub(start)
	account := r.Account()
	p.finish(account, err)
	if err != nil && !errors.Is(err, timeline.ErrTruncated) && !errors.Is(err, timeline.ErrCorrupt) {
		return p.report, fmt.Errorf("replay %s: %w", path, err)
	}
	return p.report, nil
}

// drain reads to the end and says what is wrong with the recording.
func drain(r *timeline.Reader) error {
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// player feeds one recording.
type player struct {
	machine *session.Machine
	watcher Watcher
	report  Report
	now     timebase.Instant
	fx      session.Effects
	due     [][]byte // decisions recomputed and not yet compared
	digest  session.Digest
	frame   session.AudioIn // the last caller frame
	history []moment        // the latest, oldest first
}

// moment is an input or a decision on the way.
type moment struct {
	at     timebase.Instant
	mark   string
	record session.Record
}

// playSafely turns a kernel that breaks on the recorded inputs into an error: the
// recording then shows a bug, or was made to.
func (p *player) playSafely(r *timeline.Reader) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("%w: the kernel broke at %d ms: %v", ErrRecord, p.now.MS(), caught)
		}
	}()
	return p.play(r)
}

func (p *player) play(r *timeline.Reader) error {
	for p.report.Divergence == nil {
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.take(record); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) take(record timeline.Record) error {
	switch record.Type {
	case timeline.TypeInput:
		if len(p.due) > 0 {
			p.diverge(nil)
			return nil
		}
		return p.passes(record.Payload)
	case timeline.TypeDecision:
		p.compare(record.Payload)
	case timeline.TypeCheckpoint:
		return p.checkpoint(record.Payload)
	case timeline.TypeEnd:
		return p.end(record.Payload)
	case timeline.TypeMeta, timeline.TypePass, timeline.TypeText, timeline.TypeAudio, timeline.TypeExport, timeline.TypeGap:
	}
	return nil
}

// passes steps the kernel over one input record.
func (p *player) passes(b []byte) error {
	for len(b) > 0 {
		delta, n := binary.Uvarint(b)
		count, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || delta > 1<<62 {
			return fmt.Errorf("%w: pass head", ErrRecord)
		}
		b = b[n+m:]
		p.now += timebase.Instant(delta)
		in, rest, err := p.inputs(count, b)
		if err != nil {
			return err
		}
		b = rest
		p.step(in)
	}
	return nil
}

// inputs reads the inputs of one pass and gives the bytes behind them.
func (p *player) inputs(count uint64, b []byte) ([]session.Input, []byte, error) {
	if count == 0 {
		f, n := readFrame(b, &p.frame)
		if n == 0 {
			return nil, nil, fmt.Errorf("%w: frame cut short", ErrRecord)
		}
		return []session.Input{&f}, b[n:], nil
	}
	var in []session.Input
	for range count {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, nil, fmt.Errorf("%w: input cut short", ErrRecord)
		}
		if size == 0 && count == 1 {
			return nil, b[n:], nil
		}
		i, err := session.UnmarshalInput(b[n : n+int(size)])
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		in = append(in, i)
		b = b[n+int(size):]
	}
	return in, b, nil
}

func (p *player) step(in []session.Input) {
	p.report.Passes++
	p.report.Inputs += int64(len(in))
	for _, i := range in {
		if _, frame := i.(*session.AudioIn); !frame {
			p.remember("in ", i)
		}
	}
	p.fx.Reset()
	p.machine.Step(p.now, in, &p.fx)
	p.digest.Add(p.fx.List)
	for _, e := range p.fx.List {
		p.due = append(p.due, session.Marshal(nil, e))
	}
	if p.watcher != nil {
		p.watch(in)
	}
}

// watch shows a pass in the order in which the live session told of it.
func (p *player) watch(in []session.Input) {
	for _, i := range in {
		p.watcher.Took(p.now, i)
	}
	for _, e := range p.fx.List {
		p.watcher.Took(p.now, e)
	}
	p.watcher.Look(p.now, p.machine)
}

// compare takes a recorded decision and holds it against the recomputed one.
func (p *player) compare(recorded []byte) {
	if len(p.due) == 0 || !bytes.Equal(recorded, p.due[0]) {
		p.diverge(recorded)
		return
	}
	p.due = p.due[1:]
	p.report.Decisions++
	if e, err := session.UnmarshalEffect(recorded); err == nil {
		p.remember("out", e)
	}
}

// remember keeps context; it is put into words only when a divergence needs it.
func (p *player) remember(mark string, r session.Record) {
	if len(p.history) >= contextLines {
		p.history = append(p.history[:0], p.history[1:]...)
	}
	p.history = append(p.history, moment{at: p.now, mark: mark, record: r})
}

func (p *player) context() []string {
	lines := make([]string, 0, len(p.history))
	for _, m := range p.history {
		lines = append(lines, fmt.Sprintf("%9d ms %s %s", m.at.MS(), m.mark, session.Format(m.record)))
	}
	return lines
}

// diverge notes the first difference. recorded is nil when the recording has no
// decision where the kernel made one.
func (p *player) diverge(recorded []byte) {
	d := &Divergence{
		Decision: p.report.Decisions + 1, AtMS: p.now.MS(),
		Recorded: "(no decision)", Recomputed: "(no decision)", Context: p.context(),
	}
	if recorded != nil {
		d.Recorded = readable(recorded)
	}
	if len(p.due) > 0 {
		d.Recomputed = readable(p.due[0])
	}
	p.report.Divergence = d
}

func readable(b []byte) string {
	e, err := session.UnmarshalEffect(b)
	if err != nil {
		return fmt.Sprintf("%x (%v)", b, err)
	}
	return session.Format(e)
}

func (p *player) checkpoint(b []byte) error {
	if len(b) != 8+32 {
		return fmt.Errorf("%w: checkpoint has %d bytes", ErrRecord, len(b))
	}
	p.digestAgrees(b[8:])
	return nil
}

func (p *player) end(b []byte) error {
	end, err := timeline.DecodeEnd(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(p.due) > 0 {
		p.diverge(nil)
		return nil
	}
	p.digestAgrees(end.Digest[:])
	return nil
}

func (p *player) digestAgrees(recorded []byte) {
	sum := p.digest.Sum()
	if !bytes.Equal(recorded, sum[:]) {
		p.report.Divergence = &Divergence{
			Decision: p.report.Decisions, AtMS: p.now.MS(),
			Recorded: "digest " + hex.EncodeToString(recorded), Recomputed: "digest " + hex.EncodeToString(sum[:]),
			Context: p.context(),
		}
	}
}

func (p *player) finish(account timeline.Account, err error) {
	sum := p.digest.Sum()
	p.report.Digest = hex.EncodeToString(sum[:])
	p.report.Duration = p.now
	p.report.Turns = p.machine.Counters().Turns
	p.report.Whole = account.Whole && err == nil
	p.report.Cut = errors.Is(err, timeline.ErrTruncated)
	if err != nil {
		p.report.Damage = account.String()
	}
	p.report.Identical = p.report.Divergence == nil
}

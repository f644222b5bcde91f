// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/timeline"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// callLength is how long the recorded call is, in virtual time.
const callLength = 20 * time.Minute

// recorders is P7: the same call with the recorder off, recording decisions, and
// recording all audio besides. The engines of the call cost nothing, so the share of
// the recorder is as large as it can be.
func recorders(o Options) ([]Result, error) {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer removeAll(dir)
	var fault error
	n := 0
	run := func(audio, on bool) func() float64 {
		return func() float64 {
			start := ProcessorTime()
			calls := 0
			for began := o.Now(); calls == 0 || o.Now().Sub(began) < o.Each; calls++ {
				n++
				path := filepath.Join(dir, strconv.Itoa(n))
				if err := oneCall(path, on, audio); err != nil {
					fault = err
				}
			}
			took := ProcessorTime() - start
			return float64(took) / float64(calls)
		}
	}
	decisions := pair(o, Result{
		ID: "P7", Subject: "a call, decisions recorded", Denominator: "the same call, recorder off",
		Unit: "cpu ns/call", Limit: 1.05, Target: "<= 1.05x",
	}, run(false, false), run(false, true))
	full := pair(o, Result{
		ID: "P7", Subject: "a call, all audio recorded", Denominator: "the same call, recorder off",
		Unit: "cpu ns/call", Limit: 1.35, Target: "<= 1.35x",
	}, run(false, false), run(true, true))
	return []Result{decisions, full}, fault
}

// removeAll clears a temporary folder away; what stays is the system's to remove.
func removeAll(dir string) { _ = os.RemoveAll(dir) }

// oneCall runs one call in virtual time: a caller who asks every half minute.
func oneCall(path string, record, audio bool) error {
	l := &line{}
	s := settings(0, l, engines())
	if record {
		r, err := replay.RecordSession(path, timeline.Options{Synchronous: true, CapacityRecords: 1 << 16})
		if err != nil {
			return err
		}
		s.Recorder = r
		if audio {
			s.Recorder = &everything{SessionRecorder: r}
		}
	}
	v := sessionhost.NewVirtual(1_767_225_600_000)
	x, err := v.Open(context.Background(), s)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	frame := make([]int16, 320)
	at := time.Duration(0)
	v.Every(20*timebase.Millisecond, func() bool {
		at += 20 * time.Millisecond
		level := int16(0)
		if second := at % (30 * time.Second); second > time.Second && second < 3*time.Second {
			level = 5000
		}
		for i := range frame {
			frame[i] = level
		}
		l.in.Audio(-1, frame)
		if at == callLength {
			x.Close("measured")
		}
		return at < callLength
	})
	if err := v.Run(context.Background(), timebase.Instant(callLength+time.Minute)); err != nil {
		return err
	}
	<-x.Done()
	if turns := x.Stats().Kernel.Turns; turns != 40 {
		return fmt.Errorf("bench: the call had %d turns, want 40", turns)
	}
	return nil
}

// everything records all audio beside the decisions, as level L2 does.
type everything struct {
	*replay.SessionRecorder
	payload []byte
}

// Text keeps a text.
func (e *everything) Text(handle int64, text string) {
	e.payload = binary.AppendVarint(e.payload[:0], handle)
	e.payload = append(e.payload, text...)
	_ = e.Append(timeline.TypeText, e.payload) // detail: what is dropped is counted
}

// Audio keeps a frame.
func (e *everything) Audio(d sessionhost.Direction, sample int64, pcm []int16) {
	e.payload = timeline.AppendSamples(timeline.AppendAudio(e.payload[:0], timeline.Audio{
		Direction: timeline.Direction(d), Encoding: timeline.EncodingS16, SampleRateHz: 16000,
		SampleIndex: uint64(max(0, sample)),
	}), pcm)
	_ = e.Append(timeline.TypeAudio, e.payload) // detail: what is dropped is counted
}

// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"fmt"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/observability/timeline"
)

// Codec names the encoding of inputs and decisions. It changes when a recording of
// before cannot be replayed by the kernel of after.
const Codec = "parley-kernel/2"

// CheckpointEvery is the number of decisions between two checkpoints.
const CheckpointEvery = 256

// MaxPending bounds the passes without decisions that wait in memory, in bytes.
const MaxPending = 4096

// Log is where a recorder appends; *timeline.Writer is one.
type Log interface {
	Append(t timeline.Type, payload []byte) error
}

// Recorder writes one session. It is used by the session's owner only.
type Recorder struct {
	log        Log
	digest     session.Digest
	pending    []byte
	scratch    []byte
	last       timebase.Instant
	frame      session.AudioIn // the last caller frame
	checkpoint int64
}

// NewRecorder gives a recorder that appends to log.
func NewRecorder(log Log) *Recorder { return &Recorder{log: log} }

// Pass records one step of the kernel. The error says that baseline evidence could not
// be kept.
func (r *Recorder) Pass(at timebase.Instant, in []session.Input, decisions []session.Effect) error {
	r.pending = binary.AppendUvarint(r.pending, uint64(max(0, at-r.last)))
	r.last = max(r.last, at)
	r.inputs(in)
	if len(decisions) == 0 && len(r.pending) < MaxPending {
		return nil
	}
	if err := r.Flush(); err != nil {
		return err
	}
	for _, d := range decisions {
		r.scratch = session.Marshal(r.scratch[:0], d)
		if err := r.log.Append(timeline.TypeDecision, r.scratch); err != nil {
			return fmt.Errorf("replay: decision %s: %w", session.Kind(d), err)
		}
		r.digest.AddMarshalled(r.scratch)
	}
	if r.digest.Count() < r.checkpoint+CheckpointEvery {
		return nil
	}
	return r.check()
}

func (r *Recorder) inputs(in []session.Input) {
	if len(in) == 1 {
		if f, ok := in[0].(*session.AudioIn); ok {
			r.pending = appendFrame(append(r.pending, 0), f, &r.frame)
			return
		}
	}
	if len(in) == 0 {
		r.pending = append(r.pending, 1, 0)
		return
	}
	r.pending = binary.AppendUvarint(r.pending, uint64(len(in)))
	for _, i := range in {
		r.scratch = session.Marshal(r.scratch[:0], i)
		r.pending = binary.AppendUvarint(r.pending, uint64(len(r.scratch)))
		r.pending = append(r.pending, r.scratch...)
	}
}

// appendFrame writes what of a frame does not follow from the one before, and makes it
// the one before.
func appendFrame(b []byte, f, last *session.AudioIn) []byte {
	b = binary.AppendVarint(b, int64(f.Epoch-last.Epoch))
	b = binary.AppendVarint(b, f.Transport-last.Transport-1)
	b = binary.AppendVarint(b, int64(f.Sample-last.Sample-last.Samples))
	b = binary.AppendVarint(b, int64(f.Samples-last.Samples))
	b = binary.AppendVarint(b, int64(f.Heard-last.Heard-last.Samples))
	b = binary.AppendVarint(b, int64(f.Listened-last.Listened))
	*last = *f
	return b
}

// readFrame reads what appendFrame wrote; n is the bytes taken, 0 when cut short.
func readFrame(b []byte, last *session.AudioIn) (session.AudioIn, int) {
	var diff [6]int64
	n := 0
	for i := range diff {
		v, size := binary.Varint(b[n:])
		if size <= 0 {
			return session.AudioIn{}, 0
		}
		diff[i], n = v, n+size
	}
	f := session.AudioIn{
		Epoch:     last.Epoch + eventabi.Epoch(diff[0]),
		Transport: last.Transport + 1 + diff[1],
		Sample:    last.Sample + last.Samples + timebase.Samples(diff[2]),
		Samples:   last.Samples + timebase.Samples(diff[3]),
		Heard:     last.Heard + last.Samples + timebase.Samples(diff[4]),
		Listened:  last.Listened + timebase.Samples(diff[5]),
	}
	*last = f
	return f, n
}

// Flush appends the passes that wait in memory.
func (r *Recorder) Flush() error {
	if len(r.pending) == 0 {
		return nil
	}
	err := r.log.Append(timeline.TypeInput, r.pending)
	r.pending = r.pending[:0]
	if err != nil {
		return fmt.Errorf("replay: inputs: %w", err)
	}
	return nil
}

func (r *Recorder) check() error {
	r.checkpoint = r.digest.Count()
	sum := r.digest.Sum()
	r.scratch = binary.LittleEndian.AppendUint64(r.scratch[:0], uint64(r.checkpoint))
	r.scratch = append(r.scratch, sum[:]...)
	if err := r.log.Append(timeline.TypeCheckpoint, r.scratch); err != nil {
		return fmt.Errorf("replay: checkpoint: %w", err)
	}
	return nil
}

// Digest gives the digest of every decision so far.
func (r *Recorder) Digest() [32]byte { return r.digest.Sum() }

// Decisions gives the number of decisions so far.
func (r *Recorder) Decisions() int64 { return r.digest.Count() }

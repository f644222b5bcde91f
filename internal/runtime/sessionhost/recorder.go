// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/invocation"
)

// Recorder keeps what a session took and decided. Its methods are called by the
// session's owner and do not wait for a disk; Close is called last, off the owner, and
// may take its time. An error of Pass or Terminal says that baseline evidence is lost:
// the kernel ends the turn (lifecycle section 3, T9).
type Recorder interface {
	// Pass keeps one pass of the kernel: its inputs in the order of arrival, and its
	// decisions in order. Both are lent for the call.
	Pass(at timebase.Instant, in []session.Input, decisions []session.Effect) error
	// Terminal appends a turn's terminal evidence; the turn commits when it is kept.
	Terminal(at timebase.Instant, e *session.AppendTerminal) error
	// Close ends the recording with the session's reason and the digest of all decisions.
	Close(reason string, digest [32]byte) error
}

// ContentRecorder is implemented by a Recorder that keeps content as well. Its methods
// are called from several goroutines, must not wait, and keep nothing of what is lent.
type ContentRecorder interface {
	Text(handle int64, text string)
	// Audio takes a frame of caller audio, by its sample position, or of agent audio, by
	// the position on the same clock at which it went out.
	Audio(d Direction, sample int64, pcm []int16)
}

// Direction says whose audio it is.
type Direction uint8

// The two directions.
const (
	CallerAudio Direction = iota
	AgentAudio
)

// Notice tells an Observer of one thing that a session took or decided.
type Notice struct {
	At timebase.Instant
	// Record is the input or the decision itself (*session.Transcript, *session.VoiceOn,
	// *session.Emit, *session.Converse, ...). It is lent for the call.
	Record session.Record
	// Text is the words that the record refers to: of a Transcript, a TextIn, a Segment, a
	// Fallback, and of a Converse what was said or heard so far.
	Text string
	// Call measures the attempt that an InvocationEnd or a CancelAck ends.
	Call *invocation.End
	// FenceTook is, for a Fence, the time from the acceptance of the cancel to the closed
	// gate: from the call of Cancel or Stop, or from the begin of the pass that decided.
	FenceTook timebase.Span
	// KernelOverhead is, for an Evidence, what the kernel's own decisions of the turn took.
	KernelOverhead timebase.Span
	// Detail explains a RuntimeFault or a NodeFailed, for people.
	Detail string
}

// Observer is told what a session does, in order, by the session's owner: for live
// views, reports and metrics. It returns quickly. Caller frames are not told.
type Observer func(n *Notice)

// FrameObserver is shown each frame: caller frames as they come in, on the goroutine
// that brings them, agent frames as they went out. sample is the position of the frame
// on the session's clock of 16,000 samples a second. pcm is lent for the call.
type FrameObserver func(d Direction, at timebase.Instant, sample int64, pcm []int16)

// EdgeObserver is shown what lies in the session's edges after each pass of the kernel,
// caller frames included, by the session's owner, behind the notices of the pass. The view
// is lent for the call. It returns quickly.
type EdgeObserver func(at timebase.Instant, v EdgeView)

// EdgeView tells of the edges that were used: what each has counted and holds, and what it
// obeys.
type EdgeView interface {
	EdgeStats(visit func(id eventabi.EdgeID, s *flow.Stats, d flow.Depth))
	EdgeInfo(id eventabi.EdgeID) (session.EdgeInfo, bool)
}

// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/graph"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Input is something that happened outside the kernel: a frame's descriptor, a node's
// or a provider's result, an acknowledgement of delivery, a change of lease, a timer.
// The set is closed. Inputs are handed over as pointers and belong to the caller again
// once Step has returned; the kernel copies what it keeps.
//
//sumtype:decl
type Input interface {
	Record
	lane() flow.Lane
}

// LaneOf gives the lane that an input comes on, for the shell: what it serves first.
func LaneOf(in Input) eventabi.Lane { return laneName(in.lane()) }

// Record is an input or an effect: what can be written to a recording and read back.
//
//sumtype:decl
type Record interface {
	kind() string
	code(c *coder)
}

// TextRef stands for a text that stays outside the kernel. It carries what decisions
// need, so that a recording without the text still decides the same.
type TextRef struct {
	Handle int64     // the shell's key to the text; 0 = no text
	Runes  int64     // length in characters
	Words  int64     // length in words
	Class  TextClass // what the words amount to, see Describe
	Digest uint64    // keyed hash of the text
}

// TextClass says what a transcript amounts to for the interruption policy.
type TextClass uint8

// The text classes.
const (
	TextNone        TextClass = iota // no words
	TextBackchannel                  // only words that never confirm by themselves
	TextWords                        // at least one word that is none
)

func (t *TextRef) code(c *coder) {
	num(c, "text", &t.Handle)
	num(c, "runes", &t.Runes)
	num(c, "words", &t.Words)
	num(c, "class", &t.Class)
	word(c, "hash", &t.Digest)
}

// Bootstrap opens the session: identity, lease and settings as the control plane and
// the transport established them. Refusal, if not empty, says why they refused.
type Bootstrap struct {
	Session  eventabi.SessionID
	Tenant   string
	Pipeline eventabi.PipelineVersion
	Profile  string // requested execution profile
	Graph    string // graph definition reference
	Epoch    eventabi.Epoch
	WallMS   int64 // Unix milliseconds at the instant of this input
	Refusal  string
	// Transport is the kind of the transport: the namespace of its own controls.
	Transport string
	STT       string // provider bindings
	LLM       string
	TTS       string
	// The second candidates of each modality, empty = none (turn-plan section 10).
	STTSecond string
	LLMSecond string
	TTSSecond string
	// Fallback is the line that stands in for an answer which does not come: the graph's
	// one alternate branch. Without a text there is none.
	Fallback TextRef
	Settings Settings
}

// CloseRequest asks the session to end: a client's close, or a drain order.
type CloseRequest struct{ Reason string }

// Link reports the state of the transport's link.
type Link struct{ State LinkState }

// LinkState is a connection event (nodes-providers-transports section 6).
type LinkState string

// The connection events.
const (
	LinkLost    LinkState = "lost"    // retry possible
	LinkGone    LinkState = "gone"    // no retry under way
	LinkResumed LinkState = "resumed" // with valid token and epoch
	LinkLeft    LinkState = "left"    // the client left
)

// LeaseChange reports what the lease authority decided.
type LeaseChange struct {
	Epoch   eventabi.Epoch
	Revoked bool
}

// Snapshots reports the control-plane decision sets that are held locally.
type Snapshots struct {
	Versions gate.Versions // 0 = missing
	AgeMS    int64         // of the oldest, at this instant
	// Admission is the admission decision of the current policy for a next turn: empty
	// or "admit", "reject", "defer"; Reason names the limit.
	Admission string
	Reason    string
}

// Quota puts a bound on what is used, or takes it back with Max 0 (authority-state section
// 7). Given before the bootstrap it is there from the start; later it counts from the next
// turn on.
type Quota struct{ Quota gate.Quota }

// Usage reports what was used of what quotas bound, as the shell counted it at this
// instant: in front of the bootstrap without the session that asks, later without the turn
// that may open.
type Usage struct{ Counts [gate.Reported]int64 }

// Admission asks, before the bootstrap, whether the session may begin, and is what the host
// says of that itself, for its capacity or its load: empty or "admit", "reject", "defer".
type Admission struct {
	Outcome      string
	Reason       string
	RetryAfterMS int64 // of a deferral
}

// Load reports how overloaded the host is. The shell sends it when it changes.
type Load struct {
	Level  gate.Level
	Reason string // what is under pressure
}

// SnapshotKinds is the number of snapshot references in a plan's provenance.
const SnapshotKinds = gate.SnapshotKinds

// Wake says that the deadline the kernel reported has come.
type Wake struct{}

// AudioIn describes one frame of caller audio; the samples stay outside. It also says
// how far those who listen have come: what lies between is what waits on their edges.
type AudioIn struct {
	Epoch     eventabi.Epoch
	Transport int64            // the transport's own sequence
	Sample    timebase.Samples // position of the first sample
	Samples   timebase.Samples // length
	Heard     timebase.Samples // position up to which the endpointer has taken audio
	Listened  timebase.Samples // position up to which the newest recogniser has
}

// VoiceOn says that the detector hears speech that began at Onset; it had heard the
// audio up to Heard when it said so.
type VoiceOn struct {
	Onset timebase.Samples
	Heard timebase.Samples
}

// VoiceOff says that speech stopped at Offset. Trailing silence has begun; the
// utterance is not over.
type VoiceOff struct {
	Offset timebase.Samples
	Heard  timebase.Samples
}

// EndOfUtterance says that the user's utterance is over, by the endpointer ("vad") or
// by the client's word ("client").
type EndOfUtterance struct {
	Epoch  eventabi.Epoch
	Sample timebase.Samples
	Reason string
	Key    eventabi.IdempotencyKey
}

// TextIn is an utterance typed instead of spoken.
type TextIn struct {
	Epoch eventabi.Epoch
	Text  TextRef
	Key   eventabi.IdempotencyKey
	// Attributes are what the conditions of the session's graph may ask; none without one.
	Attributes []graph.Attribute
}

// Transcript is a recogniser's result for its utterance. Each interim one replaces
// the one before.
type Transcript struct {
	Invocation eventabi.InvocationID
	Revision   int64 // strictly rising within the invocation
	Final      bool
	Text       TextRef
	Attributes []graph.Attribute // as of TextIn
}

// Progress says that a call's stream is alive: its first token has come, or more have
// since the last one. The shell sends the first at once and later ones at most every
// 250 ms, so that the idle timeout sees tokens that make no segment yet.
type Progress struct {
	Invocation eventabi.InvocationID
	Attempt    int64
}

// Segment is a speakable piece of the reply, in order.
type Segment struct {
	Invocation eventabi.InvocationID
	Attempt    int64 // of the call that produced it
	Index      int64 // from 0, strictly rising within the invocation
	Text       TextRef
	// Protected output may not be interrupted (a disclosure that the law requires).
	Protected bool
}

// Speech is one chunk of synthesised audio of one segment.
type Speech struct {
	Invocation eventabi.InvocationID
	Attempt    int64 // of the call that produced it
	Chunk      int64 // from 0, strictly rising within the invocation
	Handle     int64 // the shell's key to the samples
	Samples    timebase.Samples
}

// InvocationEnd is the outcome of one attempt of a provider call.
type InvocationEnd struct {
	Invocation eventabi.InvocationID
	Attempt    int64
	Class      string // outcome class of the provider contract
	Reason     string
	Retryable  bool
	BackoffMS  int64
}

// Delivery reports what egress did with a turn's audio. Played counts the samples of
// the turn that went out so far.
type Delivery struct {
	Epoch  eventabi.Epoch
	Turn   eventabi.TurnID
	Event  DeliveryEvent
	Played timebase.Samples
}

// DeliveryEvent is the kind of a delivery report.
type DeliveryEvent string

// The delivery events. Held answers a Hold effect, Flushed a Fence.
const (
	// Progress carries the playout position only. While audio is playing, the shell puts
	// one in front of every pass that holds anything but caller audio, so that a decision
	// knows what was heard.
	DeliveryProgress  DeliveryEvent = "progress"
	DeliveryStarted   DeliveryEvent = "started"
	DeliveryHeld      DeliveryEvent = "held"
	DeliveryCompleted DeliveryEvent = "completed"
	DeliveryFlushed   DeliveryEvent = "flushed"
)

// Cancel asks to cancel a scope, from a client or from the control plane.
type Cancel struct {
	Epoch      eventabi.Epoch
	Scope      eventabi.CancelScope
	Turn       eventabi.TurnID       // scope turn; empty = the current one
	Node       eventabi.NodeID       // scope node
	Invocation eventabi.InvocationID // scope provider_invocation
	Reason     string                // cause code of lifecycle section 8
	Force      bool                  // overrides protected output
	Fenced     uint32                // generation that the shell has fenced already, 0 = none
	Key        eventabi.IdempotencyKey
}

// Stop ends the current output without implying a new turn.
type Stop struct {
	Epoch  eventabi.Epoch
	Turn   eventabi.TurnID // that it is meant for; empty = whatever is to be heard
	Force  bool
	Fenced uint32
	Key    eventabi.IdempotencyKey
}

// EdgePolicy sets one edge's effective policy, or declares a further edge; it comes
// before the bootstrap. An edge of the voice graph has its ends already.
type EdgePolicy struct {
	Edge eventabi.EdgeID
	From string // of a further edge: caller_text, agent_text, or the node that offers to it
	To   string // of a further edge: its consumer
	// Policy is complete: what was authored, over what the profile says.
	Policy controlplane.EdgeBufferPolicy
	// Layers says which layer each value came from, as name=layer with blanks between; a
	// pair without a name is about all the others, which otherwise came from the session's
	// own settings.
	Layers string
}

// FlowPolicy sets the flow control of all edges, lane by lane; it comes before the
// bootstrap and is complete.
type FlowPolicy struct {
	Flow   controlplane.FlowControl
	Layers string // as of EdgePolicy
}

// NodePolicy sets how the tasks of one node are scheduled; it comes before the bootstrap.
type NodePolicy struct {
	Node   eventabi.NodeID
	Policy controlplane.NodeExecutionPolicy
	Layers string // as of EdgePolicy
}

// Offer is an item that a node gives to an edge. Content stays outside, by handle.
type Offer struct {
	Edge   eventabi.EdgeID
	Handle int64
	Kind   ItemKind
	Stream int64 // items of one stream can stand for each other
	Group  int64 // sync group, 0 = none
	Bytes  int64
	Media  timebase.Samples // length of sound
	Turn   eventabi.TurnID  // that it belongs to, empty = the session
	Of     string           // who it comes from, for its consumer
}

// ItemKind says what an item is: it decides what may be merged or shed.
type ItemKind string

// The kinds of items. Final, semantic and marker are protected; metric travels on the
// telemetry lane, everything else on the data lane.
const (
	ItemAudio    ItemKind = "audio"
	ItemInterim  ItemKind = "interim"
	ItemFinal    ItemKind = "final"
	ItemSemantic ItemKind = "semantic"
	ItemMarker   ItemKind = "marker"
	ItemMetric   ItemKind = "metric"
)

// Ready says that a consumer can take further items, from whichever of its edges.
type Ready struct {
	To    string
	Count int64
}

// Overflow says that a lane of the shell's inbox was full. For control that breaks an
// invariant: the session ends.
type Overflow struct {
	Lane  eventabi.Lane
	Count int64 // what did not fit
}

// Appended answers an AppendTerminal effect: the turn's terminal evidence is in the
// local timeline, or cannot be kept.
type Appended struct {
	Turn eventabi.TurnID
	OK   bool
}

// EvidenceLost says that the recorder cannot keep baseline evidence any more.
type EvidenceLost struct{}

// NodeFailed reports a node that panicked, returned an error or passed a time limit.
type NodeFailed struct {
	Node    eventabi.NodeID
	Turn    eventabi.TurnID // empty in session scope
	Reason  string          // "panic", "error", "hook_timeout"
	LimitMS int64           // hook_timeout: the limit that was passed
}

// NodeSpent reports how much of its budget a node has used that goes on working: when
// 80 % are gone, and when nothing is left.
type NodeSpent struct {
	Node    eventabi.NodeID
	Turn    eventabi.TurnID // empty in session scope
	UsedMS  int64
	LimitMS int64
}

// Unscheduled says that the execution pool did not take an attempt of a call. No provider
// has heard of it.
type Unscheduled struct {
	Invocation eventabi.InvocationID
	Attempt    int64
	Reason     string // one of controlplane.ShedReasons
}

// CancelAck says that a provider or a node has stopped after a cancel.
type CancelAck struct{ Invocation eventabi.InvocationID }

// RuntimeFault ends the session: the shell caught a panic in its step or its nodes'
// host, or lost a resource that the session cannot go on without.
type RuntimeFault struct{ Reason string }

// ClockReading is the wall clock as the shell read it at this instant.
type ClockReading struct{ WallMS int64 } // Unix milliseconds

// AudioGap describes caller audio that did not come. Its place on the media clock is
// kept: a part was filled with a guess (and came as frames), the rest is silence.
type AudioGap struct {
	Epoch     eventabi.Epoch
	Sample    timebase.Samples // position of the first that is missing
	Samples   timebase.Samples // how much is missing
	Concealed timebase.Samples // how much of that, from its start, the adapter concealed
	Reason    string
}

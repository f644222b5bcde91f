// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// The audio format at the boundary.
const (
	SampleRate    = 16000
	FrameDuration = 20 * time.Millisecond
	FrameSamples  = SampleRate / 50
)

// Adapter opens sessions over one kind of transport
// (nodes-providers-transports section 5).
type Adapter interface {
	Kind() Kind
	Capabilities() Capabilities
	// Open binds a session to the wire. The adapter has authenticated the token and the
	// epoch of b; what the caller sends goes to in until Link.Close has returned.
	Open(ctx context.Context, b Bootstrap, in Ingress) (Link, error)
}

// Kind names a transport, e.g. "loopback", "websocket".
type Kind string

// AckSource says how an adapter knows what was played.
type AckSource string

// The sources of delivery acknowledgements.
const (
	AckEstimate AckSource = "estimate" // the playout clock of the runtime
	AckClient   AckSource = "client"   // the client's own messages
	AckGateway  AckSource = "gateway"  // marks of a media gateway
)

// Capabilities is what an adapter declares.
type Capabilities struct {
	CodecsIn, CodecsOut []string // as the wire has them, e.g. "pcm_s16le", "opus"
	Text                bool     // carries typed text
	Controls            bool     // carries stop, cancel and end-of-utterance messages
	Resumes             bool     // a lost link can come back
	BuffersOutput       bool     // holds frames behind WriteFrame; Fence empties it
	Ack                 AckSource
}

// Bootstrap is what a session starts from.
type Bootstrap struct {
	SessionID       eventabi.SessionID
	TenantID        string
	PipelineVersion eventabi.PipelineVersion
	Kind            Kind
	Token           string // session token; never logged
	Epoch           eventabi.Epoch
	Route           string // reference of the routing view that led here
}

// Frame is 20 ms of agent audio at the last hand-off.
type Frame struct {
	Turn       eventabi.TurnID
	Generation uint32        // of the turn's output; what a Fence names
	Position   int64         // media time: samples of the turn before this frame
	Voiced     int           // samples of PCM that are output; the rest is padding
	At         time.Duration // since the session was created
	PCM        []int16       // FrameSamples long, lent for the call
}

// Fence says that nothing of a generation may reach the caller any more.
type Fence struct {
	Turn       eventabi.TurnID
	Generation uint32
	Session    bool // everything, for good
}

// Sink is the egress half of a link.
type Sink interface {
	// WriteFrame puts one frame on the wire. An error says that the frame did not go
	// out; playback goes on, and the state of the link is reported through Ingress.
	WriteFrame(f *Frame) error
	// Fence drops what is buffered of a scope, before it returns. It may be called from
	// any goroutine, also while a frame of another scope is being written, and more than
	// once for one scope.
	Fence(f Fence)
}

// SignalSink is implemented by links that pass control signals on to the client.
type SignalSink interface {
	// WriteSignal takes a signal in the order of the session. It does not wait and does
	// not keep the envelope.
	WriteSignal(e *eventabi.Envelope)
}

// Text is a piece of what is said, for a client that shows it.
type Text struct {
	From  TextFrom
	Of    string // the utterance or the turn that it belongs to
	Text  string
	Final bool // no later piece replaces it
}

// TextFrom is who says it.
type TextFrom string

// The two who speak.
const (
	TextCaller TextFrom = "caller" // as it is understood; an interim one replaces the one before
	TextAgent  TextFrom = "agent"  // as it begins to be heard, piece by piece
)

// TextSink is implemented by links whose client reads along.
type TextSink interface {
	// TextWindow is how many pieces the link holds before it says through Ingress.TextTaken
	// that it can take more; 0 = it takes any number at once.
	TextWindow() int
	// WriteText takes a piece. It does not wait.
	WriteText(t Text)
}

// SpeechSink is implemented by links whose client is shown when the caller is heard to
// speak.
type SpeechSink interface {
	// WriteSpeech takes the begin or the end of speech. It does not wait.
	WriteSpeech(s Speech)
}

// Speech is a boundary of what the caller says, as the detector hears it. A pause is an
// end as well; that the utterance is over is said by the signal end_of_utterance.
type Speech struct {
	Began  bool
	Sample int64 // of the caller's audio, from the session's first
}

// ToolSink is implemented by links whose client runs tools.
type ToolSink interface {
	// WriteToolCall takes a call. It does not wait.
	WriteToolCall(c ToolCall)
}

// UsageSink is implemented by links whose client is told what its answers have used.
type UsageSink interface {
	// WriteUsage takes what a language model says of one of its calls. It does not wait.
	WriteUsage(u Usage)
}

// Usage is what one call of a language model has used, as its engine has counted it. One that
// does not count, or was stopped before it did, says nothing. A turn may have several calls.
type Usage struct {
	Turn                      eventabi.TurnID
	InputTokens, OutputTokens int
	CachedTokens              int // of InputTokens
}

// MetricSink is implemented by links whose client is shown what was measured.
type MetricSink interface {
	// WriteMetric takes a metrics event. It does not wait and does not keep the envelope.
	WriteMetric(e *eventabi.Envelope)
}

// Router is implemented by links that can be moved to another endpoint. Only a newer
// view is applied, after the old epoch was fenced.
type Router interface {
	Route(view int64, endpoint string) error
}

// Link is one session on the wire.
type Link interface {
	Sink
	// Close ends the link with the session's reason. The runtime calls it once.
	Close(reason string) error
}

// LinkState is a change in the state of a link.
type LinkState string

// The link states (nodes-providers-transports section 6).
const (
	LinkLost    LinkState = "lost"    // a retry is possible
	LinkGone    LinkState = "gone"    // no retry is under way
	LinkResumed LinkState = "resumed" // back, with a valid token and epoch
	LinkLeft    LinkState = "left"    // the client left
)

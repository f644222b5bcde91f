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

// Ingress is where an adapter delivers what comes from the caller. Each method may be
// called from any goroutine, returns at once and never fails: what the session can not
// take any more is counted by the session. Audio is called by one goroutine at a time.
type Ingress interface {
	// Audio takes caller audio that has just been heard. sequence is the transport's own
	// number of the frame, negative when it has none. The slice is not kept.
	Audio(sequence int64, pcm []int16)
	// Gap says that caller audio did not come, in its place among the calls of Audio. What
	// the adapter did not conceal becomes silence, so that positions stay true.
	Gap(g Gap)
	// Text takes an utterance that was typed.
	Text(text string, key eventabi.IdempotencyKey)
	// EndOfUtterance is the client's word that the user has finished.
	EndOfUtterance(key eventabi.IdempotencyKey)
	// Cancel asks to cancel the current turn's output and work. The fence stands when it
	// returns, as far as policy allows; see Request.Force.
	Cancel(r Request)
	// Stop ends the current output without implying a new turn.
	Stop(r Request)
	// Link reports a change of the link.
	Link(state LinkState)
	// TextTaken says that a TextSink can take n further pieces.
	TextTaken(n int)
	// Hangup asks to end the session.
	Hangup(reason string)
}

// Gap is caller audio that did not come. A stretch may be reported in pieces, as it goes
// on.
type Gap struct {
	Sequence int64 // the transport's own number of the first frame, negative when unknown
	Missing  int64 // samples that did not come
	// Concealed is how much of them, from the start, the adapter filled with a guess and
	// has handed to Audio just before.
	Concealed int64
	Reason    GapReason
}

// GapReason says why audio is missing.
type GapReason string

// The reasons of a gap.
const (
	GapLost     GapReason = "lost"     // it did not come in time
	GapOverflow GapReason = "overflow" // it came, and the jitter buffer had no room
)

// Request is a client's cancel or stop.
type Request struct {
	Turn   eventabi.TurnID // empty = the current one
	Reason string          // cause code of lifecycle section 8; empty = user_cancel
	Force  bool            // overrides output that is marked uninterruptible
	Epoch  eventabi.Epoch  // 0 = the session's
	Key    eventabi.IdempotencyKey
}

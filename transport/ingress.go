// SPDX-License-Identifier: Apache-2.0

package transport

import "github.com/parley-voice/parley/api/eventabi"

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
	// Played says how far the caller has heard a turn's sound, for adapters whose
	// Capabilities.Ack is not AckEstimate. What was heard is then what was acknowledged.
	Played(p Playout)
	// Muted says that the user has switched the microphone off or on again: no sound until
	// then is silence that is meant, and no stall. An utterance that is open is over with it,
	// unless the client alone ends utterances.
	Muted(on bool)
	// Control hands on a control that is the transport's own, such as a DTMF digit; it
	// becomes a transport_control signal.
	Control(c Control)
	// Context adds to the conversation without asking for an answer, at its place in the order
	// of the calls. It is at most 32768 characters long. What the assistant is said to have said
	// counts as heard.
	Context(c Context)
	// Forget takes an item out of the conversation, in the order of the calls: no model is shown
	// it any more. What a caller heard of it is heard all the same, and a recording keeps it.
	Forget(f Forget)
	// Respond asks for an answer to what was said so far, without new words: a greeting, or
	// the answer of a client that ends its turns by hand. It interrupts nothing. A SignalSink
	// learns what became of it by its key: on the signal turn_open, or on reject or defer with
	// the reason, which is turn_in_progress while an answer is being given or due.
	Respond(key eventabi.IdempotencyKey)
	// Configure changes what a client may choose, from the next turn on.
	Configure(w Wishes)
	// ToolResult is the result of a call that WriteToolCall handed to the client. A second
	// result of one call is dropped.
	ToolResult(r ToolResult)
	// Hangup asks to end the session.
	Hangup(reason string)
}

// Playout is how far the caller has heard a turn. A client that stops by itself in the
// middle of a turn says Cancel or Stop as well: Final alone ends nothing. One that says
// nothing for 2 s about sound that it was sent is taken for a link without acknowledgements,
// until it has caught up.
type Playout struct {
	Turn       eventabi.TurnID
	Generation uint32 // 0 = the turn's own
	// Position is in samples of the turn at SampleRate, from its first. It does not go back:
	// a lower one than before is dropped, one beyond what was sent is cut to it.
	Position int64
	// Final says that the client will play no more of the turn: it drained, or it stopped for
	// a fence. Without one, a fenced turn waits for 300 ms and takes the last position; what
	// comes later is dropped and counted.
	Final bool
}

// Control is a control of the transport's own.
type Control struct {
	Kind       string // e.g. "dtmf"
	Digit      string // of DTMF: 0-9, *, #, A-D
	DurationMS int64  // 0 = unknown
	Key        eventabi.IdempotencyKey
}

// Context is an item of the conversation that a client brings along.
type Context struct {
	Role ContextRole
	Text string
	Key  eventabi.IdempotencyKey
}

// ContextRole is who an item is from.
type ContextRole string

// The roles that a client may speak for.
const (
	ContextSystem    ContextRole = "system"
	ContextUser      ContextRole = "user"
	ContextAssistant ContextRole = "assistant"
)

// Forget names an item of the conversation. What there is none of is forgotten already: it is
// counted, and nothing happens.
type Forget struct {
	Role ForgetRole
	// Name is by Role the item's: Text.Of of what the caller said, the turn of what the agent
	// has said, ToolCall.ID of a call and its result, the key of a Context.
	Name string
	Key  eventabi.IdempotencyKey
}

// ForgetRole says whose item is to be forgotten.
type ForgetRole string

// The roles. A Context is one of its own, whoever it speaks for.
const (
	ForgetContext  ForgetRole = ""
	ForgetUser     ForgetRole = "user"
	ForgetAgent    ForgetRole = "assistant"
	ForgetToolCall ForgetRole = "tool_call"
)

// Wishes is what a client may choose of its session; nil and empty leave what there is.
// Before the session begins they are part of the Offer; the host decides which it grants.
type Wishes struct {
	Instructions *string // in place of the system prompt
	Voice        *string
	Language     *string // BCP 47
	// TurnEnd says who ends an utterance.
	TurnEnd TurnEnd
	// Answer says whether an utterance that is over is answered at once; false waits for
	// Ingress.Respond.
	Answer *bool
	// Interrupt says whether speech interrupts the agent; only before the session begins.
	Interrupt *bool
	// TextOnly has answers written and not spoken.
	TextOnly *bool
	// Tools are what the client runs for the model; nil leaves them, empty takes them away.
	Tools []Tool
}

// TurnEnd says who ends an utterance.
type TurnEnd string

// Who ends an utterance.
const (
	TurnEndVAD    TurnEnd = "vad"    // the endpointer; a client's word counts as well
	TurnEndClient TurnEnd = "client" // the client alone: push to talk
)

// Tool is a function that the model may call and the client runs.
type Tool struct {
	Name        string
	Description string
	// Parameters is a JSON Schema of the arguments, as JSON; empty = none.
	Parameters []byte
}

// ToolCall is a call of a tool. ID is its idempotency key: a tool runs once for each.
type ToolCall struct {
	ID        string
	Turn      eventabi.TurnID
	Name      string
	Arguments string // JSON
}

// ToolResult is what a tool answered.
type ToolResult struct {
	ID     string // of the call
	Output string
	Failed bool // Output says why
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

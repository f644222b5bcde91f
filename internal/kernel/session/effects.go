// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/kernel/turn"
)

// Effect is a decision: something that the shell is to do, or evidence that it is to
// keep. Effects are performed in the order in which they stand; a Fence always stands
// before everything that rests on it. The set is closed.
//
//sumtype:decl
type Effect interface {
	Record
	effect()
}

// Effects collects the decisions of one step. The zero value is ready; Reset keeps
// the memory.
type Effects struct {
	List []Effect
	// Recycle says that nobody keeps a decision past Reset: those that are most of what a step
	// allocates are then written where such ones of the step before stood.
	Recycle bool

	signals    places[Emit]
	decides    places[Decide]
	turns      places[TurnChange]
	refusals   places[Refused]
	plays      places[Play]
	words      places[Converse]
	deliveries places[Deliver]
	releases   places[Release]
	evidence   places[Evidence]
	payloads   []byte // of the signals of this step
}

// places are where decisions of one kind stand, when they are recycled.
type places[E any] struct {
	list []*E
	used int // in this step
}

// place gives room for a decision; what stands there may be of a step before.
func (p *places[E]) place(recycle bool) *E {
	if !recycle {
		return new(E)
	}
	if p.used == len(p.list) {
		p.list = append(p.list, new(E))
	}
	p.used++
	return p.list[p.used-1]
}

// Reset empties the list for the next step.
func (fx *Effects) Reset() {
	if len(fx.List) == 0 && len(fx.payloads) == 0 { // most frames of a caller decide nothing
		return
	}
	clear(fx.List)
	fx.List = fx.List[:0]
	fx.signals.used, fx.decides.used, fx.turns.used, fx.refusals.used, fx.plays.used = 0, 0, 0, 0, 0
	fx.words.used, fx.deliveries.used, fx.releases.used, fx.evidence.used = 0, 0, 0, 0
	fx.payloads = fx.payloads[:0]
}

func (fx *Effects) add(e Effect) { fx.List = append(fx.List, e) }

// put adds a decision where such ones stand.
func put[E any, P interface {
	*E
	Effect
}](fx *Effects, where *places[E], v E) {
	e := where.place(fx.Recycle)
	*e = v
	fx.add(P(e))
}

func (fx *Effects) decide(v controlplane.DecisionOutcome) { put(fx, &fx.decides, Decide{Outcome: v}) }
func (fx *Effects) turnChange(v TurnChange)               { put(fx, &fx.turns, v) }
func (fx *Effects) refused(v Refused)                     { put(fx, &fx.refusals, v) }
func (fx *Effects) play(v Play)                           { put(fx, &fx.plays, v) }
func (fx *Effects) converse(v Item)                       { put(fx, &fx.words, Converse{Item: v}) }
func (fx *Effects) deliver(v Deliver)                     { put(fx, &fx.deliveries, v) }
func (fx *Effects) release(v Release)                     { put(fx, &fx.releases, v) }
func (fx *Effects) closed(v Evidence)                     { put(fx, &fx.evidence, v) }

// Emit sends a control signal to the timeline and to whoever listens.
type Emit struct {
	Envelope eventabi.Envelope
	epoch    eventabi.Epoch // what the envelope's AuthorityEpoch points to
	amount   int64          // and its Amount
	span     eventabi.SeqRange
	space    string // the namespace of its extension, and what stands there
	fields   []byte
}

// extend gives a signal the fields of a namespace.
func (e *Emit) extend(space string, fields []byte) {
	e.space, e.fields = space, fields
	e.Envelope.Extend(space, fields)
}

// Decide records a decision outcome (event-abi section 7).
type Decide struct{ Outcome controlplane.DecisionOutcome }

// SessionChange records an edge of the session's state machine.
type SessionChange struct {
	From, To controlplane.SessionState
	Reason   string
}

// TurnChange records an edge of the turn's state machine.
type TurnChange struct {
	Turn       eventabi.TurnID
	Transition controlplane.TurnTransition
}

// Refused records an input or a transition that was refused; state is unchanged.
type Refused struct {
	Code string // invalid_turn_transition, stale_epoch, late_event, duplicate, ...
	What string // kind of the input
	Turn eventabi.TurnID
}

// Superseded records a trigger that lost a tie (lifecycle section 4).
type Superseded struct {
	Turn         eventabi.TurnID
	Lost, Winner string
}

// Fence stops every sample of a generation at the last write. It is performed before
// any other effect of its step. Session fences everything, for good.
type Fence struct {
	Turn       eventabi.TurnID
	Generation uint32
	Session    bool
}

// Hold pauses the turn's egress within one frame and asks for a Delivery "held" with
// the playout position. Nothing is lost. Protected output goes out all the same, unless
// All: then nobody would hear it, because the link is gone. A Hold of an output that is
// held already changes All.
type Hold struct {
	Turn       eventabi.TurnID
	Generation uint32
	All        bool
}

// Resume continues egress at the very next sample.
type Resume struct{ Generation uint32 }

// Play hands a chunk of audio to egress, behind what it has.
type Play struct {
	Turn       eventabi.TurnID
	Generation uint32
	Handle     int64
	Samples    timebase.Samples
	Protected  bool // not held by an interruption
}

// EndOfAudio says that no more audio comes for the turn: when what egress has is
// played, the turn's playback is complete.
type EndOfAudio struct {
	Turn       eventabi.TurnID
	Generation uint32
}

// Discard releases a chunk that may not be played.
type Discard struct{ Handle int64 }

// Open starts a recogniser on the caller's audio from a sample on; the audio kept as
// pre-roll is fed first.
type Open struct {
	Invocation eventabi.InvocationID
	From       timebase.Samples
	Candidate  int64  // which of the plan's ordered candidates, 0 = the preferred one
	Language   string // that the client chose; empty = the session's own
}

// Finalize tells the recogniser that its utterance ends at a sample.
type Finalize struct {
	Invocation eventabi.InvocationID
	Through    timebase.Samples
}

// Generate asks the language model to answer the conversation as it stands.
type Generate struct {
	Invocation eventabi.InvocationID
	Turn       eventabi.TurnID
	Attempt    int64
	TimeoutMS  int64 // to the first result: of the call, or what is left of the turn
	Candidate  int64
	// Instructions is the handle of what stands in place of the system prompt, 0 = the
	// session's own does.
	Instructions int64
	Written      bool // the answer is text and nothing else, so nobody takes its segments one by one
	// Segment is the place in the turn's reply of the first piece that it brings: it goes on
	// from there when the model has called tools before.
	Segment int64
	NoTools bool // it may call no tool: it has done so often enough in this turn
	// Node is the model of the session's graph that is asked; empty without a graph.
	Node eventabi.NodeID
}

// Say asks for one segment to be synthesised.
type Say struct {
	Invocation eventabi.InvocationID
	Turn       eventabi.TurnID
	Generation uint32
	Attempt    int64
	TimeoutMS  int64
	Text       int64 // handle
	Candidate  int64
	// Voice and Language are what the client chose, empty = the session's own.
	Voice, Language string
	// Node is the synthesiser of the session's graph; empty without a graph.
	Node eventabi.NodeID
}

// Degrade lowers the turn's fidelity by a step, which stays in force until the turn
// closes: the prompt is short, the synthesiser is asked plainly, or nothing more is
// synthesised (turn-plan section 7).
type Degrade struct {
	Turn   eventabi.TurnID
	Step   turn.Step
	Reason string
}

// Fallback puts the line that stands in for an answer into the turn's reply.
type Fallback struct {
	Turn    eventabi.TurnID
	Segment int64 // its place in the reply
	Text    int64 // handle
	Reason  string
}

// CancelCall cancels a provider call. Acknowledgement is not awaited.
type CancelCall struct {
	Invocation eventabi.InvocationID
	Reason     string
}

// Hook runs a hook of the turn's nodes, or of one of them.
type Hook struct {
	Turn    eventabi.TurnID
	Hook    HookName
	Node    eventabi.NodeID // empty = every node of the turn
	Outcome turn.Outcome    // on_budget_exhausted: what was decided
}

// HookName names a node hook.
type HookName string

// The hooks that the kernel calls; init, start and stop belong to the node host.
const (
	HookBargeIn         HookName = "on_barge_in"
	HookCancel          HookName = "on_cancel"
	HookBudgetExhausted HookName = "on_budget_exhausted"
)

// Detach gives up a call or node that is still running when its grace is over; its
// output is discarded and the session counts as degraded.
type Detach struct{ Invocation eventabi.InvocationID }

// Converse changes the conversation record: Item is the new value of the item with
// its Key; an item with a new key is placed by Order.
type Converse struct{ Item Item }

// AppendTerminal asks for the turn's terminal evidence to be appended locally and
// answered by an Appended input; commit waits for it.
type AppendTerminal struct {
	Turn    eventabi.TurnID
	Outputs int64 // chunks accepted
	Last    int64 // handle of the final output, 0 = control-only terminal marker
}

// Evidence is what the timeline keeps of a closed turn, whatever the recording level:
// the kernel's part of the OR-02 manifest.
type Evidence struct {
	Turn          eventabi.TurnID
	Index         int64
	PlanID        string
	PlanHash      string
	EpochOpen     eventabi.Epoch
	EpochTerminal eventabi.Epoch
	Outcome       string // "commit" or "abort"
	Reason        string
	Proposed      timebase.Instant // metric anchors; 0 = did not occur
	Opened        timebase.Instant
	EndOfSpeech   timebase.Instant // end of utterance decided
	FirstOutput   timebase.Instant
	Cancelled     timebase.Instant
	Fenced        timebase.Instant
	Closed        timebase.Instant
	Rejected      int64 // outputs refused after the fence, so far
}

// Deliver hands an item to the consumer of its edge.
type Deliver struct {
	Edge   eventabi.EdgeID
	To     string
	Seq    eventabi.Sequence
	Handle int64
	Kind   ItemKind
	Group  int64
	From   string // the stream or the node that it comes from
	Of     string // the utterance or the turn that it belongs to
}

// Release says that the content of an item is not needed any more: the item was dropped
// or merged away.
type Release struct {
	Edge   eventabi.EdgeID
	Handle int64
}

// Combine puts the content of an item behind that of another, which stands for both.
type Combine struct {
	Edge   eventabi.EdgeID
	Handle int64
	With   int64 // released by it
}

// Skip has the consumer of audio that lies in the shell's ring go on at a position: what
// lies before it was dropped.
type Skip struct {
	Edge    eventabi.EdgeID
	Through timebase.Samples
}

// Merged is the lineage of an item that was merged before it was delivered (event-abi
// section 8).
type Merged struct {
	Edge    eventabi.EdgeID
	Lane    eventabi.Lane
	Group   string
	Count   int64   // of the items that it stands for
	Sources []int64 // their sequences; of more than 64 the first 63 and the last
}

// Ended says that the session is over: its resources can be released.
type Ended struct{ Reason string }

// Nondeterministic records a value that a turn's plan could not derive (turn-plan
// section 2). It is appended to the DeterminismContext of the live turn; the frozen plan
// stays as it is.
type Nondeterministic struct {
	Turn   eventabi.TurnID // the live turn, empty = none
	Key    string          // what was decided from the value, e.g. "timebase.wall"
	Source controlplane.NondeterministicSource
	Ref    string // the recorded input, by the runtime sequence under which it was accepted
	SkewUS int64  // measured minus projected
}

func (*Emit) effect()             {}
func (*Decide) effect()           {}
func (*SessionChange) effect()    {}
func (*TurnChange) effect()       {}
func (*Refused) effect()          {}
func (*Superseded) effect()       {}
func (*Fence) effect()            {}
func (*Hold) effect()             {}
func (*Resume) effect()           {}
func (*Play) effect()             {}
func (*EndOfAudio) effect()       {}
func (*Discard) effect()          {}
func (*Open) effect()             {}
func (*Finalize) effect()         {}
func (*Generate) effect()         {}
func (*Say) effect()              {}
func (*CancelCall) effect()       {}
func (*Hook) effect()             {}
func (*Detach) effect()           {}
func (*Converse) effect()         {}
func (*AppendTerminal) effect()   {}
func (*Evidence) effect()         {}
func (*Deliver) effect()          {}
func (*Release) effect()          {}
func (*Combine) effect()          {}
func (*Skip) effect()             {}
func (*Merged) effect()           {}
func (*Ended) effect()            {}
func (*Nondeterministic) effect() {}
func (*Degrade) effect()          {}
func (*Fallback) effect()         {}
func (*CallTool) effect()         {}
func (*Work) effect()             {}
func (*Place) effect()            {}

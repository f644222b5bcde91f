// SPDX-License-Identifier: Apache-2.0

package session

import "github.com/parley-voice/parley/api/eventabi"

// newEffect gives an empty effect of a kind, nil when the kind is unknown.
func newEffect(kind string) Effect {
	switch kind {
	case "emit":
		return &Emit{}
	case "decide":
		return &Decide{}
	case "session_change":
		return &SessionChange{}
	case "turn_change":
		return &TurnChange{}
	case "refused":
		return &Refused{}
	case "superseded":
		return &Superseded{}
	case "fence":
		return &Fence{}
	case "hold":
		return &Hold{}
	case "resume":
		return &Resume{}
	case "play":
		return &Play{}
	case "end_of_audio":
		return &EndOfAudio{}
	case "discard":
		return &Discard{}
	case "open":
		return &Open{}
	case "finalize":
		return &Finalize{}
	case "generate":
		return &Generate{}
	case "say":
		return &Say{}
	case "degrade":
		return &Degrade{}
	case "fallback":
		return &Fallback{}
	case "cancel_call":
		return &CancelCall{}
	case "hook":
		return &Hook{}
	case "detach":
		return &Detach{}
	case "converse":
		return &Converse{}
	case "append_terminal":
		return &AppendTerminal{}
	case "evidence":
		return &Evidence{}
	case "deliver":
		return &Deliver{}
	case "release":
		return &Release{}
	case "combine":
		return &Combine{}
	case "skip":
		return &Skip{}
	case "merged":
		return &Merged{}
	case "ended":
		return &Ended{}
	case "nondeterministic":
		return &Nondeterministic{}
	case "call_tool":
		return &CallTool{}
	}
	return newGraphEffect(kind)
}

// newGraphEffect is newEffect for what a declared graph does.
func newGraphEffect(kind string) Effect {
	switch kind {
	case "work":
		return &Work{}
	case "place":
		return &Place{}
	case "detour":
		return &Detour{}
	}
	return nil
}

func (*Emit) kind() string             { return "emit" }
func (*Decide) kind() string           { return "decide" }
func (*SessionChange) kind() string    { return "session_change" }
func (*TurnChange) kind() string       { return "turn_change" }
func (*Refused) kind() string          { return "refused" }
func (*Superseded) kind() string       { return "superseded" }
func (*Fence) kind() string            { return "fence" }
func (*Hold) kind() string             { return "hold" }
func (*Resume) kind() string           { return "resume" }
func (*Play) kind() string             { return "play" }
func (*EndOfAudio) kind() string       { return "end_of_audio" }
func (*Discard) kind() string          { return "discard" }
func (*Open) kind() string             { return "open" }
func (*Finalize) kind() string         { return "finalize" }
func (*Generate) kind() string         { return "generate" }
func (*Say) kind() string              { return "say" }
func (*CancelCall) kind() string       { return "cancel_call" }
func (*Hook) kind() string             { return "hook" }
func (*Detach) kind() string           { return "detach" }
func (*Converse) kind() string         { return "converse" }
func (*AppendTerminal) kind() string   { return "append_terminal" }
func (*Evidence) kind() string         { return "evidence" }
func (*Deliver) kind() string          { return "deliver" }
func (*Release) kind() string          { return "release" }
func (*Combine) kind() string          { return "combine" }
func (*Skip) kind() string             { return "skip" }
func (*Merged) kind() string           { return "merged" }
func (*Ended) kind() string            { return "ended" }
func (*Nondeterministic) kind() string { return "nondeterministic" }
func (*Degrade) kind() string          { return "degrade" }
func (*Fallback) kind() string         { return "fallback" }
func (*CallTool) kind() string         { return "call_tool" }
func (*Work) kind() string             { return "work" }
func (*Place) kind() string            { return "place" }

// code walks the envelope's fields that the kernel fills. Session, pipeline and schema
// version do not change within a session and stand in its bootstrap.
func (e *Emit) code(c *coder) {
	v := &e.Envelope
	str(c, "signal", &v.Signal)
	str(c, "by", &v.EmittedBy)
	str(c, "turn", &v.TurnID)
	str(c, "reason", &v.Reason)
	num(c, "seq", &v.RuntimeSequence)
	num(c, "at_ms", &v.RuntimeTimestampMS)
	num(c, "wall_ms", &v.WallClockTimestampMS)
	c.epoch = 0
	if v.AuthorityEpoch != nil {
		c.epoch = *v.AuthorityEpoch
	}
	num(c, "epoch", &c.epoch)
	str(c, "scope", &v.Scope)
	str(c, "node", &v.NodeID)
	str(c, "invocation", &v.ProviderInvocationID)
	str(c, "cause", &v.CausalParentID)
	str(c, "edge", &v.EdgeID)
	str(c, "lane", &v.TargetLane)
	e.codeOptional(c)
	str(c, "sync_domain", &v.SyncDomain)
	str(c, "discontinuity", &v.DiscontinuityID)
	blob(c, "payload", &v.Payload)
	if c.mode == modeDecode || c.mode == modeParse {
		e.epoch = c.epoch
		v.AuthorityEpoch = &e.epoch
	}
}

// codeOptional walks what few signals have: credits, and a range of dropped sequences, neither
// of which is ever zero where it is there; the key of a client's message; an extension.
func (e *Emit) codeOptional(c *coder) {
	v := &e.Envelope
	if v.Amount != nil {
		e.amount = *v.Amount
	}
	if v.SeqRange != nil {
		e.span = *v.SeqRange
	}
	num(c, "amount", &e.amount)
	num(c, "first", &e.span.Start)
	num(c, "last", &e.span.End)
	str(c, "key", &v.IdempotencyKey)
	str(c, "extension", &e.space)
	blob(c, "fields", &e.fields)
	if e.amount != 0 {
		v.Amount = &e.amount
	}
	if e.span != (eventabi.SeqRange{}) {
		v.SeqRange = &e.span
	}
	if e.space != "" {
		e.extend(e.space, e.fields)
	}
}

func (e *Decide) code(c *coder) {
	o := &e.Outcome
	str(c, "outcome", &o.OutcomeKind)
	str(c, "phase", &o.Phase)
	str(c, "scope", &o.Scope)
	str(c, "turn", &o.TurnID)
	str(c, "event", &o.EventID)
	str(c, "by", &o.EmittedBy)
	str(c, "reason", &o.Reason)
}

func (e *SessionChange) code(c *coder) {
	str(c, "from", &e.From)
	str(c, "to", &e.To)
	str(c, "reason", &e.Reason)
}

func (e *TurnChange) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "from", &e.Transition.FromState)
	str(c, "trigger", &e.Transition.Trigger)
	str(c, "to", &e.Transition.ToState)
	if c.mode == modeDecode || c.mode == modeParse {
		e.Transition.Deterministic = true
	}
}

func (e *Refused) code(c *coder) {
	str(c, "code", &e.Code)
	str(c, "what", &e.What)
	str(c, "turn", &e.Turn)
}

func (e *Superseded) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "lost", &e.Lost)
	str(c, "winner", &e.Winner)
}

func (e *Fence) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "generation", &e.Generation)
	boolean(c, "session", &e.Session)
}

func (e *Hold) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "generation", &e.Generation)
	boolean(c, "all", &e.All)
}

func (e *Resume) code(c *coder) { num(c, "generation", &e.Generation) }

func (e *Play) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "generation", &e.Generation)
	num(c, "handle", &e.Handle)
	num(c, "samples", &e.Samples)
	boolean(c, "protected", &e.Protected)
}

func (e *EndOfAudio) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "generation", &e.Generation)
}

func (e *Discard) code(c *coder) { num(c, "handle", &e.Handle) }

func (e *Open) code(c *coder) {
	str(c, "invocation", &e.Invocation)
	num(c, "from", &e.From)
	num(c, "candidate", &e.Candidate)
	str(c, "language", &e.Language)
}

func (e *Finalize) code(c *coder) {
	str(c, "invocation", &e.Invocation)
	num(c, "through", &e.Through)
}

func (e *Generate) code(c *coder) {
	str(c, "invocation", &e.Invocation)
	str(c, "turn", &e.Turn)
	num(c, "attempt", &e.Attempt)
	num(c, "timeout_ms", &e.TimeoutMS)
	num(c, "candidate", &e.Candidate)
	num(c, "instructions", &e.Instructions)
	boolean(c, "written", &e.Written)
	num(c, "segment", &e.Segment)
	boolean(c, "no_tools", &e.NoTools)
	if c.tail(e.Node != "") {
		str(c, "node", &e.Node)
	}
}

func (e *Say) code(c *coder) {
	str(c, "invocation", &e.Invocation)
	str(c, "turn", &e.Turn)
	num(c, "generation", &e.Generation)
	num(c, "attempt", &e.Attempt)
	num(c, "timeout_ms", &e.TimeoutMS)
	num(c, "text", &e.Text)
	num(c, "candidate", &e.Candidate)
	str(c, "voice", &e.Voice)
	str(c, "language", &e.Language)
	if c.tail(e.Node != "") {
		str(c, "node", &e.Node)
	}
}

func (e *Degrade) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "step", &e.Step)
	str(c, "reason", &e.Reason)
}

func (e *Fallback) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "segment", &e.Segment)
	num(c, "text", &e.Text)
	str(c, "reason", &e.Reason)
}

func (e *CancelCall) code(c *coder) {
	str(c, "invocation", &e.Invocation)
	str(c, "reason", &e.Reason)
}

func (e *Hook) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "hook", &e.Hook)
	str(c, "node", &e.Node)
	str(c, "outcome", &e.Outcome)
}

func (e *Detach) code(c *coder) { str(c, "invocation", &e.Invocation) }

func (e *Converse) code(c *coder) { e.Item.code(c) }

func (e *AppendTerminal) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "outputs", &e.Outputs)
	num(c, "last", &e.Last)
}

func (e *Evidence) code(c *coder) {
	str(c, "turn", &e.Turn)
	num(c, "index", &e.Index)
	str(c, "plan", &e.PlanID)
	str(c, "hash", &e.PlanHash)
	num(c, "epoch_open", &e.EpochOpen)
	num(c, "epoch_terminal", &e.EpochTerminal)
	str(c, "outcome", &e.Outcome)
	str(c, "reason", &e.Reason)
	num(c, "proposed_ns", &e.Proposed)
	num(c, "opened_ns", &e.Opened)
	num(c, "end_of_speech_ns", &e.EndOfSpeech)
	num(c, "first_output_ns", &e.FirstOutput)
	num(c, "cancelled_ns", &e.Cancelled)
	num(c, "fenced_ns", &e.Fenced)
	num(c, "closed_ns", &e.Closed)
	num(c, "rejected", &e.Rejected)
}

func (e *Deliver) code(c *coder) {
	str(c, "edge", &e.Edge)
	str(c, "to", &e.To)
	num(c, "seq", &e.Seq)
	num(c, "handle", &e.Handle)
	str(c, "kind", &e.Kind)
	num(c, "group", &e.Group)
	str(c, "from", &e.From)
	str(c, "of", &e.Of)
}

func (e *Release) code(c *coder) {
	str(c, "edge", &e.Edge)
	num(c, "handle", &e.Handle)
}

func (e *Combine) code(c *coder) {
	str(c, "edge", &e.Edge)
	num(c, "handle", &e.Handle)
	num(c, "with", &e.With)
}

func (e *Skip) code(c *coder) {
	str(c, "edge", &e.Edge)
	num(c, "through", &e.Through)
}

func (e *Merged) code(c *coder) {
	str(c, "edge", &e.Edge)
	str(c, "lane", &e.Lane)
	str(c, "group", &e.Group)
	num(c, "count", &e.Count)
	nums(c, "sources", &e.Sources)
}

func (e *Ended) code(c *coder) { str(c, "reason", &e.Reason) }

func (e *Nondeterministic) code(c *coder) {
	str(c, "turn", &e.Turn)
	str(c, "key", &e.Key)
	str(c, "source", &e.Source)
	str(c, "ref", &e.Ref)
	num(c, "skew_us", &e.SkewUS)
}

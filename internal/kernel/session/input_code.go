// SPDX-License-Identifier: Apache-2.0

package session

import (
	"github.com/parley-voice/parley/internal/kernel/flow"
	"github.com/parley-voice/parley/internal/kernel/gate"
)

// newInput gives an empty input of a kind, nil when the kind is unknown.
func newInput(kind string) Input {
	switch kind {
	case "audio_in":
		return &AudioIn{}
	case "voice_on":
		return &VoiceOn{}
	case "voice_off":
		return &VoiceOff{}
	case "end_of_utterance":
		return &EndOfUtterance{}
	case "text_in":
		return &TextIn{}
	case "transcript":
		return &Transcript{}
	case "progress":
		return &Progress{}
	case "segment":
		return &Segment{}
	case "speech":
		return &Speech{}
	case "invocation_end":
		return &InvocationEnd{}
	case "unscheduled":
		return &Unscheduled{}
	case "delivery":
		return &Delivery{}
	case "cancel":
		return &Cancel{}
	case "stop":
		return &Stop{}
	case "offer":
		return &Offer{}
	case "ready":
		return &Ready{}
	case "appended":
		return &Appended{}
	case "cancel_ack":
		return &CancelAck{}
	case "audio_gap":
		return &AudioGap{}
	case "tool_called":
		return &ToolCalled{}
	case "tool_result":
		return &ToolResult{}
	case "node_output":
		return &NodeOutput{}
	case "node_done":
		return &NodeDone{}
	}
	return newSurrounding(kind)
}

// newSurrounding is newInput for what is not of the conversation itself.
func newSurrounding(kind string) Input {
	switch kind {
	case "bootstrap":
		return &Bootstrap{}
	case "close_request":
		return &CloseRequest{}
	case "link":
		return &Link{}
	case "lease":
		return &LeaseChange{}
	case "snapshots":
		return &Snapshots{}
	case "quota":
		return &Quota{}
	case "usage":
		return &Usage{}
	case "admission":
		return &Admission{}
	case "load":
		return &Load{}
	case "wake":
		return &Wake{}
	case "edge_policy":
		return &EdgePolicy{}
	case "flow_policy":
		return &FlowPolicy{}
	case "node_policy":
		return &NodePolicy{}
	case "graph_node":
		return &GraphNode{}
	case "graph_edge":
		return &GraphEdge{}
	case "overflow":
		return &Overflow{}
	case "evidence_lost":
		return &EvidenceLost{}
	case "node_failed":
		return &NodeFailed{}
	case "node_spent":
		return &NodeSpent{}
	case "runtime_fault":
		return &RuntimeFault{}
	case "clock_reading":
		return &ClockReading{}
	}
	return newClientWord(kind)
}

// newClientWord is newInput for what clients say beside sound and text.
func newClientWord(kind string) Input {
	switch kind {
	case "muted":
		return &Muted{}
	case "transport_control":
		return &TransportControl{}
	case "context":
		return &Context{}
	case "forget":
		return &Forget{}
	case "respond":
		return &Respond{}
	case "wishes":
		return &Wishes{}
	}
	return nil
}

func (*Bootstrap) kind() string        { return "bootstrap" }
func (*CloseRequest) kind() string     { return "close_request" }
func (*Link) kind() string             { return "link" }
func (*LeaseChange) kind() string      { return "lease" }
func (*Snapshots) kind() string        { return "snapshots" }
func (*Quota) kind() string            { return "quota" }
func (*Usage) kind() string            { return "usage" }
func (*Admission) kind() string        { return "admission" }
func (*Load) kind() string             { return "load" }
func (*Wake) kind() string             { return "wake" }
func (*AudioIn) kind() string          { return "audio_in" }
func (*VoiceOn) kind() string          { return "voice_on" }
func (*VoiceOff) kind() string         { return "voice_off" }
func (*EndOfUtterance) kind() string   { return "end_of_utterance" }
func (*TextIn) kind() string           { return "text_in" }
func (*Transcript) kind() string       { return "transcript" }
func (*Progress) kind() string         { return "progress" }
func (*Segment) kind() string          { return "segment" }
func (*Speech) kind() string           { return "speech" }
func (*InvocationEnd) kind() string    { return "invocation_end" }
func (*Delivery) kind() string         { return "delivery" }
func (*Cancel) kind() string           { return "cancel" }
func (*Stop) kind() string             { return "stop" }
func (*EdgePolicy) kind() string       { return "edge_policy" }
func (*FlowPolicy) kind() string       { return "flow_policy" }
func (*NodePolicy) kind() string       { return "node_policy" }
func (*Offer) kind() string            { return "offer" }
func (*Ready) kind() string            { return "ready" }
func (*Overflow) kind() string         { return "overflow" }
func (*Appended) kind() string         { return "appended" }
func (*EvidenceLost) kind() string     { return "evidence_lost" }
func (*NodeFailed) kind() string       { return "node_failed" }
func (*NodeSpent) kind() string        { return "node_spent" }
func (*Unscheduled) kind() string      { return "unscheduled" }
func (*CancelAck) kind() string        { return "cancel_ack" }
func (*RuntimeFault) kind() string     { return "runtime_fault" }
func (*ClockReading) kind() string     { return "clock_reading" }
func (*AudioGap) kind() string         { return "audio_gap" }
func (*Muted) kind() string            { return "muted" }
func (*TransportControl) kind() string { return "transport_control" }
func (*Context) kind() string          { return "context" }
func (*Forget) kind() string           { return "forget" }
func (*Respond) kind() string          { return "respond" }
func (*Wishes) kind() string           { return "wishes" }
func (*ToolCalled) kind() string       { return "tool_called" }
func (*ToolResult) kind() string       { return "tool_result" }
func (*GraphNode) kind() string        { return "graph_node" }
func (*GraphEdge) kind() string        { return "graph_edge" }
func (*NodeOutput) kind() string       { return "node_output" }
func (*NodeDone) kind() string         { return "node_done" }

func (*Bootstrap) lane() flow.Lane      { return flow.Control }
func (*CloseRequest) lane() flow.Lane   { return flow.Control }
func (*Link) lane() flow.Lane           { return flow.Control }
func (*LeaseChange) lane() flow.Lane    { return flow.Control }
func (*Snapshots) lane() flow.Lane      { return flow.Control }
func (*Quota) lane() flow.Lane          { return flow.Control }
func (*Usage) lane() flow.Lane          { return flow.Control }
func (*Admission) lane() flow.Lane      { return flow.Control }
func (*Load) lane() flow.Lane           { return flow.Control }
func (*Wake) lane() flow.Lane           { return flow.Control }
func (*AudioIn) lane() flow.Lane        { return flow.Data }
func (*VoiceOn) lane() flow.Lane        { return flow.Control }
func (*VoiceOff) lane() flow.Lane       { return flow.Control }
func (*EndOfUtterance) lane() flow.Lane { return flow.Control }
func (*TextIn) lane() flow.Lane         { return flow.Data }
func (*Transcript) lane() flow.Lane     { return flow.Data }
func (*Progress) lane() flow.Lane       { return flow.Data }
func (*Segment) lane() flow.Lane        { return flow.Data }
func (*Speech) lane() flow.Lane         { return flow.Data }
func (*InvocationEnd) lane() flow.Lane  { return flow.Data }
func (*Delivery) lane() flow.Lane       { return flow.Control }
func (*Cancel) lane() flow.Lane         { return flow.Control }
func (*Stop) lane() flow.Lane           { return flow.Control }
func (*EdgePolicy) lane() flow.Lane     { return flow.Control }
func (*FlowPolicy) lane() flow.Lane     { return flow.Control }
func (*NodePolicy) lane() flow.Lane     { return flow.Control }
func (*Unscheduled) lane() flow.Lane    { return flow.Data }
func (in *Offer) lane() flow.Lane {
	if in.Kind == ItemMetric {
		return flow.Telemetry
	}
	return flow.Data
}
func (*Ready) lane() flow.Lane            { return flow.Control }
func (*Overflow) lane() flow.Lane         { return flow.Control }
func (*Appended) lane() flow.Lane         { return flow.Control }
func (*EvidenceLost) lane() flow.Lane     { return flow.Control }
func (*NodeFailed) lane() flow.Lane       { return flow.Control }
func (*CancelAck) lane() flow.Lane        { return flow.Control }
func (*RuntimeFault) lane() flow.Lane     { return flow.Control }
func (*ClockReading) lane() flow.Lane     { return flow.Control }
func (*AudioGap) lane() flow.Lane         { return flow.Data }
func (*NodeSpent) lane() flow.Lane        { return flow.Control }
func (*Muted) lane() flow.Lane            { return flow.Control }
func (*TransportControl) lane() flow.Lane { return flow.Data }
func (*Context) lane() flow.Lane          { return flow.Data }
func (*Forget) lane() flow.Lane           { return flow.Data }
func (*Respond) lane() flow.Lane          { return flow.Data }
func (*Wishes) lane() flow.Lane           { return flow.Data }
func (*ToolCalled) lane() flow.Lane       { return flow.Data }
func (*ToolResult) lane() flow.Lane       { return flow.Data }
func (*GraphNode) lane() flow.Lane        { return flow.Control }
func (*GraphEdge) lane() flow.Lane        { return flow.Control }
func (*NodeOutput) lane() flow.Lane       { return flow.Data }
func (*NodeDone) lane() flow.Lane         { return flow.Data }

func (in *Bootstrap) code(c *coder) {
	str(c, "session", &in.Session)
	str(c, "tenant", &in.Tenant)
	str(c, "pipeline", &in.Pipeline)
	str(c, "profile", &in.Profile)
	str(c, "graph", &in.Graph)
	num(c, "epoch", &in.Epoch)
	num(c, "wall_ms", &in.WallMS)
	str(c, "refusal", &in.Refusal)
	str(c, "transport", &in.Transport)
	str(c, "stt", &in.STT)
	str(c, "llm", &in.LLM)
	str(c, "tts", &in.TTS)
	str(c, "stt_second", &in.STTSecond)
	str(c, "llm_second", &in.LLMSecond)
	str(c, "tts_second", &in.TTSSecond)
	num(c, "fallback", &in.Fallback.Handle)
	num(c, "fallback_runes", &in.Fallback.Runes)
	num(c, "fallback_words", &in.Fallback.Words)
	num(c, "fallback_class", &in.Fallback.Class)
	word(c, "fallback_hash", &in.Fallback.Digest)
	in.Settings.code(c)
}

func (in *CloseRequest) code(c *coder) { str(c, "reason", &in.Reason) }

func (in *Link) code(c *coder) { str(c, "state", &in.State) }

func (in *LeaseChange) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	boolean(c, "revoked", &in.Revoked)
}

func (in *Snapshots) code(c *coder) {
	for i := range in.Versions {
		num(c, snapshotField(i), &in.Versions[i])
	}
	num(c, "age_ms", &in.AgeMS)
	str(c, "admission", &in.Admission)
	str(c, "reason", &in.Reason)
}

func (in *Quota) code(c *coder) {
	q := &in.Quota
	str(c, "scope", &q.Scope)
	str(c, "limit", &q.Limit)
	num(c, "max", &q.Max)
	str(c, "action", &q.Action)
	num(c, "headroom_per_mille", &q.HeadroomPerMille)
	num(c, "retry_after_ms", &q.RetryAfterMS)
}

func (in *Usage) code(c *coder) {
	for i := range in.Counts {
		num(c, gate.CountName(i), &in.Counts[i])
	}
}

func (in *Admission) code(c *coder) {
	str(c, "outcome", &in.Outcome)
	str(c, "reason", &in.Reason)
	num(c, "retry_after_ms", &in.RetryAfterMS)
}

func (in *Load) code(c *coder) {
	num(c, "level", &in.Level)
	str(c, "reason", &in.Reason)
}

func (*Wake) code(*coder) {}

func (in *AudioIn) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	num(c, "transport", &in.Transport)
	num(c, "sample", &in.Sample)
	num(c, "samples", &in.Samples)
	num(c, "heard", &in.Heard)
	num(c, "listened", &in.Listened)
}

func (in *VoiceOn) code(c *coder) {
	num(c, "onset", &in.Onset)
	num(c, "heard", &in.Heard)
}

func (in *VoiceOff) code(c *coder) {
	num(c, "offset", &in.Offset)
	num(c, "heard", &in.Heard)
}

func (in *EndOfUtterance) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	num(c, "sample", &in.Sample)
	str(c, "reason", &in.Reason)
	str(c, "key", &in.Key)
}

func (in *TextIn) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	in.Text.code(c)
	str(c, "key", &in.Key)
	if c.tail(len(in.Attributes) > 0) {
		codeAttributes(c, &in.Attributes)
	}
}

func (in *Transcript) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "revision", &in.Revision)
	boolean(c, "final", &in.Final)
	in.Text.code(c)
	if c.tail(len(in.Attributes) > 0) {
		codeAttributes(c, &in.Attributes)
	}
}

func (in *Progress) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
}

func (in *Segment) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
	num(c, "index", &in.Index)
	in.Text.code(c)
	boolean(c, "protected", &in.Protected)
}

func (in *Speech) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
	num(c, "chunk", &in.Chunk)
	num(c, "handle", &in.Handle)
	num(c, "samples", &in.Samples)
}

func (in *InvocationEnd) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
	str(c, "class", &in.Class)
	str(c, "reason", &in.Reason)
	boolean(c, "retryable", &in.Retryable)
	num(c, "backoff_ms", &in.BackoffMS)
}

func (in *Delivery) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "turn", &in.Turn)
	str(c, "event", &in.Event)
	num(c, "played", &in.Played)
}

func (in *Cancel) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "scope", &in.Scope)
	str(c, "turn", &in.Turn)
	str(c, "node", &in.Node)
	str(c, "invocation", &in.Invocation)
	str(c, "reason", &in.Reason)
	boolean(c, "force", &in.Force)
	num(c, "fenced", &in.Fenced)
	str(c, "key", &in.Key)
}

func (in *Stop) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "turn", &in.Turn)
	boolean(c, "force", &in.Force)
	num(c, "fenced", &in.Fenced)
	str(c, "key", &in.Key)
}

func (in *EdgePolicy) code(c *coder) {
	str(c, "edge", &in.Edge)
	str(c, "from", &in.From)
	str(c, "to", &in.To)
	codePolicy(c, &in.Policy)
	str(c, "layers", &in.Layers)
}

func (in *FlowPolicy) code(c *coder) {
	codeFlow(c, &in.Flow)
	str(c, "layers", &in.Layers)
}

func (in *NodePolicy) code(c *coder) {
	str(c, "node", &in.Node)
	num(c, "concurrency_limit", &in.Policy.ConcurrencyLimit)
	str(c, "fairness_key", &in.Policy.FairnessKey)
	str(c, "layers", &in.Layers)
}

func (in *Unscheduled) code(c *coder) {
	str(c, "invocation", &in.Invocation)
	num(c, "attempt", &in.Attempt)
	str(c, "reason", &in.Reason)
}

func (in *Offer) code(c *coder) {
	str(c, "edge", &in.Edge)
	num(c, "handle", &in.Handle)
	str(c, "kind", &in.Kind)
	num(c, "stream", &in.Stream)
	num(c, "group", &in.Group)
	num(c, "bytes", &in.Bytes)
	num(c, "media", &in.Media)
	str(c, "turn", &in.Turn)
	str(c, "of", &in.Of)
}

func (in *Ready) code(c *coder) {
	str(c, "to", &in.To)
	num(c, "count", &in.Count)
}

func (in *Overflow) code(c *coder) {
	str(c, "lane", &in.Lane)
	num(c, "count", &in.Count)
}

func (in *Appended) code(c *coder) {
	str(c, "turn", &in.Turn)
	boolean(c, "ok", &in.OK)
}

func (*EvidenceLost) code(*coder) {}

func (in *NodeFailed) code(c *coder) {
	str(c, "node", &in.Node)
	str(c, "turn", &in.Turn)
	str(c, "reason", &in.Reason)
	num(c, "limit_ms", &in.LimitMS)
}

func (in *NodeSpent) code(c *coder) {
	str(c, "node", &in.Node)
	str(c, "turn", &in.Turn)
	num(c, "used_ms", &in.UsedMS)
	num(c, "limit_ms", &in.LimitMS)
}

func (in *CancelAck) code(c *coder) { str(c, "invocation", &in.Invocation) }

func (in *RuntimeFault) code(c *coder) { str(c, "reason", &in.Reason) }

func (in *ClockReading) code(c *coder) { num(c, "wall_ms", &in.WallMS) }

func (in *AudioGap) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	num(c, "sample", &in.Sample)
	num(c, "samples", &in.Samples)
	num(c, "concealed", &in.Concealed)
	str(c, "reason", &in.Reason)
}

func (in *Muted) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	boolean(c, "on", &in.On)
	num(c, "sample", &in.Sample)
}

func (in *TransportControl) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "kind", &in.Kind)
	str(c, "digit", &in.Digit)
	num(c, "duration_ms", &in.DurationMS)
	str(c, "key", &in.Key)
}

func (in *Context) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "role", &in.Role)
	in.Text.code(c)
	str(c, "key", &in.Key)
}

func (in *Forget) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "role", &in.Role)
	str(c, "name", &in.Name)
	str(c, "key", &in.Key)
}

func (in *Respond) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	str(c, "key", &in.Key)
}

func (in *Wishes) code(c *coder) {
	num(c, "epoch", &in.Epoch)
	in.Instructions.code(c)
	str(c, "voice", &in.Voice)
	str(c, "language", &in.Language)
	str(c, "turn_end", &in.TurnEnd)
	str(c, "answer", &in.Answer)
	str(c, "text_only", &in.TextOnly)
}

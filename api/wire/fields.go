// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parley-voice/parley/api/eventabi"
)

// The fields of the binary encoding, by their numbers. A number is for ever: what is no
// longer used is left out and not given away again. The names are those of the JSON.

// keyNumber is that of the key in every message that may have one.
const keyNumber = 15

func (k *Keyed) fields(c *coder) { text(c, keyNumber, "key", &k.Key) }

func (h *Hello) fields(c *coder) {
	text(c, 1, "token", &h.Token)
	text(c, 2, "session", &h.Session)
	maybe(c, 3, "resume", &h.Resume)
	maybe(c, 4, "audio", &h.Audio)
	text(c, 5, "encoding", &h.Encoding)
	maybeTruth(c, 6, "acks", &h.Acks)
	truth(c, 7, "metrics", &h.Metrics)
	maybe(c, 8, "wishes", &h.Wishes)
}

func (r *Resume) fields(c *coder) {
	text(c, 1, "session", &r.Session)
	number(c, 2, "received", &r.Received)
}

func (o *Offered) fields(c *coder) {
	texts(c, 1, "in", &o.In)
	texts(c, 2, "out", &o.Out)
}

func (w *Wishes) fields(c *coder) {
	maybeText(c, 1, "instructions", &w.Instructions)
	maybeText(c, 2, "voice", &w.Voice)
	maybeText(c, 3, "language", &w.Language)
	text(c, 4, "turn_end", &w.TurnEnd)
	maybeTruth(c, 5, "answer", &w.Answer)
	maybeTruth(c, 6, "interrupt", &w.Interrupt)
	maybeTruth(c, 7, "text_only", &w.TextOnly)
	w.tools(c)
}

// tools are in a message of their own: an empty list differs from none.
func (w *Wishes) tools(c *coder) {
	var list *toolList
	if w.Tools != nil {
		list = &toolList{tools: w.Tools}
	}
	maybe(c, 8, "tools", &list)
	if c.doing == reading && list != nil {
		w.Tools = list.tools
		if w.Tools == nil {
			w.Tools = []Tool{}
		}
	}
}

type toolList struct{ tools []Tool }

func (l *toolList) fields(c *coder) { many(c, 1, "tools", &l.tools) }

func (t *Tool) fields(c *coder) {
	text(c, 1, "name", &t.Name)
	text(c, 2, "description", &t.Description)
	raw(c, 3, "parameters", &t.Parameters)
}

func (m *Text) fields(c *coder) {
	text(c, 1, "text", &m.Text)
	m.Keyed.fields(c)
}

func (m *EndOfUtterance) fields(c *coder) { m.Keyed.fields(c) }
func (m *Cancel) fields(c *coder)         { m.Request.fields(c) }
func (m *Stop) fields(c *coder)           { m.Request.fields(c) }

func (r *Request) fields(c *coder) {
	text(c, 1, "turn", &r.Turn)
	text(c, 2, "reason", &r.Reason)
	truth(c, 3, "force", &r.Force)
	number(c, 4, "epoch", &r.Epoch)
	r.Keyed.fields(c)
}

func (m *Played) fields(c *coder) {
	small(c, 1, "generation", &m.Generation)
	text(c, 2, "turn", &m.Turn)
	number(c, 3, "position", &m.Position)
	truth(c, 4, "final", &m.Final)
}

func (m *Mute) fields(c *coder) {
	truth(c, 1, "on", &m.On)
	m.Keyed.fields(c)
}

func (m *Control) fields(c *coder) {
	text(c, 1, "kind", &m.Kind)
	text(c, 2, "digit", &m.Digit)
	number(c, 3, "duration_ms", &m.DurationMS)
	m.Keyed.fields(c)
}

func (m *Context) fields(c *coder) {
	text(c, 1, "role", &m.Role)
	text(c, 2, "text", &m.Text)
	m.Keyed.fields(c)
}

func (m *Respond) fields(c *coder) { m.Keyed.fields(c) }

func (m *Configure) fields(c *coder) {
	inside(c, 1, "wishes", &m.Wishes)
	m.Keyed.fields(c)
}

func (m *ToolResult) fields(c *coder) {
	text(c, 1, "id", &m.ID)
	text(c, 2, "output", &m.Output)
	truth(c, 3, "failed", &m.Failed)
	m.Keyed.fields(c)
}

func (m *Renew) fields(c *coder) {
	text(c, 1, "token", &m.Token)
	m.Keyed.fields(c)
}

func (m *Ping) fields(c *coder) { number(c, 1, "id", &m.ID) }
func (*Bye) fields(*coder)      {}

func (m *Welcome) fields(c *coder) {
	text(c, 1, "session", &m.Session)
	truth(c, 2, "resumed", &m.Resumed)
	number(c, 3, "epoch", &m.Epoch)
	number(c, 4, "missed", &m.Missed)
	inside(c, 5, "audio", &m.Audio)
	text(c, 6, "encoding", &m.Encoding)
	text(c, 7, "compression", &m.Compression)
	truth(c, 8, "acks", &m.Acks)
	number(c, 9, "keepalive_ms", &m.KeepaliveMS)
	number(c, 10, "resume_ms", &m.ResumeMS)
	inside(c, 11, "limits", &m.Limits)
}

func (a *Agreed) fields(c *coder) {
	text(c, 1, "in", &a.In)
	text(c, 2, "out", &a.Out)
	number(c, 3, "frame_ms", &a.FrameMS)
}

func (l *Limits) fields(c *coder) {
	number(c, 1, "message_bytes", &l.MessageBytes)
	number(c, 2, "audio_bytes", &l.AudioBytes)
	number(c, 3, "text_bytes", &l.TextBytes)
	number(c, 4, "messages_per_second", &l.MessagesPerSec)
	number(c, 5, "audio_ahead_ms", &l.AudioAheadMS)
	number(c, 6, "faults", &l.Faults)
}

func (m *Refused) fields(c *coder) {
	text(c, 1, "code", &m.Code)
	text(c, 2, "message", &m.Message)
	number(c, 3, "retry_after_ms", &m.RetryAfterMS)
	texts(c, 4, "supported", &m.Supported)
}

func (m *Error) fields(c *coder) {
	text(c, 1, "code", &m.Code)
	text(c, 2, "field", &m.Field)
	text(c, 3, "message", &m.Message)
	text(c, keyNumber, "key", &m.Key)
}

func (m *Taken) fields(c *coder) {
	truth(c, 1, "again", &m.Again)
	text(c, keyNumber, "key", &m.Key)
}

func (m *Signal) fields(c *coder) { event(c, 1, "signal", &m.Signal) }
func (m *Metric) fields(c *coder) { event(c, 1, "metric", &m.Metric) }

func (m *Transcript) fields(c *coder) {
	text(c, 1, "from", &m.From)
	text(c, 2, "of", &m.Of)
	text(c, 3, "text", &m.Text)
	truth(c, 4, "final", &m.Final)
}

func (m *Speech) fields(c *coder) {
	truth(c, 1, "began", &m.Began)
	number(c, 2, "sample", &m.Sample)
}

func (m *ToolCall) fields(c *coder) {
	text(c, 1, "id", &m.ID)
	text(c, 2, "turn", &m.Turn)
	text(c, 3, "name", &m.Name)
	text(c, 4, "arguments", &m.Arguments)
}

func (m *AudioBegin) fields(c *coder) {
	small(c, 1, "generation", &m.Generation)
	text(c, 2, "turn", &m.Turn)
}

func (m *Fence) fields(c *coder) {
	small(c, 1, "generation", &m.Generation)
	text(c, 2, "turn", &m.Turn)
	truth(c, 3, "session", &m.Session)
}

func (m *Route) fields(c *coder) {
	number(c, 1, "view", &m.View)
	text(c, 2, "endpoint", &m.Endpoint)
}

func (m *Pong) fields(c *coder) {
	number(c, 1, "id", &m.ID)
	number(c, 2, "time_ms", &m.TimeMS)
}

func (m *Ended) fields(c *coder) { text(c, 1, "reason", &m.Reason) }

// envelope is an event of the kernel.
type envelope eventabi.Envelope

// event is an event that a message carries.
func event(c *coder, n protowire.Number, name string, p **eventabi.Envelope) {
	e := (*envelope)(*p)
	maybe(c, n, name, &e)
	if c.doing == reading {
		*p = (*eventabi.Envelope)(e)
	}
}

func (e *envelope) fields(c *coder) {
	text(c, 1, "signal", &e.Signal)
	text(c, 2, "turn_id", &e.TurnID)
	text(c, 3, "reason", &e.Reason)
	number(c, 4, "runtime_sequence", &e.RuntimeSequence)
	number(c, 5, "runtime_timestamp_ms", &e.RuntimeTimestampMS)
	number(c, 6, "wall_clock_timestamp_ms", &e.WallClockTimestampMS)
	text(c, 7, "event_id", &e.EventID)
	text(c, 8, "event_scope", &e.EventScope)
	text(c, 9, "session_id", &e.SessionID)
	text(c, 10, "lane", &e.Lane)
	text(c, 11, "schema_version", &e.SchemaVersion)
	text(c, 12, "pipeline_version", &e.PipelineVersion)
	text(c, 13, "payload_class", &e.PayloadClass)
	maybeNumber(c, 14, "authority_epoch", &e.AuthorityEpoch)
	text(c, 15, "emitted_by", &e.EmittedBy)
	text(c, 16, "event_kind", &e.EventKind)
	maybeNumber(c, 17, "transport_sequence", &e.TransportSequence)
	maybeNumber(c, 18, "timestamp_ms", &e.TimestampMS)
	text(c, 19, "lease_token", &e.LeaseToken)
	text(c, 20, "node_id", &e.NodeID)
	text(c, 21, "edge_id", &e.EdgeID)
	text(c, 22, "causal_parent_id", &e.CausalParentID)
	text(c, 23, "idempotency_key", &e.IdempotencyKey)
	text(c, 24, "provider_invocation_id", &e.ProviderInvocationID)
	text(c, 25, "sync_id", &e.SyncID)
	text(c, 26, "sync_domain", &e.SyncDomain)
	text(c, 27, "discontinuity_id", &e.DiscontinuityID)
	text(c, 28, "merge_group_id", &e.MergeGroupID)
	texts(c, 29, "merged_from_event_ids", &e.MergedFromEventIDs)
	truth(c, 30, "late_after_cancel", &e.LateAfterCancel)
	e.places(c)
	text(c, 33, "scope", &e.Scope)
	text(c, 34, "target_lane", &e.TargetLane)
	maybeNumber(c, 35, "amount", &e.Amount)
	raw(c, 36, "payload", &e.Payload)
	raws(c, 37, "extensions", &e.Extensions)
}

func (e *envelope) places(c *coder) {
	at, span := (*mediaTime)(e.MediaTime), (*seqRange)(e.SeqRange)
	maybe(c, 31, "media_time", &at)
	maybe(c, 32, "seq_range", &span)
	if c.doing == reading {
		e.MediaTime, e.SeqRange = (*eventabi.MediaTime)(at), (*eventabi.SeqRange)(span)
	}
}

type mediaTime eventabi.MediaTime

func (m *mediaTime) fields(c *coder) {
	maybeNumber(c, 1, "sample_index", &m.SampleIndex)
	maybeNumber(c, 2, "pts_ms", &m.PTSMS)
}

type seqRange eventabi.SeqRange

func (s *seqRange) fields(c *coder) {
	number(c, 1, "start", &s.Start)
	number(c, 2, "end", &s.End)
}

// rawEntry is one of raws.
type rawEntry struct {
	key   string
	value json.RawMessage
}

func (e *rawEntry) fields(c *coder) {
	text(c, 1, "key", &e.key)
	raw(c, 2, "value", &e.value)
}

func sortedKeys(m map[string]json.RawMessage) []string { return slices.Sorted(maps.Keys(m)) }

// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/node"
)

// The types of messages.
const (
	// Handshake.
	TypeHello   = "hello"
	TypeWelcome = "welcome"
	TypeRefuse  = "refuse"
	// Host to child.
	TypeOpen     = "open"
	TypeEvent    = "event"
	TypeBargeIn  = "barge_in"
	TypeCancel   = "cancel"
	TypeBudget   = "budget"
	TypeStop     = "stop"
	TypePing     = "ping"
	TypeReply    = "reply"
	TypeShutdown = "shutdown"
	// Child to host.
	TypeOpened       = "opened"
	TypeFailed       = "failed"
	TypeEmit         = "emit"
	TypeDone         = "done"
	TypeBargedIn     = "barged_in"
	TypeCancelled    = "cancelled"
	TypeBudgeted     = "budgeted"
	TypeStopped      = "stopped"
	TypePong         = "pong"
	TypeCredit       = "credit"
	TypeTelemetry    = "telemetry"
	TypeLog          = "log"
	TypeWake         = "wake"
	TypeStateGet     = "state_get"
	TypeStatePut     = "state_put"
	TypeConversation = "conversation"
)

// The codes of refusals and failures.
const (
	CodeProtocolVersion  = "protocol_version"
	CodeDeclarationFalse = "declaration_false"
	CodeViolation        = "protocol_violation"
	CodeLimit            = "resource_limit_exceeded"
	CodeTimeout          = "execution_timeout"
	CodeExited           = "process_exited"
	CodeCircuit          = "circuit_open"
	CodeNode             = "node_error"
	CodeConfig           = "config_error"
)

// Credits of an instance.
const (
	DefaultCredits = 8
	MaxCredits     = 256
)

// Message is any message, with the fields of all: what one has no use for is empty.
type Message struct {
	Type string `json:"type"`

	// hello, welcome, refuse
	Protocol    json.RawMessage `json:"protocol,omitempty"` // of hello a list, of welcome a number
	SDK         string          `json:"sdk,omitempty"`
	Name        string          `json:"name,omitempty"` // also of telemetry
	Version     string          `json:"version,omitempty"`
	Host        string          `json:"host,omitempty"`
	Declaration *Declaration    `json:"declaration,omitempty"`
	Features    []string        `json:"features,omitempty"`
	Code        string          `json:"code,omitempty"`    // also of failed
	Message     string          `json:"message,omitempty"` // also of failed, log

	Instance uint32 `json:"instance,omitempty"`

	// open, opened, credit, failed
	Session eventabi.SessionID `json:"session,omitempty"`
	Turn    eventabi.TurnID    `json:"turn,omitempty"`
	Node    eventabi.NodeID    `json:"node,omitempty"`
	At      *int64             `json:"at,omitempty"` // also of wake: absent = take back
	Config  json.RawMessage    `json:"config,omitempty"`
	Seed    *int64             `json:"seed,omitempty"`
	Limits  *Limits            `json:"limits,omitempty"`
	Credits int                `json:"credits,omitempty"`
	Hook    string             `json:"hook,omitempty"`

	// event, emit, done
	Seq      uint64 `json:"seq,omitempty"`
	BudgetMS *int64 `json:"budget_ms,omitempty"`
	Event    *Event `json:"event,omitempty"`
	TookUS   uint32 `json:"took_us,omitempty"`
	Error    *Error `json:"error,omitempty"` // also of reply

	// cancel, budget
	Scope      eventabi.CancelScope  `json:"scope,omitempty"`
	Invocation eventabi.InvocationID `json:"invocation,omitempty"`
	Reason     string                `json:"reason,omitempty"`
	Outcome    node.BudgetOutcome    `json:"outcome,omitempty"`

	Nonce uint64 `json:"nonce,omitempty"`
	N     int64  `json:"n,omitempty"`
	Level string `json:"level,omitempty"`

	// state_get, state_put, conversation, reply
	ID       uint64          `json:"id,omitempty"`
	Class    node.StateClass `json:"class,omitempty"`
	Key      string          `json:"key,omitempty"`
	Value    []byte          `json:"value,omitempty"`
	Found    bool            `json:"found,omitempty"`
	Messages []Item          `json:"messages,omitempty"`

	Grease string `json:"grease-b2,omitempty"`
}

// Error is why something failed.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Limits are the times of the hooks of an instance, in milliseconds.
type Limits struct {
	InitMS      int64 `json:"init_ms"`
	StartMS     int64 `json:"start_ms"`
	EventMS     int64 `json:"event_ms"`
	EventHardMS int64 `json:"event_hard_ms"`
	CancelMS    int64 `json:"cancel_ms"`
	BudgetMS    int64 `json:"budget_ms"`
	StopMS      int64 `json:"stop_ms"`
}

// Item is one message of the conversation.
type Item struct {
	Role        string `json:"role"`
	Text        string `json:"text"`
	Interrupted bool   `json:"interrupted,omitempty"`
	Call        string `json:"call,omitempty"`
	Name        string `json:"name,omitempty"`
	Failed      bool   `json:"failed,omitempty"`
}

// Event is a node.Event. At and Heard go with it although few look at them.
type Event struct {
	Kind       eventabi.Kind         `json:"kind"`
	Type       node.Type             `json:"type"`
	Class      eventabi.PayloadClass `json:"class"`
	At         int64                 `json:"at,omitempty"`
	Invocation eventabi.InvocationID `json:"invocation,omitempty"`
	Index      int64                 `json:"index,omitempty"`
	Sample     int64                 `json:"sample,omitempty"`
	Heard      int64                 `json:"heard,omitempty"`
	Text       string                `json:"text,omitempty"`
	Final      bool                  `json:"final,omitempty"`
	Protected  bool                  `json:"protected,omitempty"`
	Attributes map[string]string     `json:"attributes,omitempty"`
	Sync       *Sync                 `json:"sync,omitempty"`
	PCM        string                `json:"pcm,omitempty"`
}

// Sync is a node.Sync.
type Sync struct {
	ID    string           `json:"id,omitempty"`
	Event eventabi.EventID `json:"event,omitempty"`
	Group string           `json:"group,omitempty"`
}

// Plain says whether an event is one that an audio frame can hold.
func Plain(ev *node.Event) bool {
	return ev.Type == node.TypeAudioChunk && ev.Kind == eventabi.KindAudio && ev.Class == eventabi.ClassAudioRaw &&
		ev.Invocation == "" && ev.Index == 0 && ev.Heard == 0 && ev.Text == "" && ev.Sync == nil && len(ev.Attributes) == 0 && len(ev.PCM) <= MaxSamples
}

// FromEvent gives an event as JSON has it.
func FromEvent(ev *node.Event) *Event {
	e := &Event{
		Kind: ev.Kind, Type: ev.Type, Class: ev.Class, At: int64(ev.At), Invocation: ev.Invocation, Index: ev.Index, Sample: ev.Sample,
		Heard: ev.Heard, Text: ev.Text, Final: ev.Final, Protected: ev.Protected,
	}
	if len(ev.PCM) > 0 {
		e.PCM = base64.StdEncoding.EncodeToString(AppendPCM(make([]byte, 0, 2*len(ev.PCM)), ev.PCM))
	}
	if len(ev.Attributes) > 0 {
		e.Attributes = make(map[string]string, len(ev.Attributes))
		for _, a := range ev.Attributes {
			e.Attributes[a.Name] = a.Value
		}
	}
	if ev.Sync != nil {
		e.Sync = &Sync{ev.Sync.ID, ev.Sync.Event, ev.Sync.Group}
	}
	return e
}

// ToEvent gives the event that it says. Attributes are in the order of their names.
func (e *Event) ToEvent(ev *node.Event) error {
	switch {
	case e == nil:
		return &Violation{"event", "nothing", "send the event"}
	case e.Type == "":
		return &Violation{"event.type", `""`, "name the type"}
	case !slices.Contains([]eventabi.Kind{eventabi.KindAudio, eventabi.KindText, eventabi.KindControl, eventabi.KindMetrics, eventabi.KindDebug, eventabi.KindError}, e.Kind):
		return &Violation{"event.kind", fmt.Sprintf("%.40q", e.Kind), "use audio, text, control, metrics, debug or error"}
	case !slices.Contains([]eventabi.PayloadClass{eventabi.ClassAudioRaw, eventabi.ClassTextRaw, eventabi.ClassPII, eventabi.ClassPHI, eventabi.ClassDerivedSummary, eventabi.ClassMetadata}, e.Class):
		return &Violation{"event.class", fmt.Sprintf("%.40q", e.Class), "use audio_raw, text_raw, PII, PHI, derived_summary or metadata"}
	case len(e.Attributes) > node.MaxAttributes:
		return &Violation{"event.attributes", len(e.Attributes), fmt.Sprintf("give at most %d", node.MaxAttributes)}
	}
	*ev = node.Event{
		Kind: e.Kind, Type: e.Type, Class: e.Class, At: node.Instant(e.At), Invocation: e.Invocation, Index: e.Index, Sample: e.Sample,
		Heard: e.Heard, Text: e.Text, Final: e.Final, Protected: e.Protected,
	}
	if e.PCM != "" {
		raw, err := base64.StdEncoding.DecodeString(e.PCM)
		if err != nil || len(raw)%2 != 0 {
			return &Violation{"event.pcm", fmt.Sprintf("%.20q", e.PCM), "send whole samples, s16le, in base64"}
		}
		ev.PCM = ReadPCM(nil, raw)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		ev.Attributes = append(ev.Attributes, node.Attribute{Name: name, Value: e.Attributes[name]})
	}
	if e.Sync != nil {
		ev.Sync = &node.Sync{ID: e.Sync.ID, Event: e.Sync.Event, Group: e.Sync.Group}
	}
	return nil
}

// AppendMessage appends a message as a frame. A message that does not fit a frame is an error.
func AppendMessage(b []byte, m *Message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return b, fmt.Errorf("%s: %w", m.Type, err)
	}
	if len(body) >= MaxFrame {
		return b, fmt.Errorf("%s: %d bytes: a message has fewer than %d: give it in pieces", m.Type, len(body), MaxFrame)
	}
	return AppendFrame(b, KindJSON, body), nil
}

// ParseMessage reads the body of a JSON frame.
func ParseMessage(body []byte) (*Message, error) {
	m := &Message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, &Violation{"frame J", trimmed(err.Error()), "send a JSON object of the protocol's fields"}
	}
	if m.Type == "" {
		return nil, &Violation{"type", `""`, "name the message's type"}
	}
	return m, nil
}

func trimmed(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 160)], "?")
}

// Versions are the versions of a hello; Chosen is that of a welcome. 0 = there is none.
func (m *Message) Versions() (list []int) {
	if json.Unmarshal(m.Protocol, &list) != nil {
		return nil
	}
	return list
}

// Chosen is the version of a welcome.
func (m *Message) Chosen() (version int) {
	if json.Unmarshal(m.Protocol, &version) != nil {
		return 0
	}
	return version
}

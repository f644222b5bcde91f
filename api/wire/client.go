// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parley-voice/parley/api/eventabi"
)

// FromClient is a message of a client: a text frame in JSON, a binary one otherwise.
//
//sumtype:decl
type FromClient interface {
	// clientType is the name in JSON and the number in the binary encoding.
	clientType() (string, protowire.Number)
	fielder
	check() *Fault
	stamp(kind string, seq int64)
}

// Keyed is a message that may carry a key: one with a key that was seen before is not taken
// again, and each is answered by Taken.
type Keyed struct {
	Key eventabi.IdempotencyKey `json:"key,omitempty"`
}

// KeyOf gives the key of a message, empty when it has none.
func KeyOf(m FromClient) eventabi.IdempotencyKey {
	if k, ok := m.(interface {
		key() eventabi.IdempotencyKey
	}); ok {
		return k.key()
	}
	return ""
}

func (k Keyed) key() eventabi.IdempotencyKey { return k.Key }

// Hello is the first message of a connection.
type Hello struct {
	head
	Token   string             `json:"token,omitempty"`
	Session eventabi.SessionID `json:"session,omitempty"` // wished; the token's or a random one when empty
	Resume  *Resume            `json:"resume,omitempty"`  // instead of a new session
	Audio   *Offered           `json:"audio,omitempty"`
	// Encoding is what the server answers in: EncodingJSON, EncodingBinary, or empty for that of
	// the hello itself.
	Encoding string `json:"encoding,omitempty"`
	// Acks says whether Played will come; nil = true. Without, playback is estimated.
	Acks *bool `json:"acks,omitempty"`
	// Metrics asks for Metric messages.
	Metrics bool    `json:"metrics,omitempty"`
	Wishes  *Wishes `json:"wishes,omitempty"`
}

// Resume comes back to a session whose connection was lost.
type Resume struct {
	Session eventabi.SessionID `json:"session"`
	// Received is the highest seq that the client has seen: what came later is sent again.
	Received int64 `json:"received"`
}

// Offered are formats in the order of preference; an empty list means DefaultFormat.
type Offered struct {
	In  []Format `json:"in,omitempty"`
	Out []Format `json:"out,omitempty"`
}

// Wishes is what a client may choose; absent fields leave what there is.
type Wishes struct {
	Instructions *string `json:"instructions,omitempty"`
	Voice        *string `json:"voice,omitempty"`
	Language     *string `json:"language,omitempty"`
	TurnEnd      string  `json:"turn_end,omitempty"` // vad, client
	Answer       *bool   `json:"answer,omitempty"`
	Interrupt    *bool   `json:"interrupt,omitempty"`
	TextOnly     *bool   `json:"text_only,omitempty"`
	Tools        []Tool  `json:"tools,omitzero"` // empty takes them away
}

// Tool is a function that the client runs for the model.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // JSON Schema
}

// The text frames of a client.
type (
	// Text is an utterance that was typed.
	Text struct {
		head
		Text string `json:"text"`
		Keyed
	}
	// EndOfUtterance says that the user has finished, with the audio sent before it.
	EndOfUtterance struct {
		head
		Keyed
	}
	// Cancel asks to cancel the turn's output and work.
	Cancel struct {
		head
		Request
	}
	// Stop asks to end the output.
	Stop struct {
		head
		Request
	}
	// Played says how far a turn's audio was heard.
	Played struct {
		head
		Generation uint32          `json:"generation"`
		Turn       eventabi.TurnID `json:"turn,omitempty"`
		Position   int64           `json:"position"` // samples of the turn, at the rate of the format
		Final      bool            `json:"final,omitempty"`
	}
	// Mute says that the microphone is off or on.
	Mute struct {
		head
		On bool `json:"on"`
		Keyed
	}
	// Control is a native control.
	Control struct {
		head
		Kind       string `json:"kind"` // dtmf
		Digit      string `json:"digit,omitempty"`
		DurationMS int64  `json:"duration_ms,omitempty"`
		Keyed
	}
	// Context adds to the conversation without asking for an answer.
	Context struct {
		head
		Role string `json:"role"` // user, assistant, system
		Text string `json:"text"`
		Keyed
	}
	// Respond asks for an answer without new words.
	Respond struct {
		head
		Keyed
	}
	// Configure changes what the client may choose, from the next turn on.
	Configure struct {
		head
		Wishes Wishes `json:"wishes"`
		Keyed
	}
	// ToolResult answers a ToolCall.
	ToolResult struct {
		head
		ID     string `json:"id"`
		Output string `json:"output"`
		Failed bool   `json:"failed,omitempty"`
		Keyed
	}
	// Renew gives a fresh token for the session, before the one that it runs under expires.
	Renew struct {
		head
		Token string `json:"token"`
		Keyed
	}
	// Ping asks for a Pong with the same id.
	Ping struct {
		head
		ID int64 `json:"id"`
	}
	// Bye ends the session: the user has left.
	Bye struct{ head }
)

// Request is the body of Cancel and Stop.
type Request struct {
	Turn   eventabi.TurnID `json:"turn,omitempty"` // empty = the current one
	Reason string          `json:"reason,omitempty"`
	Force  bool            `json:"force,omitempty"`
	Epoch  eventabi.Epoch  `json:"epoch,omitempty"` // 0 = the session's
	Keyed
}

func (*Hello) clientType() (string, protowire.Number)          { return "hello", 1 }
func (*Text) clientType() (string, protowire.Number)           { return "text", 2 }
func (*EndOfUtterance) clientType() (string, protowire.Number) { return "end_of_utterance", 3 }
func (*Cancel) clientType() (string, protowire.Number)         { return "cancel", 4 }
func (*Stop) clientType() (string, protowire.Number)           { return "stop", 5 }
func (*Played) clientType() (string, protowire.Number)         { return "played", 6 }
func (*Mute) clientType() (string, protowire.Number)           { return "mute", 7 }
func (*Control) clientType() (string, protowire.Number)        { return "control", 8 }
func (*Context) clientType() (string, protowire.Number)        { return "context", 9 }
func (*Respond) clientType() (string, protowire.Number)        { return "respond", 10 }
func (*Configure) clientType() (string, protowire.Number)      { return "configure", 11 }
func (*ToolResult) clientType() (string, protowire.Number)     { return "tool_result", 12 }
func (*Renew) clientType() (string, protowire.Number)          { return "renew", 13 }
func (*Ping) clientType() (string, protowire.Number)           { return "ping", 14 }
func (*Bye) clientType() (string, protowire.Number)            { return "bye", 15 }

// clientMessage makes the empty message of a name or a number, nil when there is none.
func clientMessage(kind string, number protowire.Number) FromClient {
	all := []FromClient{
		&Hello{}, &Text{}, &EndOfUtterance{}, &Cancel{}, &Stop{}, &Played{}, &Mute{}, &Control{}, &Context{},
		&Respond{}, &Configure{}, &ToolResult{}, &Renew{}, &Ping{}, &Bye{},
	}
	for _, m := range all {
		if name, n := m.clientType(); name == kind || n == number {
			return m
		}
	}
	return nil
}

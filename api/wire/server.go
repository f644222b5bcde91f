// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parley-voice/parley/api/eventabi"
)

// FromServer is a message of a server: a text frame in JSON, a binary one otherwise.
//
//sumtype:decl
type FromServer interface {
	// serverType is the name in JSON and the number in the binary encoding.
	serverType() (string, protowire.Number)
	fielder
	stamp(kind string, seq int64)
}

// Welcome answers Hello: the session is there.
type Welcome struct {
	head
	Session eventabi.SessionID `json:"session"`
	Resumed bool               `json:"resumed"`
	Epoch   eventabi.Epoch     `json:"epoch"`
	// Missed counts messages that were sent while the client was away and are gone: they
	// were more than is kept.
	Missed      int64  `json:"missed"`
	Audio       Agreed `json:"audio"`
	Encoding    string `json:"encoding"`
	Compression string `json:"compression"`
	Acks        bool   `json:"acks"`
	KeepaliveMS int64  `json:"keepalive_ms"` // how often the server pings
	ResumeMS    int64  `json:"resume_ms"`    // how long it waits for a client that was lost
	Limits      Limits `json:"limits"`
}

// Agreed is the audio of a connection.
type Agreed struct {
	In      Format `json:"in"`
	Out     Format `json:"out"`
	FrameMS int64  `json:"frame_ms"` // of the frames that the server sends
}

// Limits bounds what a client may send.
type Limits struct {
	MessageBytes   int64 `json:"message_bytes"`       // of a text frame
	AudioBytes     int64 `json:"audio_bytes"`         // of a binary frame
	TextBytes      int64 `json:"text_bytes"`          // of one text
	MessagesPerSec int64 `json:"messages_per_second"` // more are read later
	AudioAheadMS   int64 `json:"audio_ahead_ms"`      // audio sent faster than it is spoken; more is lost
	Faults         int64 `json:"faults"`              // bad messages in a row before the connection is closed
}

// Refused turns a Hello down; the connection is closed behind it.
type Refused struct {
	head
	Code         string   `json:"code"`
	Message      string   `json:"message"`
	RetryAfterMS int64    `json:"retry_after_ms,omitempty"`
	Supported    []Format `json:"supported,omitempty"`
}

// The text frames of a server beside Welcome and Refused.
type (
	// Error answers a message that was not taken, or not as a whole.
	Error struct {
		head
		Code    string                  `json:"code"`
		Field   string                  `json:"field,omitempty"`
		Message string                  `json:"message"`
		Key     eventabi.IdempotencyKey `json:"key,omitempty"` // of that message
	}
	// Taken says that a message with a key has arrived.
	Taken struct {
		head
		Key   eventabi.IdempotencyKey `json:"key"`
		Again bool                    `json:"again,omitempty"` // it had arrived before
	}
	// Signal is a control signal of the session, as the kernel emitted it.
	Signal struct {
		head
		Signal *eventabi.Envelope `json:"signal"`
	}
	// Transcript is a piece of what is said.
	Transcript struct {
		head
		From  string `json:"from"` // caller, agent
		Of    string `json:"of"`   // the utterance or the turn that it belongs to
		Text  string `json:"text"`
		Final bool   `json:"final"`
	}
	// Speech is a boundary of what the caller says.
	Speech struct {
		head
		Began  bool  `json:"began"`
		Sample int64 `json:"sample"` // of the caller's audio, at 16000 Hz
	}
	// ToolCall asks the client to run a tool.
	ToolCall struct {
		head
		ID        string          `json:"id"` // the idempotency key of the call
		Turn      eventabi.TurnID `json:"turn"`
		Name      string          `json:"name"`
		Arguments string          `json:"arguments"` // JSON
	}
	// Metric is a measurement of the session.
	Metric struct {
		head
		Metric *eventabi.Envelope `json:"metric"`
	}
	// AudioBegin comes before the first frame of a generation.
	AudioBegin struct {
		head
		Generation uint32          `json:"generation"`
		Turn       eventabi.TurnID `json:"turn"`
	}
	// Fence says that nothing of a generation may be heard any more.
	Fence struct {
		head
		Generation uint32          `json:"generation"`
		Turn       eventabi.TurnID `json:"turn,omitempty"`
		Session    bool            `json:"session,omitempty"` // everything, for good
	}
	// Route says that the session goes on at another address.
	Route struct {
		head
		View     int64  `json:"view"` // rises with each
		Endpoint string `json:"endpoint"`
	}
	// Pong answers Ping.
	Pong struct {
		head
		ID     int64 `json:"id"`
		TimeMS int64 `json:"time_ms"` // the server's wall clock
	}
	// Ended says that the session is over; the connection is closed behind it.
	Ended struct {
		head
		Reason string `json:"reason"`
	}
)

func (*Welcome) serverType() (string, protowire.Number)    { return "welcome", 2 }
func (*Refused) serverType() (string, protowire.Number)    { return "refused", 3 }
func (*Error) serverType() (string, protowire.Number)      { return "error", 4 }
func (*Taken) serverType() (string, protowire.Number)      { return "taken", 5 }
func (*Signal) serverType() (string, protowire.Number)     { return "signal", 6 }
func (*Transcript) serverType() (string, protowire.Number) { return "transcript", 7 }
func (*Speech) serverType() (string, protowire.Number)     { return "speech", 8 }
func (*ToolCall) serverType() (string, protowire.Number)   { return "tool_call", 9 }
func (*Metric) serverType() (string, protowire.Number)     { return "metric", 10 }
func (*AudioBegin) serverType() (string, protowire.Number) { return "audio_begin", 11 }
func (*Fence) serverType() (string, protowire.Number)      { return "fence", 12 }
func (*Route) serverType() (string, protowire.Number)      { return "route", 13 }
func (*Pong) serverType() (string, protowire.Number)       { return "pong", 14 }
func (*Ended) serverType() (string, protowire.Number)      { return "ended", 15 }

// serverMessage makes the empty message of a name or a number, nil when there is none.
func serverMessage(kind string, number protowire.Number) FromServer {
	all := []FromServer{
		&Welcome{}, &Refused{}, &Error{}, &Taken{}, &Signal{}, &Transcript{}, &Speech{}, &ToolCall{}, &Metric{},
		&AudioBegin{}, &Fence{}, &Route{}, &Pong{}, &Ended{},
	}
	for _, m := range all {
		if name, n := m.serverType(); name == kind || n == number {
			return m
		}
	}
	return nil
}

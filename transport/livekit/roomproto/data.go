// SPDX-License-Identifier: Apache-2.0

package roomproto

// The labels of the data channels, and the topics of texts.
const (
	ReliableChannel    = "_reliable"
	LossyChannel       = "_lossy"
	TopicChat          = "lk.chat"
	TopicTranscription = "lk.transcription"
	TopicLegacyChat    = "lk-chat-topic"
)

// The attributes of texts and of agents.
const (
	AttributeSegment = "lk.segment_id"
	AttributeTrack   = "lk.transcribed_track_id"
	AttributeFinal   = "lk.transcription_final"
	AttributeState   = "lk.agent.state"
)

// Packet is a DataPacket, by a data channel. One of the fields from User on is set.
type Packet struct {
	Identity      string         `pb:"4"` // of the sender
	Destinations  []string       `pb:"5"` // identities; none = all
	Sequence      uint32         `pb:"16"`
	SID           string         `pb:"17"` // of the sender
	User          *User          `pb:"2"`
	DTMF          *DTMF          `pb:"6"`
	Transcription *Transcription `pb:"7"`
	Chat          *Chat          `pb:"9"`
	RPC           *RPC           `pb:"10"`
	RPCAck        *RPCAck        `pb:"11"`
	RPCReply      *RPCReply      `pb:"12"`
	Header        *Header        `pb:"13"`
	Chunk         *Chunk         `pb:"14"`
	Trailer       *Trailer       `pb:"15"`
}

// User is data of an application.
type User struct {
	Payload []byte `pb:"2"`
	Topic   string `pb:"4"`
	ID      string `pb:"8"`
}

// DTMF is a key of a telephone.
type DTMF struct {
	Code  uint32 `pb:"3"`
	Digit string `pb:"4"`
}

// Transcription is what was said, as clients before text streams read it.
type Transcription struct {
	Identity string     `pb:"2"` // of who said it
	TrackSID string     `pb:"3"`
	Segments []*Segment `pb:"4"`
}

// Segment is a piece of it, which a later one of the same ID replaces.
type Segment struct {
	ID       string `pb:"1"`
	Text     string `pb:"2"`
	Final    bool   `pb:"5"`
	Language string `pb:"6"`
}

// Chat is a message, as clients before text streams send it.
type Chat struct {
	ID        string `pb:"1"`
	Timestamp int64  `pb:"2"` // milliseconds of the Unix clock
	Edited    int64  `pb:"3"` // likewise; 0 = it is new
	Message   string `pb:"4"`
	Deleted   bool   `pb:"5"`
	Generated bool   `pb:"6"`
}

// RPC is a call of a method.
type RPC struct {
	ID      string `pb:"1"`
	Method  string `pb:"2"`
	Payload string `pb:"3"`
	Timeout uint32 `pb:"4"` // milliseconds
	Version uint32 `pb:"5"`
}

// RPCAck says that a call has come.
type RPCAck struct {
	ID string `pb:"1"`
}

// RPCReply answers a call.
type RPCReply struct {
	ID      string    `pb:"1"`
	Payload string    `pb:"2"`
	Error   *RPCError `pb:"3"`
}

// RPCError says why it failed.
type RPCError struct {
	Code    uint32 `pb:"1"`
	Message string `pb:"2"`
}

// UnsupportedMethod is the code of a method that there is not.
const UnsupportedMethod uint32 = 1400

// Header begins a stream of text or bytes.
type Header struct {
	StreamID    string            `pb:"1"`
	Timestamp   int64             `pb:"2"` // milliseconds of the Unix clock
	Topic       string            `pb:"3"`
	MimeType    string            `pb:"4"`
	TotalLength uint64            `pb:"5"`
	Attributes  map[string]string `pb:"8"`
	Text        *TextHeader       `pb:"9"`
	Inline      []byte            `pb:"11"` // the whole of a short stream
	Compression int32             `pb:"12"` // 0 = none
}

// TextHeader says that a stream is of text.
type TextHeader struct {
	Operation int32 `pb:"1"` // 0 = create
	Version   int32 `pb:"2"`
	Generated bool  `pb:"5"`
}

// Chunk is a piece of a stream.
type Chunk struct {
	StreamID string `pb:"1"`
	Index    uint64 `pb:"2"`
	Content  []byte `pb:"3"`
	Version  int32  `pb:"4"`
}

// Trailer ends a stream.
type Trailer struct {
	StreamID   string            `pb:"1"`
	Reason     string            `pb:"2"` // empty = as expected
	Attributes map[string]string `pb:"3"`
}

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/parley-voice/parley/api/eventabi"
)

// The names of the handshake.
const (
	// Subprotocol is what both ends have to agree on.
	Subprotocol = "parley.v1"
	// TokenPrefix begins a second subprotocol that carries the token: browsers can send no
	// header of their own.
	TokenPrefix = "parley.token."
)

// The bounds of what is read, in bytes.
const (
	MaxMessage = 1 << 16 // of a text frame
	MaxText    = 1 << 15 // of one text in it
	MaxAudio   = 1 << 17 // of a binary frame: a second of any format
	MaxTools   = 64      // tools of one client
)

// The close codes of the protocol, beside those of RFC 6455. An offer that is turned down is
// closed with 4000 and the HTTP status that says the same.
const (
	CloseEnded     = 1000 // the session is over; Ended said why
	CloseGarbage   = 1008 // too many messages could not be read
	CloseTooBig    = 1009 // a message was larger than the bounds of Welcome
	CloseSlow      = 4408 // the client said no hello in time
	CloseDisplaced = 4409 // another connection has taken the session over
)

// The encodings of messages, and the compressions.
const (
	EncodingJSON    = "json"   // text frames
	EncodingBinary  = "binary" // Protocol Buffers in binary frames, as docs/parley.proto has them
	CompressionNone = "none"
	CompressionZip  = "deflate" // permessage-deflate of RFC 7692, on text frames
)

// Format is how audio is encoded, as codec/rate, e.g. "pcm_s16le/16000". Audio is mono.
type Format string

// The codecs.
const (
	PCM  = "pcm_s16le"
	ULaw = "g711_ulaw"
	ALaw = "g711_alaw"
	Opus = "opus"
)

// DefaultFormat is spoken when a client names none.
const DefaultFormat Format = PCM + "/16000"

// Split gives codec and rate; the rate is 0 when it is no number.
func (f Format) Split() (codec string, rate int) {
	codec, number, _ := strings.Cut(string(f), "/")
	rate, err := strconv.Atoi(number)
	if err != nil || rate < 0 {
		return codec, 0
	}
	return codec, rate
}

// Fault says what is wrong with a message. It is told to the peer as an Error.
type Fault struct {
	Code    string
	Field   string // empty = the message as a whole
	Message string
	Key     eventabi.IdempotencyKey // of the message, as far as it can be read
}

// The codes of faults.
const (
	FaultMalformed  = "malformed"      // no JSON object, or no frame
	FaultType       = "unknown_type"   // nobody has heard of it
	FaultField      = "invalid_field"  // Field holds what cannot be meant
	FaultUnknown    = "unknown_field"  // Field was ignored; the message was taken
	FaultUnexpected = "unexpected"     // not at this point
	FaultRefused    = "refused"        // the host does not want it
	FaultOrder      = "out_of_order"   // audio from before what was heard; dropped
	FaultInternal   = "internal_error" // ours
)

func (f *Fault) Error() string {
	if f.Field == "" {
		return fmt.Sprintf("wire: %s: %s", f.Code, f.Message)
	}
	return fmt.Sprintf("wire: %s: %s: %s", f.Code, f.Field, f.Message)
}

func fault(code, field, format string, args ...any) *Fault {
	return &Fault{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// SPDX-License-Identifier: Apache-2.0

package rtvi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// Config is what a Server is made of. The zero value serves clients that are no browsers
// of another site.
type Config struct {
	// Origins are the hosts whose pages may connect, as patterns of path.Match, beside the
	// host that serves. Clients that are no browsers send no origin.
	Origins []string
	// URL is what clients call the place of the server, scheme and host, as in
	// https://voice.example; empty = as the request calls it. The connect endpoint leads
	// there.
	URL string
	// Check looks at the token of a request to connect, so that one that will be refused is
	// told at once; nil = it is told when the session is to begin.
	Check func(ctx context.Context, o transport.Offer) error
	// Version is told to clients as that of the library, beside its name.
	Version string
	// Message answers a client-message that is the application's: what it gives is the data
	// of the server-response, its error an error-response. It may take a while, and then the
	// client's next messages wait. nil = the session is told of it as of a control of the
	// transport, and the response has no data.
	Message func(ctx context.Context, session eventabi.SessionID, name string, data json.RawMessage) (any, error)

	// Ready is the time that a client has for its first message; 0 = DefaultReady.
	Ready time.Duration
	// Begin bounds the time that a session may take to begin; 0 = DefaultBegin.
	Begin time.Duration
	// Ping is how often a client is asked whether it is there, and how long it has for the
	// answer; 0 = DefaultPing.
	Ping time.Duration
	// Close bounds the time in which a link writes what is left; 0 = DefaultClose.
	Close time.Duration
	// MessageBytes bounds one message of a client; 0 = DefaultMessageBytes.
	MessageBytes int64
	// Buffered bounds the caller's sound that came faster than it is spoken; 0 = DefaultBuffered.
	Buffered time.Duration
	// OutputRate is the rate of the sound for clients that speak protobuf and name none, in Hz;
	// 0 = DefaultOutputRate, which is what Pipecat's web clients play.
	OutputRate int
	// Lead is the silence before each stretch of sound; 0 = DefaultLead, negative = none.
	Lead time.Duration
}

// The values where a Config names none.
const (
	DefaultReady        = 10 * time.Second
	DefaultBegin        = 15 * time.Second
	DefaultPing         = 20 * time.Second
	DefaultClose        = 2 * time.Second
	DefaultMessageBytes = 2 << 20 // clients send up to 1 MB
	DefaultBuffered     = time.Minute
	DefaultOutputRate   = 24000
	DefaultLead         = 80 * time.Millisecond
)

// The limits of what can be set.
const (
	longest          = 5 * time.Minute
	longestLead      = time.Second
	mostMessageBytes = 64 << 20
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	for _, d := range [...]struct {
		v    *time.Duration
		most time.Duration
	}{{&c.Ready, DefaultReady}, {&c.Begin, DefaultBegin}, {&c.Ping, DefaultPing}, {&c.Close, DefaultClose}, {&c.Buffered, DefaultBuffered}, {&c.Lead, DefaultLead}} {
		if *d.v == 0 {
			*d.v = d.most
		}
	}
	c.Lead = max(c.Lead, 0)
	if c.MessageBytes == 0 {
		c.MessageBytes = DefaultMessageBytes
	}
	if c.OutputRate == 0 {
		c.OutputRate = DefaultOutputRate
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	for _, d := range [...]struct {
		name        string
		value, most time.Duration
	}{
		{"ready", c.Ready, longest},
		{"begin", c.Begin, longest},
		{"ping", c.Ping, longest},
		{"close", c.Close, longest},
		{"buffered", c.Buffered, longest},
		{"lead", c.Lead, longestLead},
	} {
		if d.value < 0 || d.value > d.most {
			faults = append(faults, fmt.Errorf("rtvi: %s: %v: use 0 for the default, or up to %v", d.name, d.value, d.most))
		}
	}
	if c.MessageBytes < 0 || c.MessageBytes > mostMessageBytes {
		faults = append(faults, fmt.Errorf("rtvi: message_bytes: %d: use 0 for the default, or 1 to %d", c.MessageBytes, mostMessageBytes))
	}
	if !slices.Contains(codec.Rates(), c.OutputRate) {
		faults = append(faults, fmt.Errorf("rtvi: output_rate: %d Hz: use one of %v", c.OutputRate, codec.Rates()))
	}
	if _, err := socketURL(c.URL, nil); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

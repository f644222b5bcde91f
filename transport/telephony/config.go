// SPDX-License-Identifier: Apache-2.0

package telephony

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/parley-voice/parley/transport"
)

// Kind is the transport's name: that of telephony in general, so that what comes from a
// gateway looks the same whichever it is.
const Kind transport.Kind = "telephony"

// The defaults of a Config.
const (
	DefaultCalls     = 256
	DefaultStart     = 10 * time.Second
	DefaultIdle      = 10 * time.Second
	DefaultMessage   = 256 << 10
	DefaultFaults    = 16
	DefaultMarkEvery = 100 * time.Millisecond
)

// The limits of what can be set.
const (
	mostCalls   = 1 << 16
	longestWait = 5 * time.Minute
	mostMessage = 16 << 20
	mostFaults  = 1 << 16
	longestMark = time.Second
)

// Config is what a Server is made of. Each field's zero value is its default.
type Config struct {
	// Dialect is the only one to be spoken; empty = what the start message tells.
	Dialect Dialect
	// Out is the encoding of what is sent, for streams whose two directions differ (Telnyx:
	// stream_bidirectional_codec); the zero value = that of the start message.
	Out Format
	// Calls is how many connections may be open; 0 = DefaultCalls.
	Calls int
	// Start is how long a connection may take until its start message; 0 = DefaultStart.
	Start time.Duration
	// Idle is after how long without a message the gateway is asked whether it is still
	// there, and how long it may take to answer; 0 = DefaultIdle.
	Idle time.Duration
	// Message is the size of the largest message in bytes; 0 = DefaultMessage.
	Message int64
	// Faults is how many wrong messages a call may send; 0 = DefaultFaults.
	Faults int
	// MarkEvery is how much sound goes out between two marks, whole frames of 20 ms;
	// 0 = DefaultMarkEvery.
	MarkEvery time.Duration
	// Secret gives the key that Twilio signs its requests with (the account's auth token).
	// It is asked for each request, so that it can change. nil = signatures are not looked
	// at.
	Secret func(ctx context.Context) (string, error)
	// Public is the address that the provider was told to connect to, as
	// "https://voice.example.com" or with a path before the request's. Signatures cover
	// it, and the answer of Voice names it; nil = what the request says.
	Public *url.URL
	// Log is told of calls that fail and of what gateways do wrong; nil = nobody is.
	Log *slog.Logger
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Calls == 0 {
		c.Calls = DefaultCalls
	}
	if c.Start == 0 {
		c.Start = DefaultStart
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Message == 0 {
		c.Message = DefaultMessage
	}
	if c.Faults == 0 {
		c.Faults = DefaultFaults
	}
	if c.MarkEvery == 0 {
		c.MarkEvery = DefaultMarkEvery
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("telephony: %s: %v: %s", field, value, remedy))
	}
	if _, known := dialectOf(c.Dialect); c.Dialect != "" && !known {
		fault("dialect", c.Dialect, "use one of "+dialectNames()+", or nothing to be told by the call")
	}
	if c.Out != (Format{}) {
		if err := c.Out.check(); err != nil {
			fault("out", c.Out, err.Error())
		}
	}
	if c.Calls < 1 || c.Calls > mostCalls {
		fault("calls", c.Calls, fmt.Sprintf("use 0 for the default, or 1 to %d", mostCalls))
	}
	if c.Start < 0 || c.Start > longestWait {
		fault("start", c.Start, fmt.Sprintf("use 0 for the default, or up to %v", longestWait))
	}
	if c.Idle < 0 || c.Idle > longestWait {
		fault("idle", c.Idle, fmt.Sprintf("use 0 for the default, or up to %v", longestWait))
	}
	if c.Message < 1024 || c.Message > mostMessage {
		fault("message", c.Message, fmt.Sprintf("use 0 for the default, or 1024 to %d bytes", mostMessage))
	}
	if c.Faults < 1 || c.Faults > mostFaults {
		fault("faults", c.Faults, fmt.Sprintf("use 0 for the default, or 1 to %d", mostFaults))
	}
	if c.MarkEvery < transport.FrameDuration || c.MarkEvery > longestMark || c.MarkEvery%transport.FrameDuration != 0 {
		fault("mark_every", c.MarkEvery, fmt.Sprintf("use 0 for the default, or whole frames of %v up to %v", transport.FrameDuration, longestMark))
	}
	if c.Public != nil && (c.Public.Host == "" || (c.Public.Scheme != "https" && c.Public.Scheme != "http")) {
		fault("public", c.Public, `give scheme and host as the provider sees them, such as "https://voice.example.com"`)
	}
	return errors.Join(faults...)
}

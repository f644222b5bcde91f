// SPDX-License-Identifier: Apache-2.0

package websocket

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-voice/parley/api/wire"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
)

// Kind is the transport's name.
const Kind transport.Kind = "websocket"

// The bounds where a Config names none.
const (
	DefaultKeepalive   = 15 * time.Second
	DefaultPong        = 10 * time.Second
	DefaultHello       = 10 * time.Second
	DefaultGrace       = 3 * time.Second
	DefaultResume      = 15 * time.Second
	DefaultWrite       = 10 * time.Second
	DefaultCloseWithin = 2 * time.Second
	DefaultAhead       = time.Minute
	DefaultAudio       = 50  // frames: a second
	DefaultControl     = 512 // messages
	DefaultLog         = 256 // messages
	DefaultRate        = 500 // messages a second
	DefaultFaults      = 16
	DefaultPending     = 256 // connections
)

// The limits of what can be set.
const (
	longest = 10 * time.Minute
	most    = 1 << 16
)

// Config is what a Server is made of. Each field's zero value is its default.
type Config struct {
	// Origins are hosts whose pages may connect, beside the server's own, e.g.
	// "app.example.com", "https://*.example.com". "*" alone is refused: it would let any page
	// of the world use a visitor's network.
	Origins []string
	// Compression lets clients ask for permessage-deflate. It costs about 1.2 MB and tens of
	// microseconds for each text message of a client that asks; see Stats.Deflating.
	Compression bool
	// Opus makes encoders; nil = Opus is not spoken to clients, only heard.
	Opus codec.OpusFactory

	// Keepalive is how often a silent client is pinged, Pong how long its answer may take.
	Keepalive, Pong time.Duration
	// Hello is how long a client may take to say hello and be let in.
	Hello time.Duration
	// Grace is how long a lost client's turn is spoken on, before it is held.
	Grace time.Duration
	// Resume is what clients are told of how long a session waits for them. The session's
	// own disconnect_timeout_ms is what counts.
	Resume time.Duration
	// Write is how long a message may take to be written.
	Write time.Duration
	// CloseWithin bounds Link.Close.
	CloseWithin time.Duration

	// Ahead is how much audio may wait that came faster than it was spoken.
	Ahead time.Duration
	// Audio is how many frames may wait for a client that reads slowly, Control how many
	// other messages.
	Audio, Control int
	// Log is how many messages are kept for a client that comes back.
	Log int
	// Rate is how many messages a second are read of one client; twice as many at once.
	Rate int
	// Faults is how many messages in a row may be unreadable.
	Faults int
	// Pending is how many connections may be without a session at a time.
	Pending int
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Keepalive, DefaultKeepalive},
		{&c.Pong, DefaultPong},
		{&c.Hello, DefaultHello},
		{&c.Grace, DefaultGrace},
		{&c.Resume, DefaultResume},
		{&c.Write, DefaultWrite},
		{&c.CloseWithin, DefaultCloseWithin},
		{&c.Ahead, DefaultAhead},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&c.Audio, DefaultAudio},
		{&c.Control, DefaultControl},
		{&c.Log, DefaultLog},
		{&c.Rate, DefaultRate},
		{&c.Faults, DefaultFaults},
		{&c.Pending, DefaultPending},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("websocket: %s: %v: %s", field, value, remedy))
	}
	for i, origin := range c.Origins {
		if strings.Trim(origin, "*:/") == "" {
			fault(fmt.Sprintf("origins[%d]", i), fmt.Sprintf("%q", origin), "name the hosts, such as app.example.com")
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"keepalive", c.Keepalive},
		{"pong", c.Pong},
		{"hello", c.Hello},
		{"grace", c.Grace},
		{"resume", c.Resume},
		{"write", c.Write},
		{"close_within", c.CloseWithin},
		{"ahead", c.Ahead},
	} {
		if d.value < 20*time.Millisecond || d.value > longest {
			fault(d.name, d.value, fmt.Sprintf("use 0 for the default, or 20ms to %v", longest))
		}
	}
	for _, d := range []struct {
		name  string
		value int
	}{
		{"audio", c.Audio}, {"control", c.Control}, {"log", c.Log}, {"rate", c.Rate}, {"faults", c.Faults}, {"pending", c.Pending},
	} {
		if d.value < 1 || d.value > most {
			fault(d.name, d.value, fmt.Sprintf("use 0 for the default, or 1 to %d", most))
		}
	}
	if c.Log >= c.Control {
		fault("log", c.Log, fmt.Sprintf("use less than control (%d): a client that comes back is told all of it at once", c.Control))
	}
	return errors.Join(faults...)
}

// limits is what a client is told of them.
func (c Config) limits() wire.Limits {
	return wire.Limits{
		MessageBytes: wire.MaxMessage, AudioBytes: wire.MaxAudio, TextBytes: wire.MaxText, MessagesPerSec: int64(c.Rate),
		AudioAheadMS: c.Ahead.Milliseconds(), Faults: int64(c.Faults),
	}
}

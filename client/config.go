// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/api/wire"
)

// The values where a Config names none.
const (
	DefaultRate     = 16000
	DefaultAhead    = 60 * time.Millisecond
	DefaultBuffer   = 5 * time.Second
	DefaultEvents   = 256
	DefaultPending  = 256
	DefaultFirst    = 250 * time.Millisecond
	DefaultMost     = 5 * time.Second
	DefaultGiveUp   = 30 * time.Second
	DefaultPatience = 10 * time.Second
)

// Config is what a Client is made of. Each field's zero value is its default; URL is needed.
type Config struct {
	URL string // ws:// or wss://, http:// or https://
	// Token gives the session token, for each connection anew: one that has expired meanwhile
	// does not let a client come back. nil = none is sent.
	Token func(ctx context.Context) (string, error)
	// Session is the id that the session should have; empty = the server's choice.
	Session eventabi.SessionID
	Wishes  *wire.Wishes
	// Rate is that of SendAudio and ReadAudio, in Hz: 16 bit, mono.
	Rate int
	// Silent says that nobody calls ReadAudio: playback is then estimated by the server, and
	// sound that comes is dropped.
	Silent bool
	// Metrics asks for measurements among the events.
	Metrics bool
	// Binary has messages written as Protocol Buffers in place of JSON: fewer bytes, less work.
	Binary bool

	// Ahead is how much sound is gathered before an output begins to play, which rides out an
	// uneven network; Buffer is how much is held at most.
	Ahead, Buffer time.Duration
	// Events is how many events wait to be taken, Pending how many messages wait to be sent.
	Events, Pending int
	// First is how long to wait before coming back for the first time; each further wait is
	// twice as long, up to Most. After GiveUp without a connection the Client ends.
	First, Most, GiveUp time.Duration
	// Patience is how long a handshake, a write, or the answer to a ping may take.
	Patience time.Duration

	// HTTP is used for the handshake; nil = http.DefaultClient. Header goes with it.
	HTTP   *http.Client
	Header http.Header
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Ahead, DefaultAhead},
		{&c.Buffer, DefaultBuffer},
		{&c.First, DefaultFirst},
		{&c.Most, DefaultMost},
		{&c.GiveUp, DefaultGiveUp},
		{&c.Patience, DefaultPatience},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *int
		value int
	}{{&c.Rate, DefaultRate}, {&c.Events, DefaultEvents}, {&c.Pending, DefaultPending}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// rates are those that every server speaks.
func rates() []int { return []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000} }

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("client: %s: %v: %s", field, value, remedy))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || !slices.Contains([]string{"ws", "wss", "http", "https"}, u.Scheme) {
		fault("url", fmt.Sprintf("%q", c.URL), "give an address such as wss://voice.example.com/v1/ws")
	}
	if !slices.Contains(rates(), c.Rate) {
		fault("rate", c.Rate, fmt.Sprintf("use one of %v", rates()))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"ahead", c.Ahead}, {"buffer", c.Buffer}, {"first", c.First}, {"most", c.Most}, {"give_up", c.GiveUp}, {"patience", c.Patience}} {
		if d.value < 0 || d.value > time.Hour {
			fault(d.name, d.value, "use 0 for the default, or up to an hour")
		}
	}
	if c.Ahead > c.Buffer {
		fault("ahead", c.Ahead, fmt.Sprintf("use at most buffer (%v)", c.Buffer))
	}
	if c.First > c.Most {
		fault("first", c.First, fmt.Sprintf("use at most most (%v)", c.Most))
	}
	if c.Events < 0 || c.Events > 1<<16 {
		fault("events", c.Events, "use 0 for the default, or up to 65536")
	}
	if c.Pending < 0 || c.Pending > 1<<16 {
		fault("pending", c.Pending, "use 0 for the default, or up to 65536")
	}
	return errors.Join(faults...)
}

// format is what both directions speak.
func (c Config) format() wire.Format { return wire.Format(fmt.Sprintf("%s/%d", wire.PCM, c.Rate)) }

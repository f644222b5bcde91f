// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/parley/transport"
)

// Config is what a Server is made of. The zero value serves clients that are no browsers
// of another site.
type Config struct {
	// Model is the model's name that a client is told which asks for none; empty =
	// DefaultModel. Which model answers is the host's to know: a client's word is echoed.
	Model string
	// Voices gives the engine's voice for a voice that clients ask for, e.g. "alloy". A name
	// that it does not have is handed on as it is, but for OpenAI's own: those leave the
	// engine's voice.
	Voices map[string]string
	// Origins are the hosts whose pages may connect, as patterns of path.Match, beside the
	// host that serves. Clients that are no browsers send no origin.
	Origins []string
	// Check looks at a client's token before its session begins, so that one that will be
	// refused is told at once; nil = it is told by Host.Begin.
	Check func(ctx context.Context, o transport.Offer) error

	// Idle is when a session begins of a client that asks for nothing; 0 = DefaultIdle.
	Idle time.Duration
	// Begin bounds the time that a session may take to begin; 0 = DefaultBegin.
	Begin time.Duration
	// Behind is how much later than it was sent a client is taken to play sound, until it
	// says by truncate where it has stopped; 0 = DefaultBehind.
	Behind time.Duration
	// Ping is how often a client is asked whether it is there, and how long it has for the
	// answer; 0 = DefaultPing.
	Ping time.Duration
	// Close bounds the time in which a link writes what is left; 0 = DefaultClose.
	Close time.Duration
	// EventBytes bounds one event of a client; 0 = DefaultEventBytes.
	EventBytes int64
	// Buffered bounds the caller's sound that came faster than it is spoken; 0 = DefaultBuffered.
	Buffered time.Duration
	// Items bounds the items of a conversation that a client can refer to; the oldest is
	// forgotten first. 0 = DefaultItems.
	Items int
}

// The values where a Config names none.
const (
	DefaultModel      = "parley"
	DefaultIdle       = time.Second
	DefaultBegin      = 15 * time.Second
	DefaultBehind     = 300 * time.Millisecond
	DefaultPing       = 20 * time.Second
	DefaultClose      = 2 * time.Second
	DefaultEventBytes = 4 << 20 // a minute of sound in base64
	DefaultBuffered   = time.Minute
	DefaultItems      = 512
)

// The limits of what can be set.
const (
	longest        = 5 * time.Minute
	mostBehind     = time.Second // a session that hears nothing for two does not wait for it
	mostEventBytes = 64 << 20
	mostItems      = 1 << 16
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Model == "" {
		c.Model = DefaultModel
	}
	for _, d := range [...]struct {
		v    *time.Duration
		most time.Duration
	}{{&c.Idle, DefaultIdle}, {&c.Begin, DefaultBegin}, {&c.Behind, DefaultBehind}, {&c.Ping, DefaultPing}, {&c.Close, DefaultClose}, {&c.Buffered, DefaultBuffered}} {
		if *d.v == 0 {
			*d.v = d.most
		}
	}
	if c.EventBytes == 0 {
		c.EventBytes = DefaultEventBytes
	}
	if c.Items == 0 {
		c.Items = DefaultItems
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	for _, d := range [...]struct {
		name  string
		value time.Duration
	}{{"idle", c.Idle}, {"begin", c.Begin}, {"behind", c.Behind}, {"ping", c.Ping}, {"close", c.Close}, {"buffered", c.Buffered}} {
		if d.value < 0 || d.value > longest {
			faults = append(faults, fmt.Errorf("realtime: %s: %v: use 0 for the default, or up to %v", d.name, d.value, longest))
		}
	}
	if c.EventBytes < 0 || c.EventBytes > mostEventBytes {
		faults = append(faults, fmt.Errorf("realtime: event_bytes: %d: use 0 for the default, or 1 to %d", c.EventBytes, mostEventBytes))
	}
	if c.Items < 0 || c.Items > mostItems {
		faults = append(faults, fmt.Errorf("realtime: items: %d: use 0 for the default, or 1 to %d", c.Items, mostItems))
	}
	if c.Behind > mostBehind {
		faults = append(faults, fmt.Errorf("realtime: behind: %v: use 0 for the default, or up to %v", c.Behind, mostBehind))
	}
	return errors.Join(faults...)
}

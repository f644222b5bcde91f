// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
)

// The bounds where a Config names none.
const (
	DefaultAudio        = 50 // a second of frames
	DefaultControl      = 256
	DefaultControlBytes = 4 << 20
	DefaultTimeout      = 10 * time.Second
)

// The limits of what can be set.
const (
	mostMessages = 1 << 16
	mostBytes    = 1 << 30
	longest      = 5 * time.Minute
)

// Config is what an Outbox is made of.
type Config struct {
	// Write puts one message on the wire. It is called by one goroutine, one message after
	// the other, and may wait; it returns soon after its context has ended. It keeps
	// neither the message nor its Data. An error of it fails the outbox.
	Write func(ctx context.Context, m *Message) error
	// Audio is how many messages of audio may wait; 0 = DefaultAudio.
	Audio int
	// Control is how many other messages may wait; 0 = DefaultControl.
	Control int
	// ControlBytes is how much Data those may hold together; 0 = DefaultControlBytes.
	ControlBytes int
	// Timeout is how long one write may take before the outbox fails; 0 = DefaultTimeout.
	Timeout time.Duration
	// Failed is told why nothing is written any more, unless Close was the reason. It may
	// call Close. nil = nobody is told.
	Failed func(error)
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Audio == 0 {
		c.Audio = DefaultAudio
	}
	if c.Control == 0 {
		c.Control = DefaultControl
	}
	if c.ControlBytes == 0 {
		c.ControlBytes = DefaultControlBytes
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("outbox: %s: %v: %s", field, value, remedy))
	}
	if c.Write == nil {
		fault("write", "nil", "give the function that puts a message on the wire")
	}
	if c.Audio < 0 || c.Audio > mostMessages {
		fault("audio", c.Audio, fmt.Sprintf("use 0 for the default, or 1 to %d messages", mostMessages))
	}
	if c.Control < 0 || c.Control > mostMessages {
		fault("control", c.Control, fmt.Sprintf("use 0 for the default, or 1 to %d messages", mostMessages))
	}
	if c.ControlBytes < 0 || c.ControlBytes > mostBytes {
		fault("control_bytes", c.ControlBytes, fmt.Sprintf("use 0 for the default, or 1 to %d bytes", mostBytes))
	}
	if c.Timeout < 0 || c.Timeout > longest {
		fault("timeout", c.Timeout, fmt.Sprintf("use 0 for the default, or up to %v", longest))
	}
	return errors.Join(faults...)
}

// Message is one message of the wire.
type Message struct {
	// Audio says that a fence may take it out, and that it may be left out when too much
	// waits. What names its turn but must arrive, such as a mark, is no audio.
	Audio bool
	// Turn and Generation are what a fence names; only audio needs them.
	Turn       eventabi.TurnID
	Generation uint32
	// Binary says what kind of message Data is, where the wire has two.
	Binary bool
	// Data is the outbox's from Send on. That of audio is used again: see Buffer.
	Data []byte
}

// SPDX-License-Identifier: Apache-2.0

package jitter

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/parley/transport"
)

// The bounds of flow section 6: target 60 ms, maximum 200 ms, gaps up to 60 ms concealed.
const (
	DefaultTarget  = 60 * time.Millisecond
	DefaultMaximum = 200 * time.Millisecond
	DefaultConceal = 60 * time.Millisecond
)

// Config is what a Buffer is made of. Each field's zero value is its default.
type Config struct {
	// Target is how much longer than the quickest a frame may take and be in time. It is
	// the delay that the Buffer adds.
	Target time.Duration
	// Maximum is how much audio is held at most.
	Maximum time.Duration
	// Conceal is the longest gap that is filled with a guess; negative = none.
	Conceal time.Duration
	// SequenceBits is where the transport's numbers wrap: 16 for RTP; 0 = they do not.
	SequenceBits int
}

// The limits of what can be set.
const (
	// longest bounds Maximum: audio that is seconds old is of no use in a conversation.
	longest = 2 * time.Second
	// fadeOut is where the guess has faded to silence (conceal.go).
	fadeOut = 60 * time.Millisecond
	// leastBits and mostBits bound SequenceBits: fewer do not cover what is held, more do
	// not wrap.
	leastBits, mostBits = 8, 62
)

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Target == 0 {
		c.Target = DefaultTarget
	}
	if c.Maximum == 0 {
		c.Maximum = DefaultMaximum
	}
	switch {
	case c.Conceal == 0:
		c.Conceal = DefaultConceal
	case c.Conceal < 0:
		c.Conceal = 0
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("jitter: %s: %v: %s", field, value, remedy))
	}
	if c.Target < transport.FrameDuration {
		fault("target", c.Target, "use 0 for the default, or a frame of 20ms at least")
	}
	if c.Maximum < c.Target+transport.FrameDuration || c.Maximum > longest {
		fault("maximum", c.Maximum, fmt.Sprintf("use 0 for the default, or from target and a frame (%v) to %v", c.Target+transport.FrameDuration, longest))
	}
	if c.Conceal > fadeOut {
		fault("conceal", c.Conceal, fmt.Sprintf("use %v at most: a guess has faded to silence by then", fadeOut))
	}
	if c.SequenceBits != 0 && (c.SequenceBits < leastBits || c.SequenceBits > mostBits) {
		fault("sequence_bits", c.SequenceBits, fmt.Sprintf("use 0 for numbers that do not wrap, or from %d to %d", leastBits, mostBits))
	}
	return errors.Join(faults...)
}

// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"errors"
	"fmt"
	"time"

	"github.com/parley-voice/parley/transport"
)

// The bounds where a Config names none.
const (
	DefaultLongest = time.Minute
	DefaultBurst   = 200 * time.Millisecond
	DefaultCatchUp = time.Second
)

// The limits of what can be set.
const (
	mostLongest = 10 * time.Minute // 19 MB
	// mostAtOnce bounds Burst and CatchUp: the session keeps four seconds of what it has
	// heard, and a recogniser that opens late looks back on them.
	mostAtOnce = 2 * time.Second
)

// Config is what a Feed is made of. Each field's zero value is its default.
type Config struct {
	// Longest is how much audio waits at most.
	Longest time.Duration
	// Burst is how much may go out at once.
	Burst time.Duration
	// CatchUp is how much of a delay is made up for at twice the pace; negative = none.
	CatchUp time.Duration
	// Broken ends the connection when a function of After panics in the feed's own time; nil =
	// the session is told that the client is gone.
	Broken func(*transport.Panic)
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.Longest == 0 {
		c.Longest = DefaultLongest
	}
	if c.Burst == 0 {
		c.Burst = DefaultBurst
	}
	switch {
	case c.CatchUp == 0:
		c.CatchUp = DefaultCatchUp
	case c.CatchUp < 0:
		c.CatchUp = 0
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	fault := func(field string, value any, remedy string) {
		faults = append(faults, fmt.Errorf("feed: %s: %v: %s", field, value, remedy))
	}
	if c.Longest < transport.FrameDuration || c.Longest > mostLongest {
		fault("longest", c.Longest, fmt.Sprintf("use 0 for the default, or %v to %v", transport.FrameDuration, mostLongest))
	}
	if c.Burst < transport.FrameDuration || c.Burst > mostAtOnce {
		fault("burst", c.Burst, fmt.Sprintf("use 0 for the default, or %v to %v", transport.FrameDuration, mostAtOnce))
	}
	if c.CatchUp > mostAtOnce {
		fault("catch_up", c.CatchUp, fmt.Sprintf("use 0 for the default, a negative one for none, or up to %v", mostAtOnce))
	}
	return errors.Join(faults...)
}

// SPDX-License-Identifier: Apache-2.0

package segmenter

import (
	"errors"
	"fmt"
	"time"
)

// Config is when segments leave. The four of the handoff have the defaults of turn-plan
// section 6; the other two are this package's.
type Config struct {
	MinPartialChars      int           // characters (Unicode code points, outer space not counted)
	TriggerOnPunctuation bool          // false: by length and age alone
	MaxPartialAge        time.Duration // see the package comment
	MaxPendingSegments   int           // segments that have left and of which Done was not told; 0 = not limited
	MaxSentenceAge       time.Duration // a later sentence is cut at a word after this, so that playback does not run dry
	MaxSegmentChars      int           // a longer sentence is cut at a clause or a word
}

// Default is the configuration of turn-plan section 6.
func Default() Config {
	return Config{
		MinPartialChars:      24,
		TriggerOnPunctuation: true,
		MaxPartialAge:        250 * time.Millisecond,
		MaxPendingSegments:   8,
		MaxSentenceAge:       time.Second,
		MaxSegmentChars:      300,
	}
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("segmenter: "+format, args...)) }
	if c.MinPartialChars < 1 {
		fault("min_partial_chars: %d; use 1 or more", c.MinPartialChars)
	}
	if c.MaxPartialAge <= 0 {
		fault("max_partial_age: %v; use a positive duration", c.MaxPartialAge)
	}
	if c.MaxPendingSegments < 0 {
		fault("max_pending_segments: %d; use 1 or more, 0 for no limit", c.MaxPendingSegments)
	}
	if c.MaxSentenceAge < c.MaxPartialAge {
		fault("max_sentence_age: %v; use max_partial_age (%v) or more", c.MaxSentenceAge, c.MaxPartialAge)
	}
	if c.MaxSegmentChars < c.MinPartialChars {
		fault("max_segment_chars: %d; use min_partial_chars (%d) or more", c.MaxSegmentChars, c.MinPartialChars)
	}
	return errors.Join(faults...)
}

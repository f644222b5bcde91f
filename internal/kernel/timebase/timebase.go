// SPDX-License-Identifier: Apache-2.0

package timebase

// Instant is a point on a session's monotonic clock, in nanoseconds since the session
// was created. Never is later than every instant.
type Instant int64

// Never is the deadline that does not come.
const Never Instant = 1<<63 - 1

// Span is a length of time in nanoseconds.
type Span int64

// Units of Span.
const (
	Microsecond Span = 1_000
	Millisecond Span = 1_000_000
	Second      Span = 1_000_000_000
)

// MS gives n milliseconds as a Span.
func MS(n int64) Span { return Span(n) * Millisecond }

// Add gives the instant s after i; Never stays Never.
func (i Instant) Add(s Span) Instant {
	if i == Never {
		return Never
	}
	return i + Instant(s)
}

// Sub gives the time from j to i.
func (i Instant) Sub(j Instant) Span { return Span(i - j) }

// MS gives whole milliseconds since the session was created, rounded down.
func (i Instant) MS() int64 { return int64(i) / int64(Millisecond) }

// MS gives whole milliseconds, rounded down.
func (s Span) MS() int64 { return int64(s) / int64(Millisecond) }

// Earliest gives the earlier of two deadlines.
func Earliest(a, b Instant) Instant {
	if a < b {
		return a
	}
	return b
}

// Samples is a position or a length on the media clock, in samples at SampleRate.
type Samples int64

// The internal audio format (flow section 6): PCM signed 16 bit little endian, mono,
// 16000 Hz, in frames of 20 ms.
const (
	SampleRate   = 16000
	FrameMS      = 20
	FrameSamples = SampleRate * FrameMS / 1000
)

// sampleSpan is how long one sample lasts: a whole number of nanoseconds, so that
// conversions both ways are exact.
const sampleSpan = Second / SampleRate

// Span gives the time that n samples last.
func (n Samples) Span() Span { return Span(n) * sampleSpan }

// MS gives whole milliseconds of n samples, rounded down.
func (n Samples) MS() int64 { return int64(n) * 1000 / SampleRate }

// SamplesIn gives the whole samples that fit in s.
func SamplesIn(s Span) Samples { return Samples(s / sampleSpan) }

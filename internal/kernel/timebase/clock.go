// SPDX-License-Identifier: Apache-2.0

package timebase

// MaxSkew is how far an observation may be from its projection (flow section 6,
// max_skew_ms of simple/v1).
const MaxSkew = 50 * Millisecond

// skewLimit is where an observation is not believed any more: ten times the bound
// (flow section 6).
const skewLimit = 10 * MaxSkew

// Verdict says what became of an observation.
type Verdict uint8

// The verdicts. Rebased and Refused are evidenced.
const (
	Kept    Verdict = iota // the projection stands
	Rebased                // the anchor moved in one step
	Refused                // the observation is out of bounds and changed nothing
)

// judge holds a skew against the bounds.
func judge(skew Span) Verdict {
	switch {
	case skew < -skewLimit || skew > skewLimit:
		return Refused
	case skew < -MaxSkew || skew > MaxSkew:
		return Rebased
	}
	return Kept
}

// Anchor ties the three clocks of a session together: at the instant At the wall clock
// showed WallMS (Unix milliseconds) and the caller's sound had come to Media.
type Anchor struct {
	At     Instant
	WallMS int64
	Media  Samples
}

// Clock is the timebase of one session. It is a value with one owner; the zero value
// waits for Calibrate.
type Clock struct {
	wallAt   Instant // the wall clock showed wallMS then
	wallMS   int64
	skewMS   int64 // of the latest reading that was believed
	sound    soundClock
	counters ClockCounters
}

// ClockCounters are what a Clock counted. Errors are in microseconds and have no sign.
type ClockCounters struct {
	Rebases        int64 // steps of an anchor, of either clock
	OutOfBounds    int64 // observations that were refused
	WallSkewMS     int64 // of the latest reading, before it moved the anchor
	MappingErrorUS int64 // media_runtime_mapping_error of the latest window
	MappingWorstUS int64 // the largest so far
}

// Counters gives what was counted.
func (c *Clock) Counters() ClockCounters {
	n := c.counters
	n.WallSkewMS = c.skewMS
	n.MappingErrorUS, n.MappingWorstUS = c.sound.errorUS, c.sound.worstUS
	return n
}

// Calibrate sets all three clocks. It is refused, and changes nothing, when it would
// move an anchor back on the monotonic axis.
func (c *Clock) Calibrate(a Anchor) bool {
	if !c.Covers(a.At) {
		return false
	}
	c.wallAt, c.wallMS = a.At, a.WallMS
	c.sound.calibrate(a.At, a.Media)
	return true
}

// origin is when an anchor was moved last.
func (c *Clock) origin() Instant { return max(c.wallAt, c.sound.opened) }

// Covers says that an instant can be projected.
func (c *Clock) Covers(at Instant) bool { return at >= c.origin() }

// Project gives what the clocks show at an instant. One that lies before an anchor is
// refused: projection does not go backwards.
func (c *Clock) Project(at Instant) (Anchor, bool) {
	if !c.Covers(at) {
		return Anchor{}, false
	}
	return Anchor{At: at, WallMS: c.Wall(at), Media: c.Media(at)}, true
}

// Wall projects an instant that is not before the anchor onto the wall clock, in Unix
// milliseconds.
func (c *Clock) Wall(at Instant) int64 { return c.wallMS + at.Sub(c.wallAt).MS() }

// Media projects an instant onto the media clock: how much sound the caller's device
// has made by then.
func (c *Clock) Media(at Instant) Samples { return c.sound.position(at) }

// Heard projects a media position onto the instant at which the device had made it. It
// is the inverse of Media, to the sample.
func (c *Clock) Heard(position Samples) Instant { return c.sound.instant(position) }

// maxWallMS is the end of the year 9999: a reading beyond it is none.
const maxWallMS = 253402300800000

// Read observes the wall clock, in Unix milliseconds, and gives its skew: measured minus
// projected.
func (c *Clock) Read(at Instant, wallMS int64) (skew Span, v Verdict) {
	ms := min(max(wallMS, 0), maxWallMS) - c.Wall(at)
	const clipMS = 1_000_000_000 // 11 days: beyond any bound, and a Span has room for it
	skew = MS(min(max(ms, -clipMS), clipMS))
	v = judge(skew)
	if wallMS < 0 || wallMS > maxWallMS || at < c.wallAt {
		v = Refused
	}
	switch v {
	case Refused:
		c.counters.OutOfBounds++
		return skew, v
	case Rebased:
		c.counters.Rebases++
		c.wallAt, c.wallMS = at, wallMS
	case Kept:
	}
	c.skewMS = ms
	return skew, v
}

// Hear observes the media clock: the caller's sound up to a position has come by now. It
// gives the skew that it found when that moved the anchor or was refused.
func (c *Clock) Hear(at Instant, position Samples) (skew Span, v Verdict) {
	skew, v = c.sound.hear(at, position)
	switch v {
	case Rebased:
		c.counters.Rebases++
	case Refused:
		c.counters.OutOfBounds++
	case Kept:
	}
	return skew, v
}

// Follow is Hear where nothing has to be evidenced. It says false, and has changed
// nothing, when the observation is one for Hear.
func (c *Clock) Follow(at Instant, position Samples) bool { return c.sound.follow(at, position) }

// Lose says that the media clock has lost its place: the link was gone, and what the
// device made meanwhile did not come. The next observation calibrates it.
func (c *Clock) Lose() { c.sound.known = false }

// SPDX-License-Identifier: Apache-2.0

package sessionhost

import "github.com/parley-voice/parley/internal/kernel/timebase"

// readEvery is the least time between two readings of the wall clock: often enough that
// a clock which was set shows within seconds, and rare enough to cost nothing.
const readEvery = 10 * timebase.Second

// readClock adds a reading of the wall clock to a pass that happens anyway; a session in
// which nothing happens needs none. The reading is of the pass's own instant, which the
// clock has passed while the owner was busy.
func (s *Session) readClock(at timebase.Instant) {
	if at < s.readNext {
		return
	}
	s.readNext = at.Add(readEvery)
	s.reading.WallMS = s.driver.wallMS() - s.driver.now().Sub(at+s.born).MS()
	s.pending = append(s.pending, &s.reading)
}

// SPDX-License-Identifier: Apache-2.0

package jitter

import "time"

// floorWindow is how long the least delay is remembered, once to twice: 100 frames, of
// which one is hardly delayed, while a drift of 500 ppm comes to a millisecond.
const floorWindow = 2 * time.Second

// floor is the least delay of the last windows.
type floor struct {
	since       time.Duration // the window under way
	now, before time.Duration // the least in it, and in the one before
}

// set forgets everything but one delay.
func (f *floor) set(at, delay time.Duration) { *f = floor{since: at, now: delay, before: delay} }

// add takes the delay of a frame that comes at an instant.
func (f *floor) add(at, delay time.Duration) {
	switch age := at - f.since; {
	case age >= 2*floorWindow:
		f.set(at, delay)
	case age >= floorWindow:
		f.since, f.before, f.now = at, f.now, delay
	default:
		f.now = min(f.now, delay)
	}
}

func (f *floor) least() time.Duration { return min(f.now, f.before) }

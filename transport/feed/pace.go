// SPDX-License-Identifier: Apache-2.0

package feed

import "time"

// pace says when the next frame may go out: two buckets of time, one that fills at twice
// the pace of speech and holds a burst, and one that fills at the pace of speech and holds
// a delay to make up for besides.
type pace struct {
	burst, catchUp time.Duration
	at             time.Time // of the two levels
	fast, slow     time.Duration
}

// fastClock is how much faster than ours a client's clock may be: 500 ppm, as a sound
// device's.
const fastClock = 2000

func newPace(c Config, now time.Time) pace {
	return pace{burst: c.Burst, catchUp: c.CatchUp, at: now, fast: c.Burst, slow: c.Burst}
}

// fill brings the levels up to an instant. One that lies back changes nothing.
func (p *pace) fill(now time.Time) {
	passed := now.Sub(p.at)
	if passed <= 0 {
		return
	}
	p.at = now
	full := p.burst + p.catchUp
	if passed >= full {
		p.fast, p.slow = p.burst, full
		return
	}
	p.fast = min(p.burst, p.fast+2*passed)
	p.slow = min(full, p.slow+passed+passed/fastClock)
}

// wait is how long after an instant a frame may go out.
func (p *pace) wait(now time.Time, frame time.Duration) time.Duration {
	p.fill(now)
	fast, slow := frame-p.fast, frame-p.slow
	return max(0, (fast+1)/2, slow)
}

// spend lets a frame out.
func (p *pace) spend(frame time.Duration) {
	p.fast -= frame
	p.slow -= frame
}

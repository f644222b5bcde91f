// SPDX-License-Identifier: Apache-2.0

package jitter

import "github.com/parley-voice/parley/transport"

// Concealment repeats the last pitch period and lets it fade, after ITU-T G.711 Appendix
// I: the guess is played as it is for 10 ms, loses a fifth every 10 ms after that, and is
// silent at 60 ms. The period is the lag, from 5 to 15 ms as there, at which the last
// sound differs least from itself (average magnitude difference: Ross et al., IEEE
// Transactions on Acoustics, Speech, and Signal Processing 22, 1974). What follows a gap
// is not changed: it goes to a recogniser, to which a smooth joint is worth less than true
// samples.
const (
	history = 2 * transport.FrameSamples     // what is kept of the sound before
	lagMin  = transport.SampleRate / 200     // 5 ms
	lagMax  = transport.SampleRate * 3 / 200 // 15 ms
	compare = transport.FrameSamples         // how much sound a lag is judged by
	whole   = transport.SampleRate / 100     // 10 ms as it is
	faded   = transport.SampleRate * 6 / 100 // silent at 60 ms
)

// concealer guesses what is missing from what was heard last.
type concealer struct {
	past [history]int16 // the last sound, newest at the end
	lag  int            // of the gap under way
	out  [transport.FrameSamples]int16
}

// heard keeps a frame that has come out.
func (c *concealer) heard(pcm []int16) {
	copy(c.past[:], c.past[transport.FrameSamples:])
	copy(c.past[history-transport.FrameSamples:], pcm)
	c.lag = 0
}

// guess gives the n-th frame of a gap.
func (c *concealer) guess(n int) []int16 {
	if c.lag == 0 {
		c.lag = c.pitch()
	}
	for i := range c.out {
		at := n*transport.FrameSamples + i
		v := int32(c.past[history-c.lag+at%c.lag])
		if at >= whole {
			v = v * int32(max(0, faded-at)) / (faded - whole)
		}
		c.out[i] = int16(v)
	}
	return c.out[:]
}

// pitch finds the lag at which the last sound is most like itself. Every other sample is
// enough to tell.
func (c *concealer) pitch() int {
	best, least := lagMin, int64(1)<<62
	for lag := lagMin; lag <= lagMax; lag++ {
		sum := int64(0)
		for i := history - compare; i < history; i += 2 {
			d := int64(c.past[i]) - int64(c.past[i-lag])
			sum += max(d, -d)
		}
		if sum < least {
			best, least = lag, sum
		}
	}
	return best
}

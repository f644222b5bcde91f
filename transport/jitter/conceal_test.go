// SPDX-License-Identifier: Apache-2.0

package jitter

import (
	"math"
	"testing"

	"github.com/parley-voice/parley/transport"
)

// voice is a vowel of a kind: a fundamental and two of its harmonics.
func voice(hz float64, from, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		x := 2 * math.Pi * hz * float64(from+i) / transport.SampleRate
		pcm[i] = int16(6000*math.Sin(x) + 3000*math.Sin(2*x+1) + 1000*math.Sin(5*x+2))
	}
	return pcm
}

func energy(pcm []int16) (sum float64) {
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(pcm))
}

// ITU-T G.711 Appendix I: the last pitch period goes on, as it is for 10 ms, then fading,
// and is silent at 60 ms.
func TestGuessContinuesTheVoice(t *testing.T) {
	for _, hz := range []float64{80, 100, 125, 160, 190} {
		var c concealer
		c.heard(voice(hz, 0, 320))
		c.heard(voice(hz, 320, 320))
		var guess []int16
		for n := range 3 {
			guess = append(guess, c.guess(n)...)
		}
		truth := voice(hz, 640, 960)
		off := make([]int16, whole)
		for i := range off {
			off[i] = guess[i] - truth[i]
		}
		if ratio := energy(off) / energy(truth[:whole]); ratio > 0.1 {
			t.Errorf("%v Hz: in the first 10 ms the guess is off by %.0f %% of the energy", hz, 100*ratio)
		}
		for n, most := range []float64{1, 0.82, 0.5, 0.27, 0.1, 0.02} {
			if part := energy(guess[n*160:(n+1)*160]) / energy(truth[n*160:(n+1)*160]); part > most*1.25 {
				t.Errorf("%v Hz: %d ms into the gap %.2f of the energy is left, want %.2f", hz, 10*n, part, most)
			}
		}
		if last := guess[len(guess)-1]; last > 20 || last < -20 {
			t.Errorf("%v Hz: the guess ends at %d", hz, last)
		}
	}
}

// Silence is guessed from silence, and full scale does not run over.
func TestGuessOfExtremes(t *testing.T) {
	var c concealer
	if energy(c.guess(0)) != 0 {
		t.Error("a guess from nothing is not silent")
	}
	loud := make([]int16, transport.FrameSamples)
	for i := range loud {
		loud[i] = math.MinInt16
	}
	c.heard(loud)
	c.heard(loud)
	for n := range 3 {
		for i, v := range c.guess(n) {
			if v > 0 {
				t.Fatalf("sample %d of frame %d is %d", i, n, v)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pairs calls test for each two rates of which one is the session's.
func pairs(t *testing.T, test func(t *testing.T, from, to int)) {
	t.Helper()
	for _, rate := range Rates() {
		for _, pair := range [][2]int{{16000, rate}, {rate, 16000}} {
			t.Run(fmt.Sprintf("%d-%d", pair[0], pair[1]), func(t *testing.T) { test(t, pair[0], pair[1]) })
		}
	}
}

func newResampler(tb testing.TB, from, to int) *Resampler {
	tb.Helper()
	r, err := NewResampler(from, to)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func sine(n, rate int, hz, level float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(level * 32767 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return pcm
}

// tone fits a sine to pcm and gives its amplitude, its phase and the signal to noise ratio
// in dB.
func tone(pcm []int16, rate int, hz float64) (amplitude, phase, snr float64) {
	var s, c, energy float64
	for i, v := range pcm {
		w := 2 * math.Pi * hz * float64(i) / float64(rate)
		s += float64(v) * math.Sin(w)
		c += float64(v) * math.Cos(w)
		energy += float64(v) * float64(v)
	}
	n := float64(len(pcm))
	s, c = 2*s/n, 2*c/n
	amplitude = math.Hypot(s, c)
	noise := energy/n - amplitude*amplitude/2
	return amplitude, math.Atan2(c, s), 10 * math.Log10(amplitude*amplitude/2/max(noise, 1e-9))
}

// In the pass band a tone keeps its level, and comes late by Delay; no click lies between
// blocks of 20 ms.
func TestResampleTones(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		lower := float64(min(from, to))
		for _, share := range []float64{0.05, 0.25, 0.4} { // of the lower rate; its half is 0.5
			hz := math.Round(share*lower/50) * 50 // whole periods in 20 ms
			r := newResampler(t, from, to)
			in := sine(from*2/5, from, hz, 0.7)
			var out []int16
			for block := range slices.Chunk(in, from/50) {
				out = r.Resample(out, block)
			}
			whole := out[to/5 : to/5+to/5] // without the beginning
			amplitude, phase, snr := tone(whole, to, hz)
			late := 2 * math.Pi * hz * (0.2 - r.Delay().Seconds())
			off := math.Remainder(phase-late, 2*math.Pi)
			if math.Abs(amplitude/(0.7*32767)-1) > 0.003 || math.Abs(off) > 0.002 || snr < 70 {
				t.Errorf("%v Hz: amplitude %.4f, phase off by %.4f, signal to noise %.1f dB", hz, amplitude/32767, off, snr)
			}
		}
	})
}

// What the lower rate cannot hold does not come back as another tone.
func TestResampleLetsNoAliasThrough(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		if to >= from {
			return
		}
		for _, hz := range []float64{float64(to) * 0.52, float64(to) * 0.7} {
			if hz >= float64(from)/2 {
				continue
			}
			out := newResampler(t, from, to).Resample(nil, sine(from/5, from, hz, 0.7))
			peak := 0
			for _, v := range out[to/20:] {
				peak = max(peak, int(v), -int(v))
			}
			if db := 20 * math.Log10(float64(max(peak, 1))/(0.7*32767)); db > -68 {
				t.Errorf("%v Hz comes through at %.1f dB", hz, db)
			}
		}
	})
}

// Rule 3: after each frame of 20 ms the length is exact, and after a second the resampler
// stands where it began, so that an hour is 3600 times a second: no drift.
func TestResampleLength(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		in, out := 0, []int16(nil)
		for frame := 1; frame <= 50; frame++ {
			n := from*frame/50 - in
			in += n
			out = r.Resample(out, make([]int16, n))
			if want := (in*to + from - 1) / from; len(out) != want {
				t.Fatalf("after %d samples in %d are out, want %d", in, len(out), want)
			}
		}
		if in != from || len(out) != to || r.at != 0 || r.phase != 0 {
			t.Errorf("after %d samples in %d are out, and the next lies at %d and %d parts", in, len(out), r.at, r.phase)
		}
	})
}

// A frame of 20 ms is one on the other side, from the first on.
func TestResampleFrames(t *testing.T) {
	for _, rate := range []int{8000, 12000, 24000, 32000, 44100, 48000} {
		there, back := newResampler(t, 16000, rate), newResampler(t, rate, 16000)
		for range 3 {
			wire := there.Resample(nil, make([]int16, 320))
			if n := len(back.Resample(nil, wire)); len(wire) != rate/50 || n != 320 {
				t.Errorf("at %d Hz a frame has %d samples, and %d again", rate, len(wire), n)
			}
		}
	}
}

// Rule 2: blocks of any sizes give what one block gives.
func TestResampleBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(Rates()).Draw(t, "rate")
		from, to := 16000, rate
		if rapid.Bool().Draw(t, "in") {
			from, to = to, from
		}
		in := rapid.SliceOfN(rapid.Int16(), 0, 1200).Draw(t, "pcm")
		r, err := NewResampler(from, to)
		if err != nil {
			t.Fatal(err)
		}
		want := r.Resample(nil, in)
		tail := r.Flush(nil)
		var got []int16
		for rest := in; len(rest) > 0; {
			n := rapid.IntRange(0, min(len(rest), 900)).Draw(t, "block")
			if n == 0 {
				n = 1
			}
			got = r.Resample(got, rest[:n])
			rest = rest[n:]
		}
		if !slices.Equal(got, want) || !slices.Equal(r.Flush(nil), tail) {
			t.Fatal("the blocks make a difference")
		}
	})
}

// A constant stays one in every phase, full scale does not wrap, Reset leaves nothing.
func TestResampleConstants(t *testing.T) {
	pairs(t, func(t *testing.T, from, to int) {
		r := newResampler(t, from, to)
		for _, level := range []int16{math.MinInt16, math.MaxInt16, 12345, 0} {
			in := make([]int16, from/10)
			for i := range in {
				in[i] = level
			}
			out := r.Resample(nil, in)
			for i, v := range out[to/50:] {
				if v != level {
					t.Fatalf("sample %d of a constant %d is %d", i, level, v)
				}
			}
			r.Reset()
		}
		square := make([]int16, from/10)
		for i := range square {
			square[i] = math.MaxInt16
			if i/37%2 == 0 {
				square[i] = math.MinInt16
			}
		}
		out, last := r.Resample(nil, square), 0
		for i, v := range out {
			if d := int(v) - last; i > to/50 && (d > 65000 || d < -65000) && to > 2*from {
				t.Fatalf("sample %d wraps", i)
			}
			last = int(v)
		}
	})
}

func TestResampleRefusesOtherRates(t *testing.T) {
	if _, err := NewResampler(8001, 16000); err == nil || !strings.Contains(err.Error(), "codec: rate: 8001 Hz: use one of") {
		t.Errorf("said %v", err)
	}
}

func BenchmarkResample(b *testing.B) {
	for _, rate := range []int{8000, 24000, 44100, 48000} {
		for _, pair := range [][2]int{{16000, rate}, {rate, 16000}} {
			b.Run(fmt.Sprintf("%d-%d", pair[0], pair[1]), func(b *testing.B) {
				r := newResampler(b, pair[0], pair[1])
				in := sine(pair[0]/50, pair[0], 440, 0.5)
				var out []int16
				b.ReportAllocs()
				for b.Loop() {
					out = r.Resample(out[:0], in)
				}
			})
		}
	}
}

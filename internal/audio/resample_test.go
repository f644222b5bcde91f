// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// Speech up to 6.4 kHz keeps its level; what a rate of 16 kHz cannot hold is
// gone instead of folded into the speech band.
func TestResampleBands(t *testing.T) {
	for _, rate := range []int{22050, 24000, 32000, 44100, 48000} {
		s := wavSpec{codec: codecS24, rate: rate, channels: 1}
		for _, hz := range []float64{100, 3000, 6000, 6400} {
			clip, _, err := DecodeWAV(bytes.NewReader(s.sine(hz, 0.5, 0.2)), "a.wav")
			if err != nil {
				t.Fatal(err)
			}
			if a, _, snr := tone(clip.PCM, hz); math.Abs(20*math.Log10(a/16384)) > 0.1 || snr < 75 {
				t.Errorf("%d Hz: a tone of %.0f Hz comes out at %.2f dB, signal to noise %.0f dB", rate, hz, 20*math.Log10(a/16384), snr)
			}
		}
		for _, hz := range []float64{8100, 9000, 10500} {
			clip, _, err := DecodeWAV(bytes.NewReader(s.sine(hz, 0.5, 0.2)), "a.wav")
			if err != nil {
				t.Fatal(err)
			}
			// the onset and the end of the tone are broadband, and rightly there
			mid := clip.PCM[Rate/100 : len(clip.PCM)-Rate/100]
			if m := measure(mid); m.Max > 1 || m.Min < -1 {
				t.Errorf("%d Hz: a tone of %.0f Hz leaks %d to %d", rate, hz, m.Min, m.Max)
			}
		}
	}
}

// From 8 kHz nothing appears above 4 kHz that was not there.
func TestResampleUpLeavesNoImages(t *testing.T) {
	s := wavSpec{codec: codecS24, rate: 8000, channels: 1}
	clip, _, err := DecodeWAV(bytes.NewReader(s.sine(3000, 0.5, 0.2)), "a.wav")
	if err != nil {
		t.Fatal(err)
	}
	if a, _, snr := tone(clip.PCM, 3000); math.Abs(a/16384-1) > 0.01 || snr < 75 {
		t.Errorf("amplitude %.1f, signal to noise %.1f dB", a, snr)
	}
}

// The result does not depend on how the input is cut into blocks.
func TestResampleBlocks(t *testing.T) {
	x := make([]int32, 5000)
	seed := uint32(7)
	for i := range x {
		seed = seed*1664525 + 1013904223
		x[i] = int32(seed) >> 8
	}
	for _, rates := range [][2]int{{8000, 16000}, {11025, 16000}, {44100, 16000}, {48000, 16000}, {47999, 16000}} {
		whole := newResampler(rates[0], rates[1])
		want := whole.flush(whole.push(nil, x))
		parts := newResampler(rates[0], rates[1])
		var got []int32
		for n, rest := 1, x; len(rest) > 0; n = n*7%509 + 1 {
			n = min(n, len(rest))
			got = parts.push(got, rest[:n])
			rest = rest[n:]
		}
		if got = parts.flush(got); !slices.Equal(got, want) {
			t.Errorf("%v: blocks change the result", rates)
		}
	}
}

// A constant stays exactly what it is, in every phase.
func TestResampleConstant(t *testing.T) {
	x := make([]int32, 4000)
	for i := range x {
		x[i] = 1_234_567
	}
	for _, from := range []int{8000, 11025, 22050, 44100, 48000} {
		r := newResampler(from, Rate)
		y := r.flush(r.push(nil, x))
		edge := 2 * r.half * Rate / from
		for i, v := range y[edge : len(y)-edge] {
			if v != 1_234_567 {
				t.Fatalf("from %d Hz: sample %d is %d", from, i+edge, v)
			}
		}
	}
}

// The filter's integers must not change silently: recordings that were
// converted once convert alike on every machine and in every version.
func TestResamplePinned(t *testing.T) {
	var h uint64 = 14695981039346656037
	for _, from := range []int{8000, 11025, 22050, 44100, 48000} {
		for _, c := range newResampler(from, Rate).coef {
			h = (h ^ uint64(uint32(c))) * 1099511628211
		}
	}
	if h != pinnedFilters {
		t.Errorf("filter coefficients hash to %#x, pinned %#x", h, uint64(pinnedFilters))
	}
}

func BenchmarkDecode44100Stereo(b *testing.B) {
	file := wavSpec{codec: codecS16, rate: 44100, channels: 2}.sine(440, 0.5, 10)
	for b.Loop() {
		if _, _, err := DecodeWAV(bytes.NewReader(file), "a.wav"); err != nil {
			b.Fatal(err)
		}
	}
}

// FNV-1a over the coefficients of the five usual rates.
const pinnedFilters = 0xb58c99452f0492b9

// SPDX-License-Identifier: Apache-2.0

package audio

import "math"

// MinMax is one column of a drawn waveform, in 16-bit sample values.
type MinMax struct {
	Min, Max int16
	// RMS is the root mean square, rounded; it shows loudness where the peaks
	// of speech all look alike.
	RMS int16
}

// Envelope divides pcm into the given number of columns of equal length (to
// one sample) and measures each. With fewer samples than columns, neighbours
// share a sample; without samples, every column is zero. Columns below one
// give nil.
func Envelope(pcm []int16, buckets int) []MinMax {
	if buckets < 1 {
		return nil
	}
	out := make([]MinMax, buckets)
	n := int64(len(pcm))
	if n == 0 {
		return out
	}
	for i := range out {
		from := int64(i) * n / int64(buckets)
		to := max(from+1, int64(i+1)*n/int64(buckets))
		out[i] = measure(pcm[from:to])
	}
	return out
}

// measure takes at least one sample.
func measure(pcm []int16) MinMax {
	m := MinMax{Min: pcm[0], Max: pcm[0]}
	var sum int64
	for _, v := range pcm {
		m.Min, m.Max = min(m.Min, v), max(m.Max, v)
		sum += int64(v) * int64(v)
	}
	rms := math.Sqrt(float64(sum) / float64(len(pcm)))
	m.RMS = int16(min(math.Round(rms), math.MaxInt16))
	return m
}

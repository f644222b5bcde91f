// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"fmt"
	"slices"
	"time"
)

// Rates are the sample rates of PCM that a wire may have, in Hz.
func Rates() []int {
	return []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}
}

// Resampler brings a stream of samples from one rate to another. Its output is late by
// Delay.
type Resampler struct {
	*filter
	buf   []int16 // the last taps-1 samples, and room for a block
	at    int     // of the next output: its newest sample, counted behind those ...
	phase int     // ... and how far behind it, in up-ths of a sample
}

// blockSamples is how much is filtered at a time.
const blockSamples = 512

// NewResampler makes a Resampler from one of Rates to another, both in Hz.
func NewResampler(from, to int) (*Resampler, error) {
	for _, rate := range []int{from, to} {
		if !slices.Contains(Rates(), rate) {
			return nil, fmt.Errorf("codec: rate: %d Hz: use one of %v", rate, Rates())
		}
	}
	if from == to {
		return &Resampler{}, nil
	}
	f := design(from, to)
	r := &Resampler{filter: f, buf: make([]int16, f.taps-1+blockSamples)}
	return r, nil
}

// Delay is how late the output is: 1.5 ms between high rates, 3 ms when one is 8000 Hz.
func (r *Resampler) Delay() time.Duration {
	if r.filter == nil {
		return 0
	}
	return time.Duration(r.taps/2) * time.Second / time.Duration(r.from)
}

// Resample appends to dst what pcm becomes: of all samples so far, to/from times as many,
// rounded up.
func (r *Resampler) Resample(dst, pcm []int16) []int16 {
	if r.filter == nil {
		return append(dst, pcm...)
	}
	for len(pcm) > 0 {
		n := copy(r.buf[r.taps-1:], pcm)
		pcm = pcm[n:]
		dst = r.block(dst, n)
		copy(r.buf, r.buf[n:n+r.taps-1])
	}
	return dst
}

// Flush appends what Delay still holds back, as if silence followed, and resets.
func (r *Resampler) Flush(dst []int16) []int16 {
	if r.filter == nil {
		return dst
	}
	var silence [blockSamples]int16
	for n := r.taps / 2; n > 0; n -= blockSamples {
		dst = r.Resample(dst, silence[:min(n, blockSamples)])
	}
	r.Reset()
	return dst
}

// Reset begins a new stream.
func (r *Resampler) Reset() {
	clear(r.buf)
	r.at, r.phase = 0, 0
}

// block filters n new samples, which lie behind the last ones.
func (r *Resampler) block(dst []int16, n int) []int16 {
	for r.at < n {
		x := r.buf[r.at : r.at+r.taps]
		dst = append(dst, r.output(x, r.phase))
		r.at += r.whole
		if r.phase += r.part; r.phase >= r.up {
			r.phase -= r.up
			r.at++
		}
	}
	r.at -= n
	return dst
}

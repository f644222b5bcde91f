// SPDX-License-Identifier: Apache-2.0

package audio

import "math"

const (
	// zeroCrossings on each side of the filter's centre, counted at the lower
	// of the two rates. With kaiserBeta the stop band lies 90 dB down and the
	// pass band reaches 82 % of the lower rate's half (6.5 kHz of 8 kHz):
	// speech engines at 16 kHz look at 130 to 6800 Hz at most.
	zeroCrossings = 32
	// kaiserBeta for 90 dB, by Kaiser's formula 0.1102*(90-8.7).
	kaiserBeta = 8.96
	// passEdge puts the middle of the transition band, 0.178 of the half rate
	// wide ((90-8)/(2.285*2*32) rad), so that it ends at the half rate.
	passEdge = 0.911
	// coefBits is the scale of the coefficients: with 24-bit samples, four
	// times full scale of headroom and 256 taps, sums stay below 2^56.
	coefBits = 22
)

// resampler is a polyphase windowed-sinc filter from one integer rate to
// another, fed in blocks. Output k lies at input position k*down/up, so the
// result is aligned with the input, without the filter's delay.
type resampler struct {
	up, down int
	half     int     // taps on each side
	coef     []int32 // up phases of 2*half taps
	buf      []int32 // input not yet out of reach; begins at position head
	head     int64   // input position of buf[0]; negative within the leading zeros
	in       int64   // input samples so far
	next     int64   // number of the next output
}

// newResampler designs the filter for from -> to, both in Hz.
func newResampler(from, to int) *resampler {
	g := gcd(from, to)
	r := &resampler{up: to / g, down: from / g}
	cut := passEdge * min(1, float64(to)/float64(from)) // of the input's half rate
	r.half = int(math.Ceil(zeroCrossings / min(1, float64(to)/float64(from))))
	taps := 2 * r.half
	r.coef = make([]int32, r.up*taps)
	row := make([]float64, taps)
	for p := range r.up {
		frac := float64(p) / float64(r.up)
		for j := range row {
			// distance of tap j (input position j-half+1) from the output's position
			row[j] = tap(float64(j-r.half+1)-frac, cut, float64(r.half))
		}
		quantise(r.coef[p*taps:(p+1)*taps], row)
	}
	r.head = -int64(r.half - 1)
	r.buf = make([]int32, r.half-1, 2*taps+blockFrames)
	return r
}

// tap is the Kaiser-windowed sinc at distance t input samples.
func tap(t, cut, half float64) float64 {
	u := t / half
	if u <= -1 || u >= 1 {
		return 0
	}
	x, s := math.Pi*cut*t, 1.0
	if x != 0 {
		s = math.Sin(x) / x
	}
	return s * bessel0(kaiserBeta*math.Sqrt(1-u*u))
}

// bessel0 is the modified Bessel function of the first kind and order 0, by
// its power series; beta below 10 needs fewer than 30 terms.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}

// quantise rounds one phase to integers whose sum is exactly one at
// coefBits, so that a constant input comes out unchanged in every phase.
func quantise(dst []int32, row []float64) {
	sum := 0.0
	for _, v := range row {
		sum += v
	}
	rest, peak := int32(1)<<coefBits, 0
	for j, v := range row {
		dst[j] = int32(math.RoundToEven(v / sum * (1 << coefBits)))
		rest -= dst[j]
		if dst[j] > dst[peak] {
			peak = j
		}
	}
	dst[peak] += rest
}

// push takes input and appends what can be computed of the output to dst.
func (r *resampler) push(dst, x []int32) []int32 {
	r.in += int64(len(x))
	r.buf = append(r.buf, x...)
	return r.run(dst, math.MaxInt64)
}

// flush ends the input: the rest of the output, ceil(in*up/down) samples in all.
func (r *resampler) flush(dst []int32) []int32 {
	r.buf = append(r.buf, make([]int32, r.half)...)
	return r.run(dst, (r.in*int64(r.up)+int64(r.down)-1)/int64(r.down))
}

func (r *resampler) run(dst []int32, end int64) []int32 {
	taps := 2 * r.half
	for ; r.next < end; r.next++ {
		at := r.next * int64(r.down)
		first := int(at/int64(r.up) - int64(r.half) + 1 - r.head)
		if first+taps > len(r.buf) {
			break
		}
		phase := int(at % int64(r.up))
		x, c := r.buf[first:first+taps], r.coef[phase*taps:(phase+1)*taps]
		acc := int64(1) << (coefBits - 1)
		for i, v := range x {
			acc += int64(v) * int64(c[i])
		}
		dst = append(dst, int32(acc>>coefBits))
	}
	// drop what lies before the next output's first tap
	if drop := int(r.next*int64(r.down)/int64(r.up) - int64(r.half) + 1 - r.head); drop > 0 {
		drop = min(drop, len(r.buf))
		r.buf = r.buf[:copy(r.buf, r.buf[drop:])]
		r.head += int64(drop)
	}
	return dst
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"math"
	"sync"
)

// The filter between two rates is a windowed sinc in polyphase form (Crochiere, Rabiner,
// "Multirate Digital Signal Processing", 1983), with Kaiser's window.
const (
	// crossings of zero on each side of the centre, counted at the lower of the rates.
	crossings = 24
	// kaiserBeta puts the stop band 75 dB down, by Kaiser's 0.1102*(75-8.7): below what a
	// microphone hears, and what a speech engine notices.
	kaiserBeta = 7.31
	// passEdge puts the middle of the transition, which is (75-8)/(2.285*2*24) rad or
	// 0.194 of the lower rate's half wide, so that it ends there: 3.2 kHz of a telephone's
	// 4 pass, and 6.4 of 8.
	passEdge = 0.903
	// coefficientBits is the scale: sums of 300 products with 16 bit stay far below 2^63.
	coefficientBits = 22
)

// filter is a design: constant, and shared by all streams between two rates.
type filter struct {
	from, to    int
	up          int     // phases
	whole, part int     // of from/to: samples, and up-ths of one
	taps        int     // of a phase, even
	rows        []int32 // up phases of taps
}

// designs are the filters that were needed so far, at most one for each two of Rates. A
// filter is a constant; only its making takes a few milliseconds.
var designs sync.Map //nolint:gochecknoglobals // constants, made when they are first needed

func design(from, to int) *filter {
	key := [2]int{from, to}
	if f, ok := designs.Load(key); ok {
		return f.(*filter)
	}
	f, _ := designs.LoadOrStore(key, newFilter(from, to))
	return f.(*filter)
}

func newFilter(from, to int) *filter {
	divisor := from
	for rest := to; rest != 0; {
		divisor, rest = rest, divisor%rest
	}
	up, down := to/divisor, from/divisor
	lower := min(1, float64(to)/float64(from)) // the lower rate in terms of the input's
	half := int(math.Ceil(crossings / lower))
	f := &filter{from: from, to: to, up: up, whole: down / up, part: down % up, taps: 2 * half}
	f.rows = make([]int32, up*f.taps)
	row := make([]float64, f.taps)
	for p := range up {
		for j := range row {
			// from the output's position, which lies half the taps back
			distance := float64(j-half+1) - float64(p)/float64(up)
			row[j] = tap(distance, passEdge*lower, float64(half))
		}
		quantise(f.rows[p*f.taps:(p+1)*f.taps], row)
	}
	return f
}

// tap is the windowed sinc at a distance in input samples.
func tap(distance, cut, half float64) float64 {
	u := distance / half
	if u <= -1 || u >= 1 {
		return 0
	}
	x, s := math.Pi*cut*distance, 1.0
	if x != 0 {
		s = math.Sin(x) / x
	}
	return s * bessel(kaiserBeta*math.Sqrt(1-u*u))
}

// bessel is the modified Bessel function of the first kind and order 0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}

// quantise scales a phase so that it sums up to one exactly: a constant stays what it is,
// in every phase, and there is no tone at the rate of the phases.
func quantise(dst []int32, row []float64) {
	sum := 0.0
	for _, v := range row {
		sum += v
	}
	rest, peak := int32(1)<<coefficientBits, 0
	for j, v := range row {
		dst[j] = int32(math.RoundToEven(v / sum * (1 << coefficientBits)))
		rest -= dst[j]
		if dst[j] > dst[peak] {
			peak = j
		}
	}
	dst[peak] += rest
}

// output is one sample: the phase's taps over as many samples, rounded and clipped. Two
// sums, so that one multiplication need not wait for the other; the number of taps is even.
func (f *filter) output(x []int16, phase int) int16 {
	row := f.rows[phase*f.taps : (phase+1)*f.taps]
	even, odd := int64(1)<<(coefficientBits-1), int64(0)
	for len(row) >= 8 && len(x) >= 8 {
		even += int64(x[0])*int64(row[0]) + int64(x[2])*int64(row[2]) + int64(x[4])*int64(row[4]) + int64(x[6])*int64(row[6])
		odd += int64(x[1])*int64(row[1]) + int64(x[3])*int64(row[3]) + int64(x[5])*int64(row[5]) + int64(x[7])*int64(row[7])
		row, x = row[8:], x[8:]
	}
	for len(row) >= 2 && len(x) >= 2 {
		even += int64(x[0]) * int64(row[0])
		odd += int64(x[1]) * int64(row[1])
		row, x = row[2:], x[2:]
	}
	v := (even + odd) >> coefficientBits
	return int16(max(math.MinInt16, min(v, math.MaxInt16)))
}

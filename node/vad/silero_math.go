// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"math"
	"math/bits"
)

// convolution is a layer over time with kernel 3, padding 1 and a rectifier.
type convolution struct {
	in, out int // channels
	steps   int // of time, coming in
	stride  int
	weights []float32 // [out][kernel][in]
	bias    []float32
}

// set takes the layer's weights, which the file holds as [out][in][kernel]. Turned
// round, the inputs of one output lie in one piece, as in a time-major layer.
func (c *convolution) set(t tensors, name string) error {
	weights, err := t.get(name+"weight", c.out, c.in, kernel)
	if err != nil {
		return err
	}
	if c.bias, err = t.get(name+"bias", c.out); err != nil {
		return err
	}
	c.weights = make([]float32, len(weights))
	for o := range c.out {
		for i := range c.in {
			for k := range kernel {
				c.weights[(o*kernel+k)*c.in+i] = weights[(o*c.in+i)*kernel+k]
			}
		}
	}
	return nil
}

// apply computes the layer. Each step of output is one product of the weights with a
// run of input; at the edges the run and the weights are cut where padding would be.
func (c *convolution) apply(dst, src []float32) {
	row := kernel * c.in
	for to, from := 0, -1; from+1 < c.steps; to, from = to+1, from+c.stride {
		first, last := max(from, 0), min(from+kernel, c.steps)
		out := dst[to*c.out : (to+1)*c.out]
		product(out, c.weights[(first-from)*c.in:], row, src[first*c.in:last*c.in], c.bias)
		for i, v := range out {
			out[i] = max(v, 0)
		}
	}
}

// product sets dst[r] to bias[r] plus the product of x with the weights from r*row on.
// len(dst) is a multiple of four: four rows at a time share each load of x, and their
// sums do not wait for one another.
func product(dst, weights []float32, row int, x, bias []float32) {
	n := len(x)
	for r := 0; r+3 < len(dst); r += 4 {
		w0 := weights[r*row:][:n]
		w1 := weights[(r+1)*row:][:n]
		w2 := weights[(r+2)*row:][:n]
		w3 := weights[(r+3)*row:][:n]
		var a0, a1, a2, a3, b0, b1, b2, b3 float32
		i := 0
		for ; i+1 < n; i += 2 {
			x0, x1 := x[i], x[i+1]
			a0 += w0[i] * x0
			b0 += w0[i+1] * x1
			a1 += w1[i] * x0
			b1 += w1[i+1] * x1
			a2 += w2[i] * x0
			b2 += w2[i+1] * x1
			a3 += w3[i] * x0
			b3 += w3[i+1] * x1
		}
		if i < n {
			a0 += w0[i] * x[i]
			a1 += w1[i] * x[i]
			a2 += w2[i] * x[i]
			a3 += w3[i] * x[i]
		}
		dst[r] = bias[r] + a0 + b0
		dst[r+1] = bias[r+1] + a1 + b1
		dst[r+2] = bias[r+2] + a2 + b2
		dst[r+3] = bias[r+3] + a3 + b3
	}
}

// fft is a radix-2 Fourier transform of 256 complex numbers, in place.
func (m *Silero) fft(re, im *[window]float32) {
	for i := range window {
		if j := int(bits.Reverse8(uint8(i))); i < j {
			re[i], re[j] = re[j], re[i]
			im[i], im[j] = im[j], im[i]
		}
	}
	for half := 1; half < window; half *= 2 {
		step := window / 2 / half
		for start := 0; start < window; start += 2 * half {
			for k := range half {
				wr, wi := m.twiddleRe[k*step], m.twiddleIm[k*step]
				a, b := start+k, start+k+half
				tr := re[b]*wr - im[b]*wi
				ti := re[b]*wi + im[b]*wr
				re[b], im[b] = re[a]-tr, im[a]-ti
				re[a], im[a] = re[a]+tr, im[a]+ti
			}
		}
	}
}

func magnitude(re, im float32) float32 { return float32(math.Sqrt(float64(re*re + im*im))) }

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

func tanh(x float32) float32 { return float32(math.Tanh(float64(x))) }

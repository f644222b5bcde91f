// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"fmt"
	"math"
)

// The audio that the network takes.
const (
	SampleRateHz = 16000
	FrameSamples = 512 // one step of the network, 32 ms
)

// Shape of the network, as its weights have it: a short-time Fourier transform of four
// windows, four convolutions over time with kernel 3, an LSTM, and one output.
const (
	contextSamples = 64 // of the frame before, put in front of each frame
	window         = 256
	hop            = 128
	bins           = window/2 + 1
	windows        = 4
	kernel         = 3
	hidden         = 128
	gates          = 4 // input, forget, cell, output
)

// Silero is the network's weights. It is safe for use by many goroutines.
type Silero struct {
	hann       [window]float32
	twiddleRe  [window / 2]float32
	twiddleIm  [window / 2]float32
	encoder    [4]convolution
	lstm       []float32 // [gates*hidden][input of the cell, then its own output]
	lstmBias   [gates * hidden]float32
	output     [hidden]float32
	outputBias float32
}

// NewSilero reads the weights for 16 kHz from Silero VAD v6's ONNX file (v5 has the
// same shape). It fails when the file is not ONNX or holds another network.
func NewSilero(onnx []byte) (*Silero, error) {
	t, err := readWeights(onnx)
	if err != nil {
		return nil, fmt.Errorf("vad: reading Silero's weights: %w", err)
	}
	m := &Silero{}
	if err := m.setTransform(t); err != nil {
		return nil, fmt.Errorf("vad: reading Silero's weights: %w", err)
	}
	shapes := [len(m.encoder)]convolution{
		{in: bins, out: 128, steps: 4, stride: 1},
		{in: 128, out: 64, steps: 4, stride: 2},
		{in: 64, out: 64, steps: 2, stride: 2},
		{in: 64, out: hidden, steps: 1, stride: 1},
	}
	for i := range m.encoder {
		m.encoder[i] = shapes[i]
		name := fmt.Sprintf("encoder.%d.reparam_conv.", i)
		if err := m.encoder[i].set(t, name); err != nil {
			return nil, fmt.Errorf("vad: reading Silero's weights: %w", err)
		}
	}
	if err := m.setDecoder(t); err != nil {
		return nil, fmt.Errorf("vad: reading Silero's weights: %w", err)
	}
	return m, nil
}

// setTransform makes the tables of the Fourier transform. The file holds it as a
// matrix, the product of which costs a third of the network's time; it is checked to be
// the Hann-windowed transform that fft computes.
func (m *Silero) setTransform(t tensors) error {
	basis, err := t.get("stft.forward_basis_buffer", 2*bins, 1, window)
	if err != nil {
		return err
	}
	for n := range window {
		m.hann[n] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(n)/window))
	}
	for k := range bins {
		for n := range window {
			sin, cos := math.Sincos(2 * math.Pi * float64(k*n%window) / window)
			re, im := basis[k*window+n], basis[(k+bins)*window+n]
			const tolerance = 1e-5
			if !near(re, m.hann[n]*float32(cos), tolerance) || !near(im, -m.hann[n]*float32(sin), tolerance) {
				return fmt.Errorf("stft.forward_basis_buffer: bin %d is not a Hann-windowed Fourier transform", k)
			}
		}
	}
	for k := range window / 2 {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / window)
		m.twiddleRe[k], m.twiddleIm[k] = float32(cos), float32(-sin)
	}
	return nil
}

func near(a, b, tolerance float32) bool { return a-b <= tolerance && b-a <= tolerance }

func (m *Silero) setDecoder(t tensors) error {
	shapes := []struct {
		name string
		dims []int
	}{
		{"decoder.rnn.weight_ih", []int{gates * hidden, hidden}},
		{"decoder.rnn.weight_hh", []int{gates * hidden, hidden}},
		{"decoder.rnn.bias_ih", []int{gates * hidden}},
		{"decoder.rnn.bias_hh", []int{gates * hidden}},
		{"decoder.decoder.2.weight", []int{1, hidden, 1}},
		{"decoder.decoder.2.bias", []int{1}},
	}
	var v [6][]float32
	for i, shape := range shapes {
		var err error
		if v[i], err = t.get(shape.name, shape.dims...); err != nil {
			return err
		}
	}
	m.lstm = make([]float32, 0, gates*hidden*2*hidden)
	for row := range gates * hidden {
		m.lstm = append(m.lstm, v[0][row*hidden:(row+1)*hidden]...)
		m.lstm = append(m.lstm, v[1][row*hidden:(row+1)*hidden]...)
		m.lstmBias[row] = v[2][row] + v[3][row]
	}
	copy(m.output[:], v[4])
	m.outputBias = v[5][0]
	return nil
}

// NewDetector starts a stream.
func (m *Silero) NewDetector() *Detector { return &Detector{net: m} }

// Detector is one stream's state, about 8 KB. It is used by one goroutine at a time.
type Detector struct {
	net     *Silero
	context [contextSamples]float32
	cell    [hidden]float32
	// The cell's input, then its own last output: what the LSTM's weights multiply.
	in [2 * hidden]float32

	// Scratch, kept here so that a step does not allocate. Layers lie time-major:
	// all channels of one step, then of the next.
	audio      [(windows-1)*hop + window]float32
	spectrum   [windows * bins]float32
	layers     [3][512]float32
	activation [gates * hidden]float32
}

// Reset makes the detector as new: what it heard is forgotten.
func (d *Detector) Reset() { *d = Detector{net: d.net} }

// Probability takes the stream's next frame, mono at 16 kHz, and returns the
// probability that someone speaks in it, 0 to 1.
func (d *Detector) Probability(frame *[FrameSamples]int16) float32 {
	d.load(frame)
	d.transform()
	e := &d.net.encoder
	e[0].apply(d.layers[0][:], d.spectrum[:])
	e[1].apply(d.layers[1][:], d.layers[0][:])
	e[2].apply(d.layers[2][:], d.layers[1][:])
	e[3].apply(d.in[:hidden], d.layers[2][:])
	return d.decode()
}

// load lays out the end of the last frame, this one, and its own end mirrored.
func (d *Detector) load(frame *[FrameSamples]int16) {
	copy(d.audio[:], d.context[:])
	for i, s := range frame {
		d.audio[contextSamples+i] = float32(s) * (1.0 / 32768)
	}
	const end = contextSamples + FrameSamples
	copy(d.context[:], d.audio[end-contextSamples:end])
	for i := range len(d.audio) - end {
		d.audio[end+i] = d.audio[end-2-i]
	}
}

// transform gives the magnitude of each bin of the four windows.
func (d *Detector) transform() {
	var re, im [window]float32
	for t := 0; t < windows; t += 2 {
		// Two real windows go through one complex transform.
		for n := range window {
			re[n] = d.audio[t*hop+n] * d.net.hann[n]
			im[n] = d.audio[(t+1)*hop+n] * d.net.hann[n]
		}
		d.net.fft(&re, &im)
		first, second := d.spectrum[t*bins:(t+1)*bins], d.spectrum[(t+1)*bins:(t+2)*bins]
		for k := range bins {
			j := (window - k) % window
			first[k] = magnitude(re[k]+re[j], im[k]-im[j]) / 2
			second[k] = magnitude(im[k]+im[j], re[j]-re[k]) / 2
		}
	}
}

// decode runs the LSTM and the output layer.
func (d *Detector) decode() float32 {
	m := d.net
	product(d.activation[:], m.lstm, len(d.in), d.in[:], m.lstmBias[:])
	sum := m.outputBias
	for i := range hidden {
		input, forget := sigmoid(d.activation[i]), sigmoid(d.activation[hidden+i])
		candidate, output := tanh(d.activation[2*hidden+i]), sigmoid(d.activation[3*hidden+i])
		d.cell[i] = forget*d.cell[i] + input*candidate
		out := output * tanh(d.cell[i])
		d.in[hidden+i] = out
		sum += max(out, 0) * m.output[i]
	}
	return sigmoid(sum)
}

// SPDX-License-Identifier: Apache-2.0

package vad

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/parley-voice/parley/internal/engines/enginestest"
)

func weights(tb testing.TB) []byte {
	tb.Helper()
	onnx, err := os.ReadFile(enginestest.Set(tb).VAD())
	if err != nil {
		tb.Fatal(err)
	}
	return onnx
}

func silero(tb testing.TB) *Silero {
	tb.Helper()
	m, err := NewSilero(weights(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// waveform is the 4 s of sound that testdata/silero_golden.py makes, step by step.
func waveform() []int16 {
	const rate = SampleRateHz
	out := make([]int16, 0, 4*rate)
	seed, phase := int64(1), 0.0
	var y [3][2]float64
	for n := range 4 * rate {
		t := float64(n) / rate
		seed = (seed*1103515245 + 12345) % (1 << 31)
		noise := float64(seed)/(1<<30) - 1
		x, loud := 0.0, 0.0
		if t >= 0.5 && t < 2.5 {
			if phase += (110 + 40*math.Sin(2*math.Pi*0.7*t)) / rate; phase >= 1 {
				phase--
				x = 1
			}
			x += 0.01 * noise
			loud = max(0, math.Sin(2*math.Pi*3.1*t))
		}
		glide := 0.5 + 0.5*math.Sin(2*math.Pi*1.3*t)
		for r, f := range []float64{300 + 500*glide, 2200 - 1000*glide, 2700} {
			radius := math.Exp(-math.Pi * float64(60+30*r) / rate)
			v := x - (-2*radius*math.Cos(2*math.Pi*f/rate))*y[r][0] - radius*radius*y[r][1]
			y[r][1], y[r][0] = y[r][0], v
			x = v * (1 - radius)
		}
		s := 4e6*x*loud + 20*noise
		if t >= 2.8 && t < 3.2 {
			s += 3000 * noise
		}
		if t >= 3.4 && t < 3.8 {
			s += 20000 * math.Sin(2*math.Pi*50*t)
		}
		out = append(out, int16(max(-32768, min(32767, math.Floor(s+0.5)))))
	}
	return out
}

func probabilities(d *Detector, pcm []int16) []float32 {
	var out []float32
	for ; len(pcm) >= FrameSamples; pcm = pcm[FrameSamples:] {
		out = append(out, d.Probability((*[FrameSamples]int16)(pcm)))
	}
	return out
}

// The goldens were made once by ONNX Runtime; testdata/silero_golden.py says how.
func TestSileroAgreesWithONNXRuntime(t *testing.T) {
	data, err := os.ReadFile("testdata/silero_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Probabilities []float64 }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	got := probabilities(silero(t).NewDetector(), waveform())
	if len(got) != 125 || len(got) != len(golden.Probabilities) {
		t.Fatalf("%d frames, %d goldens, want 125 of both", len(got), len(golden.Probabilities))
	}
	worst := 0.0
	for i, want := range golden.Probabilities {
		diff := math.Abs(float64(got[i]) - want)
		worst = max(worst, diff)
		if diff > 1e-4 {
			t.Errorf("frame %d: got %.7f, want %.7f", i, got[i], want)
		}
	}
	t.Logf("largest difference from ONNX Runtime: %.1e", worst)
}

func TestResetForgetsAndStreamsDoNotMix(t *testing.T) {
	m := silero(t)
	pcm := waveform()
	want := probabilities(m.NewDetector(), pcm)

	d := m.NewDetector()
	probabilities(d, pcm[7000:])
	d.Reset()
	var streams [4][]float32
	var wait sync.WaitGroup
	for i := range streams {
		other := m.NewDetector()
		if i == 0 {
			other = d
		}
		wait.Go(func() { streams[i] = probabilities(other, pcm) })
	}
	wait.Wait()
	for i, got := range streams {
		for f := range want {
			if got[f] != want[f] {
				t.Fatalf("stream %d, frame %d: %v, alone it was %v", i, f, got[f], want[f])
			}
		}
	}
}

func TestProbabilityStaysInRange(t *testing.T) {
	d := silero(t).NewDetector()
	var frame [FrameSamples]int16
	check := func(what string) {
		t.Helper()
		for range 50 {
			if p := d.Probability(&frame); !(p >= 0 && p <= 1) {
				t.Fatalf("%s: probability %v", what, p)
			}
		}
	}
	check("digital silence")
	for i := range frame {
		frame[i] = math.MinInt16
	}
	check("lowest sample")
	for i := range frame {
		frame[i] = math.MaxInt16 * int16(1-2*(i%2))
	}
	check("full scale at half the rate")
}

func TestProbabilityDoesNotAllocate(t *testing.T) {
	d := silero(t).NewDetector()
	var frame [FrameSamples]int16
	if n := testing.AllocsPerRun(100, func() { d.Probability(&frame) }); n != 0 {
		t.Errorf("%v allocations a frame, want none", n)
	}
}

func TestNewSileroRefusesWhatIsNotItsFile(t *testing.T) {
	onnx := weights(t)
	tests := []struct {
		name string
		file []byte
		says string
	}{
		{"empty", nil, "is it silero_vad_v6.onnx?"},
		{"text", []byte("hello, this is no model"), "no ONNX file"},
		{"half", onnx[:len(onnx)/2], "cut off"},
		{"without its last byte", onnx[:len(onnx)-1], "cut off"},
		{"weight renamed", []byte(strings.Replace(string(onnx), "then_branch__Inline_0__decoder.rnn.bias_ih", "then_branch__Inline_0__decoder.rnn.bias_xx", 1)), "decoder.rnn.bias_ih: not in the file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewSilero(test.file)
			if err == nil {
				t.Fatal("was accepted")
			}
			if !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), "vad: ") {
				t.Errorf("%q does not say %q", err, test.says)
			}
		})
	}
}

// A damaged file gives an error or another network, never a panic.
func TestNewSileroSurvivesDamage(t *testing.T) {
	onnx := weights(t)
	refused := 0
	for i := 0; i < len(onnx); i += 1 + len(onnx)/300 {
		damaged := append([]byte(nil), onnx...)
		damaged[i] ^= 0xff
		if _, err := NewSilero(damaged); err != nil {
			refused++
		}
	}
	// Most bytes are values of weights of the other branch, or mantissas.
	if refused == 0 {
		t.Error("no damage at all was noticed")
	}
}

func BenchmarkProbability(b *testing.B) {
	d := silero(b).NewDetector()
	pcm := waveform()[SampleRateHz:]
	b.ReportAllocs()
	for b.Loop() {
		d.Probability((*[FrameSamples]int16)(pcm))
	}
}

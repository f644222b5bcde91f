// SPDX-License-Identifier: Apache-2.0

package transporttest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/parley-voice/parley/transport"
)

// The tones that sound is told apart by: whatever a codec does to sound, it leaves these
// apart. All lie in the band of a telephone, none is a multiple of another.
const (
	toneLevel = 10000 // of 32767
	toneLeast = 0.6   // of a window's power, to be that tone
	toneQuiet = 200   // RMS below this is silence
)

// Tone makes a tone by its number, 0 to 7, for a while at 16 kHz.
func Tone(number int, d time.Duration) []int16 {
	pcm := make([]int16, int(d*transport.SampleRate/time.Second))
	for i := range pcm {
		pcm[i] = int16(toneLevel * math.Sin(2*math.Pi*pitch(number)*float64(i)/transport.SampleRate))
	}
	return pcm
}

// pitch is a tone's frequency in Hz: a whole number of periods fits in 20 ms.
func pitch(number int) float64 {
	return [...]float64{450, 700, 950, 1250, 1550, 1850, 2250, 2650}[number]
}

const tones = 8

// Stretch is a tone and for how long it was heard, in whole windows of 20 ms.
type Stretch struct {
	Tone int
	Long time.Duration
}

// Stretches is the order of what was heard: which tones, each with its length. Silence and
// what is no clear tone, as at the edges, is left out; a tone that was heard before and after
// a pause is one stretch.
type Stretches []Stretch

// Listen tells the tones of sound apart.
func Listen(pcm []int16) (heard Stretches) {
	for ; len(pcm) >= transport.FrameSamples; pcm = pcm[transport.FrameSamples:] {
		n, ok := toneOf(pcm[:transport.FrameSamples])
		if !ok {
			continue
		}
		if last := len(heard) - 1; last >= 0 && heard[last].Tone == n {
			heard[last].Long += transport.FrameDuration
		} else {
			heard = append(heard, Stretch{n, transport.FrameDuration})
		}
	}
	return heard
}

// toneOf finds the tone of a window.
func toneOf(window []int16) (best int, ok bool) {
	var total, most float64
	for _, v := range window {
		total += float64(v) * float64(v)
	}
	if total < toneQuiet*toneQuiet*float64(len(window)) {
		return 0, false
	}
	for n := range tones {
		if p := power(window, pitch(n)); p > most {
			best, most = n, p
		}
	}
	return best, most >= toneLeast*total
}

// power is how much of a window's energy lies at a frequency (Goertzel).
func power(window []int16, hz float64) float64 {
	w := 2 * math.Pi * hz / transport.SampleRate
	c := 2 * math.Cos(w)
	var a, b float64
	for _, v := range window {
		a, b = float64(v)+c*a-b, a
	}
	return (a*a + b*b - c*a*b) * 2 / float64(len(window))
}

// level is the RMS of the windows that hold a tone.
func level(pcm []int16, tone int) float64 {
	var sum float64
	n := 0
	for ; len(pcm) >= transport.FrameSamples; pcm = pcm[transport.FrameSamples:] {
		if got, ok := toneOf(pcm[:transport.FrameSamples]); !ok || got != tone {
			continue
		}
		for _, v := range pcm[:transport.FrameSamples] {
			sum += float64(v) * float64(v)
		}
		n += transport.FrameSamples
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}

// long is how much of a tone was heard altogether.
func (s Stretches) long(tone int) (d time.Duration) {
	for _, x := range s {
		if x.Tone == tone {
			d += x.Long
		}
	}
	return d
}

// order are the tones in the order in which they were heard.
func (s Stretches) order() (list []int) {
	for _, x := range s {
		list = append(list, x.Tone)
	}
	return list
}

func (s Stretches) String() string {
	parts := make([]string, len(s))
	for i, x := range s {
		parts[i] = fmt.Sprintf("tone %d for %v", x.Tone, x.Long)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"math"
	"time"
)

// Tones in band are found as ITU-T Q.24 asks of a receiver: a pair of tones, one of each
// group, each within 1.5 % of its frequency, of like strength, much stronger than all
// else, for 40 ms. Goertzel's filter measures one frequency of a block (G. Goertzel, "An
// algorithm for the evaluation of finite trigonometric series", American Mathematical
// Monthly 65, 1958). A block of 102 samples tells neighbours apart, and still measures most
// of a tone that is off by as much as it may be.
const (
	block     = 102
	enough    = 3     // blocks in a row that must agree: 38 ms
	weakest   = 200.0 // amplitude of a tone
	twist     = 6.3   // power by which one tone of a pair may exceed the other: 8 dB
	others    = 6.3   // power by which a tone exceeds the others of its group
	share     = 0.6   // of a block's power that the pair has
	rowOfKeys = 4
)

// tonePad are the keys by row and column.
const tonePad = "123A456B789C*0#D"

// tones finds keys in the sound of a call.
type tones struct {
	coefficients [8]float64 // four of the rows, four of the columns
	q1, q2       [8]float64
	power        float64
	n            int
	key          byte // of the last block, 0 = none
	blocks       int  // that it has lasted
}

func newTones() *tones {
	t := &tones{}
	for i, f := range [8]float64{697, 770, 852, 941, 1209, 1336, 1477, 1633} {
		t.coefficients[i] = 2 * math.Cos(2*math.Pi*f/8000)
	}
	return t
}

// put takes sound and calls pressed for each key when it is released.
func (t *tones) put(pcm []int16, pressed func(p press)) {
	for _, v := range pcm {
		x := float64(v)
		t.power += x * x
		for i, c := range t.coefficients {
			t.q1[i], t.q2[i] = c*t.q1[i]-t.q2[i]+x, t.q1[i]
		}
		if t.n++; t.n == block {
			t.judge(t.block(), pressed)
		}
	}
}

// block measures the eight frequencies of a block, gives the key, and begins the next.
func (t *tones) block() (key byte) {
	var m [8]float64
	for i, c := range t.coefficients {
		m[i] = t.q1[i]*t.q1[i] + t.q2[i]*t.q2[i] - c*t.q1[i]*t.q2[i]
	}
	total := t.power
	t.q1, t.q2, t.power, t.n = [8]float64{}, [8]float64{}, 0, 0
	row, clearRow := strongest(m[:4])
	column, clearColumn := strongest(m[4:])
	a, b := m[row], m[4+column]
	// A tone of amplitude A measures (A*block/2)^2, and its power in the block is
	// A^2/2*block.
	least := (weakest * block / 2) * (weakest * block / 2)
	switch {
	case !clearRow || !clearColumn || a < least || b < least:
	case a > twist*b || b > twist*a:
	case a+b < share*total*block/2:
	default:
		return tonePad[row*rowOfKeys+column]
	}
	return 0
}

// strongest finds the greatest of a group, and says whether it stands out.
func strongest(m []float64) (at int, stands bool) {
	for i := range m {
		if m[i] > m[at] {
			at = i
		}
	}
	for i := range m {
		if i != at && m[i]*others > m[at] {
			return at, false
		}
	}
	return at, true
}

// judge holds the key of a block against those before.
func (t *tones) judge(key byte, pressed func(p press)) {
	if key == t.key {
		t.blocks++
		return
	}
	if t.key != 0 && t.blocks >= enough {
		pressed(press{digit: string(t.key), held: time.Duration(t.blocks) * block * time.Second / 8000})
	}
	t.key, t.blocks = key, 1
}

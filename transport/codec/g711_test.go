// SPDX-License-Identifier: Apache-2.0

package codec

import (
	"math"
	"testing"
)

// band is a run of steps of equal width in ITU-T G.711, from a decision value on.
type band struct{ from, steps, width int }

// The positive halves, in units of the laws: tables 2a (mu-law, 14 bit) and 1a (A-law, 13
// bit).
var (
	muBands = []band{{0, 1, 1}, {1, 15, 2}, {31, 16, 4}, {95, 16, 8}, {223, 16, 16}, {479, 16, 32}, {991, 16, 64}, {2015, 16, 128}, {4063, 16, 256}}
	aBands  = []band{{0, 32, 2}, {64, 16, 4}, {128, 16, 8}, {256, 16, 16}, {512, 16, 32}, {1024, 16, 64}, {2048, 16, 128}}
)

// step is the interval of a code: from and to are decision values.
type step struct{ from, to int }

func steps(bands []band) []step {
	var list []step
	for _, b := range bands {
		for i := range b.steps {
			list = append(list, step{b.from + i*b.width, b.from + (i+1)*b.width})
		}
	}
	return list
}

// reference gives the code of a magnitude, and what that code is decoded to, both in units
// of the law, by looking them up.
func reference(list []step, magnitude int, centred bool) (number, value int) {
	number = len(list) - 1
	for i, s := range list {
		if magnitude < s.to {
			number = i
			break
		}
	}
	s := list[number]
	if number == 0 && !centred {
		return 0, 0 // mu-law decodes its first step to zero
	}
	return number, (s.from + s.to) / 2
}

// Every sample there is, in both laws, against the tables of the standard.
func TestG711EverySample(t *testing.T) {
	mu, a := steps(muBands), steps(aBands)
	if len(mu) != 128 || len(a) != 128 {
		t.Fatal("the tables do not have 128 steps")
	}
	for v := math.MinInt16; v <= math.MaxInt16; v++ {
		m, sign, bit := v, 1, 0x80
		if v < 0 {
			m, sign, bit = ^v, -1, 0
		}
		number, value := reference(mu, m>>2, false)
		code := byte(bit | ^number&0x7F)
		if got := compressMu(int16(v)); got != code {
			t.Fatalf("mu-law: %d becomes %#x, want %#x", v, got, code)
		}
		if got := int(expandMu(code)); got != sign*value*4 {
			t.Fatalf("mu-law: %#x becomes %d, want %d", code, got, sign*value*4)
		}
		number, value = reference(a, m>>3, true)
		code = byte(bit|number) ^ 0x55
		if got := compressA(int16(v)); got != code {
			t.Fatalf("A-law: %d becomes %#x, want %#x", v, got, code)
		}
		if got := int(expandA(code)); got != sign*value*8 {
			t.Fatalf("A-law: %#x becomes %d, want %d", code, got, sign*value*8)
		}
	}
}

// All codes survive; the negative zero of mu-law becomes the positive one.
func TestG711EveryCode(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, law := range []Law{MuLaw, ALaw} {
		for i, again := range law.Encode(nil, law.Decode(nil, all)) {
			if int(again) != i && (law != MuLaw || i != 0x7F || again != 0xFF) {
				t.Errorf("law %d: %#x becomes %#x", law, i, again)
			}
		}
	}
}

// A few that everybody knows: silence, the extremes.
func TestG711KnownValues(t *testing.T) {
	for _, row := range []struct {
		law   Law
		code  byte
		value int16
	}{
		{MuLaw, 0xFF, 0},
		{MuLaw, 0x80, 32124},
		{MuLaw, 0x00, -32124},
		{MuLaw, 0xFE, 8},
		{ALaw, 0xD5, 8},
		{ALaw, 0x55, -8},
		{ALaw, 0xAA, 32256},
		{ALaw, 0x2A, -32256},
	} {
		if got := row.law.Decode(nil, []byte{row.code})[0]; got != row.value {
			t.Errorf("law %d: %#x becomes %d, want %d", row.law, row.code, got, row.value)
		}
		if got := row.law.Encode(nil, []int16{row.value})[0]; got != row.code {
			t.Errorf("law %d: %d becomes %#x, want %#x", row.law, row.value, got, row.code)
		}
	}
}

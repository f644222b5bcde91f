// SPDX-License-Identifier: Apache-2.0

package timebase

import "testing"

// The first draws of splitmix64 with seed 1234567, as published with the algorithm's
// reference implementation.
func TestRandomIsSplitMix64(t *testing.T) {
	r := NewRandom(1234567)
	for i, want := range []uint64{
		6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
	} {
		if got := r.Uint64(); got != want {
			t.Errorf("draw %d is %d, want %d", i, got, want)
		}
	}
}

func TestRandomRanges(t *testing.T) {
	r := NewRandom(0)
	seen := map[int64]int{}
	hits := 0
	for range 60000 {
		v := r.Between(-2, 3)
		if v < -2 || v > 3 {
			t.Fatalf("%d is not in -2..3", v)
		}
		seen[v]++
		if r.Chance(1, 4) {
			hits++
		}
	}
	for v := int64(-2); v <= 3; v++ {
		if seen[v] < 9000 || seen[v] > 11000 {
			t.Errorf("%d was drawn %d times of 60000, want about 10000", v, seen[v])
		}
	}
	if hits < 14000 || hits > 16000 {
		t.Errorf("a chance of 1 in 4 came %d times of 60000", hits)
	}
	if r.Below(0) != 0 || r.Below(-3) != 0 || r.Below(1) != 0 || r.Chance(0, 9) || !r.Chance(9, 9) {
		t.Error("the edges of Below and Chance")
	}
}

// Equal seeds, equal draws; a copy goes its own way.
func TestRandomIsAValue(t *testing.T) {
	a := NewRandom(9)
	a.Uint64()
	b := a
	if a.Uint64() != b.Uint64() {
		t.Error("a copy draws otherwise")
	}
	a.Uint64()
	if a.Uint64() == b.Uint64() {
		t.Error("a copy shares its state")
	}
}

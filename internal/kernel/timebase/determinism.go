// SPDX-License-Identifier: Apache-2.0

package timebase

// Random is a small deterministic generator (splitmix64; Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014). The zero value is a valid
// generator with seed 0. The kernel and the simulator draw all their chance from it.
type Random struct{ state uint64 }

// NewRandom gives the generator for a seed.
func NewRandom(seed uint64) Random { return Random{state: seed} }

// Uint64 draws 64 bits.
func (r *Random) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Below draws an integer in [0, n); n <= 0 gives 0. The bias of the modulus is below
// n/2^64 and of no consequence here.
func (r *Random) Below(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return int64(r.Uint64() % uint64(n))
}

// Between draws an integer in [lo, hi].
func (r *Random) Between(lo, hi int64) int64 { return lo + r.Below(hi-lo+1) }

// Chance is true in n of outOf draws.
func (r *Random) Chance(n, outOf int64) bool { return r.Below(outOf) < n }

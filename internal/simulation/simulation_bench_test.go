// SPDX-License-Identifier: Apache-2.0

package simulation

import "testing"

// BenchmarkTurn is one simulated turn, run twice, every invariant checked.
func BenchmarkTurn(b *testing.B) {
	b.ReportAllocs()
	first, second := newWorld(), newWorld()
	second.blind = true
	seed, turns := int64(1), int64(0)
	for b.Loop() {
		if turns > 0 {
			turns--
			continue
		}
		one, two := abreast(first, second, seed, DefaultTurns, AllFaults)
		if v := compare(seed, &one, &two); v != nil || one.violation != nil {
			b.Fatal(v, one.violation)
		}
		turns = one.turns - 1
		seed++
	}
}

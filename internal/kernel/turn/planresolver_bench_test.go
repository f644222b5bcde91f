// SPDX-License-Identifier: Apache-2.0

package turn

import (
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
)

// What a session's first plan costs, which lays out all of them, and what each turn's
// costs after that. The simulator pays the first once in a session and the second twice
// in a turn.
func BenchmarkFirstPlan(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewResolver(request())
		if err != nil {
			b.Fatal(err)
		}
		r.Resolve("t1", 1, snapshots())
	}
}

func BenchmarkPlan(b *testing.B) {
	r, err := NewResolver(request())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Resolve("t1", 1, snapshots())
	}
	p := r.Resolve("t1", 1, snapshots())
	b.ReportMetric(float64(len(controlplane.CanonicalPlan(&p))), "bytes/plan")
}

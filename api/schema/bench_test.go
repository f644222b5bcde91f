// SPDX-License-Identifier: Apache-2.0

package schema

import "testing"

func BenchmarkValidateControlSignal(b *testing.B) {
	data := read(b, "testdata/good/control_signal/drop_notice.json")
	v := NewValidator(Options{})
	b.ReportAllocs()
	for b.Loop() {
		if r := v.Validate(ControlSignal, data); !r.Valid() {
			b.Fatal(r.Faults)
		}
	}
}

func BenchmarkValidatePlan(b *testing.B) {
	data := read(b, "testdata/good/resolved_turn_plan/full.json")
	v := NewValidator(Options{})
	b.ReportAllocs()
	for b.Loop() {
		if r := v.Validate(ResolvedTurnPlan, data); !r.Valid() {
			b.Fatal(r.Faults)
		}
	}
}

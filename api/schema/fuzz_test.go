// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"testing"
)

// No input panics; a valid document decodes; every fault has a place in the input.
func FuzzValidate(f *testing.F) {
	for _, side := range []string{"good", "bad"} {
		for i, s := range corpus(f, side) {
			if i%7 == 0 || s.kind != ControlSignal {
				f.Add(s.data)
			}
		}
	}
	v := NewValidator(Options{})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, kind := range PublishedKinds() {
			r := v.Validate(kind, data)
			for _, fault := range append(r.Faults, r.Notes...) {
				if fault.Code == "" || fault.Message == "" || fault.Line < 1 || fault.Offset > len(data) {
					t.Fatalf("%s: fault without code, message or place: %+v", kind, fault)
				}
			}
			if !r.Valid() || kind == EventRecord || kind == PipelineSpec {
				continue
			}
			value, err := decodeAny(v, kind, data)
			if err != nil {
				t.Fatalf("%s: valid, but not decoded: %v", kind, err)
			}
			if _, err := json.Marshal(value); err != nil {
				t.Fatalf("%s: decoded, but not encoded: %v", kind, err)
			}
		}
	})
}

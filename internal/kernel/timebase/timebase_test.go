// SPDX-License-Identifier: Apache-2.0

package timebase

import "testing"

// Flow section 6: the canonical media position is the sample index; 16000 samples are a
// second, and conversions lose nothing that a whole sample holds.
func TestSamples(t *testing.T) {
	for _, n := range []Samples{0, 1, 2, 159, 320, 16000, 57_600_001, 1 << 40} {
		if got := SamplesIn(n.Span()); got != n {
			t.Errorf("%d samples last %d ns, in which there are %d", n, n.Span(), got)
		}
	}
	for _, row := range []struct {
		n    Samples
		span Span
		ms   int64
	}{
		{1, 62_500, 0},
		{15, 937_500, 0},
		{16, Millisecond, 1},
		{320, 20 * Millisecond, 20},
		{16000, Second, 1000},
		{16015, Second + 937_500, 1000},
	} {
		if row.n.Span() != row.span || row.n.MS() != row.ms {
			t.Errorf("%d samples: %d ns and %d ms, want %d and %d", row.n, row.n.Span(), row.n.MS(), row.span, row.ms)
		}
	}
	if SamplesIn(62_499) != 0 || SamplesIn(62_500) != 1 || SamplesIn(20*Millisecond) != FrameSamples {
		t.Error("whole samples only")
	}
	year := Samples(SampleRate * 60 * 60 * 24 * 365)
	if year.Span() != Span(365*24*60*60)*Second {
		t.Errorf("a year of samples lasts %d ns", year.Span())
	}
}

func TestInstants(t *testing.T) {
	i := Instant(MS(1500))
	if i.MS() != 1500 || i.Add(MS(20)).Sub(i) != MS(20) || (i+999_999).MS() != 1500 {
		t.Errorf("instant %d", i)
	}
	if Never.Add(Second) != Never || Never.Add(-Second) != Never {
		t.Error("Never moves")
	}
	if Earliest(i, Never) != i || Earliest(3, 2) != 2 || Earliest(2, 3) != 2 {
		t.Error("Earliest is not the earlier one")
	}
}

// SPDX-License-Identifier: Apache-2.0

package audio

import (
	"math"
	"slices"
	"testing"
)

func TestEnvelope(t *testing.T) {
	pcm := []int16{0, 100, -100, 50, 32767, -32768, 3, 4}
	for _, c := range []struct {
		pcm     []int16
		buckets int
		want    []MinMax
	}{
		{pcm, 1, []MinMax{{math.MinInt16, math.MaxInt16, 16384}}},
		{pcm, 2, []MinMax{{-100, 100, 75}, {math.MinInt16, math.MaxInt16, 23170}}},
		{pcm, 3, []MinMax{{0, 100, 71}, {-100, 32767, 18918}, {math.MinInt16, 4, 18919}}},
		{[]int16{5}, 3, []MinMax{{5, 5, 5}, {5, 5, 5}, {5, 5, 5}}},
		{[]int16{math.MinInt16}, 1, []MinMax{{math.MinInt16, math.MinInt16, math.MaxInt16}}},
		{nil, 2, make([]MinMax, 2)},
		{pcm, 0, nil},
		{pcm, -1, nil},
	} {
		if got := Envelope(c.pcm, c.buckets); !slices.Equal(got, c.want) {
			t.Errorf("%v in %d: %v, want %v", c.pcm, c.buckets, got, c.want)
		}
	}
}

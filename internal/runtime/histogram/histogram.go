// SPDX-License-Identifier: Apache-2.0

package histogram

import (
	"math/bits"
	"sync/atomic"
)

const (
	// parts is into how many buckets a power of two is cut, as a power of two.
	parts = 5
	// largest bounds what is told apart: 2^38 ns are 275 s. What is longer counts in the
	// last bucket; Max knows it.
	largest = 38
	buckets = (largest - parts + 1) << parts
)

// Histogram counts durations in nanoseconds. The zero value is ready; 9 KB.
type Histogram struct {
	counts [buckets]atomic.Int64
	sum    atomic.Int64
	most   atomic.Int64
}

// Record counts a duration in nanoseconds; less than nothing counts as nothing.
func (h *Histogram) Record(ns int64) {
	ns = max(ns, 0)
	h.counts[bucketOf(ns)].Add(1)
	h.sum.Add(ns)
	for most := h.most.Load(); ns > most && !h.most.CompareAndSwap(most, ns); most = h.most.Load() {
	}
}

// bucketOf gives the bucket of a duration: below 2^parts each has its own.
func bucketOf(ns int64) int {
	if ns < 1<<parts {
		return int(ns)
	}
	power := bits.Len64(uint64(ns)) - 1 - parts
	return min(power<<parts+int(ns>>power), buckets-1)
}

// upper is the largest duration that a bucket holds, in nanoseconds.
func upper(bucket int) int64 {
	if bucket < 2<<parts {
		return int64(bucket)
	}
	power := bucket>>parts - 1
	return int64(bucket-power<<parts+1)<<power - 1
}

// Snapshot is what was counted up to an instant. What is recorded meanwhile may be in
// some of its numbers and not in others.
type Snapshot struct {
	counts []int64 // nil = nothing was counted
	// Count is how many were recorded, Sum what they come to, in nanoseconds.
	Count, Sum int64
	// Max is the longest that the histogram has ever seen, in nanoseconds, exactly.
	Max int64
}

// Snapshot gives what has been counted so far.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{counts: make([]int64, buckets), Sum: h.sum.Load(), Max: h.most.Load()}
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.Count += s.counts[i]
	}
	return s
}

// Since gives what was counted after an earlier snapshot of the same histogram.
func (s Snapshot) Since(before Snapshot) Snapshot { return s.combine(before, -1) }

// Merge gives what two histograms counted together.
func (s Snapshot) Merge(other Snapshot) Snapshot { return s.combine(other, 1) }

func (s Snapshot) combine(other Snapshot, sign int64) Snapshot {
	sum := Snapshot{
		counts: make([]int64, buckets), Count: s.Count + sign*other.Count, Sum: s.Sum + sign*other.Sum,
		Max: max(s.Max, other.Max),
	}
	copy(sum.counts, s.counts)
	for i, n := range other.counts {
		sum.counts[i] += sign * n
	}
	return sum
}

// Quantile gives a duration in nanoseconds that so many per mille of those recorded did
// not exceed, by nearest rank; 0 of none.
func (s Snapshot) Quantile(perMille int64) int64 {
	rank := max((s.Count*perMille+999)/1000, 1)
	for i, n := range s.counts {
		if rank -= n; rank <= 0 {
			return min(upper(i), s.Max)
		}
	}
	return 0
}

// Mean gives the mean in nanoseconds; 0 of none.
func (s Snapshot) Mean() int64 {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / s.Count
}

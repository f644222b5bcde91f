// SPDX-License-Identifier: Apache-2.0

package histogram

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func TestBucketsFollowEachOther(t *testing.T) {
	for b := range buckets - 1 {
		last := upper(b)
		if bucketOf(last) != b || bucketOf(last+1) != b+1 {
			t.Fatalf("bucket %d ends at %d ns: %d is in %d and the next in %d", b, last, last, bucketOf(last), bucketOf(last+1))
		}
	}
	if got := bucketOf(1 << 50); got != buckets-1 {
		t.Errorf("what is too long is in bucket %d of %d", got, buckets)
	}
}

// A quantile is never below the true one, and at most a 32nd above it.
func TestQuantileAgainstASortedList(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h Histogram
		list := make([]int64, 1+draw.IntN(3000))
		for i := range list {
			list[i] = draw.Int64N(1 << (1 + draw.IntN(37)))
			h.Record(list[i])
		}
		slices.Sort(list)
		s := h.Snapshot()
		for _, perMille := range []int64{1, 500, 950, 990, 999, 1000} {
			want := list[max((len(list)*int(perMille)+999)/1000, 1)-1]
			if got := s.Quantile(perMille); got < want || got > want+want/32 {
				t.Fatalf("quantile %d of %d: %d, the list has %d", perMille, len(list), got, want)
			}
		}
		if s.Max != list[len(list)-1] || s.Count != int64(len(list)) {
			t.Fatalf("max %d count %d of %d, longest %d", s.Max, s.Count, len(list), list[len(list)-1])
		}
	}
}

func TestSinceAndMerge(t *testing.T) {
	var a, b Histogram
	a.Record(10)
	before := a.Snapshot()
	a.Record(1000)
	a.Record(-5)
	b.Record(20)
	since := a.Snapshot().Since(before)
	if since.Count != 2 || since.Sum != 1000 || since.Quantile(500) != 0 {
		t.Errorf("since: %d recorded, sum %d, median %d", since.Count, since.Sum, since.Quantile(500))
	}
	all := since.Merge(b.Snapshot())
	if all.Count != 3 || all.Quantile(500) != 20 || all.Mean() != 340 {
		t.Errorf("merged: %d recorded, median %d, mean %d", all.Count, all.Quantile(500), all.Mean())
	}
	var none Snapshot
	if none.Quantile(990) != 0 || none.Mean() != 0 || none.Merge(all).Count != 3 {
		t.Error("nothing recorded is not nothing")
	}
}

func TestRecordFromManyGoroutines(t *testing.T) {
	var h Histogram
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 1000 {
				h.Record(int64(g*1000 + i))
			}
		})
	}
	all.Wait()
	if s := h.Snapshot(); s.Count != 8000 || s.Max != 7999 || s.Sum != 8000*7999/2 {
		t.Errorf("%d recorded, longest %d, sum %d", s.Count, s.Max, s.Sum)
	}
	if n := testing.AllocsPerRun(100, func() { h.Record(123456) }); n != 0 {
		t.Errorf("a record allocates %v times", n)
	}
}

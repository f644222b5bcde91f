// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"sync/atomic"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// window sums what was counted in the last minute, in buckets of 5 seconds: the present
// one and the twelve before it. A bucket is one word, its number over its count, so that
// adding and summing need no lock. The zero value is empty.
type window struct{ buckets [windowBuckets]atomic.Uint64 }

const (
	bucketSpan    = 5 * timebase.Second
	windowBuckets = 13
	// countBits leaves 24 bits for a bucket's number: two years and a half until it comes
	// again.
	countBits = 40
	countMask = 1<<countBits - 1
	epochMask = 1<<(64-countBits) - 1
)

// windowSpan is the longest time for which something counts.
const windowSpan = windowBuckets * bucketSpan

func bucketOf(at timebase.Instant) uint64 { return uint64(max(at, 0)) / uint64(bucketSpan) }

// add counts n at an instant. Who comes with an instant that is over already counts in the
// bucket that took its place.
func (w *window) add(at timebase.Instant, n int64) {
	if n <= 0 {
		return
	}
	bucket := bucketOf(at)
	slot, number := &w.buckets[bucket%windowBuckets], bucket&epochMask
	for {
		old := slot.Load()
		count := uint64(n)
		if taken := old >> countBits; taken == number || later(taken, number) {
			count, number = count+old&countMask, taken
		}
		if slot.CompareAndSwap(old, number<<countBits|min(count, countMask)) {
			return
		}
	}
}

// later says that bucket number a comes after b, where both are near each other.
func later(a, b uint64) bool { return a != b && (a-b)&epochMask < windowBuckets*windowBuckets }

// sum gives what was counted in the minute before an instant.
func (w *window) sum(at timebase.Instant) (n int64) {
	now := bucketOf(at) & epochMask
	for i := range w.buckets {
		word := w.buckets[i].Load()
		if age := (now - word>>countBits) & epochMask; age < windowBuckets {
			n += int64(word & countMask)
		}
	}
	return n
}

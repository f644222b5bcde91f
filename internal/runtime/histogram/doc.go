// SPDX-License-Identifier: Apache-2.0

// Package histogram counts durations in buckets of constant relative width, from any
// goroutine and without a lock or an allocation, so that a percentile can be told of
// what is measured a million times a second.
//
// A bucket is at most a 32nd of its lower bound wide: what a quantile gives is at most
// 3.2 % above what was recorded, and never below. The layout is that of HdrHistogram (a
// power of two, cut into equal parts).
package histogram

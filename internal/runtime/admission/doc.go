// SPDX-License-Identifier: Apache-2.0

// Package admission counts what a host's sessions use, so that package gate can say who
// comes in: of each tenant its sessions, turns, tokens, audio, characters and provider
// calls, of the host its slots and its load. It counts and hands on; it decides nothing.
//
//	Enter --> level, slots, quotas of the tenant --> the counts, the verdict, a place
//	             the session runs: it counts, on any goroutine and without a lock
//	Leave <-- the session has ended
//
// Invariants:
//
//  1. A place that is let in is counted before the next one asks: two that come at once do
//     not get the same last place.
//  2. Counting takes no lock: sums of atomic counts, and windows of atomic buckets.
//  3. What is kept is bounded: a tenant without sessions is forgotten when its counts per
//     minute have run out, or earlier when there are too many of them.
//  4. A count per minute covers the last 60 seconds at least, and 65 at most.
package admission

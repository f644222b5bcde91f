// SPDX-License-Identifier: Apache-2.0

// Package timebase says what time it is inside the kernel: the session's monotonic
// instants, the wall clock and the caller's sound clock projected from them, and the
// determinism context (seed, ordering markers, merge rule) of a turn.
//
//	observation --judge--> kept      within max_skew_ms: the projection stands
//	                   --> rebased   beyond it: the anchor moves in one step, evidenced
//	                   --> refused   beyond ten times: timebase_out_of_bounds
//
// Nothing here reads a clock. An Instant comes in with every step, a wall time with a
// reading, a media time with every caller frame; all are recorded, so a replay sees the
// same time.
//
// Invariants:
//
//  1. All arithmetic is on integers; no decision depends on how a processor rounds.
//  2. An anchor projects deterministically: equal instants give equal wall and media times.
//  3. Anchors only move forward on the monotonic axis, and nothing before an anchor is
//     projected.
//  4. What moves an anchor by more than max_skew_ms is evidenced by its caller.
package timebase

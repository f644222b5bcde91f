// SPDX-License-Identifier: Apache-2.0

// Package timebase says what time it is inside the kernel: the session's monotonic
// instants, the wall clock projected from them, the media clock in samples, and the
// determinism context (seed, ordering markers, merge rule) of a turn.
//
// Nothing here reads a clock. An Instant comes in with every step and is recorded, so
// a replay sees the same time.
//
// Invariants:
//
//  1. All arithmetic is on integers; no decision depends on how a processor rounds.
//  2. An anchor projects deterministically: equal instants give equal wall times.
package timebase

// SPDX-License-Identifier: Apache-2.0

// Package report turns what one conversation left behind into the two files that people and tools open afterwards:
// timeline.html, a self-contained picture of the call, and summary.json, its figures.
//
// It measures nothing itself. The caller fills a Data value from the recorded inputs and decisions; everything shown is
// that value or arithmetic on it, so a timeline drawn from a live run and one drawn from its replay are the same.
//
// Invariants:
//
//  1. The parts of a turn's latency add up to the measured total, because they are cut from one chain of instants (LatenciesOf).
//  2. What did not occur is null, never 0: a turn without audio has no latency, a turn without a cancel has no fence.
//  3. timeline.html refers to nothing but the audio file beside it, and its content policy forbids anything else.
//  4. No text of the conversation can become markup or script.
//  5. A file appears under its name only when it is whole (AtomicFile).
package report

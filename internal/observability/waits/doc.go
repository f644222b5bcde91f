// SPDX-License-Identifier: Apache-2.0

// Package waits keeps account of what waited in one session, what was lost, and what was
// turned away: the depth of each edge over time, the counts of each edge, and the marks
// that pressure leaves (crossings, drops, flow signals, degrade steps, budgets, admission,
// the host's load). The account of a session that runs and that of its recording are made
// by the same keeper from the same things, so they are equal.
//
//	Took: what the kernel took and decided    ---\
//	                                              Keeper --> Account
//	Look: what its edges hold after a pass    ---/
//
// Invariants:
//
//  1. Counts are the kernel's own; nothing is counted a second time here, but for marks.
//  2. Memory is bounded: MaxMarks marks, MaxMarksEach of an edge, what is beyond is counted; maxSteps steps of each
//     edge, in coarser stretches the longer the session is.
//  3. A step tells the deepest that the edge was in its stretch: no peak is smoothed away.
package waits

// SPDX-License-Identifier: Apache-2.0

// Package session is the kernel of one conversation: the machine in which gate, turn,
// flow, graph and timebase meet. It is pure. One call, Machine.Step, takes what
// happened and appends what is to be done; it reads no clock, starts nothing and
// touches no sample.
//
//	CONNECTING --bootstrap--> ACTIVE --close, drain, authority loss, disconnect--> DRAINING --> ENDED
//	     |                                                                                        ^
//	     +------------------------------ refused or timed out ------------------------------------+
//
// # How to drive it
//
//   - Call Step with everything that has arrived since the last call. One call is one
//     pass of the arbiter: inputs of one call are simultaneous for the tie order of
//     lifecycle section 4. Control is taken first, then data, then telemetry; within a
//     lane the order of arrival holds.
//   - Perform the effects in order. Answers to them (Appended, Delivery) are inputs of a
//     later call.
//   - Call Step with a Wake when Deadline has come. Late is fine; early does nothing.
//   - While audio is playing, begin every pass that holds more than caller audio with a
//     Delivery "progress", so that decisions know what was heard.
//
// # Invariants
//
// They are checked after every step (invariants.go names each) and by the simulator:
//
//  1. turn_open only with authority, admission and a sealed plan.
//  2. An accepted turn gets one of commit and abort, then one close; a proposal that
//     failed gets neither.
//  3. At most one turn is live.
//  4. A fenced generation gets no Play, no output_accepted and no playback_started.
//  5. Sequences rise by one; event ids are never reused.
//  6. Every provider call ends exactly once.
//  7. Nothing grows without a bound (limits.go).
//  8. Whatever a turn cannot go on with is answered within its pass: by an adaptive action
//     that its plan allows and that helps, or by its end. Where the turn ends anyway,
//     nothing is adapted.
package session

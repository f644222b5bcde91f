// SPDX-License-Identifier: Apache-2.0

// Package jitter takes out of a caller's audio what a network has done to it: frames that
// come unevenly, in another order, twice, late or not at all. An adapter puts a Buffer
// between its wire and the session's Ingress.
//
//	Push(at, sequence, pcm) --> [ slots of 20 ms, at most Maximum ] --> Pop(at): a frame,
//	                              late, duplicate, stray: counted       a guess, or a gap
//
// A Buffer is data: no goroutine, no clock, no lock. Time is an argument, in any unit of
// duration since any beginning, and does not go back.
//
// # When a frame is due
//
// The sender's frames are 20 ms apart on the sender's clock. The Buffer knows the floor of
// their delay, from the least delayed frame of the last seconds, and lets slot n out at
//
//	floor + n * 20 ms + Target
//
// so that a frame may be delayed by Target beyond the quickest and still be in time. When
// the sender's clock drifts, the floor drifts with it: what comes out keeps the sender's
// pace, nothing is dropped or stretched, and the depth stays what it was. (Minimum delay
// as the reference: Moon, Skelly, Towsley, "Estimation and removal of clock skew from
// network delay measurements", INFOCOM 1999.)
//
// # Invariants
//
//  1. No more than Maximum is held; when more comes the oldest leaves, and its place is
//     a gap.
//  2. Every frame that was pushed comes out, is held, or is counted as late, duplicate,
//     stray, malformed or dropped.
//  3. Every slot comes out once, in order: as a frame, as a guess, or in a gap. So samples
//     that have come out are the sender's media time.
//  4. Numbers rise: none comes out twice, whatever the sender does.
//  5. The steady state allocates nothing.
package jitter

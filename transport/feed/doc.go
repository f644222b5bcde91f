// SPDX-License-Identifier: Apache-2.0

// Package feed brings caller audio from a wire that hands it over in lumps, at any speed,
// to a session that hears it as it was spoken: in frames of 20 ms, at the pace of speech.
// It is for reliable wires, on which nothing is lost or overtaken; package jitter is for
// the others.
//
//	Write, After, Flush --> line --(pace)--> Ingress.Audio, Ingress.Gap, After's function
//	                         ^
//	Clear -------------------+
//
// # Pace
//
// A client that speaks live is not delayed: what comes at the pace of speech goes on at
// once, and so does a burst of up to Config.Burst. One that hands over a recording is
// slowed down to the pace of speech, as a session could not have heard it sooner. What a
// network has held up is made up for at twice the pace, as far as Config.CatchUp goes: a
// stall must not make the rest of a call late. The pace of speech is 500 ppm more than
// ours, so that a client with a fast clock does not fall behind by and by.
//
// # Rules
//
//  1. Audio, gaps and functions go out in the order in which they came.
//  2. In any stretch of time no more audio goes out than twice the stretch and Burst, nor
//     more than the stretch, Burst and CatchUp, apart from the 500 ppm.
//  3. At most Config.Longest waits. What comes beyond is left out, and reported as a Gap in
//     its place: positions stay true.
//  4. Every sample that was written goes out, is part of a gap, or is counted as cleared.
//     Only Flush, After and a gap add any: silence that fills up a frame.
//  5. Ingress and functions are called by one goroutine at a time, never with a lock held,
//     and not after Close has returned.
package feed

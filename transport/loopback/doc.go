// SPDX-License-Identifier: Apache-2.0

// Package loopback is the transport without a wire: the caller is a timeline on which
// recordings are placed, the agent's side is collected by the instants at which its
// frames went out. It speaks the same contract as every other transport, and connects
// a session with a program that has no wire: see the example of package parley.
//
// A Line serves one session. In real time it paces the caller's frames itself; with
// Config.Manual a driver asks for each frame with Step, which is how virtual time runs.
//
// With Config.Impairment the caller's frames take a bad network and a jitter buffer on
// their way (package jitter): they are lost, overtaken, doubled, delayed, made by a sound
// device that is not quite right, and come out as a session gets them from a wire. Equal
// seeds make equal trouble, so a conversation over a bad line is a test.
//
// Invariants:
//
//  1. Frame n of the caller holds the timeline from n*20 ms on and is delivered when it
//     is complete, at (n+1)*20 ms, unless the line is impaired; where nothing is placed
//     there is silence.
//  2. The timeline's past does not change: what is placed there begins at the next frame.
//  3. The agent's samples keep their order and their instants to the sample; two frames
//     of one instant follow each other.
//  4. What is kept is bounded; what is beyond is counted.
package loopback

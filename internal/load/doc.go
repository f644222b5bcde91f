// SPDX-License-Identifier: Apache-2.0

// Package load puts a crowd of simulated callers on a real host in real time and says
// what that did to those who were let in: overload, bad neighbours, and a soak.
//
// # The crowd
//
// A caller speaks and listens in turn and sends 50 frames a second all the time. Its
// engines are simulated: they wait, as the seed draws it, and use next to no processor
// time; the sound that they make is silence. The session, its kernel, endpointer, edges,
// egress and pacing are the real ones. A few goroutines drive all callers from a wheel of
// twenty slots, so that their frames are spread over the 20 ms of a frame.
//
// The crowd uses the same processors as the host. What it uses itself is estimated, from
// a loop over its own work that is measured beside the run, and told apart.
//
// # Lateness
//
// How late a frame is, the host measures at the write against the instant when it was due.
// Beside it each link measures on its own, as a client would: against the earliest
// schedule of 20 ms steps that the frames of the same turn have kept so far.
//
// # Order
//
// A Profile says what to run, Run runs it, the Report has rows with a promise, what was
// measured and the bound. A measurement during which others took much of the machine, other
// guests more than StolenLimit or other processes more than OthersLimit, is void, and said
// to be.
package load

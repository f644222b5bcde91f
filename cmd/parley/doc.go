// SPDX-License-Identifier: Apache-2.0

// Command parley runs voice conversations through the kernel on one machine, replays
// their recordings, simulates, measures, and checks contract artifacts.
//
// Exit codes, for every command:
//
//	0  success
//	1  the thing was done and the answer is no: an invalid artifact, a divergence, a failed gate
//	2  the thing could not be done: wrong usage, or input that cannot be read
//
// Results go to standard output, everything about the run to standard error. With
// --json, standard output holds one JSON document.
package main

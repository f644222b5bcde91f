// SPDX-License-Identifier: Apache-2.0

// Package simulation drives the real kernel with conversations that nobody had: a
// seeded world of callers, recognisers, language models, voices, a paced egress, a lease
// authority, a link, a recorder and their faults, all in virtual time.
//
//	seed --> world --inputs--> session.Machine --effects--> world (egress, providers, caller)
//	            |                                   |
//	            +-------------> watch <-------------+   named checkers, after every step
//
// # Rules
//
//  1. A seed, the number of turns and the set of faults decide everything. Workers, the
//     machine's speed and the clock decide nothing.
//  2. Every seed is run twice, the whole world anew, the two side by side, event by event; the
//     digests of all decisions must be equal. The watch stands by at the first run: an equal second one tells it nothing.
//  3. The watch knows inputs, effects, what reached the sink, and what the kernel says of
//     its deadline and of the clocks; never the kernel's own state. It restates the
//     specification instead of repeating the implementation.
//  4. A bound in time is checked from both sides: the step at or after it must have kept
//     it, and before it the kernel's deadline must not lie behind it.
//  5. What lies on edges the watch counts for itself, from offers and what is said of them;
//     how many of them wait with their nodes only the kernel can tell (Machine.Depth).
//     Which sequence an offer has follows from those that signals tell.
//  6. Faults of edges draw from a chance of their own: a seed's conversation stays what it
//     was before there were any.
//  7. Every checker counts how often it was asked, and has a mutation that trips it.
package simulation

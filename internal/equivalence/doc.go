// SPDX-License-Identifier: Apache-2.0

// Package equivalence holds one conversation over every transport, and compares what the
// kernel made of it. It has tests alone: they are the only place that sees all adapters
// and the inside of the runtime at once.
//
//	the same voice --> client of the transport --> adapter --> runtime --> record of decisions
//	                                                             |
//	the same spec, engines that do what they are told -----------+
//
// # Rules
//
//  1. The clients are written here, from the protocols' pages, and share no code with the
//     adapters: an error that an adapter makes in both directions would cancel out.
//  2. Compared are kinds, order, reasons and metadata of what was decided, never ids and clocks.
//     The networks, codecs and jitter buffers between have the voice arrive at other
//     samples than it was spoken at, by design. Positions are compared as lengths, within a
//     tolerance that each transport states.
//  3. What a transport may do in another way is listed by name with its reason. An entry
//     that is not needed fails as a difference that is not listed does.
package equivalence

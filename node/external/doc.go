// SPDX-License-Identifier: Apache-2.0

// Package external runs nodes in processes of their own, behind the contract of package node. It
// is the kind external: what a spec says below config is Config; docs/external-nodes.md is the
// manual of that, of packages and of the protocol.
//
//	Kind --config--> program: places, restart, circuit --one at a time--> process: socket, watch
//	  | New                                                                  |
//	  v                                                                      v
//	instance: one for a session or a turn, its events, credits, cancels  <- reader
//
//	program: idle --first Init--> starting --hello fits--> running --fails--> waiting --> starting
//	                                 |                                          |
//	                                 +--hello does not fit--> refused          +-- often --> circuit open
//
// Invariants:
//
//  1. Describe and New start nothing. A config, a package, a pin that is not sound is refused there.
//  2. The host keeps every deadline, by its own clock: an event, a cancel, a frame that was begun, a write.
//  3. An instance that fails takes no other with it. A process that fails takes its instances and no others.
//  4. No process outlives its kind, nor the host: it is killed with its group, and reaped.
//  5. Audio costs the host no allocation, from OnEvent to what the node answers.
//  6. What is late is discarded and counted: after a cancel, after a failure, after Stop.
//  7. Nothing waits for a child without a limit, and what a child sends is bounded in size and rate.
//  8. A credit is closed before a cancel is relayed.
//
// # How a failure is told
//
// An instance fails at any time, the contract tells of it by the error of a hook. So the instance asks
// for its timer at once, and gives the error to that event.
package external

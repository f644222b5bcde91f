// SPDX-License-Identifier: Apache-2.0

// Package node is the contract between Parley and the nodes of a voice graph: what a
// node declares of itself, which hooks it has, and through which handles it sees time,
// state, chance and telemetry. NoOp and Func stand beside the contract for nodes that need
// only a part of it, Text for those that change what is said, KindOf and Decode for those
// with a config; nodetest holds the conformance suite. docs/nodes.md is the manual.
//
// # Life of an instance
//
//	new --Init--> initialised --Start--> running --Stop--> stopped
//	                 |                      |
//	                 +-- panic, error or time limit --> failed (discarded, never reused)
//
// # Rules
//
//  1. Hooks of one instance never run at the same time. Init, Start and Stop run once
//     each, in this order; OnEvent runs between Start and Stop.
//  2. A hook has a time limit (Limits). Work that takes longer runs on the node's own
//     goroutine, ends when the context's Cancel token says so, and emits through
//     Context.Emit, which may be called from any goroutine until Stop has returned.
//  3. OnBargeIn runs before OnCancel; a node that buffers audio drops it there.
//  4. A turn-scoped instance serves one turn and keeps nothing for the next. Without a
//     turn there is no turn-ephemeral state.
//  5. Time and chance come from the context only; anything else that a node draws upon
//     is a declared nondeterministic input.
//  6. An Event and its samples are lent for the duration of the call, in both
//     directions: whoever wants to keep them copies them, and nobody writes into samples or
//     attributes that he was lent.
//  7. The payload class of an event goes on to what is made of it, unless the node
//     changes it on purpose.
//  8. A node that is declared Inline waits for nothing and takes microseconds: the host may
//     run it on the goroutine that owns its session. Where it does not keep that word, it
//     holds up its own session, and runs on a worker from then on.
package node

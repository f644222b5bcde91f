// SPDX-License-Identifier: Apache-2.0

// Package wasm runs nodes that nobody has to trust: a node is a WebAssembly module, and each
// of its instances has a memory of its own, the functions of docs/wasm-nodes.md and nothing
// else. Kind is what specs name; package guest makes a module of a node written in Go, and
// sdk/c/parley_node.h of one written in C.
//
//	module --pin, meter, compile, declare--> program --instantiate--> spare
//	                                             |                      |
//	                                             +------Init------------+--> serving --Stop--> gone
//	                                                                            |
//	                                                  deadline, trap, depth, ---+--> failed, gone
//	                                                  bad output, exit
//
// Invariants:
//
//  1. An instance serves one turn, or one session, and is not used again: nothing of a turn
//     reaches the next but by way of the state that the host keeps.
//  2. Whatever a guest does ends its own instance at most. The memory, the time of a call, the
//     nesting of calls and what a call emits are bounded.
//  3. What a call emitted leaves when the call has returned. Of one that failed nothing does.
//  4. A guest sees no file, no variable and no network but what it was granted to read; its
//     clock is the session's, and its chance the turn's.
//  5. Only code with the pinned checksum runs. Its declaration is checked before a session
//     begins.
//  6. Code is metered (internal/meter), so a guest that spins is stopped, and stops neither
//     the scheduler nor the collector meanwhile. No timer and no goroutine watches a call.
//  7. A frame in and a frame out cost the host no allocation.
package wasm

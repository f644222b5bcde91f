// SPDX-License-Identifier: Apache-2.0

// Package sessionhost is the shell around the kernel: it owns the sessions, brings them
// what happens, and does what they decide. The kernel's Step is called from one place
// and the clock is read at one place.
//
//	transport --frames, text, cancels--> inbox --one pass--> Step --effects--> egress --> transport
//	nodes, providers --results-----------> |                        |--> nodes, provider calls
//	timing wheel --deadlines, ticks------> |                        |--> recorder, conversation, observer
//	       ^                                                        |
//	       +---------------- deliveries, appends: the next pass ----+
//
// # Who runs what
//
// A Host has a shard for each core: one goroutine that owns its sessions, drains their
// inbox in batches and turns one timing wheel for all of them. Everything that was
// found for a session in one drain becomes one pass of its kernel. What may take time
// (a recogniser, a model, a synthesiser, a detector) runs on other goroutines and
// answers through the inbox: the work of nodes in one execution pool that all sessions
// share, what it refuses included. In virtual time (Virtual) one goroutine does all of it, in
// the order of due time, lane and arrival; sessions, egress, nodes and conversation are
// the same code.
//
// # Invariants
//
//  1. A session is stepped by its owner alone, and its instants do not go back.
//  2. Fences are performed before the pass is recorded, everything else after it.
//  3. A cancel from outside stores the fence first and queues the cancel second; the
//     fence never passes through the inbox.
//  4. Control is never dropped. Caller frames are, past a bound, and counted.
//  5. A panic in one session's step or effects ends that session, with reason
//     runtime_internal_error, and no other.
//  6. Every session ends: by the kernel's drain deadline, or by force.
//  7. A caller frame and an agent frame cost no allocation in the steady state.
//  8. A session that is not let in leaves its refusal, recorded and observed, and nothing
//     else: no transport is bound and no owner hears of it.
package sessionhost

// SPDX-License-Identifier: Apache-2.0

// Package sessionhost is the shell around the kernel: it owns the sessions, brings them
// what happens, and does what they decide. The kernel's Step is called from one place
// and the clock is read at one place.
//
//	transport --frames, text, cancels--> mailbox -one pass-> Step --effects--> egress --> transport
//	nodes, providers --results-----------> |                        |--> nodes, provider calls
//	timing wheel --deadlines, ticks------> |                        |--> recorder, conversation, observer
//	       ^                                                        |
//	       +---------------- deliveries, appends: the next pass ----+
//
// # Who runs what
//
// A Host has a shard for each core: one goroutine that owns its sessions and turns one
// timing wheel for all of them. What waits for a session lies in its mailbox; the shard's
// inbox says who has something, lane by lane. The owner serves the most urgent session
// first: control, frames that are due, deadlines, data, telemetry. What it finds for a
// session becomes one pass of its kernel, in the order in which it came. An owner that has
// frames of several sessions naps to the end of its slot of a millisecond: frames and metrics
// wait for that, everything else wakes it. The memory of the sessions that come next it fetches
// together (fetch.go): of thousands none is in a cache, and waiting for it would be most of what a
// frame costs. What may take time
// (a recogniser, a model, a synthesiser, a detector) runs on other goroutines and
// answers through the mailbox: the work of nodes in one execution pool that all sessions
// share, what it refuses included. An endpointer that is declared inline runs on the owner. A session that holds its owner up is left behind with
// it. In virtual time (Virtual) one goroutine does all of it, in
// the order of due time, lane and arrival; sessions, egress, nodes and conversation are
// the same code.
//
// # Invariants
//
//  1. A session is stepped by its owner alone, and its instants do not go back.
//  2. Fences are performed before the pass is recorded, everything else after it.
//  3. A cancel from outside stores the fence first and queues the cancel second; the
//     fence never passes through the inbox.
//  4. Control is never dropped: what was said already is not said again, and a lane that is
//     full all the same ends the session. Data is dropped past a bound, counted, and the
//     kernel is told; a call that lost something fails.
//  5. A panic in one session's step or effects ends that session, with reason
//     runtime_internal_error, and no other.
//  6. Every session ends: by the kernel's drain deadline, or by force.
//  7. A caller frame and an agent frame cost no allocation in the steady state.
//  8. The passes of a session hold its control and data in the order of their arrival.
//     Control and deadlines take along what came before them; other data has turns of
//     bounded length.
//  9. One goroutine at a time attends to a session.
//  10. A session that is not let in leaves its refusal, recorded and observed, and nothing
//     else: no transport is bound and no owner hears of it.
//  11. Whatever nodes stand in the caller's sound, a sample goes on to who listens once, in its
//     order, at its position, and no later than the limits of those nodes say.
package sessionhost

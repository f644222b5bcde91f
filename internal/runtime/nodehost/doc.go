// SPDX-License-Identifier: Apache-2.0

// Package nodehost runs nodes inside the process: each instance's hooks one at a time,
// within their limits, behind a boundary that a panic does not cross
// (nodes-providers-transports section 2).
//
//	new --Init, Start before the first event--> running --Stop--> stopped
//	                 |                             |
//	                 +--- panic, error, time limit ---> failed --Stop--> stopped
//	                                                    reported once, never reused
//
// Invariants:
//
//  1. Hooks of an instance never overlap; Init, Start and Stop run at most once each.
//  2. A failed instance emits nothing and takes nothing, and is stopped as soon as none of
//     its hooks runs. Others are not touched.
//  3. No method waits for a hook but Call and KickHere. Call gives up when the instance fails.
//  4. Nothing here knows whether time is real: an Executor runs the work and tells the
//     time. In virtual time hooks take none, so limits do not apply.
//  5. An event that is pulled costs no allocation.
//
// # The pool
//
// A Pool has the workers that all sessions share, and each session a Seat in it.
//
//		hooks ------------------------------------> control --> any worker, or the reserved one
//		events --[node's limit]--> key's own queue --> ring of keys --> workers, one turn each
//		calls of providers --[node's limit]--> streams
//
//	 6. At most as many pieces of work run as there are workers, and the reserved one; not
//	    counted are those whose workers were replaced, which the queue's bound bounds.
//	 7. Hooks go before events; of events, keys are served in turn, and of a key the oldest.
//	 8. A key holds at most half of the workers, and no more of the queue than is left of it.
//	 9. What can wait is never refused, and has one place in line. What cannot is either run
//	    or refused with a reason.
//	 10. An idle pool has no goroutines, once the time is over for which its workers are kept.
//	 11. Workers are called one at a time: the one that was called looks, and calls the next
//	     where there is more to do.
//
// # Inline nodes
//
// A node whose declaration says that it takes microseconds may have its events on the
// goroutine of whoever has them (KickHere): no worker, no queue, no cache of another core.
//
//  12. Init and Start are the pool's, and so are a backlog, a node whose runs are counted,
//     and one that has taken more than InlineMost for several events in a row.
//  13. An inline instance is in one place at a time, here or in the pool.
package nodehost

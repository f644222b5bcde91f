// SPDX-License-Identifier: Apache-2.0

// Package gate says who may come in: whether a session may begin and a proposal may
// become a turn, whose word counts, and what is turned away when there is too much. Its
// checks are functions of what was recorded (snapshots, quotas and counts, leases), and
// their answers are values: the session asks in order, emits what the first refusal says,
// and stops there.
//
//	session --> capacity, overload --> quotas --> ACTIVE
//	proposal --> snapshots --> admission, quotas --> epoch --> revocation --> (plan) --> turn_open
//	                 |                  |              |           |
//	                 +------------------+--------------+-----------+--> Verdict: outcome, reason
//
// A host asks the same functions before it binds a session's transport. Two machines are
// the host's alone, and pure like the rest: Ladder, which turns measured pressure into an
// overload level, and Slots, which counts sessions against a capacity.
//
// Invariants:
//
//  1. A verdict that refuses has a reason; one that defers for a quota, for capacity or
//     for load says after how long to come again.
//  2. A gate that is not reached decides nothing (lifecycle section 3): each answers from
//     its own inputs alone.
//  3. Epochs only rise, and authority that was withdrawn does not come back.
//  4. A snapshot whose version steps back is refused until one comes that does not.
//  5. More use never makes a quota's verdict milder, and of several the strictest counts.
//  6. A level sheds what the levels below it shed; live turns and control are shed at none.
//  7. What yields less is never met more mildly: where fidelity cannot be given up, a quota
//     that degrades rejects.
//  8. Nobody is let in past the capacity as it is known; without a known cost, no more than
//     the burst are young at a time.
package gate

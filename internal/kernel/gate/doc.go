// SPDX-License-Identifier: Apache-2.0

// Package gate says who may come in: whether a session may begin and a proposal may
// become a turn, and whose word counts. Its checks are functions of what was recorded
// (snapshots, leases), and their answers are values: the session asks in order, emits
// what the first refusal says, and stops there.
//
//	proposal --> snapshots --> admission --> epoch --> revocation --> (plan) --> turn_open
//	                 |             |           |           |
//	                 +-------------+-----------+-----------+--> Verdict: outcome, reason
//
// Invariants:
//
//  1. A verdict that refuses has a reason.
//  2. A gate that is not reached decides nothing (lifecycle section 3): each answers from
//     its own inputs alone.
//  3. Epochs only rise, and authority that was withdrawn does not come back.
//  4. A snapshot whose version steps back is refused until one comes that does not.
package gate

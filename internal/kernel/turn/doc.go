// SPDX-License-Identifier: Apache-2.0

// Package turn says what may happen in a turn: who may speak, when a turn opens and
// ends, what counts as an interruption, what a cancel fences, and when a budget is
// spent. Its machines are values; only the session moves them.
//
//	Idle --turn_open_proposed--> Opening --turn_open--> Active --commit|abort--> Terminal --close--> Closed
//	                                |
//	                                +--reject|defer|stale_epoch_reject|deauthorized_drain--> Idle
//
// Invariants:
//
//  1. Only the edges drawn above exist; any other trigger is refused and changes nothing.
//  2. A turn gets exactly one of commit and abort, then exactly one close.
//  3. When several triggers are pending at one arbitration point, the one that stands
//     first in lifecycle section 4 wins; commit loses to everything.
//  4. A plan is sealed before the turn opens and never changes after that.
//  5. A fence, once set, holds until the session ends or its retention is over.
//  6. Of an allowance the warning is told once and before the exhaustion, and that once,
//     however late the timer. One nested in another never outlives it.
//  7. The fidelity of a turn only falls. An outcome that the plan does not list is never
//     the answer to anything.
package turn

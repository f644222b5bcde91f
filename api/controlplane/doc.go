// SPDX-License-Identifier: Apache-2.0

// Package controlplane holds the data that the control plane and the kernel agree
// on: the resolved turn plan and its hash, decision outcomes, turn transitions,
// leases and snapshot references. It is data only. Nothing here reads a clock,
// performs I/O or decides; deciding is the kernel's business.
//
// Invariants:
//
//  1. A plan is frozen before turn_open and never changes until its turn closes
//     (turn-plan section 2). Values of this package are shared, never mutated,
//     once the kernel has handed them out.
//  2. The plan hash covers every field except plan_hash and resolved_turn_plan_id,
//     in canonical JSON (turn-plan section 3). Two plans with one hash are one plan.
//  3. Keyed collections are [Table] values, sorted by key, so that neither hashing
//     nor encoding depends on the iteration order of a map.
//  4. The validators report every fault of an artifact, not the first one.
package controlplane

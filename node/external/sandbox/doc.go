// SPDX-License-Identifier: Apache-2.0

// Package sandbox takes from a process what it was not granted, before it becomes the program of
// a node. The host starts its own binary as a launcher (Args), which calls Exec: that applies the
// Policy to itself and then executes the command in its place, so that there is one process and
// no moment in which the program runs without the policy.
//
//	host --start--> launcher --priority, limits, privileges, files, calls--> exec: the node's program
//
// Levels, each with what the one before has:
//
//	process  a process of its own; nothing of this package is applied
//	limited  rlimits, no privileges, no gain of any by exec, a filter of system calls
//	sandbox  files only as granted (Landlock)
//
// Invariants:
//
//  1. Exec fails closed: what it was told to apply and cannot ends the launcher, and the program never runs.
//  2. What the policy does not grant is refused to the program by the kernel, not by convention.
//  3. The parent's death is the program's: it cannot take that back.
package sandbox

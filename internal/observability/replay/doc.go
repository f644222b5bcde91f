// SPDX-License-Identifier: Apache-2.0

// Package replay writes what a session's kernel was fed and what it decided, and later
// feeds the same again and compares. Inputs are recorded, decisions are recomputed: a
// replay that agrees proves that the recording explains the call.
//
// # What is recorded
//
// One input record holds one or more passes, each with its instant and its inputs in
// the order that the kernel was given. Passes that decided nothing (caller frames,
// mostly) wait in memory for the next one that did, so that a frame costs a few bytes.
// Behind an input record stand the decisions of its last pass, one record each; every
// CheckpointEvery decisions a checkpoint carries the rolling digest.
//
//	input       passes: uvarint instant difference in ns, uvarint inputs, then for each
//	            uvarint length and the kernel's own bytes. 0 inputs stand for one caller
//	            frame, the commonest pass by far: varints of what differs from the frame
//	            that would follow the last one (epoch, transport sequence, position,
//	            length); 1 input with length 0 is a pass without any input
//	decision    the kernel's own bytes
//	checkpoint  u64 decisions so far, 32 bytes digest
//
// Invariants:
//
//  1. An input record is appended before the decisions that it led to.
//  2. Only passes without a decision wait in memory, at most MaxPending bytes of them.
//  3. Replay never runs a node and never calls a provider.
package replay

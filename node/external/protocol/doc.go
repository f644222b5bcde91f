// SPDX-License-Identifier: Apache-2.0

// Package protocol is parley-node/1: how a node in another process and its host speak over a
// stream. docs/external-nodes.md is its manual.
//
//	u32 length, big-endian | u8 kind | body
//	kind J: a JSON object with a type | A: audio, raw | D: an event is done
//
// Invariants:
//
//  1. Frames of audio and what says that they are done cost no allocation, neither to write nor to read.
//  2. Whatever the bytes are, a reader gives a message, skips what it does not know, or names the
//     field that breaks the protocol. It never takes more than MaxFrame.
//  3. What is not known is counted and skipped: kinds of frames, types of messages, fields.
package protocol

// SPDX-License-Identifier: Apache-2.0

// Package abi is what a sandboxed node and its host say to each other, for both sides:
// names, numbers and the binary form of an event. docs/wasm-nodes.md is the reference.
//
// Invariants:
//
//  1. Writing and reading an event costs no allocation but for its texts, once the buffers
//     have their size.
//  2. Whatever the bytes are, Read gives an event within the limits or an error.
//  3. What is read refers to nothing of the bytes: they may change afterwards.
package abi

// SPDX-License-Identifier: Apache-2.0

// Package wire is the vocabulary of the native WebSocket protocol, parley.v1, as
// docs/websocket.md describes it: what a client and a server say to each other, and how it is
// written. Both ends of ours use it, and the examples of that page are read with it.
//
//	client --> FromClient: text or binary frames      Audio: binary frames --> server
//	client <-- FromServer: text or binary frames      Audio: binary frames <-- server
//
// # Rules
//
//  1. A message is one JSON object with a type in a text frame, or Protocol Buffers in a binary
//     one; audio is HeaderSize bytes, little-endian, and encoded audio in a binary frame.
//  2. Who reads is tolerant: an unknown field is told and ignored, and a client ignores types
//     that it does not know. A field that cannot be meant is a Fault that names it.
//  3. Nothing that is read is trusted: lengths, identifiers and numbers are bounded before
//     anybody sees them.
//  4. Both encodings have the same messages and fields. Each type names its fields once
//     (fields.go); the codec, docs/parley.proto and the TypeScript client's table come of that.
package wire

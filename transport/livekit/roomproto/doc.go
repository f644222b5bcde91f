// SPDX-License-Identifier: Apache-2.0

// Package roomproto is the part of LiveKit's messages that a participant of a room needs:
// signalling (livekit_rtc.proto), data packets and text streams (livekit_models.proto) of
// github.com/livekit/protocol v1.54.0, in Protocol Buffers' binary form.
//
//	struct with tags pb:"N" --Marshal--> bytes --Unmarshal--> struct
//
// # Rules
//
//  1. A field's tag is its number in the .proto file. What is not named here is skipped when
//     it is read, and never written: so servers of other versions are understood.
//  2. A oneof is pointers of which one is set. Of scalars the zero value is absent, as in
//     proto3.
//  3. Whatever the bytes are, the answer is a message or an error. What is kept is no larger
//     than a small multiple of the input, which the caller bounds.
//
// Why the messages are not generated is said in docs/RATIONALE.md.
package roomproto

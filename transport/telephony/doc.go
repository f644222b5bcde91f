// SPDX-License-Identifier: Apache-2.0

// Package telephony takes calls from the media gateways of telephone providers: Twilio
// Media Streams, and what Telnyx, Plivo and Exotel made of it. The provider answers the
// telephone, opens a WebSocket to a Server for each call, and both sides send sound as
// base64 in JSON.
//
//	start  --> Host.Begin (token) --> Link
//	media  --> order --> decode --> upsample --> feed --> Ingress.Audio, Gap
//	dtmf   --> Ingress.Control
//	mark   --> ledger --> Ingress.Played
//	stop   --> Ingress.Link(left)
//	           WriteFrame --> downsample --> encode --> outbox --> media, mark
//	           Fence      --> outbox, ledger          --> outbox --> clear
//
// The providers differ in names, encodings and what becomes of a mark when the buffer is
// cleared. Each is a row of a table (dialect.go) and none is a fork; the start message
// tells which one it is.
//
// # Rules
//
//  1. Nothing of a call reaches the session before its token was accepted: it is read from
//     the start message, the Authorization header or the address, in this order.
//  2. What the caller has heard is what the gateway acknowledged by a mark. Marks follow
//     the first frame of a turn, every 100 ms of it, and its last frame.
//  3. A gateway that is told to clear its buffer returns the marks that were in it, as if
//     they had been played. A mark that was out when its turn was fenced is therefore not
//     evidence any more, whenever it comes back. What is heard is so never said too long;
//     it may be said too short by the way of one mark. Plivo returns no mark that was not
//     played, and says when it has cleared: its marks count until then.
//  4. Sound goes out as it comes from the runtime, at the pace of speech, so that the
//     gateway's buffer stays short.
//  5. What the gateway sends is untrusted. A message that is wrong is counted; a call with
//     too many of them is closed. Everything that is held is bounded.
//  6. There is no way back to a stream that was lost: providers open a new one. So a link
//     that fails is gone.
package telephony

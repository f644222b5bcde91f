// SPDX-License-Identifier: Apache-2.0

// Package websocket is the native transport: a server of the protocol parley.v1, which
// docs/websocket.md describes and package api/wire encodes.
//
//	       conn: one WebSocket                 line: one session
//	wire --> reader --> decode, dispatch --> feed, keys --------> Ingress
//	wire <-- outbox <-- encode <-- log of numbered messages <---- Link
//	             |                     ^
//	             +-- lost              +-- resumed: what was not received is said again
//
// # Rules
//
//  1. A line outlives its conns. One that loses its conn says LinkLost, after Config.Grace
//     LinkGone, and LinkResumed when a client has come back that Host.Readmit lets in. A
//     second conn displaces the first.
//  2. Nothing of a session reaches Ingress before Host.Begin has let it in, nor after
//     Link.Close has returned, nor from a conn that was displaced.
//  3. Text messages of a session are numbered and kept, so many and so large, for a client
//     that comes back. Frames of sound are not: what could not be sent is counted and gone.
//  4. A message of the client with a key is taken once.
//  5. A client that does not read costs the outbox and no more: the oldest sound is dropped,
//     and beyond the bound of control the conn is lost. One that floods is read at the pace
//     of Config.Rate, and its sound beyond Config.Ahead is a gap.
//  6. What cannot be read is answered by an error that names the field; Config.Faults of
//     them in a row close the conn.
//  7. Every wait is bounded: hello, ping, write, the close handshake. Close returns within
//     Config.CloseWithin, whatever the client does.
package websocket

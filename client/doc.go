// SPDX-License-Identifier: Apache-2.0

// Package client talks to a Parley server over its WebSocket protocol, parley.v1: it sends
// what a microphone hears, plays what the agent says, tells the server how far that was
// heard, and comes back when the connection is lost.
//
//	SendAudio, SendText, ... --> pending, until the server has taken them --> connection
//	Events <-- bounded queue <-- signals, transcripts, tool calls, ... <----- connection
//	ReadAudio <-- playback (60 ms ahead) <-- frames of sound <--------------- connection
//	                 +-- played: how far, every 100 ms, at a fence, when it ran dry -->
//
// # Rules
//
//  1. The caller's thread is never held up by the network: what cannot be sent now waits, so
//     much of it, or is refused. Sound is not kept: what is spoken while the connection is
//     lost is counted and gone.
//  2. What was sent with a key reaches the session once, or the Client ends.
//  3. Fenced sound is never given out once the fence was heard.
//  4. Events are in order. When nobody takes them the least needed go first: measurements,
//     partial transcripts, then the oldest. How many is counted.
//  5. Whatever happens, Events is closed in the end, with Ended as its last.
package client

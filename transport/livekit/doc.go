// SPDX-License-Identifier: Apache-2.0

// Package livekit takes part in rooms of LiveKit: it joins a room as an agent, talks with one
// of those who are there, and leaves. It calls rather than listens; each call is one session.
//
//	Join, Serve --> token --> /rtc (WebSocket, roomproto) --> a caller is there --> Host.Begin
//	RTP (subscriber) --> order --> Opus --> frames --> jitter --> Ingress.Audio, Gap
//	data: lk.chat, chat messages --> Ingress.Text; keys of telephones --> Ingress.Control
//	participant updates: mute --> Ingress.Muted; gone, back --> Ingress.Link
//	           WriteFrame --> Opus --> outbox --> RTP (publisher)
//	           WriteText  --> lk.transcription
//	           WriteSignal --> attribute lk.agent.state
//	           Close      --> leave
//
// # In a room
//
//	joining --(answer, ICE)--> in --(signalling or ICE lost)--> lost --(reconnect=1)--> in
//	                           |                                 |  --(joined anew)--> in
//	                           | leave, room closed              | Resume is over
//	                           v                                 v
//	                          left                              gone
//
// # Rules
//
//  1. One participant is heard: the configured one, or the first who comes and is a person,
//     a telephone or a connector. Nobody else's track is subscribed to, and nobody else's
//     text is taken.
//  2. Who goes on purpose has left. Who is lost by the network may come back under the same
//     identity: with a token that Host.Readmit takes.
//  3. RTP's timestamp is where sound belongs. What a sender leaves out on purpose, because it
//     is silent (DTX) or muted, is silence; what is lost is a gap.
//  4. Behind WriteFrame there is an outbox; a fence empties it. The numbers of packets are
//     given behind it, so that a fence leaves no hole that a receiver would wait for.
//  5. A new generation begins with a fresh encoder: nothing of the old one is heard in it.
//  6. What comes from the room is untrusted: it is bounded, counted, and dropped when it is
//     wrong.
//
// What is implemented of LiveKit's protocol, and what is not, is in docs/livekit.md.
package livekit

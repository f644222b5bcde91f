// SPDX-License-Identifier: Apache-2.0

// Package livekittest is a LiveKit server for tests: rooms on loopback with the signalling, the
// two connections of each agent, and people in the rooms whose microphones and texts a test
// has in its hand.
//
//	agent --WebSocket /rtc--> Server --join, offers, answers, updates--> agent
//	Person.Speak --Opus, RTP--> agent's subscriber connection
//	agent's publisher connection --RTP--> Person.Heard, Person.Packets
//	Person.Send <--data channels--> agent
//
// It forwards rather than mixes, as LiveKit does, and knows of the protocol what an agent needs. What
// only LiveKit's own server can show is said in docs/livekit.md.
package livekittest

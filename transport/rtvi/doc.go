// SPDX-License-Identifier: Apache-2.0

// Package rtvi lets clients of Pipecat talk to Parley unchanged: the server side of RTVI
// (protocol 2.x, and 1.x as far as it differs) over a WebSocket.
//
//	binary: frame --> sound ------------------------> feed --> Ingress.Audio
//	             \--> message --> input ------------> Ingress.Text, Context, Cancel, ...
//	text: message -/      (raw-audio) --> feed
//	outbox <-- sound:    frames, or eval-bot-audio <-- Link.WriteFrame
//	       <-- messages: bot-*, user-*, metrics <----- Link: signals, texts, speech, tools
//
// A client is spoken to as it speaks: in binary messages that each hold a pipecat.Frame in
// the protobuf encoding (the WebSocket transport of Pipecat's clients), or in text messages
// of JSON (Pipecat's own RTVI client, and its evaluation harness, which asks for more by
// eval-* messages and flags of the address).
//
// # How the two models meet
//
// RTVI names no turns: what a bot says is told by events in order. So there is one turn at
// a time that they are of. It begins with bot-llm-started, and ends with bot-llm-stopped
// when the turn is closed and its sound was played or fenced; what another turn does before
// that waits. What is said is told when it begins to be heard, in pieces, each as
// bot-llm-text, bot-tts-text and a segment of bot-output.
//
// # Rules
//
//  1. Nothing of a session reaches Ingress before its host has begun it. It begins with
//     the first message that is no eval-connect, and bot-ready answers client-ready.
//  2. Messages go to a client that has said client-ready; sound goes to every one.
//  3. When a turn is fenced that has begun and not ended, bot-interrupted is told before
//     the fence returns, and no sound of the turn is written behind it.
//  4. The players of clients stop when they run dry, and lose what they hold; so each
//     stretch of sound is led by Config.Lead of silence, which is how far a player may be
//     behind.
//  5. A message that cannot be done is answered by error-response with its id, and changes
//     nothing.
//  6. user-started-speaking is told when speech is taken for an utterance: at once while
//     the bot is silent, and while it speaks when the interruption is confirmed.
//  7. Whatever a client sends is bounded: messages in size, sound in length, texts, faults
//     in a row.
package rtvi

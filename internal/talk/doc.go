// SPDX-License-Identifier: Apache-2.0

// Package talk is a conversation at a terminal: somebody types, speaks into a microphone or
// has recordings played, hears the agent, and sees what happens.
//
//	keys, lines ---- typed ----+
//	microphone --+             v                        +--> loudspeaker
//	recordings --+- 20 ms --> client.Client --- 20 ms --+--> WAV: left the caller, right the agent
//	                           |        ^               +--> levels
//	              over a network, or over a pipe to an agent in this process
//	                           v
//	watcher --> console.View
//
// The agent in this process is reached as any other is, by the same client and the same
// transport, but over a pipe: no port is opened. There the view is fed by the session itself
// (demo.Collector); a server is watched by what it tells its client.
//
// # Rules
//
//  1. One goroutine owns the conversation; keys, sound devices and the connection are bounded
//     queues to and from it, and none of them can hold it up.
//  2. What is written to the WAV and the loudspeaker is what the client acknowledges as heard.
//  3. A line that is typed is an utterance and interrupts. Lines of a pipe wait for the answer
//     to the one before, so that a file of lines is a conversation.
//  4. It ends once, in good order, whoever ends it: the session is told, the WAV is whole, the
//     programs that record and play are gone.
//  5. A sound device that fails is a note, and the conversation goes on.
package talk

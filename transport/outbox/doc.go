// SPDX-License-Identifier: Apache-2.0

// Package outbox is what lies between a transport's link and a wire that may be slow: a
// bounded queue of messages, written in order by one goroutine, out of which a fence
// takes the audio of a turn.
//
//	Send --> queue --> writer --> Config.Write (the wire)
//	           ^          ^
//	Fence -----+----------+   drops what waits, waits for what is being written
//
// # Rules
//
//  1. Messages are written in the order in which they were sent, audio and control alike.
//  2. Send, Fence and Stats return at once; Fence may wait for one write, 50 ms at most.
//  3. When Fence has returned, no audio of its scope begins to be written, whether it was
//     sent before or comes later. A write that was under way has ended, or is counted as
//     late: what a wire has half taken cannot be called back.
//  4. Audio beyond its bound pushes out the oldest audio, which is counted: what is heard
//     late is worth less than what is due. Control is never left out; beyond its bound the
//     outbox fails, since a client that does not read has no use for a link.
//  5. An outbox that failed writes nothing more. Config.Failed is told why, once, in a
//     goroutine of its own.
//  6. Everything that Send took is counted: written, dropped, fenced, or unsent at the end.
package outbox

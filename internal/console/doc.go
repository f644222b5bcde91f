// SPDX-License-Identifier: Apache-2.0

// Package console shows a conversation while it happens.
//
// On a terminal finished lines scroll by, as they would in a transcript, and a live area below them is drawn over and
// over: whose turn it is and how loud both sides are, the words that are being said, and a panel of the edges: what lies
// in each against its bound, and what came, went, was dropped and merged. What pressure does stays as a line. Without a terminal
// every event is one line with its time and without escapes, so that a log or a pipe can be read and searched.
//
// Invariants:
//
//  1. What is written depends on the calls and on nothing else: no clock, no randomness. Time comes with every call.
//  2. No text of the conversation reaches the terminal as a control sequence (clean).
//  3. A line of the live area is never wider than the terminal, so drawing over it removes all of it.
//  4. After Close the cursor is visible, at the beginning of an empty line, and colours are off.
package console

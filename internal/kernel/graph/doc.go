// SPDX-License-Identifier: Apache-2.0

// Package graph says what runs next. For the voice pipeline (recogniser, language
// model, segmenter, synthesiser) it knows which segment of the reply is to be spoken
// next, when the reply is complete, and how much of it a playout position covers.
//
// Invariants:
//
//  1. Segments are spoken in the order of their index, each at most once.
//  2. A segment is not handed to the synthesiser before the one in front of it is done.
//  3. The reply is complete exactly when the model has ended and every segment is done.
package graph

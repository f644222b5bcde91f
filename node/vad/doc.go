// SPDX-License-Identifier: Apache-2.0

// Package vad says when the caller speaks. It has two parts that do not know each
// other: Silero, a neural network that gives each 32 ms of audio a probability of
// speech, and Endpointer, a state machine that turns a series of probabilities into
// the start and the end of an utterance.
//
// Silero is the network of Silero VAD v6 for 16 kHz, evaluated in Go from the weights
// in its ONNX file. The weights are shared and never written to; what a stream has
// heard lies in its own Detector.
//
// Invariants of the network:
//
//  1. Equal streams give equal probabilities: a Detector depends on nothing but the
//     frames it was given since it was made or reset.
//  2. A probability lies in [0, 1], whatever the samples.
//  3. Detector.Probability does not allocate and takes the same work for every frame.
package vad

// SPDX-License-Identifier: Apache-2.0

// Package codec turns the sound of a wire into that of a session and back: between PCM of
// other rates, G.711 and Opus on one side, and signed 16 bit, mono, 16000 Hz on the other.
//
//	wire --> Decoder: bytes to samples, rate to 16000 Hz --> session
//	wire <-- Encoder: 16000 Hz to rate, samples to bytes <-- session
//
// Negotiate picks what both sides can. A Format then makes the Decoder and the Encoder;
// their parts (Law, Resampler, the PCM functions, OpusDecoder) can be used alone.
//
// # Rules
//
//  1. Whatever the bytes are, the answer is samples or an error that says what is wrong.
//     Nothing panics, and nothing is kept that grows with the input.
//  2. How a stream is cut into blocks makes no difference to what comes out.
//  3. n samples in make n*to/from out, rounded up, over any length: no drift, and a frame
//     of 20 ms is one of 20 ms on the other side (where the rate has a whole number).
//  4. What PCM and G.711 are decoded to and encoded from takes no memory beyond dst.
//  5. A stream keeps some milliseconds of what went before. Reset drops them, so that
//     nothing of a fenced turn is heard in the next.
//
// A Decoder and an Encoder belong to one stream and are used by one goroutine at a time.
package codec

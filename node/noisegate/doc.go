// SPDX-License-Identifier: Apache-2.0

// Package noisegate is the node noise_gate: it turns what is quieter than speech down, so that
// neither the detector nor the recogniser takes a fan or a street for words. It stands in the
// caller's sound, ahead of vad and stt.
//
//	closed --a frame of open_db or louder--> open --hold_ms below close_db--> closed
//
// Config:
//
//	open_db   how loud a frame has to be for the gate to open, dBFS; -45
//	close_db  below what loudness it closes, dBFS, at most open_db; -50
//	hold_ms   how long it stays open behind the last frame that is as loud as that; 200
//	floor_db  what the sound is turned down by while it is closed, dB; -40, 0 = nothing
//
// Invariants:
//
//  1. A frame goes on with as many samples as it came with.
//  2. The frame that opens the gate goes on whole but for a ramp of its first 5 ms: no first
//     sound of a word is lost.
//  3. A frame costs no allocation, and a few microseconds.
package noisegate

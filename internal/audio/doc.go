// SPDX-License-Identifier: Apache-2.0

// Package audio brings recorded sound into the one format that the voice path
// speaks, 16 kHz mono signed 16-bit, and writes what was heard and said back
// to disk as WAV.
//
//	WAV (any of the below) -> header -> samples, 24-bit scale -> down-mix -> resample -> Clip
//	left, right            -> WAVWriter -> hidden partial file -> rename on Close -> WAV
//
// Accepted: integer PCM of 8, 16, 24 and 32 bits, IEEE float of 32 and 64
// bits, A-law and mu-law, each plain or as WAVE_FORMAT_EXTENSIBLE; 1 to 8
// channels; 8000 to 48000 Hz; at most MaxDuration. Every conversion is told in
// a Note. Everything else is refused with an *Error that names the file, the
// field, its value and what to do about it.
//
// Invariants:
//
//  1. Memory is bounded by the length of the result (MaxDuration is 58 MB) and
//     never by a number in a header: input is read in blocks.
//  2. The same bytes give the same samples on every processor. Samples are
//     integers from the first step to the last; floating point only designs
//     the filter, whose coefficients are rounded to integers before use.
//  3. A file already in the wanted format passes through bit for bit.
//  4. A name given to CreateWAV holds either what it held before or a whole
//     file, never a part of one.
//
// The parser is our own: the WAV libraries at hand trust the sizes in the
// header, read the whole file, and know neither open-ended headers of pipes
// nor truncation. The parts of the format that speech needs are small.
package audio

// SPDX-License-Identifier: Apache-2.0

// Package voices holds the human recordings that the demo plays as its caller,
// inside the binary, so that a bare parley needs no files beside it.
//
// Each recording is 16 kHz mono signed 16-bit WAV, in the public domain;
// PROVENANCE.md says where it comes from, which samples were cut and what is
// said. voices.json is the same for programs.
//
// Transcripts here are for people and for measuring recognisers. They never
// stand in for recognition: what a session knows of a recording is what its
// speech engines make of the samples.
package voices

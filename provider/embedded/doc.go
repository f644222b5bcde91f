// SPDX-License-Identifier: Apache-2.0

// Package embedded hears and speaks without a network, a key or a C compiler: the
// recogniser PocketSphinx and the synthesiser flite, compiled to WebAssembly and run by
// wazero inside the process. docs/engines.md says what they are made of and how well
// they do; the recogniser is for demonstrations and labels itself so.
//
// One instance of an engine serves one call at a time. Instances are kept and used
// again, since a recogniser takes half a second and 90 MB to load.
//
//	absent --load--> idle --call--> busy --done--> idle
//	                                 busy --fault--> absent
//
// Invariants:
//
//  1. An instance belongs to one call at most, and nothing else reads its memory.
//  2. An instance that failed is thrown away: the engines' C code has no way to unwind,
//     so after a fatal error nothing is known of its state.
//  3. Every address and length that an engine hands out is checked against the size of
//     its memory and against a limit before it is read.
//  4. Equal audio gives equal text, however it is cut into writes, and equal text gives
//     equal audio, whatever the instance did before.
//  5. A call stops between two blocks of audio (recogniser, 32 ms) or after the next
//     chunk (synthesiser, 20 ms): the engines run without wazero's check for a cancelled
//     context, which makes them four times slower.
package embedded

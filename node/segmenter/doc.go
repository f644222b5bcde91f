// SPDX-License-Identifier: Apache-2.0

// Package segmenter cuts the text that a language model streams into segments that a
// synthesiser can speak: the llm_to_tts handoff of nodes-providers-transports section 4
// with the defaults of turn-plan section 6. The first segment leaves as early as it can,
// at the end of a clause; the later ones are whole sentences, because by then there is
// sound to cover the wait.
//
// It is text logic alone: one value per reply, one owner, no goroutine, no clock. Time
// is an argument and any monotonic origin will do.
//
// # When a segment leaves
//
//	first    at the end of a sentence; or of a clause, once MinPartialChars are reached;
//	         or at a word, MaxPartialAge after its oldest character arrived
//	later    at the end of a sentence, once MinPartialChars are reached; after
//	         MaxPartialAge at the end of a shorter sentence, or of a clause with
//	         MinPartialChars; after MaxSentenceAge at a word
//	any      at the best place before MaxSegmentChars
//	Flush    the rest
//
// Without TriggerOnPunctuation every segment leaves at the first word boundary with
// MinPartialChars, and after MaxPartialAge at a word.
//
// # Invariants
//
//  1. The segments joined together are the input, byte for byte and in order.
//  2. A segment ends after white space, or after punctuation of a script that uses none.
//     So numbers, addresses and abbreviations stay whole.
//  3. No segment ends inside a character, or between a letter and its marks, but where
//     the input itself ends.
//  4. Every segment but the last has something to speak.
//     Excepted from 2 and 4 is a run without any place to cut that is longer than four
//     times MaxSegmentChars: memory is bounded.
//  5. At most MaxPendingSegments segments are out; what comes meanwhile is held and
//     leaves joined, nothing is dropped.
package segmenter

// SPDX-License-Identifier: Apache-2.0

// Package compliance is a filter for what is said: words, patterns, card numbers, telephone
// numbers and e-mail addresses are masked, replaced, tagged, or have the whole piece dropped
// (F-062). It reads whole pieces, transcripts and segments; behind a model it belongs behind
// the segmenter, since in a stream of deltas a word or a number has no end.
//
//	config:
//	  scope: turn                      # session where it reads along beside the turns
//	  rules:
//	    - {name: profanity, words: [damn, hell], action: replace, with: "beep"}
//	    - {name: cards, find: card, action: mask}
//	    - {name: mail, find: email, action: replace, with: "an address"}
//	    - {name: project, pattern: '(?i)project\s+x\d+', action: drop}
//	    - {name: legal, words: [lawyer, sue], action: tag, attribute: topic, value: legal}
//
// # Rules
//
//  1. Rules apply in their order, each to what the ones before it have left. A drop ends it.
//  2. words are whole words whatever their case, and with their typographic apostrophes. pattern
//     is RE2, which takes time in proportion to the text and no more.
//  3. find card is 13 to 19 digits with spaces or hyphens between them whose Luhn checksum is
//     right; phone is 7 to 15 digits in one of the usual ways of writing; email is an address.
//     Numbers that are written out in words are not found.
//  4. mask puts a sign in the place of each letter and digit; of a card the last four stay.
//  5. tag gives the event an attribute, which the conditions of edges may ask for. An event that
//     has as many attributes as it may is tagged no more, and that is counted.
//  6. What was found is counted by rule, as compliance_<name>: of a transcript when it is final,
//     since what comes before is said again. What it was is told to nobody.
//  7. The kind of event, its class and its place stay as they are.
//  8. Rules, words, patterns and their lengths are bounded; so is what a rule is asked to find
//     in one text, and what is beyond that is dropped rather than let through.
package compliance

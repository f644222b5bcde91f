// SPDX-License-Identifier: Apache-2.0

// Package translate is a node that says in another language what is said: transcripts when they
// are final, and segments. Who translates is a function that the kind is made with; in parley
// it is the language model.
//
//	config: {to: de}
//	config: {from: en, to: pt-BR, timeout_ms: 1500, on_failure: drop, scope: session}
//
// # Rules
//
//  1. The event goes on as it came, with the new text and the attribute language. What is in the
//     language already (its attribute says so, or config.from) goes on unchanged.
//  2. An interim transcript does not go on: it would be translated again and again.
//  3. Events go on in the order in which they came: a translation is waited for, for timeout_ms
//     and no longer than the turn's budget lasts. It takes one of the pool's workers meanwhile.
//  4. A cancel ends the translation at once.
//  5. A translation that fails, comes too late, is empty or far longer than what was said is
//     none: on_failure says whether the event goes on as it was (pass), or not at all (drop).
//  6. It is counted: translate_done, translate_failed, translate_same.
package translate

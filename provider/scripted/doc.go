// SPDX-License-Identifier: Apache-2.0

// Package scripted is a language-model provider without a language model: a responder
// that works from a table of rules and says so. It lets a voice conversation run on one
// machine with no key, no download and no network.
//
// It tells the time, repeats, counts, tells a story that is long enough to be
// interrupted, goes on from what the caller heard of it, and answers anything else by
// saying what it understood. Where tools are offered it calls the one whose name the caller
// says, and speaks what that answers. The table expects bad recognition: it looks for cue words
// and tolerates misheard ones, it does not parse.
//
// # Invariants
//
//  1. The reply is a function of the prompt, the configuration and, for the time of day
//     alone, Config.Now. Nothing is remembered between calls.
//  2. A conversation in which the caller has not yet heard that the responder is
//     scripted is told so at the start of the reply.
//  3. The text deltas of a stream joined together are the reply.
//  4. After the context has ended no further text is sent.
package scripted

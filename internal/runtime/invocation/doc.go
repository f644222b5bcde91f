// SPDX-License-Identifier: Apache-2.0

// Package invocation runs the provider calls of one session: it gives each attempt its
// identity, holds its stream to the contract's discipline, catches what an adapter
// panics with, and makes sure that an attempt ends once, whatever the adapter does. The
// nodes whose work is a provider call (stt, llm, tts) live here too.
//
//	Begin --> running --final, error, violation, panic, silence--> ended (reported once)
//	             |                                                   ^
//	             +-- Cancel --> stopping --the adapter returns ------+
//	                               |                                 |
//	                               +-- Detach: given up -------------+
//
// Whether a failed attempt is tried again is the kernel's business, and so are the
// deadlines: the time limit here is a backstop behind the kernel's own.
//
// Invariants:
//
//  1. Every attempt is reported as ended exactly once, after its last chunk.
//  2. No chunk passes that breaks the stream discipline, that comes after the end, or
//     after Detach; what is held back is counted.
//  3. Cancel and Detach do not wait for the adapter.
//  4. In virtual time an adapter runs to its end at once, and what it delivers arrives
//     at the instants that its descriptor's latency model gives. An adapter that serves
//     virtual time delivers from within the call, not from a goroutine of its own.
package invocation

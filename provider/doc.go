// SPDX-License-Identifier: Apache-2.0

// Package provider is the contract between Parley and the engines that hear,
// think and speak: speech to text (STT), language models (LLM) and text to speech
// (TTS). An adapter translates one vendor's wire or library into this contract and
// nothing else: it holds no retry logic, no policy and no transport concern. The
// runtime owns attempts, timeouts, cancellation and what the outcome means.
//
// # Stream discipline
//
// Every call delivers one ChunkStart, then chunks with strictly rising Sequence,
// then exactly one ChunkFinal or ChunkError. The runtime checks this centrally; an
// adapter that breaks it ends its call as infrastructure_failure with reason
// stream_protocol_violation.
//
// # Rules for adapters
//
//  1. A Sink may be called from any goroutine but never from two at once for one call.
//  2. After the context is cancelled an adapter stops as soon as it can and delivers
//     one ChunkError with OutcomeCancelled. Late chunks are harmless: the runtime's
//     fence discards them, and counts them.
//  3. PCM is signed 16 bit, mono. The slice in a chunk belongs to the receiver.
//  4. Vendor codes go to Outcome.StatusCode and Outcome.Detail, never into the class.
package provider

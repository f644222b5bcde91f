// SPDX-License-Identifier: Apache-2.0

// Package transport is the boundary between Parley and the ways in which callers reach
// it: rooms, sockets, telephone gateways, or a pair of WAV files. An adapter maps its
// wire to the runtime's events and back; it owns codecs, jitter and the network, and
// holds no policy.
//
// # One session of an adapter
//
//	Adapter.Open(bootstrap, ingress) -> Link
//	    caller audio, text, controls, link state  --> Ingress (the runtime)
//	    agent audio, signals, fences, close       <-- Link    (the runtime calls)
//
// # Rules
//
//  1. Token and epoch are checked before anything of a session reaches Ingress.
//  2. Audio crosses the boundary as signed 16 bit, mono, 16000 Hz, in frames of 20 ms.
//     Resampling and decoding are the adapter's, and so is jitter (package jitter); what
//     does not come is reported as a Gap.
//  3. WriteFrame comes paced, from one goroutine, at the rate of speech. It returns at
//     once: an adapter that has to wait drops and counts. It does not keep the slice.
//  4. The runtime has compared the frame's generation with the fence as the last thing
//     before WriteFrame. An adapter that buffers behind it drops what Fence names before
//     Fence returns, and says so in its Capabilities.
//  5. Close is called once. After it nothing reaches Ingress and nothing is written.
package transport

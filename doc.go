// SPDX-License-Identifier: Apache-2.0

// Package parley runs real-time voice agents: it takes caller audio from a transport,
// has it recognised, answered and spoken by providers, and answers for the timing: who
// may speak, what an interruption does, what was heard, and how to show it afterwards.
//
// A Runtime is configured once with its providers and runs any number of calls:
//
//	rt, err := parley.New(parley.Config{STT: stt, LLM: llm, TTS: tts, Endpointer: ..., Segmenter: ...})
//	call, err := rt.Start(ctx, parley.Call{Transport: adapter, Record: "call.parley"})
//	<-call.Done()
//
// Clients that come in by adapters which listen are let in by a Host: it authenticates them,
// for example by Tokens, grants what they may choose, and opens a session for each.
//
//	host, err := rt.Host(parley.HostConfig{Authenticate: tokens.Authenticate, Holds: tokens.Holds, Ended: tokens.Ended})
//
// A Virtual runs the same calls in virtual time, as fast as they can be computed, and
// takes the same decisions every time.
//
// Providers, nodes and transports are handed in: this package knows their contracts
// (packages provider, node and transport) and none of their implementations.
package parley

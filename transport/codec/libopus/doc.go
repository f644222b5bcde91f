// SPDX-License-Identifier: Apache-2.0

// Package libopus encodes Opus without a C compiler: libopus's encoder for speech, compiled
// to WebAssembly and run by wazero inside the process. It is the codec.OpusFactory that a
// program hands to the adapters that need one; docs/engines.md says where the engine comes
// from. Decoding needs no engine: see codec.OpusDecoder.
//
//	Library --NewEncoder--> instance --Encode, 20 ms--> packet
//	                            |
//	                            +-- fault: thrown away; the next frame gets a new one
//
// # Rules
//
//  1. Each encoder has an instance of its own, 0.4 MB: what one stream holds no other sees.
//  2. Addresses and lengths that the engine hands out are checked before they are used.
//  3. Equal frames give equal packets, from a new encoder and after Reset.
//  4. There are at most Config.Encoders at a time; more are refused for want of capacity.
package libopus

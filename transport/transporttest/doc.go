// SPDX-License-Identifier: Apache-2.0

// Package transporttest gives authors of transports a runtime to write against, and holds
// their adapters to the contract of package transport.
//
//	adapter --Begin, Readmit--> Host --Authenticate--> the test
//	   |                          |
//	   +------Ingress-------> Session: notes every call, in order
//	   <------Link----------- Session: frames, fences, signals, texts, tool calls, close
//
// A Host stands in for the runtime where an adapter listens. It lets in whom the test lets
// in, and gives each client a Session, with which the test does what a runtime would do: it
// plays sound, fences it, shows signals and texts, and closes. What the caller did is asked
// for by its type:
//
//	s := host.Next()
//	typed := transporttest.Await(s, func(x transporttest.Text) bool { return x.Text == "hello" })
//
// Run is the conformance suite (nodes-providers-transports section 9, domain
// transport/<name>/v1).
//
// # What a Host and its Sessions hold an adapter to, whatever the test does
//
//  1. An offer names its kind, its codecs and its source of acknowledgements.
//  2. A Link comes with no error, and an error with no Link.
//  3. Audio comes from one goroutine at a time, in whole frames of 20 ms, with sequences
//     that rise.
//  4. Nothing reaches Ingress after Link.Close has returned.
//  5. No call of a Link takes longer than Config.Patience, Close included.
//  6. A link is lost, gone and resumed in an order that is possible.
//
// What it finds is an error of the test when that ends.
package transporttest

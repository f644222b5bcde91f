// SPDX-License-Identifier: Apache-2.0

// Package socket is what adapters that speak over one WebSocket for each session have in
// common: the messages in, the queue out, and the way that both end.
//
//	wire --> reader --> Handler.Take, Handler.Idle   one goroutine, one after the other
//	others --> Later -----^                          so does what other goroutines leave
//	Handler --> Tell --> transport.Ingress           from Bind to Unbind
//	Handler, Link --> outbox --> wire
//
// # Rules
//
//  1. Nothing reaches the Ingress before Bind, and nothing after Unbind has returned.
//  2. A handler reads no further while it handles a message: what is beyond a few waits in
//     the network.
//  3. The first reason of an end is the one that is told, in the close frame.
//  4. A half-open connection says nothing by itself: a client is asked whether it is there.
//  5. Serve returns with no goroutine left, the session told that its link is gone, and the
//     wire closed: Config.Close each for what waits and for the farewell.
package socket

// SPDX-License-Identifier: Apache-2.0

// Package nodetest holds nodes to the contract of package node, and is what a node's own
// tests are written with (F-128).
//
//	nodetest.Conform(t, kind, config)           the suite that every node has to pass
//	nodetest.Play(t, node, steps...)            a script: events, waits, cancels, expectations
//	nodetest.New(t, node)                       the same by hand, in real time
//
// Conform is the conformance suite (nodes-providers-transports section 9, domain
// node/custom/v1): declaration, config, hook order, outputs, payload class, cancel response at
// every point of the events, stop, context use, what is lent, no leak between turns, frames that
// come back as long as they were, and no other time and chance than the context's. Its parts are subtests, so a report names what was
// broken. Each part is itself tested with a node that breaks it.
//
// # Time
//
// The session's clock is virtual: it moves when the test says so. Play and Conform run in a
// bubble of testing/synctest as well, so that a node's own goroutines and timers live in that
// time, a hook that passes its limit is found without waiting for it, and two runs on
// different days of the wall clock have to come to the same. A node that talks to processes
// or over a network cannot live in a bubble: Test with a Suite of its own takes real time,
// and gives a hook a minute.
//
// # Limits
//
//  1. The suite looks at what the contract says and at nothing else; a node that passes may
//     still do the wrong thing with its events.
//  2. It finds out by what comes out: a node that reads the wall clock and tells nobody passes.
//  3. A hook that spins without end is found by the time limit of go test, not by the suite.
package nodetest

// SPDX-License-Identifier: Apache-2.0

// Package nodetest holds nodes to the contract of package node. Test is the conformance
// suite (nodes-providers-transports section 9, domain node/custom/v1): declaration, hook
// order, cancel response, context use, payload class, no leak between turns. Harness is
// what a node's own tests are written with: it runs the hooks in order on a virtual
// clock, collects what is emitted, and injects cancels, barge-ins and exhausted budgets.
//
// The suite looks at what the contract says and at nothing else; a node that passes may
// still do the wrong thing with its events.
package nodetest

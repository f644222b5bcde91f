// SPDX-License-Identifier: Apache-2.0

// Package eventabi is the event contract: one envelope, typed identifiers, three
// lanes, six kinds and the registry of control signals. Nodes, kernel, transports
// and control plane exchange nothing else.
//
// Invariants:
//
//  1. An event is immutable after emission; identity fields never change.
//  2. A control signal travels on ControlLane, carries payload class metadata, and
//     names an emitter that the registry allows for it.
//  3. The key transport_sequence is always written; null says that the transport
//     has no numbering of its own.
//  4. Within a major version the contract only grows. What this build writes is
//     [SchemaVersion]; [ParseVersion] and [Version.Readable] say what it reads.
//
// Artifacts are checked from their raw JSON by package schema, which also publishes
// the contract as JSON Schemas.
package eventabi

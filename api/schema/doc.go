// SPDX-License-Identifier: Apache-2.0

// Package schema checks contract artifacts from their raw JSON and publishes the
// contract as JSON Schemas (the *.schema.json files beside this one).
//
// Artifacts are event records, control signals, turn transitions, resolved turn
// plans, decision outcomes, and bundles of one each. Their rules live here once, as
// data: the tables of this package and the registries of eventabi and controlplane.
// [Validate] interprets the tables, [Generate] writes them as JSON Schema.
//
// Invariants:
//
//  1. Every fault of an artifact is reported, each with a JSON pointer (RFC 6901), a
//     stable code, and a message that names field, value and remedy.
//  2. Write strict, read tolerant (event-abi, opening section): what a v1.0 artifact
//     may lack is never demanded of it. Whatever Parley writes passes without notes.
//  3. A schema accepts what Validate accepts, and refuses what it refuses, apart from
//     the relations between values that JSON Schema cannot express; those have the
//     codes that [BeyondSchema] lists.
//  4. Input is bounded in size, depth and number of values; no input panics.
//  5. Values of lease_token, payload and extensions never appear in a message.
package schema

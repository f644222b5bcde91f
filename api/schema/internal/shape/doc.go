// SPDX-License-Identifier: Apache-2.0

// Package shape describes JSON artifacts as data, and does two things with one
// description: it checks a document and reports every fault, and it writes the
// description as a JSON Schema (draft 2020-12).
//
// A [Shape] is a type with its bounds; an object shape has [Field]s and [Rule]s. A
// rule is "when these conditions hold, make these demands", which is enough for all
// conditional requirements of the contract ("turn scope requires turn_id") without
// code of its own for each.
//
// Invariants:
//
//  1. Check and Schema accept the same documents, apart from repeated keys, which
//     JSON Schema cannot see. A test holds both against an independent validator.
//  2. Check reports faults in the order of the document's description, so that the
//     same document always gives the same report.
//  3. A value below a Private shape never appears in a message.
package shape

// SPDX-License-Identifier: Apache-2.0

// Package pipeline reads what authors, operators, tenants and callers set of edges, flow
// control, budgets, limits and quotas, and says what of it is in force and where each
// value came from (turn-plan sections 1 and 5).
//
//	profile < pipeline spec < environment < tenant < session
//
// A layer gives only what it changes. All layers speak of one document, the pipeline
// spec; an environment variable and a path=value are documents with one value in them.
// So one description, the published schema, checks each of them, completes them in an
// editor, and names every field.
//
// Order: each layer is read and checked by itself; what is unfit is reported and left
// out; the rest is laid over the layers below, field by field; then the edges are
// completed from profile, voice graph and tuning, and what contradicts itself is
// reported. So one run shows every fault.
//
// Invariants:
//
//  1. Whatever the bytes are, the answer is settings or faults; each fault has its place,
//     field path, value and remedy.
//  2. Of each field the highest layer that gives it stands, whatever it gives of others;
//     layering is associative.
//  3. Every value in force names its layer and, where a person wrote it, its line.
//  4. A value that somebody gave is never changed: a default that would exceed it gives
//     way, and given values that contradict each other or a default are refused.
//  5. A constraint is no layer: it gives no value, and no layer may exceed it.
//  6. What is in force, written as a document and read again, is in force again.
package pipeline

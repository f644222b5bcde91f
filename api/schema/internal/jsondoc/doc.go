// SPDX-License-Identifier: Apache-2.0

// Package jsondoc reads one JSON document (RFC 8259) into a tree that remembers
// where everything stood, and writes a tree back in canonical form.
//
// It is stricter than encoding/json, because contract artifacts are evidence:
//
//  1. Text that is not UTF-8, an unpaired surrogate, a byte-order mark or anything
//     after the document is an error, with byte offset, line and column.
//  2. A repeated key is kept and marked, never silently resolved.
//  3. Size, depth and number of values are bounded by [Limits], so that hostile
//     input costs a bounded amount of memory and no stack.
//  4. Numbers stay text; [Value.Int] reads them exactly, without a float between.
package jsondoc

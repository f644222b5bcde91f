// SPDX-License-Identifier: Apache-2.0

// Package arch keeps the architecture true. Its test loads this repository and
// fails when the code has left the shape that ARCHITECTURE.md describes; the
// linters are the fast hint, this is the authority.
//
// A check is a function from a Tree to Findings. It knows nothing of disks, so each
// check is itself tested: a planted fault in memory must be reported, and the same
// tree without the fault must not. A check that cannot fail proves nothing.
//
// What holds, and where it is checked:
//
//  1. Imports follow the arrows api <- kernel <- {controlplane, observability, runtime} <- facade
//     <- cli <- cmd; contracts see at most the envelope; adapters see their contract (rings.go).
//  2. The kernel imports a short list of the standard library (rings.go).
//  3. The kernel is deterministic: no goroutine, channel, select, iteration in map
//     order, clock, floating point, package-level state or recover (purity.go).
//  4. Sealed interfaces are marked, so that a switch over one is checked for
//     completeness (sealed.go).
//  5. Package names are unique and shadow nothing of the standard library; each
//     package has exactly one comment, in doc.go or its only file (names.go).
//  6. Files and functions are short, carry their licence, register nothing in init
//     and leave nothing unfinished (tidy.go).
//  7. What transports have run on goroutines and by timers is inside transport.Contain (contained.go).
//  8. Nothing names one machine's paths or a package registry's host (places.go).
//  9. docs/modules.md tells the truth about where each word of the specification
//     lives, and every kernel file is in it (words.go).
package arch

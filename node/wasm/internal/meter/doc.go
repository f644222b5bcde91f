// SPDX-License-Identifier: Apache-2.0

// Package meter rewrites a WebAssembly module so that whoever runs it stays in charge of it:
// its code comes back to the host every few microseconds, and its calls nest so deep and no
// deeper. The engine's own switch for that asks the host at each turn of each loop, which
// makes a node written in Go seven times slower; counted down in the module's own code the
// same promise costs a few percent.
//
// What is inserted:
//
//	function entry   units -= 1 + length/16; depth += frame     (not for short leaves)
//	loop header      units -= 1 + length/16
//	bulk memory      units -= bytes/64
//	units < 0        tick(ReasonTick), units = Quantum
//	depth > limit    tick(ReasonDepth), trap
//	function exit    depth -= frame
//	WASI             called by way of a function that ticks first
//
// Invariants:
//
//  1. A module does the same as before, or is stopped by the host or by its depth.
//  2. Between two ticks lie at most Quantum units and one function of the host.
//  3. No code of the module reaches the counters: indexes are checked against what the module
//     had before they were added.
//  4. Whatever the bytes are, the answer is a module or an error. What comes out is validated
//     by the engine, as anything is.
package meter

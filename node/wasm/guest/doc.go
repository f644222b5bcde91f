// SPDX-License-Identifier: Apache-2.0

// Package guest makes a WebAssembly module of a node that is written in Go. The node is the
// same code that runs unsandboxed; a program of one line offers it:
//
//	//go:build wasip1
//
//	package main
//
//	import "github.com/parley-voice/parley/node/wasm/guest"
//
//	var _ = guest.Serve(New) // func New(config json.RawMessage) (node.Node, error)
//
//	func main() {}
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o node.wasm .
//
// Serve is there on GOOS=wasip1 alone. What differs from a node that runs in the process:
//
//  1. Goroutines run while a hook does, and what they emit leaves with it. A node that wants
//     to act later asks for a timer.
//  2. The end of a scope is seen in Cancel when the next hook begins.
//  3. time.Now is the session's clock, and stands still within a hook; nothing sleeps.
//  4. Randomness is the turn's, also that of maps and of crypto/rand.
package guest

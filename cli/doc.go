// SPDX-License-Identifier: Apache-2.0

// Package cli is the command parley as a library: a program of a few lines has every command
// of it, and nodes of its own that specs name beside those of Parley.
//
//	func main() {
//		cli.Main(cli.Program{Nodes: map[string]node.Kind{"shout": shout.Kind()}})
//	}
//
// Exit codes, for every command:
//
//	0  success
//	1  the answer is no (an invalid artifact, a divergence, a failed gate), or the work failed on its way
//	2  the work could not begin: wrong usage, or input that cannot be read
//
// Results go to standard output, everything about the run to standard error. With
// --json, standard output holds one JSON document.
package cli

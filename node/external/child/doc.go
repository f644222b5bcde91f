// SPDX-License-Identifier: Apache-2.0

// Package child makes a program of a node: Main connects to the Parley that started it and serves
// instances until that ends. A node that runs inside Parley runs in a process of its own unchanged:
//
//	func main() {
//		if err := child.Main(node.KindFunc(newShout), child.Options{}); err != nil {
//			fmt.Fprintln(os.Stderr, err)
//			os.Exit(1)
//		}
//	}
//
//	reader --events, control--> instance's own goroutine --hooks--> node
//	                                                     <--Emit-- any goroutine
//
// Invariants:
//
//  1. Hooks of an instance never overlap; control goes before events that wait.
//  2. A cancel gives queued events back unworked and trips the token at once, whatever the node does.
//  3. A panic in a hook ends its instance, and no other.
//  4. While a hook runs the clock stands at the instant of its message.
//  5. An audio event that comes and goes costs no allocation.
package child

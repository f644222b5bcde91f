// SPDX-License-Identifier: Apache-2.0

// Command parley runs voice conversations through the kernel on one machine, replays
// their recordings, simulates, measures, and checks contract artifacts. It is package cli with
// the nodes that come with Parley; a program of your own can be the same with yours.
package main

import "github.com/parley-voice/parley/cli"

func main() { cli.Main(cli.Program{}) }

// SPDX-License-Identifier: Apache-2.0

// Command parley runs voice conversations through the kernel on one machine, replays
// their recordings, simulates, measures, and checks contract artifacts.
//
// Exit codes, for every command:
//
//	0  success
//	1  the answer is no (an invalid artifact, a divergence, a failed gate), or the work failed on its way
//	2  the work could not begin: wrong usage, or input that cannot be read
//
// Results go to standard output, everything about the run to standard error. With
// --json, standard output holds one JSON document.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build (-ldflags "-X main.version=..."); see buildVersion.
var version string

func main() {
	ctx, stop := asked()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// asked gives the context of a command: the first signal asks it to finish in good order;
// after it the default handling is back, so that a second one ends the process, unless the
// command looks for it.
func asked() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/parley-voice/parley/node"
)

// version is set by the build (-ldflags "-X github.com/parley-voice/parley/cli.version=...");
// see buildVersion.
var version string

// Program is a command line in the making. The zero value is parley itself.
type Program struct {
	// Nodes are the types of nodes, by node_type, that specs may name beside those of Parley.
	// A type that is there already is refused by whatever reads specs.
	Nodes map[string]node.Kind
}

// Main runs the command line of the process and ends it with the exit code.
func Main(p Program) {
	ctx, stop := asked()
	code := p.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run executes one command line, without the program's name, and returns its exit code. A
// command that serves or talks ends in good order when ctx does.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runIn(ctx, args, &environment{program: p, stdin: stdin, stdout: stdout, stderr: stderr, mounts: mounts})
}

// asked gives the context of a command: the first signal asks it to finish in good order;
// after it the default handling is back, so that a second one ends the process, unless the
// command looks for it.
func asked() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

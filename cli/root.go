// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/internal/serve"
)

// Exit codes of every command; see the package comment.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Groups of the help. A command names its group in GroupID.
const (
	groupTalk  = "talk"
	groupCheck = "check"
	groupSetup = "setup"
)

// environment is what a command may touch of the world outside its arguments.
type environment struct {
	program        Program
	stdin          io.Reader
	stdout, stderr io.Writer
	// started is set when a command begins its work; errors before that are usage.
	started bool
	// mounts are the transports of parley serve.
	mounts func(*serve.Config) []serve.Mount
}

// exitError is an error with an exit code of its own. A nil err means that the command
// has already said what there is to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageErrorf is an error of how the command was called.
func usageErrorf(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// beginError is an error before the work: what was read and is refused is a no (1), as of
// parley lint and resolve; what cannot be read, and anything else, is usage (2).
func beginError(err error) error {
	code := exitUsage
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return err
	}
	if refused := (*pipeline.RefusedError)(nil); errors.As(err, &refused) {
		code = exitFailure
	}
	if fault := (*load.ProfileError)(nil); errors.As(err, &fault) {
		code = exitFailure
	}
	return &exitError{code: code, err: err}
}

// silentExit ends a command with a code after it has reported by itself.
func silentExit(code int) error { return &exitError{code: code} }

// runIn executes one command line in an environment.
func runIn(ctx context.Context, args []string, env *environment) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailure
	if !env.started {
		code = exitUsage
	}
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
		if exit.err == nil {
			return code
		}
	}
	fmt.Fprintf(env.stderr, "parley: %s\n", strings.TrimPrefix(strings.TrimSpace(err.Error()), "parley: "))
	if code == exitUsage {
		fmt.Fprintf(env.stderr, "Run '%s --help' for usage.\n", called.CommandPath())
	}
	return code
}

func newRootCommand(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "parley",
		Short: "A runtime kernel for real-time voice agents",
		Long: `Parley runs live speech agents: it answers for timing, interruption, ordering,
and evidence that can be replayed. This command runs it on one machine.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			message := fmt.Sprintf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				message += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usageErrorf("%s", message)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.AddGroup(
		&cobra.Group{ID: groupTalk, Title: "Talk:"},
		&cobra.Group{ID: groupCheck, Title: "Check:"},
		&cobra.Group{ID: groupSetup, Title: "Set up and tell:"},
	)
	root.SetHelpCommandGroupID(groupSetup)
	root.SetCompletionCommandGroupID(groupSetup)
	root.AddCommand(commands(env)...)
	root.AddCommand(nodeParts()...)
	markStart(env, root)
	return root
}

// markStart wraps the work of every command: an error before it begins, from cobra's
// parsing, is a matter of usage; one after it is the command's own.
func markStart(env *environment, cmd *cobra.Command) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			env.started = true
			return work(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		markStart(env, sub)
	}
}

// atMostOne wants one argument or none, and says what it is.
func atMostOne(want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageErrorf("%d arguments given, at most 1 wanted: %s", len(args), want)
		}
		return nil
	}
}

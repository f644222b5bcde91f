// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/bench"
	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// The hidden commands by which this program is started again: as what a node's process is before
// it becomes the node, and as a node that belongs to this program.
const (
	nodeExec    = "node-exec"
	nodeHostile = "node-hostile"
)

// newExternal makes the kind of nodes that run in processes of their own.
func newExternal() *external.Kind { return external.New(externalOptions()) }

func externalOptions() external.Options {
	o := external.Options{}
	if program, err := os.Executable(); err == nil {
		o.Launcher = []string{program, nodeExec}
	}
	return o
}

func newNodesCommand(env *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use: "nodes", Short: "Check external nodes; see what becomes of hostile ones", GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageErrorf("nodes: %q: use check or hostile", args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newNodesCheck(env), newNodesHostile(env))
	return cmd
}

// nodeParts are the hidden commands.
func nodeParts() []*cobra.Command {
	part := func(name string, do func(args []string) error) *cobra.Command {
		return &cobra.Command{
			Use: name, Short: "A process of an external node", Hidden: true, DisableFlagParsing: true, Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return do(args) },
		}
	}
	return []*cobra.Command{
		part(nodeExec, sandbox.Exec),
		part(nodeHostile, func(args []string) error { return hostile.Run(args[0]) }),
	}
}

func newNodesCheck(env *environment) *cobra.Command {
	var asJSON bool
	var read []string
	cmd := &cobra.Command{
		Use:   "check PACKAGE",
		Short: "Hold a package to its manifest, and its program to its declaration",
		Long: `Check reads the manifest of an external node (parley-node.yaml or .json), compares the
checksums of its files, starts its program in the sandbox, holds what that says of itself
to the manifest, and ends it.

Exit code 1: something does not fit; it says what, where, and what to do.`,
		Example: `  parley nodes check nodes/shout/parley-node.json
  parley nodes check nodes/shout/parley-node.json --read /opt/python`,
		Args: exactly(1, "the manifest of one package"),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was found as JSON")
	cmd.Flags().StringArrayVar(&read, "read", nil, "grant a file or a folder to its program")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		for i := range read {
			if read[i], err = filepath.Abs(read[i]); err != nil {
				return err
			}
		}
		config, err := json.Marshal(external.Config{Package: args[0], Isolation: external.IsolationConfig{Read: read}})
		if err != nil {
			return err
		}
		k := newExternal()
		defer func() { err = errors.Join(err, k.Close()) }()
		d, err := k.Describe(config)
		if err == nil {
			err = k.Verify(cmd.Context(), config)
		}
		if err != nil {
			return err
		}
		s := k.Status()[0]
		if asJSON {
			return writeJSON(env.stdout, s)
		}
		return tell(env.stdout, func(w io.Writer) {
			fmt.Fprintf(w, "%s %s: %s, %s scope, level %s: its program is what it says\n", s.Name, s.Version, d.Type, d.Scope, s.Level)
		})
	}
	return cmd
}

// hostileFlags are the flags of parley nodes hostile.
type hostileFlags struct {
	asJSON   bool
	only     []string
	sessions int
	each     time.Duration
	most     string
}

func newNodesHostile(env *environment) *cobra.Command {
	f := &hostileFlags{}
	cmd := &cobra.Command{
		Use:   "hostile",
		Short: "Run hostile nodes beside other sessions: what became of them, and of the others",
		Long: `Hostile runs nodes that do what nodes must not do, each in a process of its own and in a
call of a real host, beside other calls: an endless loop, too much memory, processes
without end, floods, garbage, silence, files and network that were not granted. For each
it prints how its instance ended and how its process did, at which level of isolation, and
how late the frames of the other calls were without it and beside it (p99), and by how
much that grew; below 1 ms, where nobody hears a difference, counts as 1 ms.

What they do is bounded, also where nothing stops them: at most ` + fmt.Sprint(hostile.MaxProcesses) + ` processes and ` + fmt.Sprint(hostile.MaxMemoryMB) + ` MB.

Exit code 1: something of a hostile node was left, or a call beside it was lost.`,
		Example: `  parley nodes hostile
  parley nodes hostile --only loop,memory,forks --most process`,
		Args: exactly(0, "say what to run by flags"),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "print the rows as JSON")
	flags.StringSliceVar(&f.only, "only", nil, "run these alone: "+strings.Join(hostile.Names(), ", "))
	flags.IntVar(&f.sessions, "sessions", 50, "other sessions")
	flags.DurationVar(&f.each, "each", 3*time.Second, "length of a measurement, without and beside each")
	flags.StringVar(&f.most, "most", "", "the highest level of isolation to use: process, limited, sandbox")
	must(cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(hostile.Names(), cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runHostile(cmd.Context(), env, f) }
	return cmd
}

func runHostile(ctx context.Context, env *environment, f *hostileFlags) error {
	shortSlices()
	var acts []hostile.Act
	for _, name := range f.only {
		at := slices.IndexFunc(hostile.Acts(), func(a hostile.Act) bool { return a.Name == name })
		if at < 0 {
			return usageErrorf("--only: %q: use %s", name, strings.Join(hostile.Names(), ", "))
		}
		acts = append(acts, hostile.Acts()[at])
	}
	level := sandbox.Level(f.most)
	if f.most != "" && level.Rank() == 0 {
		return usageErrorf("--most: %q: use process, limited or sandbox", f.most)
	}
	if f.sessions < 1 || f.sessions > 5000 || f.each < 100*time.Millisecond || f.each > time.Minute {
		return usageErrorf("--sessions %d, --each %v: use 1 to 5000, and 100ms to 1m", f.sessions, f.each)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	rows, err := load.RunHostile(ctx, load.HostileOptions{
		Kind: func() *external.Kind {
			o := externalOptions()
			o.Most = level
			return external.New(o)
		},
		Config: func(act string) json.RawMessage { return hostile.Config(act, program, nodeHostile) },
		Acts:   acts, Sessions: f.sessions, Each: f.each,
		Machine: load.Machine{ProcessorTime: bench.ProcessorTime, Busy: bench.BusyTime(), Stolen: bench.StolenTime()},
		Say:     func(what string) { fmt.Fprintln(env.stderr, what) },
	})
	if f.asJSON {
		err = errors.Join(err, writeJSON(env.stdout, rows))
	} else {
		err = errors.Join(err, tell(env.stdout, func(w io.Writer) { printHostile(w, rows) }))
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(r load.HostileRow) bool { return r.Left > 0 || r.Lost > 0 }) {
		return silentExit(exitFailure)
	}
	return nil
}

func printHostile(w io.Writer, rows []load.HostileRow) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "node\tit\tlevel\tstarts\tleft\tothers' p99 alone\tbeside it\tgrew\tothers lost\twhat became of it")
	for i := range rows {
		r := &rows[i]
		became := r.Became
		if became == "" {
			became = r.Process
		}
		if became == "" {
			became = "nothing: it went on"
		}
		grew := fmt.Sprintf("%.0f %%", r.Growth)
		switch {
		case r.Stolen:
			grew += " (stolen)"
		case r.Growth > load.HostileMovePercent:
			grew += fmt.Sprintf(", over %d %%", load.HostileMovePercent)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%.3f ms\t%.3f ms\t%s\t%d\t%s\n", r.Act, r.Does, r.Level, r.Starts, r.Left, r.Alone, r.Beside, grew, r.Lost, became)
	}
	_ = table.Flush() // what w refuses, its owner learns at the next write
}

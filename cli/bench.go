// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/bench"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/websocket"
)

func newBenchCommand(env *environment) *cobra.Command {
	var asJSON bool
	var only []string
	var runs int
	var each time.Duration
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the runtime against this machine's own limits",
		Long: `Bench measures what Parley costs as ratios to a denominator that is measured in the
same run, in turn with it: the median of several alternating runs, with their spread. A
run in which more than 1 % of the processor was stolen by other guests is void and is
repeated. Machines are shared and noisy: trust the ratios, not the absolutes.

A target that is missed is shown as missed; the exit code is 0 all the same, because a
noisy machine is no fault of the code. With --strict it is 1.`,
		Example: `  parley bench
  parley bench --only P5,P7 --each 1s --runs 9`,
		Args:    exactly(0, "say what to measure by flags"),
		GroupID: groupCheck,
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print the rows as JSON")
	flags.StringSliceVar(&only, "only", nil, "measure these alone, e.g. P1,P5")
	flags.IntVar(&runs, "runs", 5, "alternating runs of each case")
	flags.DurationVar(&each, "each", 300*time.Millisecond, "length of one run")
	sessions := flags.Int("sessions", bench.DefaultSessions, "callers of the case sockets")
	strict := flags.Bool("strict", false, "exit with 1 when a target is missed")
	must(cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(bench.IDs(), cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(*cobra.Command, []string) error {
		shortSlices() // as a server has them
		if err := benchUsage(only, runs, *sessions, each); err != nil {
			return err
		}
		rows, err := bench.Run(bench.Options{
			Runs: runs, Each: each, Now: time.Now, Stole: bench.StolenTime(),
			Only:     func(id string) bool { return len(only) == 0 || slices.Contains(only, id) },
			Say:      func(what string) { fmt.Fprintf(env.stderr, "measuring %s\n", what) },
			Sessions: *sessions, Part: benchPart(env), Launcher: externalOptions().Launcher,
		})
		if asJSON {
			if werr := writeJSON(env.stdout, rows); werr != nil {
				return werr
			}
		} else if werr := tell(env.stdout, func(w io.Writer) { printBench(w, rows) }); werr != nil {
			return werr
		}
		if err != nil {
			return err
		}
		if *strict && slices.ContainsFunc(rows, func(r bench.Result) bool { return !r.Met }) {
			return silentExit(exitFailure)
		}
		return nil
	}
	cmd.AddCommand(benchParts(env)...)
	return cmd
}

// benchPart gives the command that runs a part of a case: this program itself.
func benchPart(env *environment) func(context.Context, string, ...string) *exec.Cmd {
	return func(ctx context.Context, part string, args ...string) *exec.Cmd {
		program, err := os.Executable()
		if err != nil {
			program = os.Args[0]
		}
		c := exec.CommandContext(ctx, program, append([]string{"bench", part}, args...)...) //nolint:gosec // this program
		c.Stderr = env.stderr
		return c
	}
}

// newBenchPart makes the commands that parley bench runs itself as.
func newBenchPart(name string, args int, work func(n int, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: "A part of a case", Hidden: true, Args: cobra.ExactArgs(args),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return usageErrorf("%q: give the number of callers", args[0])
			}
			return work(n, args[1:])
		},
	}
}

func benchParts(env *environment) []*cobra.Command {
	return []*cobra.Command{
		newBenchPart(bench.PartServer, 1, func(n int, _ []string) error {
			return bench.ServePart(n, func(h transport.Host) (http.Handler, error) {
				return websocket.New(websocket.Config{}, h)
			}, env.stdin, env.stdout)
		}),
		newBenchPart(bench.PartCallers, 2, func(n int, args []string) error {
			return bench.CallPart(n, args[0], env.stdin, env.stdout)
		}),
		newBenchPart(bench.PartNode, 1, func(int, []string) error { return bench.NodePart() }),
		newBenchPart(bench.PartEcho, 1, func(int, []string) error { return bench.EchoPart() }),
	}
}

func benchUsage(only []string, runs, sessions int, each time.Duration) error {
	for _, id := range only {
		if !slices.Contains(bench.IDs(), id) {
			return usageErrorf("--only: %q is no case; use %s", id, strings.Join(bench.IDs(), ", "))
		}
	}
	if runs < 1 || runs > 99 {
		return usageErrorf("--runs: %d: use 1 to 99", runs)
	}
	if sessions < 1 || sessions > 5000 {
		return usageErrorf("--sessions: %d: use 1 to 5000", sessions)
	}
	if each < 10*time.Millisecond || each > time.Minute {
		return usageErrorf("--each: %v: use 10ms to 1m", each)
	}
	return nil
}

func printBench(w io.Writer, rows []bench.Result) {
	fmt.Fprintf(w, "%s %s/%s, %d cores\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tsubject\tmeasured\tdenominator\tmeasured\tratio\ttarget\t\tspread\tstolen")
	for _, r := range rows {
		met := "met"
		if !r.Met {
			met = "MISSED"
		}
		base, ratio := "", fmt.Sprintf("%.3g", r.Ratio)
		if r.Base > 0 {
			base, ratio = figure(r.Base, r.Unit), fmt.Sprintf("%.2fx", r.Ratio)
		}
		spread := ""
		if r.SpreadPct > 0 {
			spread = fmt.Sprintf("%.0f %%", r.SpreadPct)
		}
		if r.Target == "" {
			met = ""
		}
		stolen := ""
		if r.StolenPct >= 0 && r.SpreadPct > 0 {
			stolen = fmt.Sprintf("%.1f %%", r.StolenPct)
		}
		if r.Void > 0 {
			spread += ", " + plural(r.Void, "run", "runs") + " void"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.ID, r.Subject, figure(r.Value, r.Unit), r.Denominator, base, ratio, r.Target, met, spread, stolen)
	}
	_ = table.Flush() // what w refuses, its owner learns at the next write
	for _, r := range rows {
		if r.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", r.ID, r.Note)
		}
	}
}

// figure prints a measurement with a unit that suits its size.
func figure(v float64, unit string) string {
	kind, _, _ := strings.Cut(unit, "/")
	if !strings.HasSuffix(kind, "ns") {
		return fmt.Sprintf("%.4g %s", v, kind)
	}
	prefix := strings.TrimSuffix(kind, "ns")
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f %sms", v/1e6, prefix)
	case v >= 1e4:
		return fmt.Sprintf("%.1f %sus", v/1e3, prefix)
	}
	return fmt.Sprintf("%.1f %sns", v, prefix)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/simulation"
)

func newSimCommand(env *environment) *cobra.Command {
	options := simulation.Options{}
	var faults string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Drive the kernel with random conversations and faults, and check every invariant",
		Long: `Sim drives the real kernel, in virtual time, with conversations that are drawn from a
seed: callers who pause, cough, interrupt and type, engines that are slow, silent, cut
off or out of order, links that break, leases that change, recorders that fail. After
every step each named invariant is checked from what went in, what came out and what
reached the sink. Every seed runs twice, and both runs must decide the same.

A seed and its number of turns decide everything; workers and the machine's speed
decide nothing. A failure shows the invariant, the last inputs and decisions in the
form of the kernel's scenario scripts, and the shortest command that shows it again. The
digest over all decisions is the same on every machine and every processor.

Exit code: 0 every invariant held, 1 one did not, 2 wrong usage.

Faults: ` + strings.Join(simulation.FaultNames(), ", ") + `;
or their first parts (provider, transport, time, worker, ...), all, none.`,
		Example: `  parley sim --seeds 200
  parley sim --seeds 1 --seed 4711 --turns 3
  parley sim --seeds 1000 --faults transport,worker --json | jq .invariants`,
		Args:    exactly(0, "say what to run by flags"),
		GroupID: groupCheck,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := simulation.ParseFaults(faults)
			if err != nil {
				return usageErrorf("--faults: %w", err)
			}
			options.Faults = set
			if err := checkSim(&options); err != nil {
				return err
			}
			// The heap is a few megabytes that live and much that dies at once: collecting
			// it less often costs some memory and saves a tenth of the time.
			defer debug.SetGCPercent(debug.SetGCPercent(800))
			progress := newSimProgress(env.stderr, options.Seeds)
			options.Progress = progress.show
			report := simulation.Run(cmd.Context(), options)
			progress.clear()
			if asJSON {
				if err := writeJSON(env.stdout, report); err != nil {
					return err
				}
			} else if err := tell(env.stdout, func(w io.Writer) { printSim(w, report) }); err != nil {
				return err
			}
			if len(report.Violations) > 0 || report.Interrupted {
				return silentExit(exitFailure)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&options.Seeds, "seeds", 100, "how many seeds to run")
	flags.Int64Var(&options.First, "seed", 1, "the first seed")
	flags.Int64Var(&options.Turns, "turns", simulation.DefaultTurns, "turns of each seed")
	flags.StringVar(&faults, "faults", "all", "kinds of trouble that may be drawn, with commas; all or none")
	flags.IntVar(&options.Workers, "workers", 0, "seeds at once (default: the processors); changes no result")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func checkSim(o *simulation.Options) error {
	for _, f := range []struct {
		name       string
		value, top int64
	}{{"--seeds", o.Seeds, 1 << 40}, {"--turns", o.Turns, 100000}} {
		if f.value < 1 || f.value > f.top {
			return usageErrorf("%s is %d; give a number from 1 to %d", f.name, f.value, f.top)
		}
	}
	if o.First < 0 {
		return usageErrorf("--seed is %d; seeds are 0 and above", o.First)
	}
	if o.Workers < 0 {
		return usageErrorf("--workers is %d; give 1 or more, or leave it out", o.Workers)
	}
	return nil
}

// simProgress counts seeds on a terminal; elsewhere it says nothing.
type simProgress struct {
	w     io.Writer
	seeds int64
	shown atomic.Int64 // the last percent shown, plus one
}

func newSimProgress(w io.Writer, seeds int64) *simProgress {
	f, ok := w.(*os.File)
	if !ok {
		return &simProgress{}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &simProgress{}
	}
	return &simProgress{w: w, seeds: seeds}
}

func (p *simProgress) show(done int64) {
	if p.w == nil {
		return
	}
	percent := done*100/p.seeds + 1
	if last := p.shown.Load(); percent > last && p.shown.CompareAndSwap(last, percent) {
		fmt.Fprintf(p.w, "\r%3d %%  %d of %d seeds", percent-1, done, p.seeds)
	}
}

func (p *simProgress) clear() {
	if p.w != nil && p.shown.Load() > 0 {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func printSim(w io.Writer, r *simulation.Report) {
	fmt.Fprintf(w, "%d seeds (from %d), %d sessions, %d turns, %d steps, each run twice\n", r.Seeds, r.First, r.Sessions, r.Turns, r.Steps)
	fmt.Fprintf(w, "  turns      %d committed, %s\n", r.Commits, aborted(r.Aborts))
	fmt.Fprintf(w, "  adapted    %s\n", sortedCounts(r.Adapted))
	fmt.Fprintf(w, "  starts     %d interruptions confirmed, %d false\n", r.Interruptions, r.FalseInterruptions)
	fmt.Fprintf(w, "  decisions  %d, digest %.16s\n", r.Decisions, r.Digest)
	fmt.Fprintf(w, "  sink       %d writes behind a fence\n", r.FramesAfterFence)
	fmt.Fprintf(w, "  speed      %d turns per CPU-minute (%.1f s of CPU)\n", r.TurnsPerCPUMinute, r.CPUSeconds)
	struck := 0
	for _, n := range r.Faults {
		if n > 0 {
			struck++
		}
	}
	fmt.Fprintf(w, "  faults     %d of %d kinds struck\n", struck, len(r.Faults))
	if len(r.NotCovered) > 0 {
		fmt.Fprintf(w, "             not covered: %s\n", strings.Join(r.NotCovered, ", "))
	}
	var checks, idle int64
	var unasked []string
	for name, n := range r.Invariants {
		checks += n
		if n == 0 {
			idle++
			unasked = append(unasked, name)
		}
	}
	fmt.Fprintf(w, "  invariants %d, checked %d times\n", len(r.Invariants), checks)
	if idle > 0 {
		slices.Sort(unasked)
		fmt.Fprintf(w, "             never asked: %s\n", strings.Join(unasked, ", "))
	}
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: the seeds that were finished are counted, the rest was not run")
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "\nseed %d, session %d, step %d, at %d ms: %s\n  %s\n\n", v.Seed, v.Session, v.Step, v.AtMS, v.Invariant, v.Detail)
		for _, line := range v.Trace {
			fmt.Fprintf(w, "  | %s\n", line)
		}
		fmt.Fprintf(w, "\nto see it again:\n  %s\n", v.Command)
	}
	if len(r.Violations) == 0 && !r.Interrupted {
		fmt.Fprintln(w, "every invariant held")
	}
}

// aborted writes how many turns were aborted, by reason.
func aborted(counts map[string]int64) string {
	var sum int64
	for _, n := range counts {
		sum += n
	}
	if sum == 0 {
		return "none aborted"
	}
	return fmt.Sprintf("%d aborted (%s)", sum, sortedCounts(counts))
}

// sortedCounts writes counts by name, the largest first.
func sortedCounts(counts map[string]int64) string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(parts, ", ")
}

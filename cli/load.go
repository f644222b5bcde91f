// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
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

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/internal/bench"
	"github.com/parley-voice/parley/internal/load"
)

// loadFlags are the flags of parley load.
type loadFlags struct {
	asJSON, strict bool
	print          string
	length         time.Duration
	measured       bool // --for is given
	set            []string
}

func newLoadCommand(env *environment) *cobra.Command {
	f := &loadFlags{}
	cmd := &cobra.Command{
		Use:   "load [overload|neighbours|soak|PROFILE.yaml]...",
		Short: "Put simulated callers on a real host: overload, bad neighbours, a soak",
		Long: `Load puts a crowd of simulated callers on a real host, in real time, and prints what was
promised, what was measured and the bound. The engines of the calls are simulated: they
wait and make silence; kernel, edges, pacing and admission are the real ones.

  overload    a small crowd first; then three times the sessions that fit: how late are
              the frames of those who were let in, how quickly is control served, and
              why were the others refused
  neighbours  well-behaved callers, in turn without and beside a call whose node hangs,
              one whose nodes panic, and a tenant that floods
  soak        ten minutes (--for) of calls that come and go: the heap after each garbage
              collection, and what is left when the host has closed

Without an argument it runs overload and neighbours. A profile is a file that says all of
it; 'parley load --print overload' writes the built-in one, with what each value means.

A window in which more than 1 % of the processor was stolen by other guests, or more than
5 % used by other processes, is void and is measured again, three times at most. A promise
whose window stays void, or that was measured on nothing, is not kept.

Exit code 0: it ran, also when a bound was missed, because a noisy machine is no fault of
the code; with --strict that is 1.
Exit code 1: a profile, a value of --set or --for, or flow settings are refused, or the run
failed on its way.
Exit code 2: it could not begin: wrong usage, or a file that cannot be read.`,
		Example: `  parley load
  parley load soak --for 2m --set sessions=50
  parley load --print neighbours > mine.yaml && parley load mine.yaml
  parley load overload --json | jq '.[].rows'`,
		GroupID:           groupCheck,
		ValidArgsFunction: completeLoad,
		RunE: func(cmd *cobra.Command, args []string) error {
			shortSlices()
			f.measured = cmd.Flags().Changed("for")
			return runLoad(cmd.Context(), env, f, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.asJSON, "json", false, "print the reports as JSON")
	flags.BoolVar(&f.strict, "strict", false, "exit with 1 when a bound was missed")
	flags.StringVar(&f.print, "print", "", "print a built-in profile as YAML and run nothing")
	flags.DurationVar(&f.length, "for", 0, "length of a soak, or of one measurement, in place of the profile's duration")
	flags.StringArrayVar(&f.set, "set", nil, "another value of the profile, NAME=VALUE, such as engines.llm=1s..2s")
	must(cmd.RegisterFlagCompletionFunc("print", cobra.FixedCompletions(load.Scenarios(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func completeLoad(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return load.Scenarios(), cobra.ShellCompDirectiveDefault
}

func runLoad(ctx context.Context, env *environment, f *loadFlags, args []string) error {
	if f.print != "" {
		if len(args) > 0 || !slices.Contains(load.Scenarios(), f.print) {
			return usageErrorf("--print: %q: name one of %s, and nothing else", f.print, strings.Join(load.Scenarios(), ", "))
		}
		p := load.Builtin(load.Scenario(f.print))
		return tell(env.stdout, func(w io.Writer) { _, _ = io.WriteString(w, p.Text()) })
	}
	if len(args) == 0 {
		args = []string{string(load.Overload), string(load.Neighbours)}
	}
	runs := make([]loadRun, 0, len(args))
	for _, name := range args {
		run, err := readLoad(env, f, name)
		if err != nil {
			return beginError(err)
		}
		runs = append(runs, run)
	}
	machine := load.Machine{ProcessorTime: bench.ProcessorTime, Busy: bench.BusyTime(), Stolen: bench.StolenTime()}
	reports := []*load.Report{}
	var faults []error
	for _, run := range runs {
		report, err := load.Run(ctx, run.profile, load.Options{
			Machine: machine, Flow: run.flow,
			Say: func(what string) { fmt.Fprintf(env.stderr, "%s: %s\n", run.profile.Scenario, what) },
		})
		if err != nil {
			faults = append(faults, err)
		}
		if report == nil {
			continue
		}
		reports = append(reports, report)
		if !f.asJSON {
			if err := tell(env.stdout, func(w io.Writer) { printLoad(w, report) }); err != nil {
				return err
			}
		}
	}
	if f.asJSON {
		faults = append(faults, writeJSON(env.stdout, reports))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if f.strict && slices.ContainsFunc(reports, func(r *load.Report) bool { return !r.Met() }) {
		return silentExit(exitFailure)
	}
	return nil
}

// loadRun is a profile that was read, with its flow settings.
type loadRun struct {
	profile load.Profile
	flow    *parley.Flow
}

// readLoad finds a profile by the name of a built-in one or of a file.
func readLoad(env *environment, f *loadFlags, name string) (run loadRun, err error) {
	if slices.Contains(load.Scenarios(), name) {
		run.profile = load.Builtin(load.Scenario(name))
	} else {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) && !strings.Contains(name, ".") {
			return run, fmt.Errorf("%q is no scenario and no file; use %s or the name of a profile", name, strings.Join(load.Scenarios(), ", "))
		}
		if err != nil {
			return run, fmt.Errorf("read the profile: %w", err)
		}
		if run.profile, err = load.ReadProfile(name, text); err != nil {
			return run, err
		}
	}
	for _, assignment := range f.set {
		if err := run.profile.Set(assignment); err != nil {
			return run, fmt.Errorf("--set: %w", err)
		}
	}
	if f.measured {
		if err := run.profile.Set("duration=" + f.length.String()); err != nil {
			return run, fmt.Errorf("--for: %w", err)
		}
	}
	if most := run.profile.Duration / 10; run.profile.Scenario == load.Soak && f.measured && run.profile.Sample > most/2 {
		run.profile.Sample = most / 2
	}
	if err := run.profile.Validate(); err != nil {
		return run, err
	}
	if run.profile.SpecName == "" {
		return run, nil
	}
	spec := run.profile.SpecName
	if !filepath.IsAbs(spec) {
		spec = filepath.Join(filepath.Dir(name), spec)
	}
	text, err := os.ReadFile(spec)
	if err != nil {
		return run, &exitError{code: exitUsage, err: run.profile.Fault("spec", run.profile.SpecName, fmt.Sprintf("name a spec that can be read, beside the profile: %v", err))}
	}
	run.flow, err = env.readSpecs(parley.FlowSource{Name: spec, Spec: text})
	if err == nil && run.flow.Declared() {
		return run, run.profile.Fault("spec", run.profile.SpecName, "name a spec without nodes: load is measured on the voice graph")
	}
	return run, err
}

func printLoad(w io.Writer, r *load.Report) {
	fmt.Fprintf(w, "\n%s: %s %s, %d cores, %.0f s\n", r.Scenario, r.Go, r.Platform, r.Cores, r.Seconds)
	if r.Fits > 0 {
		fmt.Fprintf(w, "%d sessions fit; %d callers wanted to be served\n", r.Fits, r.Offered)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\npromise\tmeasured\tbound\t")
	for _, row := range r.Rows {
		met := "met"
		if !row.Met {
			met = "MISSED"
		}
		fmt.Fprintf(table, "%s\t%.4g %s\t%.4g %s\t%s\n", row.Promise, row.Measured, row.Unit, row.Bound, row.Unit, met)
	}
	_ = table.Flush() // what w refuses, its owner learns at the next write
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(w, "  %s: %s\n", row.Promise, row.Note)
		}
	}
	printWindows(w, r)
	if len(r.Refusals) > 0 {
		fmt.Fprintf(w, "refused: %s\n", sortedCounts(r.Refusals))
	}
	if len(r.Callers) > 0 {
		fmt.Fprintf(w, "calls:   %s\n", sortedCounts(r.Callers))
	}
	for _, d := range r.Disturbers {
		fmt.Fprintf(w, "%s (tenant %s): %s\n", d.Kind, d.Tenant, sortedCounts(d.Got))
	}
}

func printWindows(w io.Writer, r *load.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\nwindow\tsessions\tframes out/s\tlate p50\tp99\tp99.9\tat the link p99\tpreempt p95\tcores\tof the crowd\tus/session s\tothers\tstolen\t")
	for i := range r.Measurements {
		m := &r.Measurements[i]
		stolen := "unknown"
		if m.Stolen >= 0 {
			stolen = fmt.Sprintf("%.1f %%", 100*m.Stolen)
		}
		if m.Void() {
			stolen += " VOID"
		}
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t%.2f\t%.0f\t%.2f\t%s\t\n",
			m.Name, m.Sessions, float64(m.FramesOut)/m.Seconds, m.P50, m.P99, m.P999, m.LinkP99, m.Preempt, m.Cores, m.Crowd, m.PerSession, m.Others, stolen)
	}
	_ = table.Flush() // as above
	fmt.Fprintln(w, "lateness and preempt in milliseconds; others: cores that other processes of the machine used")
}

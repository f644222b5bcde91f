// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/parley-voice/parley/internal/observability/replay"
	"github.com/parley-voice/parley/internal/observability/waits"
)

func newReplayCommand(env *environment) *cobra.Command {
	var asJSON, cut, edges bool
	cmd := &cobra.Command{
		Use:   "replay RECORDING",
		Short: "Step the kernel over a recording and compare every decision",
		Long: `Replay feeds the recorded inputs to a fresh kernel and compares each decision, and
the digest over all of them, with what was recorded. No node is run and no provider is
called.

Below the account stands what waited: what each edge let through, dropped and merged, its
longest wait and its highest depth, and what was decided under pressure. --edges shows
edges at which nothing happened too, what each obeys and the layer of each value. A session
that was not let in has its reason, and after what time to come again.

Exit code 0: every decision came out again.
Exit code 1: one did not; the first is shown with what led to it.
Exit code 2: the recording cannot be read, or not to its end. What is good of it is
replayed all the same, and the account says what is not; --cut accepts a recording whose
end is missing, as a crash leaves it, but none that is damaged.`,
		Example: `  parley replay demo-out/recording.parley
  parley replay --edges demo-out/recording.parley
  parley replay --json call.parley | jq '.waits.edges[] | {edge_id, counts}'`,
		Args:    exactly(1, "name the recording: a folder NAME.parley, one of its segments, or the folder that a demo or a server left"),
		GroupID: groupCheck,
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == "" {
				return usageErrorf("RECORDING is empty: name the folder NAME.parley, or one of its segments")
			}
			keeper := waits.NewKeeper(nil)
			report, err := replay.Watch(recordingAt(args[0]), time.Now, keeper)
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if asJSON {
				if err := writeJSON(env.stdout, replayed{report, keeper.Account()}); err != nil {
					return err
				}
			} else if err := tell(env.stdout, func(w io.Writer) {
				printReplay(w, report)
				printWaits(w, keeper.Account(), edges)
			}); err != nil {
				return err
			}
			switch {
			case report.Divergence != nil:
				return silentExit(exitFailure)
			case !report.Whole && !(cut && report.Cut):
				return silentExit(exitUsage)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	cmd.Flags().BoolVar(&edges, "edges", false, "show every edge, with what it obeys and why")
	cmd.Flags().BoolVar(&cut, "cut", false, "accept a recording whose end is missing")
	return cmd
}

// recordingAt is the recording that a path names: of a folder that a demo or a server leaves,
// the one in it.
func recordingAt(path string) string {
	inside := filepath.Join(path, "recording.parley")
	if info, err := os.Stat(inside); err == nil && info.IsDir() {
		return inside
	}
	return path
}

// replayed is the document of replay --json.
type replayed struct {
	replay.Report
	Waits *waits.Account `json:"waits"`
}

// exactly wants n arguments and says what they are.
func exactly(n int, want string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageErrorf("%d arguments given, %d wanted: %s", len(args), n, want)
		}
		return nil
	}
}

func printReplay(w io.Writer, r replay.Report) {
	call := time.Duration(r.Duration)
	fmt.Fprintf(w, "%s: session %s, %s of conversation, %s\n", r.Path, oneLine(r.Session),
		call.Round(10*time.Millisecond), plural(int(r.Turns), "turn", "turns"))
	fmt.Fprintf(w, "  %d passes, %d inputs, %d decisions compared in %s", r.Passes, r.Inputs, r.Decisions, r.Wall.Round(10*time.Microsecond))
	if r.Wall > 0 {
		fmt.Fprintf(w, " (%.0f times real time)", float64(call)/float64(r.Wall))
	}
	fmt.Fprintf(w, "\n  digest %s\n", r.Digest)
	if r.Damage != "" {
		fmt.Fprintf(w, "  NOT WHOLE: %s\n", oneLine(r.Damage))
	}
	d := r.Divergence
	if d == nil {
		if r.Whole {
			fmt.Fprintln(w, "  identical: every decision came out again")
		} else {
			fmt.Fprintln(w, "  identical as far as the recording goes")
		}
		return
	}
	fmt.Fprintf(w, "  DIVERGENCE at decision %d, %d ms:\n", d.Decision, d.AtMS)
	for _, line := range d.Context {
		fmt.Fprintf(w, "    %s\n", oneLine(line))
	}
	fmt.Fprintf(w, "  - recorded   %s\n  + recomputed %s\n", oneLine(d.Recorded), oneLine(d.Recomputed))
}

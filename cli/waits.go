// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/parley-voice/parley/internal/observability/waits"
	"github.com/parley-voice/parley/internal/report"
)

// edgeCounts is an edge as the table tells it.
type edgeCounts struct {
	id       string
	lost     bool
	maxItems int64
	counts   *waits.Counts
	policy   []waits.Setting // nil = not shown
}

// printWaits says what waited, what was lost and what was turned away. Of edges at which
// nothing happened it says no more than how many there are, unless all are wanted.
func printWaits(w io.Writer, a *waits.Account, all bool) {
	list := make([]edgeCounts, 0, len(a.Edges))
	for i := range a.Edges {
		e := &a.Edges[i]
		row := edgeCounts{id: e.ID, lost: e.Lost, maxItems: e.MaxItems, counts: &e.Counts}
		if all {
			row.policy = e.Policy
		}
		list = append(list, row)
	}
	printEdges(w, list, all)
	printDecisions(w, &a.Admission, &a.Load, &a.Budgets)
}

// printSummaryWaits says the same of a demo's summary.
func printSummaryWaits(w io.Writer, s report.Summary) {
	list := make([]edgeCounts, 0, len(s.Edges))
	for i := range s.Edges {
		e := &s.Edges[i]
		list = append(list, edgeCounts{id: e.ID, lost: e.CutOff, maxItems: e.MaxItems, counts: &e.Counts})
	}
	printEdges(w, list, false)
	if s.Admission != nil {
		printDecisions(w, s.Admission, s.Load, s.Budgets)
	}
}

func printEdges(w io.Writer, list []edgeCounts, all bool) {
	quiet, width := 0, len("edge")
	for _, e := range list {
		width = max(width, min(len(e.id), 24))
		if e.quiet() {
			quiet++
		}
	}
	switch {
	case len(list) == 0:
		return
	case quiet == len(list) && !all:
		fmt.Fprintf(w, "  nothing was dropped, merged or held back on %s\n", plural(len(list), "edge", "edges"))
		return
	}
	fmt.Fprintf(w, "  %-*s %8s %9s %7s %6s %9s %9s\n", width, "edge", "offered", "delivered", "dropped", "merged", "deepest", "longest")
	for _, e := range list {
		if e.quiet() && !all {
			continue
		}
		c := e.counts
		fmt.Fprintf(w, "  %-*s %8d %9d %7d %6d %9s %9s\n", width, oneLine(e.id), c.Offered.Sum(), c.Delivered.Sum(), c.Drops, c.Merged,
			fmt.Sprintf("%d/%d", c.PeakItems.Sum(), e.maxItems), fmt.Sprintf("%.0f ms", c.LongestWaitMS))
		if rest := e.rest(); rest != "" {
			fmt.Fprintf(w, "      %s\n", rest)
		}
		for _, s := range e.policy {
			fmt.Fprintf(w, "      %-34s %-14s %s\n", s.Field, oneLine(s.Value), s.Layer)
		}
	}
	if quiet > 0 && !all {
		fmt.Fprintf(w, "  on %s nothing was dropped, merged or held back\n", plural(quiet, "further edge", "further edges"))
	}
}

func (e *edgeCounts) quiet() bool { return e.counts.Quiet() && !e.lost }

// rest is what has no column: why things were dropped, crossings and flow signals.
func (e *edgeCounts) rest() string {
	c := e.counts
	parts := []string{}
	if e.lost {
		parts = append(parts, "cut off")
	}
	if len(c.Dropped) > 0 {
		parts = append(parts, "dropped by "+counted(c.Dropped))
	}
	for _, p := range [...]struct {
		n    int64
		name string
	}{
		{c.Highs, "high"},
		{c.Lows, "low"},
		{c.XOffs, "xoff"},
		{c.XOns, "xon"},
		{c.Granted, "credits"},
		{c.Blocked, "blocked"},
		{c.Overflows, "overflows"},
		{c.Coalesced, "coalesced"},
		{c.Discontinuities, "discontinuities"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.name, p.n))
		}
	}
	return strings.Join(parts, ", ")
}

// counted is a count by name as "name 3, other 1", by name.
func counted(of map[string]int64) string {
	parts := make([]string, 0, len(of))
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s %d", oneLine(name), of[name]))
	}
	return strings.Join(parts, ", ")
}

// printDecisions says what was decided about who comes in, and what load and budgets did.
func printDecisions(w io.Writer, a *waits.Admission, l *waits.Load, b *waits.Budgets) {
	if a.Outcome != "" && a.Outcome != "admit" {
		fmt.Fprintf(w, "  NOT LET IN: %s: %s", a.Outcome, oneLine(a.Reason))
		if a.Max > 0 {
			fmt.Fprintf(w, " (%d used of %d)", a.Used, a.Max)
		}
		if a.RetryAfterMS > 0 {
			fmt.Fprintf(w, ": come again in %d ms, or open it elsewhere", a.RetryAfterMS)
		}
		fmt.Fprintln(w)
	}
	line := func(label string, of map[string]int64) {
		if len(of) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", label, counted(of))
		}
	}
	if a.Outcome == "" || a.Outcome == "admit" {
		line("turned away", a.Refused)
	}
	if l.Changes > 0 {
		fmt.Fprintf(w, "  overload: up to %s, %s at the end\n", l.Highest, l.Last)
	}
	line("budget warnings", b.Warnings)
	line("budgets exhausted", b.Exhaustions)
	line("degraded", b.Degrades)
	if b.Fallbacks > 0 {
		fmt.Fprintf(w, "  fallback: %s\n", plural(int(b.Fallbacks), "answer", "answers"))
	}
}

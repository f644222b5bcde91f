// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"strings"
	"testing"
)

func TestShort(t *testing.T) {
	r := Run(t.Context(), Options{Seeds: 200, Turns: 20, Faults: AllFaults, Stop: 3})
	t.Logf("%d turns, %d steps, %d commits, aborts %v, %d per CPU-minute, not covered %v", r.Turns, r.Steps, r.Commits, r.Aborts, r.TurnsPerCPUMinute, r.NotCovered)
	for _, v := range r.Violations {
		t.Errorf("seed %d session %d step %d at %d ms: %s: %s\n%s\n%s", v.Seed, v.Session, v.Step, v.AtMS, v.Invariant, v.Detail, strings.Join(v.Trace, "\n"), v.Command)
	}
}

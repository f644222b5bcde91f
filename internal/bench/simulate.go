// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/parley-voice/parley/internal/simulation"
)

// simulations is P11: processor time a simulated turn, both runs of its seed and every
// check included, against the 60 us that a million turns a CPU-minute leave.
func simulations(o Options) (Result, error) {
	r := Result{
		ID: "P11", Subject: "simulated turn, run twice, all checks", Denominator: "60 us: 1 M turns a CPU-minute",
		Unit: "cpu ns/turn", Limit: 1, Target: ">= 1 M turns/CPU-min",
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as parley sim runs
	faults, err := simulation.ParseFaults("all")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	first := int64(1)
	var fault error
	return pair(o, r, func() float64 { return 60e3 }, func() float64 {
		report := simulation.Run(context.Background(), simulation.Options{Seeds: 1000, First: first, Faults: faults, Stop: 1000})
		first += 1000
		if n := len(report.Violations); n > 0 {
			fault = fmt.Errorf("bench: %d invariants were broken: run %s", n, report.Violations[0].Command)
		}
		return report.CPUSeconds * 1e9 / float64(max(report.Turns, 1))
	}), fault
}

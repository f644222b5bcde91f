// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parley-voice/parley/internal/observability/replay"
)

// replays is P10: the length of a call against the time that its replay takes, every
// decision and every digest compared.
func replays(o Options) (Result, error) {
	r := Result{
		ID: "P10", Subject: "replay of a call, every digest checked", Denominator: "the call's length / 1000",
		Unit: "ns", Limit: 1, Target: ">= 1000x real time",
	}
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	defer removeAll(dir)
	path := filepath.Join(dir, "call.parley")
	if err := oneCall(path, true, false); err != nil {
		return r, err
	}
	var fault error
	return pair(o, r, func() float64 { return float64(callLength) / 1000 }, func() float64 {
		report, err := replay.Run(path, o.Now)
		if err != nil || !report.Identical || !report.Whole {
			fault = fmt.Errorf("bench: the replay is not identical: %w", err)
		}
		return float64(report.Wall)
	}), fault
}

// SPDX-License-Identifier: Apache-2.0

//go:build !unix && !windows

package sessionhost

import "time"

// processorTime is not known here: an adaptive host takes as many sessions as are
// configured, and does not go by the processor's use.
func processorTime() (d time.Duration, known bool) { return 0, false }

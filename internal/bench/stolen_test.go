// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"testing"
	"time"
)

// What this process uses is part of what all use: a processor that works is not idle. What is
// stolen of it counts for nobody, so there are several tries.
func TestBusyTime(t *testing.T) {
	if _, err := os.Stat("/proc/stat"); err != nil {
		if busy := BusyTime()(); busy != 0 {
			t.Errorf("%v are known without /proc/stat", busy)
		}
		return
	}
	const most = 10
	for try := range most {
		busy, own := BusyTime(), ProcessorTime()
		for ProcessorTime()-own < 300*time.Millisecond {
		}
		if grown := busy(); grown >= 200*time.Millisecond {
			return
		} else if try == most-1 {
			t.Errorf("300 ms were used, and all have used %v more", grown)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"os"
	"testing"
	"time"
)

// What this process uses is part of what all use, with the two ticks by which its share is cut.
// One that ends unseen takes its past with it, so there are several tries.
func TestBusyTime(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		if busy := BusyTime(); busy != 0 {
			t.Errorf("%v are known without /proc", busy)
		}
		return
	}
	const most = 10
	for try := range most {
		busy, own := BusyTime(), ProcessorTime()
		for ProcessorTime()-own < 200*time.Millisecond {
		}
		if grown := BusyTime() - busy; grown >= 180*time.Millisecond {
			return
		} else if try == most-1 {
			t.Errorf("200 ms were used, and all have used %v more", grown)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Clock is the wall clock of a demo: the real one, or in virtual time one that begins
// at the same instant in every run, so that an agent who tells the time says the same.
type Clock struct{ now func() time.Time }

// virtualStart is when every demo in virtual time begins.
func virtualStart() time.Time { return time.Date(2026, 1, 1, 9, 30, 0, 0, time.UTC) }

// NewClock makes the clock of a demo.
func NewClock(fast bool) *Clock {
	if fast {
		return &Clock{now: virtualStart}
	}
	return &Clock{now: time.Now}
}

// Now gives the time.
func (c *Clock) Now() time.Time { return c.now() }

func (c *Clock) follow(now func() time.Time) { c.now = now }

// PeakMemory gives the largest resident size of this process so far, in bytes, where
// the system tells (VmHWM in Linux's /proc/self/status).
func PeakMemory() (int64, bool) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb * 1024, err == nil
		}
	}
	return 0, false
}

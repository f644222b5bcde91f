// SPDX-License-Identifier: Apache-2.0

//go:build unix

package sessionhost

import (
	"syscall"
	"time"
)

// processorTime is the processor time that this process has used, user and system.
func processorTime() (d time.Duration, known bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

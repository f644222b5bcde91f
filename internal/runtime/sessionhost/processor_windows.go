// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"syscall"
	"time"
)

// processorTime is the processor time that this process has used, user and kernel.
func processorTime() (d time.Duration, known bool) {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, false
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &exited, &kernel, &user); err != nil {
		return 0, false
	}
	return ticks(kernel) + ticks(user), true
}

// ticks are the 100 ns of a length of time; Filetime.Nanoseconds is for dates.
func ticks(f syscall.Filetime) time.Duration {
	return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
}

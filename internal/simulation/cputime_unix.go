// SPDX-License-Identifier: Apache-2.0

//go:build unix

package simulation

import "syscall"

// cpuSeconds is the processor time that this process has used, user and system.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

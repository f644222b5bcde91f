// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"syscall"
	"time"
	"unsafe"
)

const sleepName = "absolute 20 ms sleeps by clock_nanosleep"

// sleepUntil sleeps to an absolute instant of the monotonic clock.
func sleepUntil(due time.Time) {
	const monotonic, absolute = 1, 1
	var now syscall.Timespec
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&now)), 0) //nolint:gosec // the call takes the address of a timespec
	until := syscall.NsecToTimespec(now.Nano() + int64(time.Until(due)))
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, monotonic, absolute, uintptr(unsafe.Pointer(&until)), 0, 0, 0) //nolint:gosec // as above
		if e != syscall.EINTR {
			return
		}
	}
}

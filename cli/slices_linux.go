// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// shortSlice is the shortest slice that the scheduler grants.
const shortSlice = 100_000 // ns

// shortSlices asks the scheduler for short slices for all threads of this process, which those to
// come inherit: who asks for less at a time has not to wait for the end of others' slices when it
// wakes. A frame is some microseconds of work every 20 ms, and a neighbour that computes without
// end has slices of 3 ms. Kernels before 6.12 have no such wish, and nothing changes there.
func shortSlices() {
	for range 2 { // a thread that is made meanwhile may be the child of one that was not asked for yet
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, e := range list {
			tid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			a, err := unix.SchedGetAttr(tid, 0)
			if err != nil || a.Policy != unix.SCHED_NORMAL || a.Runtime == shortSlice {
				continue
			}
			a.Runtime = shortSlice
			_ = unix.SchedSetAttr(tid, a, 0) // a wish
		}
	}
}

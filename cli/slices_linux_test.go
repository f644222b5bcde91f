// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Where the kernel knows slices, all threads have the short one, those that come as well.
func TestShortSlices(t *testing.T) {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if a.Runtime == 0 {
		t.Log("the kernel has no slices of a thread's own")
		return
	}
	shortSlices()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if a, err := unix.SchedGetAttr(tid, 0); err == nil && a.Policy == unix.SCHED_NORMAL && a.Runtime != shortSlice {
			t.Errorf("thread %d has slices of %d ns", tid, a.Runtime)
		}
	}
}

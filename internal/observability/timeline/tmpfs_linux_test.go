// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestRealDiskFull fills a real, tiny file system. Mounting needs root; the
// same course without a mount is TestDiskFullAtAnyByte.
func TestRealDiskFull(t *testing.T) {
	mnt := t.TempDir()
	if err := syscall.Mount("tmpfs", mnt, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v (TestDiskFullAtAnyByte covers the writer without one)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mnt, 0); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(mnt, "a.parley")
	w := mustCreate(t, dir, Options{Synchronous: true, SegmentBytes: 16 << 10, CapacityBytes: 64 << 10, ReserveBytes: 16 << 10})
	var err error
	n := 0
	for ; err == nil && n < 10000; n++ {
		err = w.Append(TypeInput, make([]byte, 100))
	}
	if !errors.Is(err, ErrBaselineUnavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d records: %v", n, err)
	}
	if err := w.Close(End{}); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	a, err := Verify(dir)
	if err != nil || a.Whole || a.Truncated == nil || a.GoodRecords < 300 {
		t.Errorf("%v %s", err, a)
	}
	if _, err := Create(filepath.Join(mnt, "b.parley"), Options{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a second recording on the full disk: %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/parley-voice/parley/internal/report"
)

// TestFolderFullDisk fills a real, tiny file system: nothing is left on it.
func TestFolderFullDisk(t *testing.T) {
	mnt := t.TempDir()
	if err := syscall.Mount("tmpfs", mnt, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs here: %v (TestFolderLeavesNothing covers the cleaning up without one)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mnt, 0); err != nil {
			t.Error(err)
		}
	})
	f, err := prepare(filepath.Join(mnt, "deep", "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	mix := &Mixdown{}
	mix.Add(0, 0, make([]int16, 64<<10))
	var d report.Data
	if err := f.write(d, report.SummaryOf(d), mix); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk is full: %v", err)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	lies(t, mnt)
}

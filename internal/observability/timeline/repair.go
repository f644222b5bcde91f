// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Repair takes the bad tail off the last segment of a recording's folder, in
// one step of the file system, and returns the account after it. It writes no
// End record: the recording stays not whole. A recording without a bad tail
// is left as it is; corruption is refused (ErrCorrupt), because taking it off
// would destroy intact records.
func Repair(path string) (Account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Account{Path: path}, fmt.Errorf("timeline: repair: %w: check the path", err)
	}
	if !info.IsDir() {
		return Account{Path: path}, fmt.Errorf("%w: %s is a file: give the recording's folder", ErrNotRecording, path)
	}
	a, err := Verify(path)
	if err != nil {
		return a, err
	}
	if a.Corrupt != nil {
		return a, fmt.Errorf("repair refused, it only takes off a cut tail: %w", a.Err())
	}
	if a.Truncated == nil || a.BadBytes == 0 && a.Truncated.Kind != KindSegmentEmpty {
		return a, nil
	}
	file := filepath.Join(path, a.Truncated.File)
	if a.Truncated.Offset == 0 {
		// Not even the header is good; the segment before it ends cleanly.
		if a.SegmentsFound == 1 {
			return a, fmt.Errorf("repair refused, nothing of it is good: remove %s: %w", path, a.Err())
		}
		err = os.Remove(file)
	} else {
		err = cut(file, a.Truncated.Offset)
	}
	if err != nil {
		return a, diskError("repair", file, err)
	}
	if err := (disk{}).syncDir(path); err != nil {
		return a, diskError("sync", path, err)
	}
	return Verify(path)
}

// cut shortens a file and forces that to the disk.
func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

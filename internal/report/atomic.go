// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// AtomicFile writes path so that it is either whole or not there as it was before: the content goes to a hidden file
// beside it, is synced, and takes its name in one step. On any error, a panic of write included, the hidden file is
// removed and a file that stood at path before stays untouched.
func AtomicFile(path string, write func(io.Writer) error) (err error) {
	folder := filepath.Dir(path)
	temp, err := createBeside(path)
	if err != nil {
		return explain(path, folder, err)
	}
	whole := false
	defer func() {
		if !whole {
			_ = temp.Close()
			_ = os.Remove(temp.Name())
		}
	}()
	buffered := bufio.NewWriterSize(temp, 64<<10)
	if err := write(buffered); err != nil {
		return explain(path, folder, err)
	}
	if err := buffered.Flush(); err != nil {
		return explain(path, folder, err)
	}
	if err := temp.Sync(); err != nil {
		return explain(path, folder, err)
	}
	if err := temp.Close(); err != nil {
		return explain(path, folder, err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return explain(path, folder, err)
	}
	whole = true
	syncFolder(folder)
	return nil
}

// createBeside opens a new file in path's folder, with the permissions the user's mask gives to ordinary files.
func createBeside(path string) (*os.File, error) {
	const tries = 100
	for n := range tries {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d-%d.partial", filepath.Base(path), os.Getpid(), n))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
	return nil, fmt.Errorf("%d unfinished files of this name are in the way: remove .%s.*.partial", tries, filepath.Base(path))
}

// syncFolder makes the new name survive a power cut where the system can; where it cannot, the file is still whole.
func syncFolder(folder string) {
	if dir, err := os.Open(folder); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}

func explain(path, folder string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("write %s: the disk is full: free some space in %s or choose another folder: %w", path, folder, err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("write %s: the folder %s is not there: create it or choose another: %w", path, folder, err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("write %s: the folder %s cannot be written: change its permissions or choose another: %w", path, folder, err)
	}
	return fmt.Errorf("write %s: %w", path, err)
}

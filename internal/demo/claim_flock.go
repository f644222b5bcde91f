// SPDX-License-Identifier: Apache-2.0

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package demo

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// claimFolder makes a folder, if need be, and locks it for this process. The system
// takes the lock back when the process ends, however that happens, so what a killed
// process left can be claimed. A folder that a live one holds is ErrBusy.
func claimFolder(dir string) (io.Closer, error) {
	for {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue // its holder finished between the two calls
		}
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(ErrBusy, f.Close())
		}
		// Any other error: a file system without locks. There the name alone has to do.
		if same(f, dir) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// same says that what was opened still has the name: its holder may have renamed or
// removed it meanwhile.
func same(f *os.File, dir string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(dir)
	return err == nil && os.SameFile(held, named)
}

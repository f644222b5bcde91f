// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package demo

import (
	"errors"
	"io"
	"os"
)

// claimFolder makes a folder that was not there. Without locks that end with their
// process, what a killed one left looks as if it were in use: ErrBusy for both.
func claimFolder(dir string) (io.Closer, error) {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil, errors.Join(ErrBusy, errors.New("or was, and did not finish: then remove the folder"))
	}
	return unlocked{}, err
}

type unlocked struct{}

func (unlocked) Close() error { return nil }

// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hostile

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/parley-voice/parley/node"
)

// signals asks whether it could kill its host, and does not: signal 0 does nothing but ask.
func signals(*nodeOf, *node.Context) error {
	if err := syscall.Kill(os.Getppid(), 0); err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	return errors.New("it was let")
}

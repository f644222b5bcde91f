// SPDX-License-Identifier: Apache-2.0

//go:build unix

package talk

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's interrupt from the program: it is ended when the conversation
// is.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

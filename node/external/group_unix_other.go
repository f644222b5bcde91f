// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package external

import "syscall"

func attributes(*controlGroup) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !(amd64 || arm64)

package sandbox

import "errors"

// Available is the highest level that this system has, and why it is not a higher one.
func Available() (level Level, why string) {
	return LevelProcess, "limits, Landlock and seccomp are there on linux, amd64 and arm64"
}

func apply(*Policy) error { return errors.New("sandbox: this system has none") }

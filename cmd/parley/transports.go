// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/parley-voice/parley/internal/serve"

// mounts lists the transports that parley serve has, and where. Adding one is adding its
// line here.
func mounts() []serve.Mount {
	return []serve.Mount{}
}

// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bench

import "time"

// cpuTime falls back on the wall clock where the system does not tell processor time.
func cpuTime() time.Duration { return time.Duration(time.Now().UnixNano()) }

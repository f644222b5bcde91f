// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bench

import "time"

// ProcessorTime falls back on the wall clock where the system does not tell processor time.
func ProcessorTime() time.Duration { return time.Duration(time.Now().UnixNano()) }

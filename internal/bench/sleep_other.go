// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import "time"

const sleepName = "20 ms sleeps of the Go runtime"

// sleepUntil sleeps to an instant.
func sleepUntil(due time.Time) { time.Sleep(time.Until(due)) }

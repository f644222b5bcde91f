// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sessionhost

import "time"

// alarm is what wakes an owner precisely; this system has none, and timers serve.
type alarm struct{}

func newAlarm() *alarm                { return nil }
func (*alarm) set(time.Duration) bool { return false }
func (*alarm) ring()                  {}
func (*alarm) wait() bool             { return false }
func (*alarm) close()                 {}

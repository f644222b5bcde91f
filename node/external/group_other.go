// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package external

import "time"

// pinThread is for systems that tie a child's life to a thread.
func pinThread() (unpin func()) { return func() {} }

// controlGroup is what holds a process and its descendants together; this system has none.
type controlGroup struct{}

func newControlGroup(string, string, int64, int64, int64) *controlGroup { return nil }

func (*controlGroup) kill()   {}
func (*controlGroup) remove() {}

// sweep has nothing to look at.
func (*process) sweep() {}

// mayFork says that nobody knows of descendants.
func (*process) mayFork() bool { return true }

// spent has nothing to look at, either.
func (*process) spent() (time.Duration, bool) { return 0, false }

// putBehind is for systems that tell what a process uses.
func (*process) putBehind(bool) {}

// measure has nothing to look at: what a process uses is not held to its limits here.
func (*process) measure() (usage, bool) { return usage{}, false }

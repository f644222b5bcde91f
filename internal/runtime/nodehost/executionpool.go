// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Executor is where work runs that is not the session owner's, and how time passes for
// it. One Executor is one session's view: its instants are the session's.
type Executor interface {
	// Now is the present instant.
	Now() timebase.Instant
	// Go runs work off the owner; in virtual time before Go returns.
	Go(work func())
	// Worker prepares work that is started again and again: launch runs it as Go would
	// and costs no allocation.
	Worker(work func()) (launch func())
	// After calls fn at or after an instant, off the owner. stop takes it back if it has
	// not begun.
	After(at timebase.Instant, fn func()) (stop func())
	// Virtual says that time stands still while work runs.
	Virtual() bool
}

// Pool runs work on goroutines and counts what is still running, so that a teardown
// can wait for a bounded time and say what it left behind. The zero value is ready.
type Pool struct{ running atomic.Int64 }

// Go runs work on a goroutine.
func (p *Pool) Go(work func()) {
	p.running.Add(1)
	go func() {
		defer p.running.Add(-1)
		work()
	}()
}

// Worker prepares work for repeated starts.
func (p *Pool) Worker(work func()) (launch func()) {
	run := func() {
		defer p.running.Add(-1)
		work()
	}
	return func() {
		p.running.Add(1)
		go run()
	}
}

// Running counts the work under way.
func (p *Pool) Running() int64 { return p.running.Load() }

// Wait waits until nothing runs, at most for d, and gives what still does.
func (p *Pool) Wait(d time.Duration) int64 {
	until := time.Now().Add(d)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		n := p.running.Load()
		if n == 0 || !time.Now().Before(until) {
			return n
		}
		time.Sleep(pause)
	}
}

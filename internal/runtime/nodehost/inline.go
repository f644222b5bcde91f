// SPDX-License-Identifier: Apache-2.0

package nodehost

import (
	"time"

	"github.com/parley-voice/parley/internal/kernel/timebase"
)

const (
	// InlineMost is how long an event of an inline node may take. The goroutine that it runs
	// on has other sessions to see to.
	InlineMost = 100 * time.Microsecond
	// inlineStrikes is how many events in a row may take longer before the node has to go to
	// the pool like the others: one that takes long by itself does so each time, and one that
	// waited for a processor meanwhile does not.
	inlineStrikes = 8
	// inlineEvents is how many events are taken at once; a backlog is work for the pool.
	inlineEvents = 4
)

// KickHere is Kick for whoever lends the node its own goroutine: a node that is declared
// inline, has begun and keeps its word takes its events before KickHere returns. Any other,
// one of which the runs are counted, and what is more than a few events, goes to the pool.
func (i *Instance) KickHere() {
	if !i.inline.Load() || !i.work.CompareAndSwap(workIdle, workHere) {
		i.Kick()
		return
	}
	for events := 0; events < inlineEvents; {
		for i.nextHook() {
		}
		if i.nextEvent() {
			events++
			continue
		}
		if i.work.CompareAndSwap(workHere, workIdle) {
			return
		}
		i.work.Store(workHere)
	}
	i.work.Store(workBusy)
	i.worker.Launch()
	if i.hooked() {
		i.worker.Urge()
	}
}

// Inline says that its events run on the goroutine of whoever kicks it by KickHere.
func (i *Instance) Inline() bool { return i.inline.Load() }

// allowInline is said when the node has begun: Init and Start may take their time and are
// the pool's.
func (i *Instance) allowInline() {
	if i.settings.Node.Declaration().Inline && !i.settings.Exec.Virtual() && !i.worker.Counts() {
		i.inline.Store(true)
	}
}

// judgeInline holds an inline node to what its declaration promises.
func (i *Instance) judgeInline(took timebase.Span) {
	if !i.inline.Load() {
		return
	}
	if took <= timebase.Span(InlineMost) {
		i.slow = 0
		return
	}
	if i.slow++; i.slow >= inlineStrikes {
		i.inline.Store(false)
		i.context.Telemetry.Count("node_inline_revoked", 1)
	}
}

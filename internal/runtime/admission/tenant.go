// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// tenant is what a host knows of one tenant; what is not a number of the present is of the
// last minute.
type tenant struct {
	name   string
	quotas gate.Quotas

	sessions, calls     atomic.Int64
	begun               window // sessions that were let in
	turns, tokens       window
	samples, characters window       // given to recognisers and to synthesisers
	used                atomic.Int64 // when it was seen last
	starts, turnings    tally
}

// meter is what one session used; audio and characters since it began.
type meter struct {
	turns, tokens              window
	samples, characters, calls atomic.Int64
}

func (t *tenant) seen(at timebase.Instant) { t.used.Store(int64(at)) }

// idle says that nothing of the tenant counts any more.
func (t *tenant) idle(at timebase.Instant) bool {
	return t.sessions.Load() == 0 && at.Sub(timebase.Instant(t.used.Load())) > windowSpan
}

// put writes the tenant's counts.
func (t *tenant) put(c *gate.Counts, at timebase.Instant) {
	*c.At(gate.ScopeTenant, gate.ConcurrentSessions) = t.sessions.Load()
	*c.At(gate.ScopeTenant, gate.SessionsPerMinute) = t.begun.sum(at)
	*c.At(gate.ScopeTenant, gate.TurnsPerMinute) = t.turns.sum(at)
	*c.At(gate.ScopeTenant, gate.TokensPerMinute) = t.tokens.sum(at)
	*c.At(gate.ScopeTenant, gate.AudioSeconds) = t.samples.sum(at) / timebase.SampleRate
	*c.At(gate.ScopeTenant, gate.TTSCharacters) = t.characters.sum(at)
	*c.At(gate.ScopeTenant, gate.ProviderConcurrency) = t.calls.Load()
}

// put writes a session's counts.
func (m *meter) put(c *gate.Counts, at timebase.Instant) {
	*c.At(gate.ScopeSession, gate.TurnsPerMinute) = m.turns.sum(at)
	*c.At(gate.ScopeSession, gate.TokensPerMinute) = m.tokens.sum(at)
	*c.At(gate.ScopeSession, gate.AudioSeconds) = m.samples.Load() / timebase.SampleRate
	*c.At(gate.ScopeSession, gate.TTSCharacters) = m.characters.Load()
	*c.At(gate.ScopeSession, gate.ProviderConcurrency) = m.calls.Load()
}

// Outcomes counts decisions by what they came to.
type Outcomes struct {
	Admitted, Degraded, Deferred, Rejected int64
	// Reasons counts those that were not admitted as they came, by reason.
	Reasons map[string]int64
}

// tally counts decisions. Decisions are a few a turn; a lock is no cost.
type tally struct {
	mu  sync.Mutex
	sum Outcomes
}

func (t *tally) add(outcome controlplane.OutcomeKind, reason string, degraded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case outcome == controlplane.OutcomeReject:
		t.sum.Rejected++
	case outcome == controlplane.OutcomeDefer:
		t.sum.Deferred++
	case degraded:
		t.sum.Degraded++
	default:
		t.sum.Admitted++
		return
	}
	if t.sum.Reasons == nil {
		t.sum.Reasons = map[string]int64{}
	}
	if _, known := t.sum.Reasons[reason]; !known && len(t.sum.Reasons) >= maxReasons {
		reason = "other"
	}
	t.sum.Reasons[reason]++
}

// maxReasons bounds the reasons that are told apart. Those of package gate are some
// thirty; the control plane may have its own.
const maxReasons = 64

func (t *tally) get() Outcomes {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.sum
	sum.Reasons = maps.Clone(sum.Reasons)
	return sum
}

// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// host is the machine that the session runs on: what it bounds, what it counted, and how
// overloaded it is.
type host struct {
	quotas []session.Quota
	counts [gate.Reported]int64
	ladder gate.Ladder
	share  int64 // of the processors that is in use, in per mille
	defect hostDefect
}

// hostDefect is what tests break on purpose.
type hostDefect uint8

const (
	hasty hostDefect = 1 + iota // a level is told that the pressure does not ask for
)

// sampleEvery is how often the host measures its pressure.
const sampleEvery = 500

// quotaChoices are limits that the world bounds, with the point that asks about them.
func quotaChoices() [7]struct {
	scope gate.Scope
	limit gate.Limit
} {
	return [...]struct {
		scope gate.Scope
		limit gate.Limit
	}{
		{gate.ScopeTenant, gate.ConcurrentSessions},
		{gate.ScopeTenant, gate.SessionsPerMinute},
		{gate.ScopeTenant, gate.TurnsPerMinute},
		{gate.ScopeTenant, gate.TokensPerMinute},
		{gate.ScopeSession, gate.AudioSeconds},
		{gate.ScopeSession, gate.TTSCharacters},
		{gate.ScopeSession, gate.ProviderConcurrency},
	}
}

// drawQuotas bounds the session, where a fault is to exhaust what it has.
func (w *world) drawQuotas() {
	h := &w.host
	*h = host{quotas: h.quotas[:0], ladder: gate.NewLadder(gate.LadderConfig{}), defect: h.defect}
	if !w.faults.Has(LoadQuota) && !w.faults.Has(LoadHeadroom) {
		return
	}
	r := &w.random
	for _, c := range quotaChoices() {
		if !r.Chance(1, 3) {
			continue
		}
		q := gate.Quota{Scope: c.scope, Limit: c.limit, Max: r.Between(2, 20)}
		q.Action = [...]gate.Action{"", gate.ActionReject, gate.ActionDefer, gate.ActionThrottle, gate.ActionDegrade}[r.Below(5)]
		if w.faults.Has(LoadHeadroom) && q.Action != gate.ActionDegrade {
			q.HeadroomPerMille = r.Between(0, 800)
		}
		h.quotas = append(h.quotas, session.Quota{Quota: q})
	}
}

// ask puts in front of the bootstrap what the host has to say of the session.
func (w *world) ask() {
	for i := range w.host.quotas {
		w.add(&w.host.quotas[i])
	}
	if len(w.host.quotas) > 0 && w.random.Chance(1, 6) {
		w.use(LoadQuota)
	}
	if w.fault(LoadAdmissionRace, 6) { // the last slot was taken
		w.add(&session.Admission{Outcome: "defer", Reason: "capacity:max_sessions", RetryAfterMS: 5000})
	} else if w.random.Chance(1, 2) {
		w.add(&session.Admission{})
	}
}

// use reports what others have used meanwhile: of each limit all of it or nearly, or as
// good as nothing.
func (w *world) use(f Fault) {
	h := &w.host
	if len(h.quotas) == 0 || !w.faults.Has(f) {
		return
	}
	w.covered[f]++
	for i := range h.quotas {
		q := &h.quotas[i].Quota
		n := w.random.Below(2)
		switch {
		case f == LoadQuota && w.random.Chance(1, 3):
			n = q.Max + w.random.Below(3)
		case f == LoadHeadroom && w.random.Chance(1, 2):
			n = max(q.Max-q.Max*max(q.HeadroomPerMille, 100)/1000-w.random.Below(2), 0)
		}
		if c := countOf(q); c >= 0 {
			h.counts[c] = n
		}
	}
	w.sayUsage()
}

func (w *world) sayUsage() {
	u := w.pool.usages.get()
	u.Counts = w.host.counts
	w.add(u)
}

// relieve takes the host's troubles away.
func (w *world) relieve() {
	h := &w.host
	if len(h.quotas) > 0 {
		h.counts = [gate.Reported]int64{}
		w.sayUsage()
	}
	if h.ladder.Level() > gate.LevelNone {
		h.ladder = gate.NewLadder(gate.LadderConfig{})
		w.sayLoad(gate.LevelNone, "eased")
	}
}

func (w *world) sayLoad(level gate.Level, reason string) {
	in := w.pool.loads.get()
	in.Level, in.Reason = level, reason
	w.add(in)
}

// pressure is the host measuring, and telling the session of another level.
func (w *world) pressure(e *event) {
	if w.calm || w.phase != talking {
		return
	}
	w.after(e.at, sampleEvery, evPressure, 0, 0)
	h := &w.host
	if w.random.Chance(1, 12) {
		h.share = w.random.Between(300, 1050)
	}
	from := h.ladder.Level()
	level, reason, changed := h.ladder.Take(e.at, gate.Pressure{ProcessorPerMille: h.share})
	if h.defect == hasty && level == gate.LevelNone {
		level, changed = gate.LevelQueued, true
	}
	if !w.blind {
		w.watch.measured(e.at, h.share)
		if changed {
			w.watch.levelled(from, level)
		}
	}
	if changed {
		w.covered[LoadLevels]++
		w.sayLoad(level, reason)
	}
}

// startPressure begins the measuring, where the load is to change.
func (w *world) startPressure() {
	if w.faults.Has(LoadLevels) {
		w.host.share = w.random.Between(300, 1050)
		w.after(timebase.Instant(0), sampleEvery, evPressure, 0, 0)
	}
}

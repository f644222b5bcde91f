// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
)

// Gauges is what a host's own parts measure of the pressure on them: how late the frames
// left that went out since it was asked last (p99, in microseconds), and the fill of the
// execution pool's queue in per mille.
type Gauges interface {
	Pressure() (frameLatenessUS, poolQueuePerMille int64)
}

// ownGauges are those of a host for which no others were set.
type ownGauges struct {
	lateness func() histogram.Snapshot
	before   histogram.Snapshot
	// poolFill is how full the execution pool's queue is, in per mille; nil = it has none.
	poolFill func() int64
}

// Pressure gives the p99 of the frames since it was asked last: 0 when there were none.
func (g *ownGauges) Pressure() (frameLatenessUS, poolQueuePerMille int64) {
	all := g.lateness()
	frameLatenessUS = all.Since(g.before).Quantile(990) / 1000
	g.before = all
	if g.poolFill != nil {
		poolQueuePerMille = g.poolFill()
	}
	return frameLatenessUS, poolQueuePerMille
}

// gauges are what the host goes by.
func (h *Host) gauges() Gauges {
	if h.config.Gauges != nil {
		return h.config.Gauges
	}
	return &ownGauges{lateness: h.frameLateness, poolFill: h.pool.QueuePerMille}
}

// sampleEvery is how often an adaptive host measures. It is coarse on purpose: what is
// shed must not cost more than what it saves.
const sampleEvery = 250 * time.Millisecond

// barometer measures the pressure on a host between two samples. One goroutine uses it.
type barometer struct {
	gauges     Gauges // nil = nothing is measured there
	processors int64  // 0 = the processor time is not known
	spent      func() time.Duration
	limit      int64 // of memory, in bytes; 0 = none
	memory     []metrics.Sample

	at   timebase.Instant
	busy timebase.Span
	read bool
}

func newBarometer(c *Config) *barometer {
	b := &barometer{gauges: c.Gauges, spent: c.ProcessorTime, processors: int64(runtime.GOMAXPROCS(0)), limit: c.MemoryLimit}
	if b.spent == nil {
		b.spent = func() time.Duration { d, _ := processorTime(); return d }
		if _, known := processorTime(); !known {
			b.processors = 0
		}
	}
	if b.limit == 0 {
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 { // asks, and changes nothing
			b.limit = limit
		}
	}
	b.memory = []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	return b
}

// sample measures, and gives the processor time spent so far beside it.
func (b *barometer) sample(at timebase.Instant) (p gate.Pressure, busy timebase.Span) {
	if b.gauges != nil {
		p.FrameLatenessUS, p.PoolQueuePerMille = b.gauges.Pressure()
	}
	if b.limit > 0 {
		metrics.Read(b.memory)
		p.MemoryPerMille = perMille(int64(b.memory[0].Value.Uint64()-b.memory[1].Value.Uint64()), b.limit)
	}
	if b.processors == 0 {
		return p, 0
	}
	busy = timebase.Span(b.spent())
	if elapsed := int64(at.Sub(b.at)); b.read && elapsed > 0 {
		p.ProcessorPerMille = perMille(int64(busy-b.busy), b.processors*elapsed)
	}
	b.at, b.busy, b.read = at, busy, true
	return p, busy
}

// perMille is part of whole; neither is near the end of 64 bits.
func perMille(part, whole int64) int64 { return max(part, 0) / max(whole/1000, 1) }

// watch measures until the host closes, and tells sessions of another level when there is
// one.
func (h *Host) watch() {
	barometer := newBarometer(&h.config)
	barometer.gauges = h.gauges()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.closing.Done():
			return
		case <-tick.C:
			at := h.clock()
			pressure, busy := barometer.sample(at)
			if level, reason, changed := h.desk.Sample(at, pressure, busy); changed {
				h.tell(&session.Load{Level: level, Reason: reason})
			}
		}
	}
}

// tell lets every session know a new level. Those whose transport is being bound hear of it
// when it is.
func (h *Host) tell(load *session.Load) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.load = load
	for _, x := range h.sessions {
		if x.open.Load() {
			x.post(load)
		}
	}
}

// tellNew lets a session that has just been opened know the level, if there is one.
func (h *Host) tellNew(x *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.load != nil && h.load.Level > gate.LevelNone {
		x.post(h.load)
	}
}

// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// SlotConfig is how many sessions a host takes. The zero value of each field is its
// default.
type SlotConfig struct {
	// MaxSessions is the most sessions there may be; 0 = only what is estimated counts.
	MaxSessions int64
	// Processors is how many the process may use, where the capacity is to be estimated
	// from what sessions cost; 0 = it is MaxSessions.
	Processors int64
	// TargetPerMille is the share of the processors that sessions may come to use; 0 = 450. More
	// than that keeps them busy, and no frame on time: at 700 the p99 of lateness was 6 to 11 ms
	// on two processors, at 450 it was 1 ms.
	TargetPerMille int64
	// Burst is how many sessions may begin while nothing is known of what they cost;
	// later as many may be new at a time as have shown it.
	Burst int64
	// WindowMS is the length of one measurement, SettleMS the age at which a session has
	// shown what it costs.
	WindowMS, SettleMS int64
}

func (c SlotConfig) withDefaults() SlotConfig {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&c.TargetPerMille, 450)
	set(&c.Burst, 2*max(c.Processors, 1))
	set(&c.WindowMS, 1000)
	set(&c.SettleMS, 5000)
	return c
}

// maxYoung bounds the windows in which a session is young.
const maxYoung = 64

// MaxSlots is the most sessions that can be configured.
const MaxSlots = 1_000_000

// Validate reports every fault at once, each a LoadError.
func (c SlotConfig) Validate() error {
	c = c.withDefaults()
	var faults []error
	for _, f := range [...]struct {
		name        string
		v, low, top int64
	}{
		{"capacity.max_sessions", c.MaxSessions, 0, MaxSlots},
		{"capacity.processors", c.Processors, 0, 1 << 16},
		{"capacity.target_per_mille", c.TargetPerMille, 1, 1000},
		{"capacity.burst", c.Burst, 1, MaxSlots},
		{"capacity.window_ms", c.WindowMS, 1, maxLoadSetting},
		{"capacity.settle_ms", c.SettleMS, 1, maxLoadSetting},
	} {
		if f.v < f.low || f.v > f.top {
			faults = append(faults, &LoadError{Field: f.name, Value: fmt.Sprint(f.v), Want: fmt.Sprintf("a whole number from %d to %d, or 0 for the default", f.low, f.top)})
		}
	}
	if c.MaxSessions == 0 && c.Processors == 0 {
		faults = append(faults, &LoadError{Field: "capacity.max_sessions", Value: "0", Want: "a number, or the processors to estimate one: without either there is no bound"})
	}
	if c.WindowMS > 0 && c.SettleMS/c.WindowMS >= maxYoung-1 {
		faults = append(faults, &LoadError{Field: "capacity.settle_ms", Value: fmt.Sprint(c.SettleMS), Want: fmt.Sprintf("less than %d windows", maxYoung-1)})
	}
	return errors.Join(faults...)
}

// Slots counts the sessions of a host against its capacity, so that a burst of arrivals
// cannot overshoot before its load shows. Where the capacity is not just configured, it is
// estimated from the processor time that a second of a session costs, as the worse of a
// short and a long average; and as long as sessions are young, which is before they have
// shown what they cost, only as many more are let in as have. Make one with NewSlots.
type Slots struct {
	config SlotConfig
	open   int64
	young  [maxYoung]int64 // sessions by the window in which they began
	window int64           // number of the present window

	at    timebase.Instant // up to which session time is counted
	time  int64            // session time since the last measurement, in microseconds
	from  timebase.Instant // of the measurement under way
	busy  timebase.Span    // processor time when it began
	known bool             // busy was told once
	short average
	long  average
}

// average is processor time a session time, both decaying; the unit is nanoseconds a
// second of a session.
type average struct{ busyNS, timeUS int64 }

// decay is by which part an average forgets with each measurement.
func (a *average) add(busyNS, timeUS, decay int64) {
	a.busyNS += busyNS - a.busyNS/decay
	a.timeUS += timeUS - a.timeUS/decay
}

// perSecond gives the average, 0 = nothing was measured.
func (a *average) perSecond() int64 {
	if a.timeUS == 0 {
		return 0
	}
	return max(a.busyNS/max(a.timeUS/1000, 1)*1000, 1)
}

// NewSlots makes slots of which none is taken. The configuration is valid.
func NewSlots(c SlotConfig) Slots { return Slots{config: c.withDefaults()} }

// Open counts the sessions that hold a slot.
func (s *Slots) Open() int64 { return s.open }

// Ticket is what a session holds of its slot.
type Ticket int64

// Enter takes a slot. Whether there was one is Verdict's to say.
func (s *Slots) Enter(at timebase.Instant) Ticket {
	s.advance(at)
	s.open++
	s.young[s.window%maxYoung]++
	return Ticket(s.window)
}

// Leave gives a slot back.
func (s *Slots) Leave(at timebase.Instant, t Ticket) {
	s.advance(at)
	s.open--
	if s.window-int64(t) < s.youth() {
		s.young[int64(t)%maxYoung]--
	}
}

// youth is for how many windows a session counts as young: the whole of SettleMS, and the
// window in which it began.
func (s *Slots) youth() int64 { return (s.config.SettleMS+s.config.WindowMS-1)/s.config.WindowMS + 1 }

// advance counts session time up to an instant and lets windows pass.
func (s *Slots) advance(at timebase.Instant) {
	if at <= s.at {
		return
	}
	s.time += s.open * (int64(at.Sub(s.at)) / int64(timebase.Microsecond))
	s.at = at
	window := int64(at) / int64(timebase.MS(s.config.WindowMS))
	for n := min(window-s.window, maxYoung); n > 0; n-- {
		s.young[(window-n+1)%maxYoung] = 0
	}
	s.window = max(s.window, window)
}

// Young counts the sessions that have not shown what they cost.
func (s *Slots) Young() int64 {
	sum := int64(0)
	for n := range s.youth() {
		if w := s.window - n; w >= 0 {
			sum += s.young[w%maxYoung]
		}
	}
	return sum
}

// Measure takes the processor time of the process so far, and whether frames leave late. It
// measures once a window, however often it is called. Where frames are late, work waits that
// is not paid for yet, because others took the processors or there are not enough of them:
// then a session only seems to cost less, and only what it costs more counts.
func (s *Slots) Measure(at timebase.Instant, busy timebase.Span, late bool) {
	s.advance(at)
	if s.known && at.Sub(s.from) < timebase.MS(s.config.WindowMS) {
		return
	}
	spent, time, known := int64(max(busy-s.busy, 0)), s.time, s.known
	s.from, s.busy, s.time, s.known = at, busy, 0, true
	if !known || time == 0 {
		return
	}
	young, cost := s.Young(), s.Cost()
	less := spent/max(time/1000, 1)*1000 < cost
	switch {
	case late && less:
		return
	case cost == 0 && 2*young > s.open: // not enough sessions have shown what they cost
		return
	case 8*young > s.open && less: // the new ones thin it out
		return
	}
	s.short.add(spent, time, 2)
	s.long.add(spent, time, 16)
}

// Cost is the processor time that a second of a session costs, in nanoseconds; 0 = not
// known.
func (s *Slots) Cost() int64 { return max(s.short.perSecond(), s.long.perSecond()) }

// Capacity is how many sessions the host can carry, as far as that is known.
func (s *Slots) Capacity() int64 { return min(s.most(), s.carried()) }

// most is what is configured.
func (s *Slots) most() int64 {
	if s.config.MaxSessions > 0 {
		return s.config.MaxSessions
	}
	return MaxSlots
}

// carried is what the processors can carry, MaxSlots while it is not known. One session is
// always let in: what it costs cannot be known otherwise.
func (s *Slots) carried() int64 {
	cost := s.Cost()
	if cost == 0 || s.config.Processors == 0 {
		return MaxSlots
	}
	share := s.config.Processors * s.config.TargetPerMille * (int64(timebase.Second) / 1000)
	return min(max(share/cost, 1), MaxSlots)
}

// Reasons of a refusal for want of a slot, and after how long to come again: when the
// sessions of before have shown what they cost, or when one of them may have ended
// (decided here).
const (
	reasonFull      = "capacity:max_sessions"
	reasonBusy      = "capacity:processors"
	reasonSlowStart = "capacity:slow_start"
	fullRetryMS     = 5000
)

// Verdict says whether one more session may come in.
func (s *Slots) Verdict(at timebase.Instant) Verdict {
	s.advance(at)
	capacity := s.Capacity()
	v := Verdict{Outcome: controlplane.OutcomeDefer, Used: s.open, Max: capacity, RetryAfterMS: fullRetryMS}
	if s.open >= capacity {
		v.Reason = reasonBusy
		if s.open >= s.most() {
			v.Reason = reasonFull
		}
		return v
	}
	if s.config.Processors == 0 {
		return Verdict{}
	}
	young := s.Young()
	allowed := s.config.Burst
	if s.Cost() > 0 {
		allowed = max(allowed, s.open-young)
	}
	if young >= allowed {
		v.Reason, v.Used, v.Max, v.RetryAfterMS = reasonSlowStart, young, allowed, s.config.WindowMS
		return v
	}
	return Verdict{}
}

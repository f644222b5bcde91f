// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Pressure is what a host measured at one instant. What is not measured is 0.
type Pressure struct {
	FrameLatenessUS   int64 // p99 of how late frames leave, in microseconds
	PoolQueuePerMille int64 // fill of the execution pool's queue
	ProcessorPerMille int64 // of the processors, spent by this process
	MemoryPerMille    int64 // of the configured limit
	SessionsPerMille  int64 // of the capacity
}

const gaugeCount = 5

// gauges lists the pressure in a fixed order, with the names under which reasons speak of
// it.
func (p *Pressure) gauges() [gaugeCount]int64 {
	return [...]int64{p.FrameLatenessUS, p.PoolQueuePerMille, p.ProcessorPerMille, p.MemoryPerMille, p.SessionsPerMille}
}

func gaugeNames() [gaugeCount]string {
	return [...]string{"frame_lateness", "pool_queue", "processor", "memory", "sessions"}
}

// Steps are the values of a gauge from which on it asks for levels 1 to 4.
type Steps [LevelLowPriority]int64

// LadderConfig is how pressure becomes a level. The zero value of each field is its
// default.
type LadderConfig struct {
	FrameLatenessUS   Steps
	PoolQueuePerMille Steps
	ProcessorPerMille Steps
	MemoryPerMille    Steps
	SessionsPerMille  Steps
	// EasePerMille is the share of a step below which the gauge has let go of it.
	EasePerMille int64
	// RiseMS is how long a higher level must be asked for before it is taken, FallMS how
	// long a level must not be asked for before the next lower one is.
	RiseMS, FallMS int64
}

// The defaults (decided here). A frame lasts 20 ms: one that is later than that was
// heard. Sessions beyond the capacity mean that it has shrunk under them; a host that is
// full is not overloaded.
func (c LadderConfig) withDefaults() LadderConfig {
	steps := func(s *Steps, def Steps) {
		if *s == (Steps{}) {
			*s = def
		}
	}
	steps(&c.FrameLatenessUS, Steps{5000, 10000, 20000, 40000})
	steps(&c.PoolQueuePerMille, Steps{500, 750, 900, 1000})
	steps(&c.ProcessorPerMille, Steps{800, 900, 950, 990})
	steps(&c.MemoryPerMille, Steps{800, 900, 950, 980})
	steps(&c.SessionsPerMille, Steps{1050, 1150, 1250, 1400})
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&c.EasePerMille, 800)
	set(&c.RiseMS, 500)
	set(&c.FallMS, 3000)
	return c
}

func (c *LadderConfig) gauges() [gaugeCount]*Steps {
	return [...]*Steps{&c.FrameLatenessUS, &c.PoolQueuePerMille, &c.ProcessorPerMille, &c.MemoryPerMille, &c.SessionsPerMille}
}

// LoadError names a value of an overload or capacity configuration that cannot be used.
type LoadError struct {
	Field string
	Value string
	Want  string
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("gate: %s is %s: give %s", e.Field, e.Value, e.Want)
}

// maxLoadSetting bounds steps and times: an hour in milliseconds, a second in microseconds.
const maxLoadSetting = 3_600_000

// Validate reports every fault at once, each a LoadError.
func (c LadderConfig) Validate() error {
	c = c.withDefaults()
	var faults []error
	names := gaugeNames()
	for i, steps := range c.gauges() {
		for n, v := range steps {
			if v < 1 || v > maxLoadSetting || n > 0 && v < steps[n-1] {
				faults = append(faults, &LoadError{
					Field: "ladder." + names[i], Value: fmt.Sprint(*steps),
					Want: fmt.Sprintf("four steps from 1 to %d, none below the one before it", maxLoadSetting),
				})
				break
			}
		}
	}
	for _, f := range [...]struct {
		name   string
		v, top int64
	}{{"ladder.ease_per_mille", c.EasePerMille, 1000}, {"ladder.rise_ms", c.RiseMS, maxLoadSetting}, {"ladder.fall_ms", c.FallMS, maxLoadSetting}} {
		if f.v < 1 || f.v > f.top {
			faults = append(faults, &LoadError{Field: f.name, Value: fmt.Sprint(f.v), Want: fmt.Sprintf("a whole number from 1 to %d, or 0 for the default", f.top)})
		}
	}
	return errors.Join(faults...)
}

// Ladder turns measured pressure into a level, with hysteresis in value and in time: a
// level is taken when it was asked for all through RiseMS, and left for the next lower
// one when it was not asked for all through FallMS. Make one with NewLadder.
type Ladder struct {
	config  LadderConfig
	level   Level
	rising  Level            // asked for all the time since
	since   timebase.Instant // of rising, Never = nothing higher is asked for
	easy    timebase.Instant // since when the level is not asked for, Never = it is
	holding string           // the gauge that asks for the most
}

// NewLadder makes a ladder at LevelNone. The configuration is valid.
func NewLadder(c LadderConfig) Ladder {
	return Ladder{config: c.withDefaults(), since: timebase.Never, easy: timebase.Never}
}

// Level gives the level in force.
func (l *Ladder) Level() Level { return l.level }

// Late says that frames leave so late that the first level is asked for.
func (l *Ladder) Late(p *Pressure) bool { return p.FrameLatenessUS >= l.config.FrameLatenessUS[0] }

// Verdict says whether the level lets a new session in. Who is deferred may come again
// when the level can have fallen.
func (l *Ladder) Verdict() Verdict {
	if !l.level.Sheds(WorkNewSession) {
		return Verdict{}
	}
	return Verdict{Outcome: controlplane.OutcomeDefer, Reason: WorkNewSession.Reason(), RetryAfterMS: l.config.FallMS}
}

// Take takes a measurement and gives the level, the reason for it, and whether it is
// another one than before. The reason of a rise is the gauge that asks for the most; of a
// fall it is "eased". Instants do not go back.
func (l *Ladder) Take(at timebase.Instant, p Pressure) (level Level, reason string, changed bool) {
	asked, kept := l.asked(&p)
	if asked > l.level {
		if l.since == timebase.Never {
			l.since, l.rising = at, asked
		}
		l.rising = min(l.rising, asked)
		l.easy = timebase.Never
		if at.Sub(l.since) >= timebase.MS(l.config.RiseMS) {
			l.level, l.since = l.rising, timebase.Never
			return l.level, l.holding, true
		}
		return l.level, l.holding, false
	}
	l.since = timebase.Never
	if kept >= l.level {
		l.easy = timebase.Never
		return l.level, l.holding, false
	}
	if l.easy == timebase.Never {
		l.easy = at
	}
	if at.Sub(l.easy) < timebase.MS(l.config.FallMS) {
		return l.level, l.holding, false
	}
	l.level--
	l.easy = at
	return l.level, "eased", true
}

// asked gives the level that the pressure asks for, and the one that it does not let go
// of yet.
func (l *Ladder) asked(p *Pressure) (asked, kept Level) {
	values, names := p.gauges(), gaugeNames()
	top := Level(0)
	l.holding = "none"
	for i, steps := range l.config.gauges() {
		for n, step := range steps {
			level := Level(n + 1)
			if values[i] >= step {
				asked = max(asked, level)
			}
			if values[i] > 0 && values[i]*1000 >= step*l.config.EasePerMille {
				kept = max(kept, level)
				if level > top {
					top, l.holding = level, names[i]
				}
			}
		}
	}
	return asked, kept
}

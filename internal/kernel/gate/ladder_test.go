// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"
	"testing"

	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/internal/kernel/timebase"
)

// Flow section 7, "Overload order": telemetry first, then queued proposals, then new
// sessions, then low-priority work; live turns and control last, which is never.
func TestLevelsShedInOrder(t *testing.T) {
	order := []Work{WorkTelemetry, WorkQueuedProposal, WorkNewSession, WorkLowPriority}
	for level := LevelNone; level <= LevelLowPriority; level++ {
		for i, w := range order {
			if got, want := level.Sheds(w), int(level) > i; got != want {
				t.Errorf("level %d sheds %s: %v", level, w, got)
			}
			if level > LevelNone && (level - 1).Sheds(w) && !level.Sheds(w) {
				t.Errorf("level %d spares %s, which level %d sheds", level, w, level-1)
			}
		}
		if level.Sheds(WorkLiveTurn) || level.Sheds(WorkControl) {
			t.Errorf("level %d touches live turns or control", level)
		}
	}
	for _, w := range append(order, WorkLiveTurn, WorkControl) {
		if w.Reason() != "overload:"+w.String() || w.String() == "" {
			t.Errorf("work %d has the reason %q", w, w.Reason())
		}
	}
}

// sampled takes one gauge's series, a sample every 250 ms, and gives the levels after each.
func sampled(l *Ladder, from int64, series []int64) string {
	var out strings.Builder
	for i, v := range series {
		level, _, _ := l.Take(ms(from+int64(i)*250), Pressure{ProcessorPerMille: v})
		out.WriteByte('0' + byte(level))
	}
	return out.String()
}

func repeat(v int64, n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = v
	}
	return list
}

// Hysteresis in value and in time. One sample is 250 ms; a level is taken after 500 ms
// and left after 3 s.
func TestLadder(t *testing.T) {
	for name, row := range map[string]struct {
		series []int64
		want   string
	}{
		"nothing":                            {repeat(799, 8), "00000000"},
		"a spike":                            {[]int64{990, 100, 990, 990, 100, 100}, "000000"},
		"a rise":                             {repeat(800, 4), "0011"},
		"straight to what is asked for":      {repeat(950, 4), "0033"},
		"the least that was asked for":       {[]int64{990, 900, 990, 990, 990, 990}, "002224"},
		"a rise within a rise":               {[]int64{800, 800, 800, 990, 990, 990}, "001114"},
		"what eases is not left at once":     {append(repeat(800, 3), repeat(639, 14)...), "00111111111111100"},
		"what does not ease enough stays":    {append(repeat(800, 3), repeat(640, 16)...), "0011111111111111111"},
		"a breath on the way starts anew":    {append(append(repeat(800, 3), repeat(100, 8)...), append([]int64{700}, repeat(100, 14)...)...), "00111111111111111111111100"},
		"down one by one":                    {append(repeat(990, 3), repeat(0, 38)...), "00444444444444433333333333322222222222211"},
		"an eased level keeps what it sheds": {append(repeat(950, 3), repeat(740, 20)...), "00333333333333322222222"},
	} {
		l := NewLadder(LadderConfig{})
		if got := sampled(&l, 1000, row.series); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, row.want)
		}
	}
}

// Every gauge can ask for every level, and the reason says which one does.
func TestLadderGauges(t *testing.T) {
	for i, name := range gaugeNames() {
		c := LadderConfig{}.withDefaults()
		for level := LevelTelemetry; level <= LevelLowPriority; level++ {
			step := c.gauges()[i][level-1]
			var p Pressure
			*[]*int64{&p.FrameLatenessUS, &p.PoolQueuePerMille, &p.ProcessorPerMille, &p.MemoryPerMille, &p.SessionsPerMille}[i] = step
			l := NewLadder(LadderConfig{RiseMS: 1})
			l.Take(ms(10), p)
			got, reason, changed := l.Take(ms(11), p)
			if got < level || reason != name || !changed {
				t.Errorf("%s at %d: level %d, reason %q, changed %v; want at least %d", name, step, got, reason, changed, level)
			}
			if got > level && c.gauges()[i][got-1] != step {
				t.Errorf("%s at %d: level %d is above its step", name, step, got)
			}
			if _, reason, changed = l.Take(ms(12), p); changed || reason != name {
				t.Errorf("%s: it changes twice, or forgets its reason: %q", name, reason)
			}
		}
	}
	l := NewLadder(LadderConfig{FallMS: 1, RiseMS: 1})
	l.Take(ms(1), Pressure{MemoryPerMille: 990})
	l.Take(ms(2), Pressure{MemoryPerMille: 990})
	l.Take(ms(3), Pressure{})
	if level, reason, changed := l.Take(ms(4), Pressure{}); level != LevelNewSessions || reason != "eased" || !changed {
		t.Errorf("a fall is told as level %d, %q, %v", level, reason, changed)
	}
}

// Level 3 refuses new sessions, and not before.
func TestLadderVerdict(t *testing.T) {
	l := NewLadder(LadderConfig{RiseMS: 1, FallMS: 700})
	for _, row := range []struct {
		pressure int64
		want     Verdict
	}{
		{0, Verdict{}},
		{900, Verdict{}},
		{950, Verdict{Outcome: controlplane.OutcomeDefer, Reason: "overload:new_sessions", RetryAfterMS: 700}},
		{1000, Verdict{Outcome: controlplane.OutcomeDefer, Reason: "overload:new_sessions", RetryAfterMS: 700}},
	} {
		l.Take(ms(row.pressure), Pressure{ProcessorPerMille: row.pressure})
		l.Take(ms(row.pressure+1), Pressure{ProcessorPerMille: row.pressure})
		if got := l.Verdict(); got != row.want {
			t.Errorf("at %d per mille: %+v, want %+v", row.pressure, got, row.want)
		}
	}
}

// For any series: a level is taken only when every sample of RiseMS asked for it, left
// only for the next lower one and only when no sample of FallMS held it; and the same
// series gives the same levels.
func TestLadderProperties(t *testing.T) {
	r := timebase.NewRandom(3)
	changes := 0
	for range 2_000 {
		l, again := NewLadder(LadderConfig{}), NewLadder(LadderConfig{})
		c := LadderConfig{}.withDefaults()
		type sample struct {
			at          timebase.Instant
			asked, kept Level
		}
		var past []sample
		at, value := timebase.Instant(0), int64(500)
		for range 120 {
			at = at.Add(timebase.MS(r.Between(200, 400)))
			if r.Chance(1, 6) {
				value = r.Between(0, 1000)
			}
			s := sample{at: at}
			for n, step := range c.ProcessorPerMille {
				if value >= step {
					s.asked = Level(n + 1)
				}
				if value*1000 >= step*c.EasePerMille {
					s.kept = Level(n + 1)
				}
			}
			past = append(past, s)
			before := l.Level()
			p := Pressure{ProcessorPerMille: value}
			level, reason, changed := l.Take(at, p)
			if other, _, _ := again.Take(at, p); other != level {
				t.Fatal("the same series gives another level")
			}
			if changed != (level != before) || reason == "" {
				t.Fatalf("level %d after %d, changed %v, reason %q", level, before, changed, reason)
			}
			if !changed {
				continue
			}
			changes++
			dwell := c.RiseMS
			if level < before {
				dwell = c.FallMS
				if level != before-1 {
					t.Fatalf("level %d falls to %d", before, level)
				}
			}
			for i := len(past) - 1; i >= 0 && at.Sub(past[i].at) <= timebase.MS(dwell); i-- {
				if level > before && past[i].asked < level || level < before && past[i].kept >= before {
					t.Fatalf("from level %d to %d at %d: at %d it was asked for %d, kept %d", before, level, at.MS(), past[i].at.MS(), past[i].asked, past[i].kept)
				}
			}
		}
	}
	if changes < 2_000 {
		t.Errorf("only %d changes were looked at", changes)
	}
}

func TestLoadValidation(t *testing.T) {
	for name, row := range map[string]struct {
		err   error
		parts []string
	}{
		"steps that fall": {LadderConfig{ProcessorPerMille: Steps{900, 800, 950, 990}}.Validate(), []string{"ladder.processor is [900 800 950 990]", "none below the one before it"}},
		"half of steps":   {LadderConfig{MemoryPerMille: Steps{900}}.Validate(), []string{"ladder.memory"}},
		"negative":        {LadderConfig{FrameLatenessUS: Steps{-1, 1, 1, 1}, EasePerMille: -1, RiseMS: -2, FallMS: -3}.Validate(), []string{"ladder.frame_lateness", "ladder.ease_per_mille is -1", "ladder.rise_ms is -2", "ladder.fall_ms is -3"}},
		"ease past one":   {LadderConfig{EasePerMille: 1001}.Validate(), []string{"ladder.ease_per_mille is 1001: give a whole number from 1 to 1000"}},
		"no processors":   {SlotConfig{}.Validate(), []string{"capacity.max_sessions is 0", "processors"}},
		"slots": {
			SlotConfig{MaxSessions: -1, Processors: -1, TargetPerMille: 1001, Burst: -1, WindowMS: -1, SettleMS: -1}.Validate(),
			[]string{"capacity.max_sessions is -1", "capacity.processors", "capacity.target_per_mille is 1001", "capacity.burst", "capacity.window_ms", "capacity.settle_ms"},
		},
		"settles too long": {SlotConfig{MaxSessions: 1, WindowMS: 10, SettleMS: 630}.Validate(), []string{"capacity.settle_ms is 630: give less than 63 windows"}},
	} {
		for _, part := range row.parts {
			if row.err == nil || !strings.Contains(row.err.Error(), part) {
				t.Errorf("%s: %q is not in %v", name, part, row.err)
			}
		}
		if n := len(faultsOf(row.err, "")); n != len(row.parts) && name != "steps that fall" && name != "no processors" {
			t.Errorf("%s: %d faults, want %d: %v", name, n, len(row.parts), row.err)
		}
	}
	for _, good := range []error{
		LadderConfig{}.Validate(), SlotConfig{Processors: 2}.Validate(), SlotConfig{MaxSessions: 5}.Validate(),
		LadderConfig{PoolQueuePerMille: Steps{1, 1, 1, 1}}.Validate(),
	} {
		if good != nil {
			t.Error(good)
		}
	}
}

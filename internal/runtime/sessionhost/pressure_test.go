// SPDX-License-Identifier: Apache-2.0

package sessionhost

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
)

// gauged is a host's parts under a pressure that a test sets.
type gauged struct{ lateness, queue atomic.Int64 }

func (g *gauged) set(lateness, queue int64) *gauged {
	g.lateness.Store(lateness)
	g.queue.Store(queue)
	return g
}

func (g *gauged) Pressure() (frameLatenessUS, poolQueuePerMille int64) {
	return g.lateness.Load(), g.queue.Load()
}

// What a sample is made of: the parts' own gauges, the share of all processors since the
// sample before, the memory in use of the limit.
func TestBarometer(t *testing.T) {
	g := (&gauged{}).set(1234, 56)
	spent := time.Duration(0)
	b := newBarometer(&Config{Gauges: g, ProcessorTime: func() time.Duration { return spent }, MemoryLimit: 1 << 62})
	p, _ := b.sample(timebase.Instant(timebase.Second))
	if p != (gate.Pressure{FrameLatenessUS: 1234, PoolQueuePerMille: 56}) {
		t.Errorf("the first sample is %+v: there is none to compare with", p)
	}
	spent = time.Duration(b.processors) * 100 * time.Millisecond
	p, busy := b.sample(timebase.Instant(1250 * timebase.Millisecond))
	if p.ProcessorPerMille != 400 || busy != timebase.Span(spent) {
		t.Errorf("%d per mille, %d ns spent: want 100 ms of 250 on every processor", p.ProcessorPerMille, busy)
	}
	spent -= time.Millisecond // a clock that goes back
	if p, _ = b.sample(timebase.Instant(1500 * timebase.Millisecond)); p.ProcessorPerMille != 0 {
		t.Errorf("%d per mille of less than nothing", p.ProcessorPerMille)
	}
	b = newBarometer(&Config{MemoryLimit: 1000})
	if p, _ = b.sample(0); p.MemoryPerMille < 1000 || p.FrameLatenessUS != 0 {
		t.Errorf("a process in a thousand bytes is at %d per mille", p.MemoryPerMille)
	}
	b.processors = 0
	if _, busy = b.sample(1); busy != 0 {
		t.Error("processor time that is not known is told")
	}
}

// An adaptive host measures while it runs and no longer, and its gauges count.
func TestHostGoesByItsGauges(t *testing.T) {
	g := &gauged{}
	config := Config{Shards: 1, Adaptive: true, MaxSessions: 3, Gauges: g, ProcessorTime: func() time.Duration { return 0 }, MemoryLimit: 1 << 62}
	hostedBy(t, config, func(t *testing.T, h *Host) {
		for _, row := range []struct {
			lateness, queue int64
			want            gate.Level
		}{{0, 0, 0}, {6000, 0, 1}, {0, 760, 2}, {41_000, 760, 4}} {
			g.set(row.lateness, row.queue)
			time.Sleep(time.Second)
			synctest.Wait()
			if got := h.Admission().Level; got != row.want {
				t.Errorf("%+v: level %d", row, got)
			}
		}
	})
}

// Flow section 7, "Overload order", at the edges of a session: from level 1 on metrics are
// shed, at level 4 what lies beside the turn, and when the pressure goes they come back.
func TestOverloadAtTheEdges(t *testing.T) {
	g := &gauged{}
	config := Config{Shards: 1, Adaptive: true, MaxSessions: 3, Gauges: g, ProcessorTime: func() time.Duration { return 0 }, MemoryLimit: 1 << 62}
	hostedBy(t, config, func(t *testing.T, h *Host) {
		r := newRig("s1")
		r.settings.Metrics = func(*eventabi.Envelope) {}
		s := open(t, h, r)
		say := func() (metrics, sheds int) {
			before, told := r.log.count("deliver edge=telemetry"), r.log.count("emit shed", "overload:telemetry")
			for range 3 {
				s.Ingress().Text("tell me a story", "")
				time.Sleep(1500 * time.Millisecond)
			}
			synctest.Wait()
			return r.log.count("deliver edge=telemetry") - before, r.log.count("emit shed", "overload:telemetry") - told
		}
		if metrics, sheds := say(); metrics == 0 || sheds != 0 {
			t.Errorf("without pressure %d metrics, shed %d times\n%s", metrics, sheds, r.log)
		}
		g.set(6000, 0)
		time.Sleep(time.Second)
		if metrics, sheds := say(); metrics != 0 || sheds != 1 {
			t.Errorf("at level 1 %d metrics, shed %d times\n%s", metrics, sheds, r.log)
		}
		inOrder(t, r.log, "load level=1 reason=frame_lateness", "reason=overload:telemetry",
			"decide outcome=shed phase=scheduling_point scope=edge_enqueue")
		if r.log.count("emit turn_open") != 6 {
			t.Errorf("live turns were touched\n%s", r.log)
		}
		g.set(0, 0)
		time.Sleep(4 * time.Second)
		if metrics, sheds := say(); metrics == 0 || sheds != 0 {
			t.Errorf("after the pressure %d metrics, shed %d times\n%s", metrics, sheds, r.log)
		}
	})
}

// Where the capacity is estimated: as many processors as the process may use, and the
// default bound above it.
func TestCapacityOfAHost(t *testing.T) {
	for name, row := range map[string]struct {
		config    Config
		most      int64
		estimated bool
	}{
		"neither":    {Config{}, DefaultMaxSessions, false},
		"configured": {Config{MaxSessions: 7, Adaptive: true}, 7, false},
		"estimated":  {Config{Adaptive: true, ProcessorTime: func() time.Duration { return 0 }}, DefaultMaxSessions, true},
	} {
		slots := row.config.admission().Slots
		if slots.MaxSessions != row.most || (slots.Processors > 0) != row.estimated {
			t.Errorf("%s: %+v", name, slots)
		}
	}
}

// Without gauges of others a host goes by its own: the frames that left late since the last
// sample, and not those of before.
func TestOwnGauges(t *testing.T) {
	var frames histogram.Histogram
	fill := int64(0)
	g := &ownGauges{lateness: frames.Snapshot, poolFill: func() int64 { return fill }}
	if late, queue := g.Pressure(); late != 0 || queue != 0 {
		t.Errorf("%d us late, %d per mille of nothing", late, queue)
	}
	for i := range int64(100) {
		frames.Record(i / 99 * int64(40*time.Millisecond)) // the last alone is late
	}
	for range 100 {
		frames.Record(int64(8 * time.Millisecond))
	}
	fill = 300
	if late, queue := g.Pressure(); late < 8000 || late > 8300 || queue != 300 {
		t.Errorf("%d us late, %d per mille: want the 99th of a hundred, 8 ms, and 300", late, queue)
	}
	frames.Record(int64(time.Millisecond))
	if late, _ := g.Pressure(); late < 1000 || late > 1040 {
		t.Errorf("%d us late: want the one frame since the last sample, 1 ms", late)
	}
}

// A host whose frames leave late says so by itself, and refuses who comes.
func TestHostGoesByItsOwnFrames(t *testing.T) {
	config := Config{Shards: 1, Adaptive: true, ProcessorTime: func() time.Duration { return 0 }, MemoryLimit: 1 << 62}
	hostedBy(t, config, func(t *testing.T, h *Host) {
		if own, ok := h.gauges().(*ownGauges); !ok || own.lateness == nil {
			t.Fatal("the host does not go by its own gauges")
		}
		for range 20 { // what a shard that cannot keep up would have measured
			for range 10 {
				h.shards[0].measured.lateness.Record(int64(50 * time.Millisecond))
			}
			time.Sleep(sampleEvery / 2)
		}
		synctest.Wait()
		if level := h.Admission().Level; level != gate.LevelLowPriority {
			t.Errorf("frames are 50 ms late and the level is %d", level)
		}
	})
}

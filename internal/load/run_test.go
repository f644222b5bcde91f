// SPDX-License-Identifier: Apache-2.0

package load

import (
	"strings"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/kernel/gate"
)

// quick is a built-in profile that is over in a moment.
func quick(s Scenario) Profile {
	p := Builtin(s)
	p.Sessions, p.Ramp, p.WarmUp, p.Duration, p.Rounds = 20, 100*time.Millisecond, 100*time.Millisecond, 400*time.Millisecond, 1
	p.Callers.Speech, p.Callers.Listen = Span{300 * time.Millisecond, 400 * time.Millisecond}, Span{900 * time.Millisecond, time.Second}
	p.Engines = Engines{Reply: Span{time.Second, time.Second}}
	return p
}

// steady are options by which the speed of the machine decides nothing: no pressure is
// enough for an overload level.
func steady() Options {
	never := gate.Steps{3_600_000, 3_600_000, 3_600_000, 3_600_000}
	return Options{Ladder: gate.LadderConfig{FrameLatenessUS: never, ProcessorPerMille: never, MemoryPerMille: never, PoolQueuePerMille: never}}
}

func row(t *testing.T, r *Report, promise string) Row {
	t.Helper()
	for _, row := range r.Rows {
		if strings.Contains(row.Promise, promise) {
			return row
		}
	}
	t.Fatalf("no row is about %q: %+v", promise, r.Rows)
	return Row{}
}

// kept checks what does not depend on the speed of the machine.
func kept(t *testing.T, r *Report, promises ...string) {
	t.Helper()
	for _, promise := range append(promises, "outlive the host") {
		if got := row(t, r, promise); !got.Met || got.Measured != 0 {
			t.Errorf("%s: %v, %s", got.Promise, got.Measured, got.Note)
		}
	}
	for _, m := range r.Measurements {
		if m.FramesIn == 0 {
			t.Errorf("%s: no caller has sent a frame", m.Name)
		}
	}
}

// Three times the sessions that fit: so many are let in, the others have a reason, and
// nothing is left of any of them.
func TestOverloadLetsInWhatFits(t *testing.T) {
	p := quick(Overload)
	p.Capacity, p.Duration = 30, time.Second
	r, err := Run(t.Context(), p, steady())
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r, "without a reason")
	if r.Fits != 30 || r.Offered != 90 {
		t.Errorf("%d fit, %d were offered", r.Fits, r.Offered)
	}
	if n := r.Refusals["capacity:max_sessions"]; n < 60 || len(r.Refusals) != 1 {
		t.Errorf("refusals: %v", r.Refusals)
	}
	last := r.Measurements[len(r.Measurements)-1]
	if last.Sessions != 30 || last.FramesOut == 0 {
		t.Errorf("%d sessions were served, %d frames went out", last.Sessions, last.FramesOut)
	}
	if row(t, r, "frame lateness p99").Measured == 0 || row(t, r, "control preempts").Bound != 5 {
		t.Errorf("nothing was measured: %+v", r.Rows)
	}
}

// Each bad neighbour gets what is due to it, and the others lose no call.
func TestNeighboursAreServed(t *testing.T) {
	p := quick(Neighbours)
	p.Duration, p.Capacity = 1500*time.Millisecond, 100
	for i := range p.Tenants {
		if p.Tenants[i].Name == "flooder" {
			p.Tenants[i].ConcurrentSessions = 3
		}
	}
	p.Disturbances = append(p.Disturbances, Disturbance{Kind: SlowReader, Sessions: 1, Tenant: "reader", Block: time.Millisecond})
	r, err := Run(t.Context(), p, steady())
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r, "failed or were refused", "disturbed nobody")
	if r.Callers["node_failures"] != 0 || r.Callers["frames_after_fence"] != 0 {
		t.Errorf("the others: %v", r.Callers)
	}
	want := map[Kind][]string{
		Stall:      {"calls"},
		Panic:      {"node_failed endpointer panic", "node_failed segmenter panic", "abort node_timeout_or_failure", "node_restarts"},
		Flood:      {"calls", "refused tenant_quota:concurrent_sessions", "reject tenant_quota:concurrent_sessions", "turns", "reject tenant_quota:turns_per_minute"},
		SlowReader: {"calls"},
	}
	for _, d := range r.Disturbers {
		for _, name := range want[d.Kind] {
			if d.Got[name] == 0 {
				t.Errorf("%s got no %q: %v", d.Kind, name, d.Got)
			}
		}
		delete(want, d.Kind)
	}
	if len(want) != 0 {
		t.Errorf("nothing is told of %v", want)
	}
}

// Calls come and go and leave nothing.
func TestShortSoak(t *testing.T) {
	p := quick(Soak)
	p.Sessions, p.Duration, p.Sample, p.Callers.Life = 10, 2*time.Second, 100*time.Millisecond, Span{200 * time.Millisecond, 400 * time.Millisecond}
	p.WarmUp = 500 * time.Millisecond
	r, err := Run(t.Context(), p, steady())
	if err != nil {
		t.Fatal(err)
	}
	kept(t, r)
	if n := r.Callers["ended call_over"]; n < 20 {
		t.Errorf("%d calls came and went: %v", n, r.Callers)
	}
	if len(r.Heap) < 10 {
		t.Errorf("%d samples of the heap", len(r.Heap))
	}
	if row(t, r, "growth of the heap").Bound != 1 {
		t.Errorf("%+v", r.Rows)
	}
}

// A window without frames says nothing of lateness, and nothing is no promise kept.
func TestNothingMeasuredIsMissed(t *testing.T) {
	p := quick(Overload)
	p.Capacity, p.Duration = 2, 10*time.Millisecond
	p.Sessions, p.Callers.Speech, p.Callers.Listen = 2, Span{time.Hour, time.Hour}, Span{time.Hour, time.Hour}
	r, err := Run(t.Context(), p, steady())
	if err != nil {
		t.Fatal(err)
	}
	if got := row(t, r, "frame lateness p99"); got.Met || !strings.Contains(got.Note, "nothing was measured: no frame went out in window small 1") || r.Met() {
		t.Errorf("%+v", got)
	}
}

// A soak in which no call ends, or no frame flows, or whose window is void, has kept nothing.
func TestSoakOfNothingIsMissed(t *testing.T) {
	p := quick(Soak)
	p.Sessions, p.Duration, p.Sample, p.Callers.Life = 2, 300*time.Millisecond, 10*time.Millisecond, Span{time.Hour, time.Hour}
	r, err := Run(t.Context(), p, steady())
	if err != nil {
		t.Fatal(err)
	}
	if got := row(t, r, "growth of the heap"); got.Met || !strings.Contains(got.Note, "nothing was measured") || r.Met() {
		t.Errorf("%+v", got)
	}
	for name, w := range map[string]Window{
		"no frame went out":  {FramesIn: 1},
		"no frame came in":   {FramesOut: 1},
		"void are all of it": {FramesIn: 1, FramesOut: 1, Stolen: 2 * StolenLimit},
	} {
		r := &runner{report: &Report{Measurements: []Measurement{{"all of it", w}}}}
		r.report.row("promise", 0, 1, "", "")
		if r.heard("all"); r.report.Met() || !strings.Contains(r.report.Rows[0].Note, name) {
			t.Errorf("%s: %+v", name, r.report.Rows)
		}
	}
	sound := &runner{report: &Report{Measurements: []Measurement{{"all of it", Window{FramesIn: 1, FramesOut: 1}}}}}
	sound.report.row("promise", 0, 1, "", "")
	if sound.heard("all"); !sound.report.Met() {
		t.Errorf("%+v", sound.report.Rows)
	}
}

func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		list []int64
		want float64
	}{
		{nil, 0},
		{[]int64{5}, 0},
		{[]int64{100, 100, 100, 100}, 0},
		{[]int64{98, 99, 100, 101, 102}, 4},
		{[]int64{98, 99, 500, 101, 102}, 4 * 100.0 / 101},
		{[]int64{102, 101, 100, 99, 98}, -4},
	} {
		if got := growth(c.list); got < c.want-0.1 || got > c.want+0.1 {
			t.Errorf("%v grows by %v %%, want %v", c.list, got, c.want)
		}
	}
}

// A link holds frames against the earliest schedule that the turn has kept, and no turn
// against that of another.
func TestLinkMeasuresLateness(t *testing.T) {
	l := &line{group: &group{}}
	ms := int64(time.Millisecond)
	for _, f := range []struct {
		generation uint32
		at         int64
	}{
		{1, 5 * ms}, {1, 25 * ms}, {1, 48 * ms}, // 3 late
		{1, 65 * ms}, {1, 84 * ms}, {1, 104 * ms}, // the schedule is earlier than it seemed
		{1, 224 * ms}, {1, 244 * ms}, // 100 late, and from there anew
		{2, 300 * ms}, {2, 321 * ms}, // 1 late
	} {
		l.measure(f.generation, f.at)
	}
	s := l.group.sink.Snapshot()
	if s.Count != 8 || s.Sum != 104*ms || s.Max != 100*ms {
		t.Errorf("%d frames, %v late in all, %v at most", s.Count, time.Duration(s.Sum), time.Duration(s.Max))
	}
}

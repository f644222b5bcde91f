// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/transport"
)

// What makes a measurement void: the share of stolen time, and the share of the processors
// that other processes of the machine used.
const (
	StolenLimit = 0.01
	OthersLimit = 0.05
)

// Machine is what a run asks of the machine. Nil functions are not asked.
type Machine struct {
	// ProcessorTime is what this process has used so far, user and system.
	ProcessorTime func() time.Duration
	// Busy is what all processes of the machine have used so far.
	Busy func() time.Duration
	// Stolen gives the share of processor time that other guests of the machine took since
	// its last call; negative = not known.
	Stolen func() float64
}

func (m *Machine) processorTime() time.Duration {
	if m.ProcessorTime == nil {
		return 0
	}
	return m.ProcessorTime()
}

func (m *Machine) busy() time.Duration {
	if m.Busy == nil {
		return 0
	}
	return m.Busy()
}

// Window is what was measured between two instants.
type Window struct {
	Seconds   float64 `json:"seconds"`
	Sessions  int     `json:"sessions"` // at its end
	FramesIn  int64   `json:"frames_in"`
	FramesOut int64   `json:"frames_out"`
	// Lateness of the group's frames as the host measures it at the write, and as its links
	// measure it, in milliseconds.
	P50      float64 `json:"lateness_p50_ms"`
	P99      float64 `json:"lateness_p99_ms"`
	P999     float64 `json:"lateness_p999_ms"`
	LinkP99  float64 `json:"link_lateness_p99_ms"`
	Preempt  float64 `json:"control_preempt_p95_ms"`
	Controls int64   `json:"controls"`
	// Cores is the processor time of the process by the wall time, Crowd what of it the
	// crowd's own work comes to, and PerSession the rest by sessions.
	Cores      float64 `json:"cores"`
	Crowd      float64 `json:"crowd_cores"`
	PerSession float64 `json:"cpu_us_per_session_second"`
	// Others is what other processes of the machine used, in cores; Stolen the share that
	// other guests took, negative = not known.
	Others float64 `json:"others_cores"`
	Stolen float64 `json:"stolen"`
	// DriverLate is how often the callers themselves were a frame late or more.
	DriverLate int64 `json:"driver_late"`
}

// Void says that too much of the machine was somebody else's for the window to count.
func (w *Window) Void() bool {
	return w.Stolen > StolenLimit || w.Others > OthersLimit*float64(runtime.GOMAXPROCS(0))
}

// mark is where a window begins.
type mark struct {
	at         time.Time
	cpu, busy  time.Duration
	host, link histogram.Snapshot
	preempt    histogram.Snapshot
	in, out    int64
	late       int64
}

// begin marks the begin of a window over one group.
func (x *Crowd) begin(m *Machine, g *group) *mark {
	if m.Stolen != nil {
		m.Stolen()
	}
	return &mark{
		at: time.Now(), cpu: m.processorTime(), busy: m.busy(), host: g.host.Snapshot(), link: g.sink.Snapshot(),
		preempt: x.host.Timing().ControlPreempt,
		in:      x.group.framesIn.Load(), out: g.frames.Load(), late: x.late.Load(),
	}
}

// end closes the window.
func (x *Crowd) end(m *Machine, g *group, from *mark) Window {
	took := time.Since(from.at)
	host, link := g.host.Snapshot().Since(from.host), g.sink.Snapshot().Since(from.link)
	preempt := x.host.Timing().ControlPreempt.Since(from.preempt)
	w := Window{
		Seconds: took.Seconds(), Sessions: x.host.Sessions(),
		FramesIn: x.group.framesIn.Load() - from.in, FramesOut: g.frames.Load() - from.out,
		P50: millis(host.Quantile(500)), P99: millis(host.Quantile(990)), P999: millis(host.Quantile(999)),
		LinkP99: millis(link.Quantile(990)), Preempt: millis(preempt.Quantile(950)), Controls: preempt.Count,
		DriverLate: x.late.Load() - from.late, Stolen: -1,
	}
	cpu := m.processorTime() - from.cpu
	w.Cores = cpu.Seconds() / took.Seconds()
	w.Crowd = (float64(w.FramesIn)*x.cost.step + float64(w.FramesOut)*x.cost.sink) / float64(took)
	w.Others = max(0, (m.busy()-from.busy-cpu).Seconds()/took.Seconds())
	if w.Sessions > 0 {
		w.PerSession = max(0, w.Cores-w.Crowd) / float64(w.Sessions) * 1e6
	}
	if m.Stolen != nil {
		w.Stolen = m.Stolen()
	}
	return w
}

// measure has a window pass.
func (x *Crowd) measure(ctx context.Context, m *Machine, g *group, d time.Duration) (Window, error) {
	from := x.begin(m, g)
	if err := rest(ctx, d); err != nil {
		return Window{}, err
	}
	return x.end(m, g, from), nil
}

// Measure has a window pass over all callers.
func (x *Crowd) Measure(ctx context.Context, m *Machine, d time.Duration) (Window, error) {
	return x.measure(ctx, m, x.group, d)
}

// Close stops the crowd and closes its host.
func (x *Crowd) Close() error { return finish(x, x.host) }

// rest lets time pass.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func millis(ns int64) float64 { return math.Round(float64(ns)/1e3) / 1e3 }

// ownCost is what the crowd's own work costs, in nanoseconds: a caller's step and a frame
// at its link, each without what the session does for it.
type ownCost struct{ step, sink float64 }

// deaf is a session's side of a transport where nothing happens.
type deaf struct{ transport.Ingress }

func (deaf) Audio(int64, []int16) {}
func (deaf) Hangup(string)        {}

// ownCosts measures them in a loop.
func ownCosts(h Habits) ownCost {
	const n = 100_000
	c := &caller{habits: &h}
	c.begin()
	c.life = -1
	began := time.Now()
	for range n {
		c.step(deaf{})
	}
	step := time.Since(began)
	l := &line{crowd: &Crowd{began: began}, group: &group{}}
	f := transport.Frame{Generation: 1}
	began = time.Now()
	for range n {
		_ = l.WriteFrame(&f) // takes everything
	}
	return ownCost{float64(step) / n, float64(time.Since(began)) / n}
}

// heapInUse is what lives after a garbage collection, in bytes.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// heapAtRest is what lives when nothing is under way. Pools let go of what they keep at the
// second collection.
func heapAtRest() int64 {
	runtime.GC()
	runtime.GC()
	return heapInUse()
}

// growth is how much a series grows from its first to its last value, in percent of its
// median, by the median of the slopes between all pairs (Theil and Sen): a single sample
// that is off does not bend it.
func growth(list []int64) float64 {
	var slopes []float64
	for i := range list {
		for k := i + 1; k < len(list); k++ {
			slopes = append(slopes, float64(list[k]-list[i])/float64(k-i))
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	middle := make([]float64, len(list))
	for i, v := range list {
		middle[i] = float64(v)
	}
	return 100 * median(slopes) * float64(len(list)-1) / median(middle)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

const (
	// draining is how long calls that are open at the end may drain, before they are ended
	// by force.
	draining = 2 * time.Second
	// settling is how long to wait for what is on its way out.
	settling = 10 * time.Second
)

// finish stops a crowd, closes its host, and takes what the last calls counted.
func finish(x *Crowd, h *sessionhost.Host) error {
	x.Stop()
	list := x.release()
	for _, s := range list {
		s.Cancel(sessionhost.Cancel{Scope: eventabi.CancelTurn}) // else it is said to its end
	}
	ctx, stop := context.WithTimeout(context.Background(), draining)
	defer stop()
	if err := h.Close(ctx); err != nil {
		return err
	}
	for _, s := range list {
		x.count(x.group, s)
	}
	return nil
}

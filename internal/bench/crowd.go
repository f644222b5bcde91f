// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/internal/load"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// A crowd is measured in windows that are long enough for a percentile of a hundred, and
// for pauses of a garbage collection to show.
const (
	leastWindow = 2 * time.Second
	crowdRamp   = 5 * time.Second
	crowdWarmUp = 12 * time.Second // every caller has been through a turn
)

// crowds are runs of simulated callers; each size is run once, whichever rows ask for it.
type crowds struct {
	o     Options
	floor *floor
	runs  map[int]*crowdRun
}

// crowdRun is what was measured of one size.
type crowdRun struct {
	sessions int
	floors   []float64 // p99 of the floor before each window, ns
	windows  []load.Window
	void     int
}

func newCrowds(o Options) *crowds { return &crowds{o: o, runs: map[int]*crowdRun{}} }

func (c *crowds) close() {
	if c.floor != nil {
		c.floor.remove()
	}
}

func (c *crowds) machine() *load.Machine {
	return &load.Machine{ProcessorTime: ProcessorTime, Busy: BusyTime(), Stolen: c.o.Stole}
}

// start opens a crowd and waits until its callers are in the middle of their talks.
func start(n int) (*load.Crowd, error) {
	host, err := sessionhost.New(sessionhost.Config{MaxSessions: n})
	if err != nil {
		return nil, err
	}
	p := load.Builtin(load.Soak)
	p.Callers.Life = load.Span{}
	x := load.NewCrowd(host, load.CrowdConfig{Seed: 1, Habits: p.Callers, Engines: p.Engines, Drivers: 1 + n/4000})
	x.Add(n, crowdRamp)
	time.Sleep(crowdRamp + crowdWarmUp)
	return x, nil
}

// at measures a crowd of a size, in turn with the floor.
func (c *crowds) at(n, runs int) (r *crowdRun, err error) {
	if r := c.runs[n]; r != nil {
		return r, nil
	}
	if c.floor == nil {
		if c.floor, err = newFloor(); err != nil {
			return nil, err
		}
	}
	c.o.Say(fmt.Sprintf("%d sessions", n))
	x, err := start(n)
	if err != nil {
		return nil, err
	}
	r = &crowdRun{sessions: n}
	c.runs[n] = r
	ctx, each := context.Background(), max(c.o.Each, leastWindow)
	for row := 0; len(r.windows) < runs && r.void < voids*runs; {
		late, err := c.floor.measure(ctx, each)
		if err != nil {
			_ = x.Close() // the fault before counts
			return nil, err
		}
		w, err := x.Measure(ctx, c.machine(), each)
		if err != nil {
			_ = x.Close() // the fault before counts
			return nil, err
		}
		if w.Void() {
			r.void, row = r.void+1, row+1
			c.o.again(fmt.Sprintf("%d sessions", n), r.void, row, voids*runs)
			continue
		}
		row = 0
		r.floors, r.windows = append(r.floors, float64(percentile(late, 99))), append(r.windows, w)
	}
	return r, x.Close()
}

const crowdVoidNote = voidNote + "; so is one in which other processes used more than 5 % of it"

// of gives one figure of every window.
func (r *crowdRun) of(value func(*load.Window) float64) []float64 {
	list := make([]float64, len(r.windows))
	for i := range r.windows {
		list[i] = value(&r.windows[i])
	}
	return list
}

// row fills a row from pairs of denominators and values.
func (r *crowdRun) row(row Result, bases, values []float64) Result {
	row.Void = r.void
	if len(values) == 0 {
		row.Note = crowdVoidNote
		return row
	}
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i] / bases[i]
	}
	row.Value, row.Base, row.Ratio = median(values), median(bases), median(ratios)
	row.SpreadPct = 100 * (slices.Max(ratios) - slices.Min(ratios)) / row.Ratio
	row.StolenPct = 100 * median(r.of(func(w *load.Window) float64 { return w.Stolen }))
	row.Met = row.Ratio <= row.Limit
	others := median(r.of(func(w *load.Window) float64 { return w.Others }))
	if carried := r.rate(framesIn) / float64(50*r.sessions); carried < 0.98 {
		row.Met = false
		row.Note += fmt.Sprintf("; the machine carried %.0f %% of the callers' frames: missed, whatever the ratio", 100*carried)
	}
	if r.rate(framesOut) == 0 {
		row.Met = false
		row.Note += "; no frame went out"
	}
	row.Note += fmt.Sprintf("; %.0f frames/s in and %.0f out; other processes used %.2f cores", r.rate(framesIn), r.rate(framesOut), others)
	return row
}

func framesIn(w *load.Window) int64  { return w.FramesIn }
func framesOut(w *load.Window) int64 { return w.FramesOut }

func (r *crowdRun) rate(of func(*load.Window) int64) float64 {
	return median(r.of(func(w *load.Window) float64 { return float64(of(w)) / w.Seconds }))
}

func lateness(w *load.Window) float64 { return w.P99 * 1e6 }

// lateFrames is P3: how late frames leave, against what this machine's own timers do.
func (c *crowds) lateFrames() (rows []Result, err error) {
	for _, size := range []struct {
		sessions int
		margin   time.Duration
	}{{1000, time.Millisecond}, {10000, 2 * time.Millisecond}} {
		r, err := c.at(size.sessions, c.o.Runs)
		if err != nil {
			return rows, err
		}
		bases := make([]float64, len(r.floors))
		for i, f := range r.floors {
			bases[i] = f + float64(size.margin)
		}
		row := Result{
			ID: "P3", Subject: fmt.Sprintf("frame lateness p99, %d sessions", size.sessions),
			Denominator: fmt.Sprintf("floor + %v", size.margin), Unit: "ns", Limit: 1, Target: fmt.Sprintf("<= floor + %v", size.margin),
		}
		if len(r.floors) > 0 {
			row.Note = fmt.Sprintf("floor p99 %s (%s)", time.Duration(median(r.floors)).Round(time.Microsecond), c.floor.name())
		}
		rows = append(rows, r.row(row, bases, r.of(lateness)))
	}
	return rows, nil
}

// frameCost is P4: processor time of a crowd, without the crowd's own, against the same
// frames of as many sessions in a bare loop.
func (c *crowds) frameCost() ([]Result, error) {
	r, err := c.at(10000, c.o.Runs)
	if err != nil {
		return nil, err
	}
	in, out := bareFrames(c.o, r.sessions)
	nearIn, nearOut := bareFrames(c.o, 1)
	spent := r.of(func(w *load.Window) float64 { return max(0, w.Cores-w.Crowd) * 1e9 })
	bare := r.of(func(w *load.Window) float64 { return (float64(w.FramesIn)*in + float64(w.FramesOut)*out) / w.Seconds })
	row := r.row(Result{
		ID: "P4", Subject: "10000 sessions, 50 frames/s", Denominator: "the same frames of 10000 sessions in a bare loop", Unit: "cpu ns/s",
		Limit: 2.5, Target: "<= 2.5x",
		Note: fmt.Sprintf("bare: %.0f ns a caller frame (ring, read, detector), %.0f ns an agent frame (pacing, fence, sink); %.0f and %.0f where all are one session's, in the cache",
			in, out, nearIn, nearOut),
	}, bare, spent)
	return []Result{row}, nil
}

// curve is cost and lateness against the number of sessions.
func (c *crowds) curve() (rows []Result, err error) {
	for _, n := range []int{100, 300, 1000, 3000, 10000} {
		runs := 1
		if n == 1000 || n == 10000 {
			runs = c.o.Runs // P3 has them
		}
		r, err := c.at(n, runs)
		if err != nil {
			return rows, err
		}
		row := Result{ID: "curve", Subject: fmt.Sprintf("%d sessions: frame lateness p99", n), Denominator: "floor p99", Unit: "ns"}
		if len(r.windows) > 0 {
			row.Note = fmt.Sprintf("%d sessions: %.0f us of a processor for a second of a session, %.2f cores", n,
				median(r.of(func(w *load.Window) float64 { return w.PerSession })),
				median(r.of(func(w *load.Window) float64 { return w.Cores })))
		}
		rows = append(rows, r.row(row, r.floors, r.of(lateness)))
		rows[len(rows)-1].Met = true
	}
	return rows, nil
}

// collecting is P9: lateness while garbage is collected all the time, against the same
// crowd without any collection. The heap is that of the sessions and a ballast beside it.
func collecting(o Options, m *load.Machine) ([]Result, error) {
	row := Result{
		ID: "P9", Subject: "frame lateness p99, collecting without end", Denominator: "the same, no collection", Unit: "ns", Limit: 1.5, Target: "<= 1.5x",
	}
	x, err := start(collectSessions)
	if err != nil {
		return nil, err
	}
	ballast := make([][]byte, ballastPieces)
	for i := range ballast {
		ballast[i] = make([]byte, ballastPiece)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	each := max(o.Each, leastWindow)
	var fault error
	var disturbed bool // by other processes of the machine, since it was asked last
	var others float64 // cores that they used
	if stole := o.Stole; stole != nil {
		o.Stole = func() float64 {
			share := stole()
			if disturbed {
				share = 1
			}
			disturbed = false
			return share
		}
	}
	measure := func(collect bool) func() float64 {
		return func() float64 {
			runtime.GC()
			over := make(chan struct{})
			done := make(chan int)
			go func() {
				n := 0
				for ; collect; n++ {
					select {
					case <-over:
						done <- n
						return
					default:
						runtime.GC()
					}
				}
				<-over
				done <- n
			}()
			w, err := x.Measure(context.Background(), &load.Machine{ProcessorTime: m.ProcessorTime, Busy: m.Busy}, each)
			close(over)
			if n := <-done; collect {
				row.Note = fmt.Sprintf("%d sessions, %d MB of ballast without pointers; %.0f collections a second", collectSessions, ballastPieces*ballastPiece>>20, float64(n)/each.Seconds())
			}
			if err != nil {
				fault = err
			}
			disturbed, others = disturbed || w.Void(), w.Others
			return max(lateness(&w), 1)
		}
	}
	result := pair(o, row, measure(false), measure(true))
	if result.Note == voidNote {
		result.Note += fmt.Sprintf("; so is one in which other processes used more than 5 %% of it, and in the last they used %.2f cores", others)
	}
	result.Note = strings.TrimPrefix(result.Note+"; "+row.Note, "; ")
	runtime.KeepAlive(ballast)
	if err := x.Close(); err != nil {
		fault = err
	}
	return []Result{result}, fault
}

const (
	collectSessions = 500
	ballastPieces   = 256
	ballastPiece    = 1 << 20 // bytes
)

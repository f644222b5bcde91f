// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/parley-voice/parley/internal/controlplane/pipeline"
	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// Row is one promise and what was measured of it.
type Row struct {
	Promise  string  `json:"promise"`
	Measured float64 `json:"measured"`
	Bound    float64 `json:"bound"`
	Unit     string  `json:"unit"`
	Met      bool    `json:"met"`
	Note     string  `json:"note,omitempty"`
}

// Measurement is a window with its name.
type Measurement struct {
	Name string `json:"name"`
	Window
}

// Disturber is what became of a bad neighbour.
type Disturber struct {
	Kind   Kind             `json:"kind"`
	Tenant string           `json:"tenant"`
	Got    map[string]int64 `json:"got"` // signals and counts, by name and reason
}

// Report is the outcome of a run.
type Report struct {
	Scenario     Scenario         `json:"scenario"`
	Seed         int64            `json:"seed"`
	Go           string           `json:"go"`
	Platform     string           `json:"platform"`
	Cores        int              `json:"cores"`
	Seconds      float64          `json:"seconds"`
	Fits         int64            `json:"fits,omitempty"`    // overload: sessions that fit
	Offered      int64            `json:"offered,omitempty"` // overload: callers
	Rows         []Row            `json:"rows"`
	Measurements []Measurement    `json:"measurements"`
	Refusals     map[string]int64 `json:"refusals,omitempty"`
	Callers      map[string]int64 `json:"callers"` // what their calls counted, as far as they have ended
	Disturbers   []Disturber      `json:"disturbers,omitempty"`
	Heap         []int64          `json:"heap_bytes,omitempty"`
	Void         int              `json:"void_windows"`
}

// Met says that every promise was kept.
func (r *Report) Met() bool {
	for _, row := range r.Rows {
		if !row.Met {
			return false
		}
	}
	return len(r.Rows) > 0
}

func (r *Report) row(promise string, measured, bound float64, unit, note string) {
	r.Rows = append(r.Rows, Row{Promise: promise, Measured: measured, Bound: bound, Unit: unit, Met: measured <= bound, Note: note})
}

// nothing takes the row before back: it was measured on nothing, and that is no promise kept.
func (r *runner) nothing(why string) {
	last := &r.report.Rows[len(r.report.Rows)-1]
	last.Met, last.Note = false, "nothing was measured: "+why
}

// heard judges the row before by the windows that it was measured in: it takes it back where
// no frame came or went out, and where a window is void.
func (r *runner) heard(names ...string) {
	last := &r.report.Rows[len(r.report.Rows)-1]
	var void []string
	for _, m := range r.report.Measurements {
		if name, _, _ := strings.Cut(m.Name, " "); !slices.Contains(names, name) {
			continue
		}
		if m.FramesOut == 0 {
			r.nothing("no frame went out in window " + m.Name)
			return
		}
		if m.FramesIn == 0 {
			r.nothing("no frame came in in window " + m.Name)
			return
		}
		if m.Void() {
			void = append(void, m.Name)
		}
	}
	if len(void) > 0 {
		last.Met = false
		last.Note += "; not kept, because too much of the machine was somebody else's: void are " + strings.Join(void, ", ")
	}
}

// Options are what a run is given besides its profile.
type Options struct {
	Machine
	// Flow are flow settings of the calls and further quotas; nil = the profile's.
	Flow *pipeline.Effective
	// Ladder is how pressure becomes an overload level; zero = the host's default.
	Ladder gate.LadderConfig
	Say    func(string) // progress; nil = nothing
}

// runner runs one profile.
type runner struct {
	profile Profile
	options Options
	report  *Report
	before  int      // goroutines
	absent  []string // disturbers that were not let in, by round
}

// Run runs a profile and reports. The error says what kept it from its end.
func Run(ctx context.Context, p Profile, o Options) (*Report, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	r := &runner{profile: p, options: o, before: runtime.NumGoroutine(), report: &Report{
		Scenario: p.Scenario, Seed: p.Seed, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Cores: runtime.GOMAXPROCS(0), Callers: map[string]int64{}, Refusals: map[string]int64{},
	}}
	began := time.Now()
	var err error
	switch p.Scenario {
	case Overload:
		err = r.overload(ctx)
	case Neighbours:
		err = r.neighbours(ctx)
	case Soak:
		err = r.soak(ctx)
	}
	r.report.Seconds = time.Since(began).Seconds()
	if err != nil {
		return r.report, fmt.Errorf("load: %s: %w", p.Scenario, err)
	}
	return r.report, nil
}

func (r *runner) say(format string, args ...any) { r.options.Say(fmt.Sprintf(format, args...)) }

// host starts a host as the facade does, with a number of sessions at most; 0 = it finds
// out what fits.
func (r *runner) host(most int64) (*sessionhost.Host, error) {
	quotas := r.profile.quotas()
	if r.options.Flow != nil {
		spec := r.options.Flow.QuotaPolicy()
		quotas.Quotas = spec.Quotas
		all := map[string][]gate.Override{}
		maps.Copy(all, spec.Tenants)
		maps.Copy(all, quotas.Tenants)
		quotas.Tenants = all
	}
	return sessionhost.New(sessionhost.Config{
		MaxSessions: int(most), Quotas: quotas, Adaptive: true, Ladder: r.options.Ladder, ProcessorTime: r.options.ProcessorTime,
	})
}

func (r *runner) crowd(h *sessionhost.Host) *Crowd {
	c := CrowdConfig{Seed: r.profile.Seed, Habits: r.profile.Callers, Engines: r.profile.Engines, Tenants: r.profile.Tenants}
	if f := r.options.Flow; f != nil {
		c.Apply = func(s *sessionhost.Settings) {
			s.Edges, s.Flow = f.EdgePolicies(), f.FlowPolicy()
			f.Apply(&s.Bootstrap.Settings)
		}
	}
	return NewCrowd(h, c)
}

// done takes what a crowd counted, closes its host and looks for what is left of it.
func (r *runner) done(x *Crowd, h *sessionhost.Host) error {
	if err := finish(x, h); err != nil {
		return err
	}
	for name, n := range x.group.sum.get() {
		r.report.Callers[name] += n
	}
	for name, n := range x.refusals.get() {
		r.report.Refusals[name] += n
	}
	return nil
}

// maxVoid is how often a window that is void is measured again.
const maxVoid = 3

// window measures, and again when it is void. The last one counts in any case.
func (r *runner) window(ctx context.Context, x *Crowd, name string) (Window, error) {
	for n := 0; ; n++ {
		w, err := x.measure(ctx, &r.options.Machine, x.group, r.profile.Duration)
		if err != nil {
			return w, err
		}
		if w.Void() {
			r.report.Void++
			if n < maxVoid {
				r.say("%s: %.1f %% of the processors were stolen and other processes used %.2f cores: void, measured again", name, 100*w.Stolen, w.Others)
				continue
			}
		}
		r.report.Measurements = append(r.report.Measurements, Measurement{name, w})
		r.say("%s: %d sessions, lateness p99 %.3f ms, %.2f cores", name, w.Sessions, w.P99, w.Cores)
		return w, nil
	}
}

// windows measures several times and gives the medians of what the bounds are about.
func (r *runner) windows(ctx context.Context, x *Crowd, name string) (p99, preempt float64, err error) {
	var list, controls []float64
	for n := range r.profile.Rounds {
		w, err := r.window(ctx, x, fmt.Sprintf("%s %d", name, n+1))
		if err != nil {
			return 0, 0, err
		}
		list, controls = append(list, w.P99), append(controls, w.Preempt)
	}
	return median(list), median(controls), nil
}

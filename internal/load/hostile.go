// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley/internal/runtime/sessionhost"
	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external"
	"github.com/parley-voice/parley/node/external/hostile"
)

// HostileOptions say how hostile nodes are run beside other sessions.
type HostileOptions struct {
	// Kind makes a kind of external nodes, a new one for each act; Config gives the config of an act.
	Kind   func() *external.Kind
	Config func(act string) json.RawMessage
	Acts   []hostile.Act // none = all
	// Sessions are beside them, for Each in turn without and with it, when WarmUp is over. Zero values:
	// 50 sessions, 3 s, 6 s.
	Sessions     int
	Each, WarmUp time.Duration
	Machine      Machine
	Say          func(string)
}

// hostileFloor is the lateness below which nobody hears a difference, as neighbours have it, and
// HostileMovePercent how much the others' may grow.
const (
	hostileFloor       = time.Millisecond
	HostileMovePercent = 10
)

// HostileRow is what became of one act.
type HostileRow struct {
	Act   string `json:"act"`
	Does  string `json:"does"`
	Level string `json:"isolation"`
	// Became is how its first instance ended; Process how its process did, empty where it goes on.
	Became  string `json:"became"`
	Process string `json:"process,omitempty"`
	Failed  int64  `json:"instances_failed"`
	Starts  int64  `json:"process_starts"`
	Left    int    `json:"processes_left"` // when it was over
	// What the other sessions had: lateness p99 of their frames without and beside it, in
	// milliseconds, and how many of them failed or were refused.
	Alone  float64 `json:"others_lateness_p99_alone_ms"`
	Beside float64 `json:"others_lateness_p99_beside_ms"`
	Growth float64 `json:"others_lateness_growth_percent"` // what is below hostileFloor counts as that much
	Frames int64   `json:"others_frames_beside"`
	Lost   int64   `json:"others_lost"`
	Stolen bool    `json:"stolen"` // by other guests of the machine, too much to compare
}

// RunHostile runs each act in calls of a real host, one act after the other, beside a crowd.
func RunHostile(ctx context.Context, o HostileOptions) (rows []HostileRow, err error) {
	if o.Acts == nil {
		o.Acts = hostile.Acts()
	}
	if o.Sessions <= 0 {
		o.Sessions = 50
	}
	if o.Each <= 0 {
		o.Each = 3 * time.Second
	}
	if o.WarmUp <= 0 {
		o.WarmUp = 6 * time.Second
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	h, err := sessionhost.New(sessionhost.Config{MaxSessions: o.Sessions + 8, ProcessorTime: o.Machine.ProcessorTime})
	if err != nil {
		return nil, fmt.Errorf("load: hostile: %w", err)
	}
	p := Builtin(Neighbours)
	x := NewCrowd(h, CrowdConfig{Seed: p.Seed, Habits: p.Callers, Engines: p.Engines})
	defer func() { err = errors.Join(err, x.Close()) }()
	o.Say(fmt.Sprintf("%d sessions", o.Sessions))
	x.Add(o.Sessions, min(p.Ramp, o.WarmUp/2))
	if err := rest(ctx, o.WarmUp); err != nil {
		return nil, err
	}
	for _, a := range o.Acts {
		o.Say(a.Name + ": " + a.Does)
		row, err := hostileAct(ctx, x, &o, a)
		if err != nil {
			return rows, fmt.Errorf("load: hostile: %s: %w", a.Name, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// hostileAct measures the others alone and beside one act, and looks what became of that.
func hostileAct(ctx context.Context, x *Crowd, o *HostileOptions, a hostile.Act) (row HostileRow, err error) {
	row = HostileRow{Act: a.Name, Does: a.Does}
	lost := x.group.failed.Load() + sumOf(x.refusals.get())
	alone, err := x.measure(ctx, &o.Machine, x.group, o.Each)
	if err != nil {
		return row, err
	}
	k := o.Kind()
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, k.Close())
		}
	}()
	config := o.Config(a.Name)
	if err := k.Verify(ctx, config); err != nil {
		return row, err
	}
	var mu sync.Mutex
	d := newDisturber(x, Disturbance{Kind: Stall, Sessions: 1, Tenant: "hostile"})
	d.endpointer = func() (node.Node, error) { return k.New(config) }
	d.failed = func(detail string) {
		mu.Lock()
		defer mu.Unlock()
		if row.Failed++; row.Became == "" {
			row.Became = detail
		}
	}
	d.start()
	beside, err := x.measure(ctx, &o.Machine, x.group, o.Each)
	for end := time.Now().Add(hostile.Life); err == nil && time.Now().Before(end) && !shown(k, &mu, &row); {
		err = rest(ctx, 20*time.Millisecond)
	}
	d.stop()
	if err != nil {
		return row, err
	}
	for _, s := range k.Status() {
		row.Level, row.Starts = string(s.Level), s.Starts
		row.Process = s.LastFailure
	}
	closed = true
	if err := k.Close(); err != nil {
		return row, err
	}
	for _, s := range k.Status() {
		if s.PID != 0 {
			row.Left++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	row.Became, row.Process = brief(row.Became), brief(row.Process)
	if !d.came.Load() {
		row.Became = fmt.Sprintf("its call was not let in: %v", d.sum.get())
	}
	row.Alone, row.Beside, row.Frames = alone.P99, beside.P99, beside.FramesOut
	row.Lost = x.group.failed.Load() + sumOf(x.refusals.get()) - lost
	floor := millis(int64(hostileFloor))
	row.Growth = 100 * (max(row.Beside, floor)/max(row.Alone, floor) - 1)
	row.Stolen = alone.Stolen > StolenLimit || beside.Stolen > StolenLimit
	return row, rest(ctx, recovery)
}

// shown says whether something has become of an act.
func shown(k *external.Kind, mu *sync.Mutex, row *HostileRow) bool {
	mu.Lock()
	defer mu.Unlock()
	return row.Failed > 0 || k.Status()[0].Failures > 0
}

// brief leaves out who says it, on one line.
func brief(s string) string {
	if _, rest, ok := strings.Cut(s, "external node "); ok {
		if _, what, ok := strings.Cut(rest, ": "); ok {
			s = what
		}
	}
	return strings.ReplaceAll(s, "\n", "; ")
}

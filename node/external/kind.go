// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/parley/node"
	"github.com/parley-voice/parley/node/external/sandbox"
)

// Options are what a host decides for all of its external nodes.
type Options struct {
	// Launcher is the command that calls sandbox.Exec with the arguments that follow, such as this
	// program and node-exec. Without one nodes run at level process.
	Launcher []string
	// Most is the highest level that is applied; empty = the highest that can be had.
	Most sandbox.Level
	// Log takes what children say and what becomes of them; nil = nobody reads it.
	Log *slog.Logger
	// Nice is added to the priority of children, so that the sessions' own work goes first; it
	// needs a launcher. Negative = not; 0 = 5.
	Nice int
	// Backoff is how long a process that failed waits for its next start, doubled with each failure
	// up to BackoffMax; CircuitAfter failures within CircuitWindow open the circuit for CircuitFor.
	// Zero values: 100 ms, 10 s, 5, 1 min, 30 s.
	Backoff, BackoffMax       time.Duration
	CircuitAfter              int
	CircuitWindow, CircuitFor time.Duration
	// Groups is the folder of the control group (version 2) below which each process gets one of its
	// own, delegated to this program; empty = the group that this program is in, NoGroups = none.
	Groups string
	// Idle is how long a process without instances is kept; 0 = 5 min.
	Idle time.Duration
}

func (o Options) withDefaults() Options {
	fill := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	fill(&o.Backoff, 100*time.Millisecond)
	fill(&o.BackoffMax, 10*time.Second)
	fill(&o.CircuitWindow, time.Minute)
	fill(&o.CircuitFor, 30*time.Second)
	fill(&o.Idle, 5*time.Minute)
	if o.CircuitAfter <= 0 {
		o.CircuitAfter = 5
	}
	if o.Nice == 0 {
		o.Nice = 5
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// NoGroups is the value of Options.Groups by which no control groups are made.
const NoGroups = "none"

// maxPrograms bounds the processes of a kind.
const maxPrograms = 256

// Kind makes external nodes and owns their processes. Close ends them.
type Kind struct {
	options Options

	mu       sync.Mutex
	plans    map[string]*plan    // by config, as far as it was sound
	programs map[string]*program // by plan.key
	closed   bool
}

var _ node.Kind = (*Kind)(nil)

// New makes a kind. It starts nothing.
func New(o Options) *Kind {
	return &Kind{options: o.withDefaults(), plans: map[string]*plan{}, programs: map[string]*program{}}
}

// Describe gives the declaration that the package or the config has. It looks at the package's
// files, and starts nothing.
func (k *Kind) Describe(config json.RawMessage) (node.Declaration, error) {
	p, err := k.makePlan(config)
	if err != nil {
		return node.Declaration{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.plans) < maxPrograms {
		k.plans[string(config)] = p
	}
	return p.declaration.Node(), nil
}

// New makes an instance. Its process starts with the first instance's Init.
func (k *Kind) New(config json.RawMessage) (node.Node, error) {
	g, own, err := k.program(config)
	if err != nil {
		return nil, err
	}
	if err := g.refusal(); err != nil {
		return nil, err
	}
	return newInstance(g, own), nil
}

// Verify starts the process of a config, if it does not run, and waits for its hello: a node that
// is not what its package says is found before a session begins.
func (k *Kind) Verify(ctx context.Context, config json.RawMessage) error {
	g, _, err := k.program(config)
	if err != nil {
		return err
	}
	_, err = g.running(ctx.Done())
	return err
}

// program finds the process, or its place, that instances of a config share, and the node's own
// config.
func (k *Kind) program(config json.RawMessage) (*program, json.RawMessage, error) {
	k.mu.Lock()
	p := k.plans[string(config)]
	k.mu.Unlock()
	if p == nil {
		if _, err := k.Describe(config); err != nil {
			return nil, nil, err
		}
		k.mu.Lock()
		p = k.plans[string(config)]
		k.mu.Unlock()
	}
	if p == nil {
		return nil, nil, errTooMany()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, nil, errors.New("external node: its kind is closed")
	}
	g := k.programs[p.key]
	if g == nil {
		if len(k.programs) >= maxPrograms {
			return nil, nil, errTooMany()
		}
		g = newProgram(k, p)
		k.programs[p.key] = g
	}
	return g, p.config.Config, nil
}

func errTooMany() error {
	return errors.New("external node: 256 configs are in use: share processes by giving nodes of one package one config, apart from config.config")
}

// Close stops every process: politely, then not. It waits until all are gone.
func (k *Kind) Close() error {
	k.mu.Lock()
	k.closed = true
	list := make([]*program, 0, len(k.programs))
	for _, g := range k.programs {
		list = append(list, g)
	}
	k.mu.Unlock()
	var work sync.WaitGroup
	for _, g := range list {
		work.Go(g.close)
	}
	work.Wait()
	return nil
}

// Status tells how the processes stand, by name.
func (k *Kind) Status() []Status {
	k.mu.Lock()
	list := make([]*program, 0, len(k.programs))
	for _, g := range k.programs {
		list = append(list, g)
	}
	k.mu.Unlock()
	out := make([]Status, 0, len(list))
	for _, g := range list {
		out = append(out, g.status())
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Status is how one process stands.
type Status struct {
	Name     string        `json:"name"`
	Version  string        `json:"version"`
	NodeType string        `json:"node_type"`
	Boundary string        `json:"boundary"` // "process"
	Level    sandbox.Level `json:"isolation"`
	// State is idle, starting, running, waiting (for a restart), circuit_open, refused or closed.
	State       string `json:"state"`
	PID         int    `json:"pid"` // 0 = none runs
	Instances   int    `json:"instances"`
	Queue       int    `json:"queue"`
	Starts      int64  `json:"starts"`
	Restarts    int64  `json:"restarts"`
	Failures    int64  `json:"failures"` // ends that nobody asked for
	LastFailure string `json:"last_failure,omitempty"`
	Events      int64  `json:"events"`  // given
	Late        int64  `json:"late"`    // discarded as late
	Unknown     int64  `json:"unknown"` // not known to the protocol, skipped
	// Overhead is what a call takes beside the node's own work, of the calls so far.
	OverheadP50 time.Duration `json:"overhead_p50_ns"`
	OverheadP99 time.Duration `json:"overhead_p99_ns"`
	MemoryMB    int64         `json:"memory_mb"` // these as measured last
	CPUUnits    int64         `json:"cpu_units"`
	Tasks       int64         `json:"tasks"`
}

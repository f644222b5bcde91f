// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parley-voice/parley/node/external/protocol"
)

// program is what instances of one config share: at most one process at a time, its places, and
// the rules of its restart.
type program struct {
	kind *Kind
	plan *plan
	log  *slog.Logger

	mu       sync.Mutex
	process  *process      // that runs or is on its way out
	starting chan struct{} // closed when the start under way is over
	startErr error         // of the last start
	refused  error         // for good: it is not what it says
	closed   bool
	over     chan struct{} // closed by close

	used    int             // places that are taken
	waiting []chan struct{} // who waits for one, oldest first

	failures []time.Time // of late, oldest first
	streak   int         // failures without a good run between
	notUntil time.Time   // the next start
	open     bool        // the circuit is, until notUntil
	last     error

	starts, failed                 int64
	events, late, unknown, strange atomic.Int64
	overhead                       spread
}

// goodRun is how long a process has to live for its failures to be forgiven.
const goodRun = 10 * time.Second

func newProgram(k *Kind, p *plan) *program {
	return &program{
		kind: k, plan: p, over: make(chan struct{}),
		log: k.options.Log.With("boundary", "process", "package", p.name, "version", p.version, "node_type", p.declaration.NodeType),
	}
}

func (g *program) fault(code, format string, args ...any) *Error {
	return &Error{Node: g.plan.name, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func (g *program) refusal() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// acquire takes a place for an instance and gives the process that runs. leave gives it back.
func (g *program) acquire(stop <-chan struct{}) (*process, error) {
	if err := g.place(stop); err != nil {
		return nil, err
	}
	p, err := g.running(stop)
	if err != nil {
		g.leave()
	}
	return p, err
}

// place waits for a place, if few do.
func (g *program) place(stop <-chan struct{}) error {
	g.mu.Lock()
	l := &g.plan.limits
	if int64(g.used) < l.concurrency {
		g.used++
		g.mu.Unlock()
		return nil
	}
	if int64(len(g.waiting)) >= l.queue {
		waiting := len(g.waiting)
		g.mu.Unlock()
		err := g.fault(protocol.CodeLimit, "limits.concurrency: %d instances are open and %d wait: raise limits.concurrency or limits.queue, or admit fewer sessions", l.concurrency, waiting)
		err.Before = true
		return err
	}
	granted := make(chan struct{})
	g.waiting = append(g.waiting, granted)
	g.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-stop:
	case <-g.over:
	}
	g.mu.Lock()
	at := slices.Index(g.waiting, granted)
	if at >= 0 {
		g.waiting = slices.Delete(g.waiting, at, at+1)
	}
	g.mu.Unlock()
	if at < 0 { // it came just now
		g.leave()
	}
	return g.fault(codeCancelled, "nobody waits for the instance any more")
}

// leave gives a place back, to the oldest that waits for one.
func (g *program) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.used--
		return
	}
	close(g.waiting[0])
	g.waiting = slices.Delete(g.waiting, 0, 1)
}

// running gives the process, which it starts where none runs.
func (g *program) running(stop <-chan struct{}) (*process, error) {
	g.mu.Lock()
	for tried := false; ; tried = true {
		switch {
		case g.closed:
			g.mu.Unlock()
			return nil, g.fault(protocol.CodeExited, "the host is closing")
		case g.refused != nil:
			defer g.mu.Unlock()
			return nil, g.refused
		case g.process != nil && g.process.alive():
			defer g.mu.Unlock()
			return g.process, nil
		case tried && g.starting == nil && g.startErr != nil:
			defer g.mu.Unlock()
			return nil, g.startErr
		case g.starting == nil && g.open && time.Now().Before(g.notUntil):
			defer g.mu.Unlock()
			return nil, g.fault(protocol.CodeCircuit, "%d failures within %v, the last: %v: the next start is in %v",
				len(g.failures), g.kind.options.CircuitWindow, g.last, time.Until(g.notUntil).Round(time.Second))
		case g.starting == nil:
			g.starting = make(chan struct{})
			go g.start(g.process, time.Until(g.notUntil))
		}
		begun := g.starting
		g.mu.Unlock()
		select {
		case <-begun:
		case <-stop:
			return nil, g.fault(codeCancelled, "nobody waits for the process any more")
		}
		g.mu.Lock()
	}
}

// start starts a process when the one before is gone and the wait is over.
func (g *program) start(before *process, wait time.Duration) {
	if before != nil {
		<-before.gone
	}
	timer := time.NewTimer(max(0, wait))
	select {
	case <-timer.C:
	case <-g.over:
		timer.Stop()
	}
	p, err := g.spawn()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.startErr = err
	close(g.starting)
	g.starting = nil
	if err == nil {
		g.process = p
		go g.mind(p)
		return
	}
	e := (*Error)(nil)
	if errors.As(err, &e) && (e.Code == protocol.CodeDeclarationFalse || e.Code == protocol.CodeProtocolVersion) {
		g.refused = err
	}
	g.note(err)
}

// failing says that the process before has failed, and none has run well since.
func (g *program) failing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.streak > 0
}

// mind waits for the end of a process.
func (g *program) mind(p *process) {
	<-p.gone
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.asked.Load() {
		return
	}
	if time.Since(p.began) >= goodRun {
		g.streak, g.failures = 0, nil
	}
	g.note(p.cause())
}

// note counts a failure: the next start waits, and the circuit may open. The lock is held.
func (g *program) note(err error) {
	o := &g.kind.options
	now := time.Now()
	g.failed++
	g.last = err
	g.streak++
	g.failures = append(slices.DeleteFunc(g.failures, func(t time.Time) bool { return now.Sub(t) > o.CircuitWindow }), now)
	wait := o.BackoffMax
	if g.streak < 20 {
		wait = min(o.BackoffMax, o.Backoff<<(g.streak-1))
	}
	if g.open = len(g.failures) >= o.CircuitAfter; g.open {
		wait = o.CircuitFor
	}
	g.notUntil = now.Add(wait)
	g.log.Warn("the process of a node has failed", "error", err, "failures", len(g.failures), "next_start_ms", wait.Milliseconds(), "circuit_open", g.open)
}

// close ends the process and lets nobody start another.
func (g *program) close() {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.over)
	}
	starting := g.starting
	g.mu.Unlock()
	if starting != nil {
		<-starting
	}
	g.mu.Lock()
	p := g.process
	g.mu.Unlock()
	if p != nil {
		p.shutdown()
		<-p.gone
	}
}

func (g *program) status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := Status{
		Name: g.plan.name, Version: g.plan.version, NodeType: g.plan.declaration.NodeType, Boundary: "process", Level: g.plan.level, State: "idle",
		Instances: g.used, Queue: len(g.waiting), Starts: g.starts, Restarts: max(0, g.starts-1), Failures: g.failed,
		Events: g.events.Load(), Late: g.late.Load(), Unknown: g.unknown.Load(),
		OverheadP50: g.overhead.quantile(50), OverheadP99: g.overhead.quantile(99),
	}
	if g.last != nil {
		s.LastFailure = g.last.Error()
	}
	switch {
	case g.closed:
		s.State = "closed"
	case g.refused != nil:
		s.State = "refused"
	case g.process != nil && g.process.alive():
		s.State, s.PID = "running", g.process.pid
		s.MemoryMB, s.CPUUnits, s.Tasks = g.process.memory.Load()>>20, g.process.cpu.Load(), g.process.tasks.Load()
	case g.open && time.Now().Before(g.notUntil):
		s.State = "circuit_open"
	case g.starting != nil && time.Now().Before(g.notUntil):
		s.State = "waiting"
	case g.starting != nil:
		s.State = "starting"
	}
	return s
}

// spread is a histogram of durations by powers of two of a microsecond, with eight steps each.
type spread struct {
	counts [34 * spreadSteps]atomic.Int64
}

const spreadSteps = 8

func (s *spread) record(d time.Duration) {
	us := max(0, d.Microseconds())
	at := int64(0)
	if us < spreadSteps {
		at = us
	} else {
		shift := 0
		for us>>shift >= 2*spreadSteps {
			shift++
		}
		at = int64(spreadSteps*shift) + us>>shift
	}
	s.counts[min(at, int64(len(s.counts)-1))].Add(1)
}

func (s *spread) quantile(percent int64) time.Duration {
	var all int64
	for i := range s.counts {
		all += s.counts[i].Load()
	}
	rank := (all*percent + 99) / 100
	for i := range s.counts {
		if rank -= s.counts[i].Load(); rank <= 0 && all > 0 {
			if i < 2*spreadSteps {
				return time.Duration(i) * time.Microsecond
			}
			shift := i/spreadSteps - 1
			return time.Duration((i%spreadSteps+spreadSteps)<<shift) * time.Microsecond
		}
	}
	return 0
}

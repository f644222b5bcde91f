// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parley-voice/parley/internal/kernel/session"
)

// Options says what to simulate. The zero value runs one seed, the first.
type Options struct {
	Seeds   int64    // how many seeds, at least 1
	First   int64    // the first of them
	Turns   int64    // turns of each seed, 0 = DefaultTurns
	Faults  FaultSet // the kinds that may be drawn
	Workers int      // goroutines, 0 = GOMAXPROCS; results do not depend on it
	// Progress, if not nil, is told now and then how many seeds are done. It may be
	// called from several goroutines at once.
	Progress func(done int64)
	// Stop is how many violations end the run early, 0 = 1.
	Stop int
}

// DefaultTurns is how many turns a seed has where nobody says otherwise.
const DefaultTurns = 20

// maxSessions bounds the sessions of one seed: those that end early make place for more.
const maxSessions = 64

// outcome is what one run of one seed came to.
type outcome struct {
	turns, commits, sessions int64
	interruptions, resumed   int64
	steps                    int64
	aborts                   [abortReasons]int64
	adapted                  [adaptations]int64
	afterFence               int64
	digest                   [32]byte
	decisions                int64
	violation                *Violation
}

// explain says what a panic was; with its origin where the run is for showing.
func explain(p any, tracing bool) string {
	if !tracing {
		return ""
	}
	text := fmt.Sprint(p)
	var broken *session.InvariantError
	if err, ok := p.(error); ok && errors.As(err, &broken) {
		return text
	}
	stack := strings.Split(string(debug.Stack()), "\n")
	for i, line := range stack {
		if strings.HasPrefix(line, "panic(") && i+3 < len(stack) { // the frame that panicked, and where
			return text + " in " + stack[i+2] + " at " + filepath.Base(strings.TrimSpace(stack[i+3]))
		}
	}
	return text
}

// add counts a session into its seed.
func (o *outcome) add(w *world) {
	c := w.kernel.Counters()
	o.turns += w.turns
	o.commits += w.watch.commits
	o.interruptions += c.InterruptionsConfirmed
	o.resumed += c.InterruptionsFalse
	o.afterFence += w.watch.afterFence
	for i, n := range w.watch.aborts {
		o.aborts[i] += n
	}
	for i, n := range w.watch.adapted {
		o.adapted[i] += n
	}
}

func (w *world) violation(seed, sessions int64, i Invariant, detail string) *Violation {
	v := &Violation{
		Seed: seed, Session: sessions, Step: w.steps, AtMS: w.now.MS(), Invariant: i.String(), Detail: detail,
	}
	if w.trace != nil {
		v.Trace = slices.Clone(w.trace.tail())
	}
	return v
}

// Run simulates. It returns early when ctx is done; the report then covers the seeds
// that were finished, and says so.
func Run(ctx context.Context, o Options) *Report {
	o.Seeds = max(1, o.Seeds)
	if o.Turns <= 0 {
		o.Turns = DefaultTurns
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Stop <= 0 {
		o.Stop = 1
	}
	start := cpuSeconds()
	run := &batch{options: o, ctx: ctx}
	var group sync.WaitGroup
	for range o.Workers {
		group.Go(run.work)
	}
	group.Wait()
	report := run.report()
	report.CPUSeconds = cpuSeconds() - start
	report.finish()
	return report
}

// batch is one call of Run: workers take seeds until none is left. Which worker ran a
// seed shows nowhere, as all that is merged are sums.
type batch struct {
	options Options
	ctx     context.Context
	next    atomic.Int64
	done    atomic.Int64
	broken  atomic.Int64

	mu         sync.Mutex
	sum        outcome
	seeds      int64
	digest     [32]byte // of the seeds' digests, exclusive-or: their order does not matter
	covered    [faultCount]int64
	checks     [invariantCount]int64
	violations []*Violation
}

func (r *batch) work() {
	first, second := newWorld(), newWorld()
	second.blind = true
	var sum outcome
	var seeds int64
	var digest [32]byte
	var broken []*Violation
	for {
		n := r.next.Add(1) - 1
		if n >= r.options.Seeds || r.ctx.Err() != nil || r.broken.Load() >= int64(r.options.Stop) {
			break
		}
		seed := r.options.First + n
		one, two := abreast(first, second, seed, r.options.Turns, r.options.Faults)
		if one.violation == nil {
			one.violation = compare(seed, &one, &two)
		}
		if one.violation != nil {
			broken = append(broken, one.violation)
			r.broken.Add(1)
		}
		sum.merge(&one)
		mix(&digest, &one.digest)
		seeds++
		if done := r.done.Add(1); r.options.Progress != nil && done%64 == 0 {
			r.options.Progress(done)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.merge(&sum)
	mix(&r.digest, &digest)
	r.seeds += seeds
	for i := range r.covered {
		r.covered[i] += first.covered[i]
	}
	for i := range r.checks {
		r.checks[i] += first.watch.counts[i]
	}
	r.checks[DigestEqual] += seeds
	r.checks[NoPanic] += sum.steps
	r.violations = append(r.violations, broken...)
}

// mix adds a digest to those before it.
func mix(all, one *[32]byte) {
	for i := range all {
		all[i] ^= one[i]
	}
}

// compare holds the two runs of a seed against each other.
func compare(seed int64, one, two *outcome) *Violation {
	if two.violation == nil && bytes.Equal(one.digest[:], two.digest[:]) && one.decisions == two.decisions {
		return nil
	}
	return &Violation{
		Seed: seed, Invariant: DigestEqual.String(),
		Detail: fmt.Sprintf("two runs differ: %d decisions %x and %d decisions %x", one.decisions, one.digest[:8], two.decisions, two.digest[:8]),
	}
}

func (o *outcome) merge(other *outcome) {
	o.turns += other.turns
	o.commits += other.commits
	o.sessions += other.sessions
	o.interruptions += other.interruptions
	o.resumed += other.resumed
	o.steps += other.steps
	o.afterFence += other.afterFence
	o.decisions += other.decisions
	for i := range o.aborts {
		o.aborts[i] += other.aborts[i]
	}
	for i := range o.adapted {
		o.adapted[i] += other.adapted[i]
	}
}

// report makes the account of a run; every violation is run again to be shown.
func (r *batch) report() *Report {
	slices.SortFunc(r.violations, func(a, b *Violation) int { return cmp.Compare(a.Seed, b.Seed) })
	rep := &Report{
		Seeds: r.seeds, First: r.options.First, TurnsPerSeed: r.options.Turns, Interrupted: r.ctx.Err() != nil,
		Sessions: r.sum.sessions, Turns: r.sum.turns, Steps: r.sum.steps, Decisions: r.sum.decisions,
		Digest:  hex.EncodeToString(r.digest[:]),
		Commits: r.sum.commits, Interruptions: r.sum.interruptions, FalseInterruptions: r.sum.resumed,
		FramesAfterFence: r.sum.afterFence,
		Aborts:           map[string]int64{}, Adapted: map[string]int64{}, Faults: map[string]int64{}, Invariants: map[string]int64{},
		Violations: []*Violation{},
	}
	for i, n := range r.sum.aborts {
		if n > 0 {
			rep.Aborts[abortNames()[i]] = n
		}
	}
	for i, n := range r.sum.adapted {
		rep.Adapted[adaptationNames()[i]] = n
	}
	for f := range faultCount {
		rep.Faults[f.String()] = r.covered[f]
		if r.covered[f] == 0 && r.options.Faults.Has(f) {
			rep.NotCovered = append(rep.NotCovered, f.String())
		}
	}
	for i := range invariantCount {
		rep.Invariants[i.String()] = r.checks[i]
	}
	for _, v := range r.violations[:min(len(r.violations), max(r.options.Stop, 1))] {
		rep.Violations = append(rep.Violations, shrink(v, r.options))
	}
	return rep
}

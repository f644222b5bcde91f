// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// soak has calls come and go and samples the heap: while they do, and at rest, before the
// first and behind the last of them. What calls in progress hold goes up and down by more
// than a leak would show in ten minutes; what is held when there is none does not.
func (r *runner) soak(ctx context.Context) error {
	p := &r.profile
	if err := r.rehearse(ctx); err != nil {
		return err
	}
	atRest := heapInUse()
	h, err := r.host(p.Capacity)
	if err != nil {
		return err
	}
	x := r.crowd(h)
	heap, err := r.sampleHeap(ctx, x, h)
	if derr := r.done(x, h); err == nil {
		err = derr
	}
	if err != nil {
		return err
	}
	r.report.Heap = heap
	r.report.row("growth of the heap from the warm-up to the end", growth(heap), p.Bounds.HeapPercent, "%",
		fmt.Sprintf("%d samples, each after a garbage collection; median %.2f MB; %d calls came and went",
			len(heap), median(floats(heap))/1e6, x.ended.Load()))
	if x.ended.Load() == 0 {
		r.nothing("no call came and went")
	}
	r.heard("all")
	r.aftermath(x, h)
	left := max(0, heapInUse()-atRest)
	r.report.row("heap that the calls have left behind, against the heap in use", 100*float64(left)/median(floats(heap)), p.Bounds.HeapPercent, "%",
		fmt.Sprintf("%d bytes, %.1f a call", left, float64(left)/float64(max(x.ended.Load(), 1))))
	return nil
}

// rehearse lets a few calls take place on a host of their own, so that what a process
// keeps from its first ones on is there before anything is measured.
func (r *runner) rehearse(ctx context.Context) error {
	p := &r.profile
	h, err := r.host(p.Capacity)
	if err != nil {
		return err
	}
	x := r.crowd(h)
	n := min(p.Sessions, 20)
	r.say("a rehearsal: %d sessions, for %s", n, short(min(p.WarmUp, rehearsal)))
	x.Add(int(n), 0)
	waited := rest(ctx, min(p.WarmUp, rehearsal))
	if err := finish(x, h); err != nil {
		return err
	}
	return waited
}

// rehearsal is how long the calls before those of a soak take, at most.
const rehearsal = 20 * time.Second

func floats(list []int64) []float64 {
	all := make([]float64, len(list))
	for i, v := range list {
		all[i] = float64(v)
	}
	return all
}

// sampleHeap lets the warm-up pass and then measures and samples in turn.
func (r *runner) sampleHeap(ctx context.Context, x *Crowd, h *sessionhost.Host) (heap []int64, err error) {
	p := &r.profile
	r.say("%d sessions that come and go, for %s", p.Sessions, short(p.Duration))
	began := time.Now()
	x.Add(int(p.Sessions), p.Ramp)
	if err := rest(ctx, p.Ramp+p.WarmUp); err != nil {
		return nil, err
	}
	from := x.begin(&r.options.Machine, x.group)
	for time.Since(began) < p.Duration {
		if err := rest(ctx, p.Sample); err != nil {
			return nil, err
		}
		heap = append(heap, heapInUse())
		r.say("%s: %d sessions, %d calls have ended, %d of them are still held, heap %.2f MB, %d goroutines",
			time.Since(began).Round(time.Second), h.Sessions(), x.ended.Load(), x.outlived(), float64(heap[len(heap)-1])/1e6, runtime.NumGoroutine())
	}
	r.report.Measurements = append(r.report.Measurements, Measurement{"all of it", x.end(&r.options.Machine, x.group, from)})
	return heap, nil
}

// aftermath looks for what has outlived its session once the host is closed.
func (r *runner) aftermath(x *Crowd, h *sessionhost.Host) {
	goroutines, held := 0, 0
	for end := time.Now().Add(settling); ; {
		runtime.GC()
		goroutines, held = max(0, runtime.NumGoroutine()-r.before), x.outlived()
		if goroutines == 0 && held == 0 || time.Now().After(end) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.report.row("sessions, calls and goroutines that outlive the host", float64(goroutines+held+h.Sessions())+float64(h.Working()), 0, "",
		fmt.Sprintf("%d sessions that ended are held by something, %d calls of nodes or providers work, %d goroutines more than before", held, h.Working(), goroutines))
	if n := r.report.Callers["frames_after_fence"]; n > 0 {
		r.report.row("frames of a fenced turn at the sink", float64(n), 0, "", "")
	}
}

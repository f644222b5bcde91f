// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"time"

	"github.com/parley-voice/parley/internal/kernel/gate"
	"github.com/parley-voice/parley/internal/runtime/sessionhost"
)

// overload measures a small crowd, finds what fits, and offers a multiple of it.
func (r *runner) overload(ctx context.Context) error {
	p := &r.profile
	small, err := r.small(ctx)
	if err != nil {
		return err
	}
	h, err := r.host(p.Capacity)
	if err != nil {
		return err
	}
	x := r.crowd(h)
	p99, preempt, heap, err := r.full(ctx, x, h)
	stats := h.Admission()
	if derr := r.done(x, h); err == nil {
		err = derr
	}
	if err != nil {
		return err
	}
	bound := p.Bounds.LatenessTimes * max(small, millis(int64(p.Bounds.LatenessFloor)))
	r.report.row("frame lateness p99 of who was let in", p99, bound, "ms",
		fmt.Sprintf("%g times that of %d sessions, %.3f ms, which counts as %s at least", p.Bounds.LatenessTimes, p.Sessions, small, short(p.Bounds.LatenessFloor)))
	r.heard("small", "overloaded")
	r.report.row("control preempts, p95", preempt, millis(int64(p.Bounds.PreemptP95)), "ms", "")
	refused := stats.Starts.Deferred + stats.Starts.Rejected
	reasons := int64(0)
	for _, n := range r.report.Refusals {
		reasons += n
	}
	r.report.row("refusals without a reason", float64(max(refused-reasons, reasons-refused)+x.group.failed.Load()), 0, "",
		fmt.Sprintf("%d calls were tried, %d let in, %d refused with a reason", x.offered.Load(), x.opened.Load(), reasons))
	r.report.row("growth of the heap while overloaded", growth(heap), p.Bounds.HeapPercent, "%", "")
	r.aftermath(x, h)
	return nil
}

// small measures the small crowd.
func (r *runner) small(ctx context.Context) (p99 float64, err error) {
	h, err := r.host(r.profile.Sessions)
	if err != nil {
		return 0, err
	}
	x := r.crowd(h)
	defer func() {
		if derr := finish(x, h); err == nil {
			err = derr
		}
	}()
	r.say("a small crowd: %d sessions", r.profile.Sessions)
	x.Add(int(r.profile.Sessions), r.profile.Ramp)
	if err := rest(ctx, r.profile.Ramp+r.profile.WarmUp); err != nil {
		return 0, err
	}
	p99, _, err = r.windows(ctx, x, "small")
	return p99, err
}

// full fills the host, offers more than fits, and measures.
func (r *runner) full(ctx context.Context, x *Crowd, h *sessionhost.Host) (p99, preempt float64, heap []int64, err error) {
	if r.report.Fits, err = r.fits(ctx, x, h); err != nil {
		return 0, 0, nil, err
	}
	r.raise(x, r.profile.Offer*r.report.Fits, r.profile.Ramp)
	r.say("%d sessions fit; %d callers are there", r.report.Fits, r.report.Offered)
	if err := rest(ctx, r.profile.Ramp+r.profile.WarmUp); err != nil {
		return 0, 0, nil, err
	}
	var list, controls []float64
	heap = append(heap, heapInUse())
	for n := range r.profile.Rounds {
		w, err := r.window(ctx, x, fmt.Sprintf("overloaded %d", n+1))
		if err != nil {
			return 0, 0, nil, err
		}
		list, controls = append(list, w.P99), append(controls, w.Preempt)
		heap = append(heap, heapInUse())
	}
	r.report.Heap = heap
	return median(list), median(controls), heap, nil
}

// raise has callers come, over a time, until there are so many.
func (r *runner) raise(x *Crowd, to int64, over time.Duration) {
	if n := to - r.report.Offered; n > 0 {
		x.Add(int(n), over)
		r.report.Offered += n
	}
}

// fits is how many sessions the host can carry: what is configured, or what it comes to
// know while more callers than it has let in want to come in. It is known when the host is
// full of sessions that have shown what they cost.
func (r *runner) fits(ctx context.Context, x *Crowd, h *sessionhost.Host) (int64, error) {
	if r.profile.Capacity > 0 {
		r.raise(x, r.profile.Capacity, r.profile.Ramp)
		return r.profile.Capacity, rest(ctx, r.profile.Ramp)
	}
	full, known := 0, int64(0)
	for began := time.Now(); time.Since(began) < r.profile.Settle && full < settled; {
		stats := h.Admission()
		r.raise(x, 2*max(stats.Sessions, 16), time.Second)
		if err := rest(ctx, time.Second); err != nil {
			return 0, err
		}
		full++
		if stats.Capacity >= gate.MaxSlots || stats.Sessions*100 < stats.Capacity*95 || stats.Capacity*100 > known*105 {
			full, known = 0, stats.Capacity // a fuller host shows that a session costs less
		}
		r.say("finding out what fits: %d sessions, capacity %s", stats.Sessions, capacityText(stats.Capacity))
	}
	stats := h.Admission()
	return max(1, min(stats.Capacity, stats.Sessions)), nil
}

// settled is for how many seconds a host has to be full, and to think the same of its
// capacity, before that is what fits.
const settled = 12

func capacityText(capacity int64) string {
	if capacity >= gate.MaxSlots {
		return "not known yet"
	}
	return fmt.Sprint(capacity)
}

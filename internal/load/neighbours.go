// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// recovery is how long a host has between disturbances, before it is measured again.
const recovery = 2 * time.Second

// neighbours measures the callers in turn without and with bad neighbours.
func (r *runner) neighbours(ctx context.Context) error {
	p := &r.profile
	h, err := r.host(p.Capacity)
	if err != nil {
		return err
	}
	x := r.crowd(h)
	list := make([]*disturber, len(p.Disturbances))
	for i := range list {
		list[i] = newDisturber(x, p.Disturbances[i])
	}
	r.say("%d sessions", p.Sessions)
	x.Add(int(p.Sessions), p.Ramp)
	alone, beside, err := r.alternate(ctx, x, list)
	if derr := r.done(x, h); err == nil {
		err = derr
	}
	for _, d := range list {
		r.report.Disturbers = append(r.report.Disturbers, Disturber{d.set.Kind, d.set.Tenant, d.sum.get()})
	}
	if err != nil {
		return err
	}
	floor := millis(int64(p.Bounds.LatenessFloor))
	ratios := make([]float64, len(alone))
	for i := range alone {
		ratios[i] = max(beside[i], floor) / max(alone[i], floor)
	}
	r.report.row("growth of the others' frame lateness p99", 100*(median(ratios)-1), p.Bounds.MovePercent, "%",
		fmt.Sprintf("median of %d rounds; alone %.3f ms, beside them %.3f ms; less than %s counts as that much",
			len(ratios), median(alone), median(beside), short(p.Bounds.LatenessFloor)))
	r.heard("alone", "disturbed")
	r.report.row("disturbers that were not let in and disturbed nobody", float64(len(r.absent)), 0, "", strings.Join(r.absent, ", "))
	r.report.row("calls of the others that failed or were refused", float64(x.group.failed.Load()+sumOf(x.refusals.get())), 0, "", "")
	r.aftermath(x, h)
	return nil
}

func sumOf(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// alternate measures without and with the disturbers in turn.
func (r *runner) alternate(ctx context.Context, x *Crowd, list []*disturber) (alone, beside []float64, err error) {
	if err := rest(ctx, r.profile.Ramp+r.profile.WarmUp); err != nil {
		return nil, nil, err
	}
	for n := range r.profile.Rounds {
		if n > 0 {
			if err := rest(ctx, recovery); err != nil {
				return nil, nil, err
			}
		}
		w, err := r.window(ctx, x, fmt.Sprintf("alone %d", n+1))
		if err != nil {
			return nil, nil, err
		}
		alone = append(alone, w.P99)
		w, err = r.disturbed(ctx, x, list, int(n))
		if err != nil {
			return nil, nil, err
		}
		beside = append(beside, w.P99)
	}
	return alone, beside, nil
}

// disturbed measures with the disturbers.
func (r *runner) disturbed(ctx context.Context, x *Crowd, list []*disturber, n int) (w Window, err error) {
	for _, d := range list {
		d.start()
	}
	defer func() {
		for _, d := range list {
			d.stop()
		}
	}()
	if err := rest(ctx, time.Second); err != nil { // they come
		return w, err
	}
	if w, err = r.window(ctx, x, fmt.Sprintf("disturbed %d", n+1)); err != nil {
		return w, err
	}
	for _, d := range list {
		if !d.came.Load() {
			r.absent = append(r.absent, fmt.Sprintf("%s %d", d.set.Kind, n+1))
		}
	}
	return w, nil
}

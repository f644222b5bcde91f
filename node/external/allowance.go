// SPDX-License-Identifier: Apache-2.0

package external

import "time"

// allowance follows the processor time of a process as a bucket does: what it uses beyond its
// limit is a debt, which it pays back by using less. Who owes more than a burst stands behind
// everybody else until it owes nothing: the sessions beside it need not wait until it is clear
// that it has to go (cpuWindow).
type allowance struct {
	at, cpu time.Duration // of the last look
	owes    time.Duration
	behind  bool
}

const (
	// burst is for how long a process may use twice its limit at once.
	burst = 100 * time.Millisecond
	// leastBurst is what is not told from nothing: processor time is told in steps of 10 ms.
	leastBurst = 20 * time.Millisecond
	// mostOwed is how long a process that stops altogether pays at most.
	mostOwed = time.Second
)

// use notes what a process has used in all, of so many thousandths of a core that it may, and
// says whether that changes where it stands.
func (a *allowance) use(now, cpu time.Duration, units int64) (changed bool) {
	share := func(d time.Duration) time.Duration { return d * time.Duration(units+units/10) / 1000 }
	if a.at != 0 {
		a.owes += max(0, cpu-a.cpu) - share(now-a.at)
		a.owes = min(max(0, a.owes), max(share(mostOwed), leastBurst))
	}
	a.at, a.cpu = now, cpu
	behind := a.owes > max(share(burst), leastBurst) || a.behind && a.owes > 0
	changed = behind != a.behind
	a.behind = behind
	return changed
}

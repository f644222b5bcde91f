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
	burst = 50 * time.Millisecond
	// leastBurst is what even the smallest limit allows: some waking up.
	leastBurst = 10 * time.Millisecond
	// mostOwed is how long a process that stops altogether pays at most.
	mostOwed = time.Second
)

// share is what a process may use in a time: a tenth more than its limit.
func share(d time.Duration, units int64) time.Duration {
	return d * time.Duration(units+units/10) / 1000
}

// mostAhead is how far a process may be ahead of its limit.
func mostAhead(units int64) time.Duration { return max(share(burst, units), leastBurst) }

// suspect is the allowance of a process whose predecessor has failed: it has no burst left.
func suspect(units int64) allowance { return allowance{owes: mostAhead(units)} }

// use notes what a process has used in all, of so many thousandths of a core that it may, and
// says whether that changes where it stands.
func (a *allowance) use(now, cpu time.Duration, units int64) (changed bool) {
	if a.at != 0 {
		a.owes += max(0, cpu-a.cpu) - share(now-a.at, units)
		a.owes = min(max(0, a.owes), max(share(mostOwed, units), leastBurst))
	}
	a.at, a.cpu = now, cpu
	behind := a.owes > mostAhead(units) || a.behind && a.owes > 0
	changed = behind != a.behind
	a.behind = behind
	return changed
}

// SPDX-License-Identifier: Apache-2.0

package external

import (
	"testing"
	"time"
)

// What a process uses at each of its looks, a fiftieth of a second apart, and from which look on it
// stands behind, or does no more.
func TestAllowance(t *testing.T) {
	const ms = time.Millisecond
	again := func(n int, d time.Duration) (list []time.Duration) {
		for range n {
			list = append(list, d)
		}
		return list
	}
	for name, c := range map[string]struct {
		units        int64
		used         []time.Duration
		from, before int // the looks at which it begins and stops to stand behind, from 1; 0 = never
	}{
		"within its limit":        {300, again(500, 6*ms), 0, 0},
		"a tenth more is let":     {1000, again(500, 22*ms), 0, 0},
		"some waking up":          {10, append(again(9, 0), 5*ms, 5*ms), 0, 0},
		"a burst":                 {1000, append(append(again(3, 40*ms), again(10, 0)...), again(3, 40*ms)...), 0, 0},
		"a core, of three tenths": {300, again(20, 20*ms), 2, 0},
		"two cores, of one":       {1000, again(20, 40*ms), 4, 0},
		"it pays back":            {500, append(again(20, 20*ms), again(100, 0)...), 4, 37},
		"it pays for a second":    {500, append(again(1000, 40*ms), again(100, 0)...), 1, 1050},
	} {
		t.Run(name, func(t *testing.T) {
			var a allowance
			now, cpu := time.Second, 5*time.Second // it has a past, of which nothing is known
			a.use(now, cpu, c.units)
			from, before := 0, 0
			for i, used := range c.used {
				now, cpu = now+20*ms, cpu+used
				switch was := a.behind; {
				case a.use(now, cpu, c.units) == (was == a.behind):
					t.Fatalf("look %d: a change is not told, or told without one", i+1)
				case !was && a.behind:
					from = i + 1
				case was && !a.behind:
					before = i + 1
				}
			}
			if from != c.from || before != c.before {
				t.Errorf("behind from %d to %d, want %d to %d", from, before, c.from, c.before)
			}
		})
	}
}

// Who comes after one that has failed has no burst.
func TestSuspect(t *testing.T) {
	const ms = time.Millisecond
	a := suspect(300)
	a.use(time.Second, 0, 300)
	if a.use(time.Second+20*ms, 6*ms, 300); a.behind {
		t.Error("it stands behind though it keeps to its limit")
	}
	if a.use(time.Second+40*ms, 26*ms, 300); !a.behind {
		t.Error("it does not stand behind at the first look at which it is ahead")
	}
}

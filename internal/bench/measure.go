// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// StolenLimit is the share of stolen time above which a run is void.
const StolenLimit = 0.01

// Options say how long to measure.
type Options struct {
	Runs  int           // alternating runs of each case, at least 1; 0 = 5
	Each  time.Duration // length of one run; 0 = 200 ms
	Now   func() time.Time
	Stole func() float64 // share of stolen time since the last call, negative = unknown
	Only  func(id string) bool
	Say   func(string)        // progress
	Pause func(time.Duration) // before a void run is repeated; nil = time.Sleep
	// Sessions is how many callers the case sockets has; 0 = DefaultSessions. Part makes the
	// command that runs ServePart, CallPart, NodePart or EchoPart as a process of its own; nil = the
	// cases cannot be measured. WarmUp is how long its callers talk before they are measured; 0 = 12 s.
	Sessions int
	Part     func(ctx context.Context, part string, args ...string) *exec.Cmd
	WarmUp   time.Duration
	// Launcher starts external nodes in a sandbox, as external.Options has it; none = they have none.
	Launcher []string
}

func (o Options) withDefaults() Options {
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if o.Each <= 0 {
		o.Each = 200 * time.Millisecond
	}
	if o.Only == nil {
		o.Only = func(string) bool { return true }
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if o.Pause == nil {
		o.Pause = time.Sleep
	}
	if o.Sessions <= 0 {
		o.Sessions = DefaultSessions
	}
	if o.WarmUp <= 0 {
		o.WarmUp = crowdWarmUp
	}
	return o
}

// Result is one row.
type Result struct {
	ID          string  `json:"id"`
	Subject     string  `json:"subject"`
	Denominator string  `json:"denominator"`
	Unit        string  `json:"unit"`
	Value       float64 `json:"value"`       // median of the subject
	Base        float64 `json:"base"`        // median of the denominator, 0 = an absolute bound
	Ratio       float64 `json:"ratio"`       // value / base, or value / bound
	SpreadPct   float64 `json:"spread_pct"`  // (max - min) / median of the ratios
	Limit       float64 `json:"limit_ratio"` // the target
	Target      string  `json:"target"`
	Met         bool    `json:"met"`
	Void        int     `json:"void_runs"`
	StolenPct   float64 `json:"stolen_pct"` // median of the runs that count, negative = not known
	Note        string  `json:"note,omitempty"`
}

// loop is work that is done n times; it gives the time that took.
type loop func(n int) time.Duration

// perOp runs work for about the given time and gives ns per operation.
func perOp(each time.Duration, work loop) float64 {
	n := 1024
	for {
		took := work(n)
		if took >= each || n >= 1<<30 {
			return float64(took) / float64(n)
		}
		if took < each/16 {
			n *= 8
			continue
		}
		n = int(float64(n)*float64(each)/float64(took)*1.1) + 1
	}
}

// voids is how many void runs there may be for each that counts, before a case is given up:
// each is repeated as often as a load's window is.
const voids = 3

// longestPause is the most that is waited for a noisy neighbour to go.
const longestPause = 8 * time.Second

// again says that a run was void, and has the next one wait if there is one: the longer the
// more were void in a row.
func (o *Options) again(what string, void, row, most int) {
	o.Say(fmt.Sprintf("%s: void, too much of the processor was somebody else's (%d of at most %d)", what, void, most))
	if void < most {
		o.Pause(min(time.Second<<min(row-1, 8), longestPause))
	}
}

// pair measures subject and denominator alternately and fills value, base and ratio.
func pair(o Options, r Result, base, subject func() float64) Result {
	var values, bases, ratios, stolen []float64
	r.StolenPct = -1
	for row := 0; len(ratios) < o.Runs && r.Void < voids*o.Runs; {
		if o.Stole != nil {
			o.Stole()
		}
		b := base()
		v := subject()
		if o.Stole != nil {
			share := o.Stole()
			if share > StolenLimit {
				r.Value, r.Base, r.Ratio = v, b, v/b
				r.Void, row = r.Void+1, row+1
				o.again(r.ID, r.Void, row, voids*o.Runs)
				continue
			}
			row = 0
			stolen = append(stolen, 100*share)
		}
		values, bases, ratios = append(values, v), append(bases, b), append(ratios, v/b)
	}
	if len(ratios) == 0 {
		r.Note = voidNote
		return r
	}
	r.Value, r.Base, r.Ratio = median(values), median(bases), median(ratios)
	r.SpreadPct = 100 * (slices.Max(ratios) - slices.Min(ratios)) / r.Ratio
	r.Met = r.Ratio <= r.Limit
	if len(stolen) > 0 {
		r.StolenPct = median(stolen)
	}
	return r
}

const voidNote = "every run was void, and what is shown, if anything, is the last of them: more than 1 % of the processor was stolen by other guests; repeat on a quieter machine"

func median(list []float64) float64 {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// percentile gives the p-th percentile by nearest rank, p in (0, 100].
func percentile[T cmp.Ordered](list []T, p int) T {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

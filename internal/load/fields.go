// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// field is one value of a profile: its name with the sections before it, what it means, and
// where it lies.
type field struct {
	name string
	help string
	to   any // *int64, *float64, *time.Duration, *Span, *string, *Scenario, *Kind
	most int64
	from int64
	one  []string // the words it may be; nil = any
}

// fields lists the values of a profile that stand alone or in a section.
func (p *Profile) fields() []field {
	c, e, b := &p.Callers, &p.Engines, &p.Bounds
	return []field{
		{name: "scenario", help: "overload, neighbours or soak", to: &p.Scenario, one: Scenarios()},
		{name: "seed", help: "draws lengths and latencies", to: &p.Seed, most: math.MaxInt32},
		{name: "sessions", help: "callers: of the small crowd (overload), well-behaved (neighbours), at a time (soak)", to: &p.Sessions, from: 1, most: maxSessions},
		{name: "ramp", help: "over which the first of them come", to: &p.Ramp},
		{name: "warm_up", help: "behind the ramp, before anything is measured", to: &p.WarmUp},
		{name: "duration", help: "of one measurement; soak: of all of it", to: &p.Duration, from: 1},
		{name: "capacity", help: "the most sessions the host takes; 0 = it finds out", to: &p.Capacity, most: maxSessions},
		{name: "settle", help: "overload: to find out what fits, at most", to: &p.Settle},
		{name: "offer", help: "overload: callers, as a multiple of what fits", to: &p.Offer, from: 1, most: 100},
		{name: "rounds", help: "overload, neighbours: how often it is measured; the median counts", to: &p.Rounds, from: 1, most: 99},
		{name: "sample", help: "soak: between two looks at the heap", to: &p.Sample, from: 1},
		{name: "spec", help: "pipeline spec with flow settings, a file beside the profile; none = the profile's", to: &p.SpecName},
		{name: "callers.speech", help: "length of an utterance", to: &c.Speech, from: 1},
		{name: "callers.listen", help: "from its end to the next", to: &c.Listen, from: 1},
		{name: "callers.interrupt_percent", help: "how often a caller cuts in", to: &c.InterruptPercent, most: 100},
		{name: "callers.cut_in", help: "and how long behind the utterance", to: &c.CutIn, from: 1},
		{name: "callers.life", help: "of a call, then the caller calls again; 0s = to the end", to: &c.Life},
		{name: "engines.stt", help: "end of an utterance to its transcript", to: &e.STT},
		{name: "engines.llm", help: "to the first sentence", to: &e.LLM},
		{name: "engines.next", help: "from one sentence to the next", to: &e.Next},
		{name: "engines.tts", help: "of a sentence to its first sound", to: &e.TTS},
		{name: "engines.reply", help: "how long a reply is to be heard", to: &e.Reply},
		{name: "bounds.lateness_floor", help: "the resolution of timers: less lateness counts as this much", to: &b.LatenessFloor},
		{name: "bounds.lateness_times", help: "overload: p99 of who was let in, against the small crowd", to: &b.LatenessTimes, most: 1000},
		{name: "bounds.preempt_p95", help: "overload: from a control's arrival to the pass that has it", to: &b.PreemptP95},
		{name: "bounds.move_percent", help: "neighbours: how much the p99 of the others may grow", to: &b.MovePercent, most: 1000},
		{name: "bounds.heap_percent", help: "growth of the heap in use, from the warm-up to the end", to: &b.HeapPercent, most: 1000},
	}
}

func (t *Tenant) fields() []field {
	list := []field{
		{name: "name", help: "of the tenant", to: &t.Name},
		{name: "share", help: "of the callers, against the shares of the others", to: &t.Share, most: 1000},
		{name: "action", help: "when a limit is reached: reject or defer", to: &t.Action, one: []string{"reject", "defer"}},
	}
	for _, l := range t.limits() {
		list = append(list, field{name: string(l.limit), help: "quota; 0 = no bound", to: l.most, most: 1_000_000_000_000})
	}
	return list
}

func (d *Disturbance) fields() []field {
	return []field{
		{name: "kind", help: strings.Join(kinds(), ", "), to: &d.Kind, one: kinds()},
		{name: "sessions", help: "how many of them at a time", to: &d.Sessions, from: 1, most: 10_000},
		{name: "tenant", help: "whose they are", to: &d.Tenant},
		{name: "opens_per_second", help: "flood: calls that it tries to open", to: &d.OpensPerSecond, most: maxRate},
		{name: "frames_per_second", help: "flood: frames of each of its calls", to: &d.FramesPerSecond, most: maxRate},
		{name: "texts_per_second", help: "flood: typed texts of each of its calls", to: &d.TextsPerSecond, most: maxRate},
		{name: "block", help: "slow_reader: how long each write blocks", to: &d.Block},
	}
}

// set reads a value. What it wants is the error.
func (f *field) set(text string) error {
	switch to := f.to.(type) {
	case *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < f.from || n > f.most {
			return fmt.Errorf("use a whole number from %d to %d", f.from, f.most)
		}
		*to = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= float64(f.most)) {
			return fmt.Errorf("use a number from 0 to %d", f.most)
		}
		*to = n
	case *time.Duration:
		d, err := parseTime(text)
		if err != nil || d < time.Duration(f.from) {
			return f.wantTime("use a time such as 250ms, 20s or 10m")
		}
		*to = d
	case *Span:
		s, err := parseSpan(text)
		if err != nil || s.Least < time.Duration(f.from) {
			return f.wantTime("use a time, or two with dots between them, the shorter one first, such as 3s..5s")
		}
		*to = s
	case *string:
		if f.one != nil {
			return f.word(text, func() { *to = text })
		}
		*to = text
	case *Scenario:
		return f.word(text, func() { *to = Scenario(text) })
	case *Kind:
		return f.word(text, func() { *to = Kind(text) })
	}
	return nil
}

func (f *field) wantTime(what string) error {
	least := "0s"
	if f.from > 0 {
		least = "above 0s"
	}
	return fmt.Errorf("%s; %s and at most 24h", what, least)
}

func (f *field) word(text string, take func()) error {
	for _, w := range f.one {
		if w == text {
			take()
			return nil
		}
	}
	return fmt.Errorf("use %s", strings.Join(f.one, ", "))
}

func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxTime {
		return 0, fmt.Errorf("%q is no time from 0s to %v", text, maxTime)
	}
	return d, nil
}

func parseSpan(text string) (Span, error) {
	first, second, two := strings.Cut(text, "..")
	if !two {
		second = first
	}
	least, err := parseTime(first)
	if err != nil {
		return Span{}, err
	}
	most, err := parseTime(second)
	if err == nil && most < least {
		err = fmt.Errorf("%v is less than %v", most, least)
	}
	return Span{least, most}, err
}

// String writes a span as it is read.
func (s Span) String() string {
	if s.Least == s.Most {
		return short(s.Least)
	}
	return short(s.Least) + ".." + short(s.Most)
}

// short writes a time without the zeroes that Go puts behind minutes and hours.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// text writes the value as it is read.
func (f *field) text() string {
	switch v := f.to.(type) {
	case *int64:
		return strconv.FormatInt(*v, 10)
	case *float64:
		return strconv.FormatFloat(*v, 'g', -1, 64)
	case *time.Duration:
		return short(*v)
	case *Span:
		return v.String()
	case *string:
		return *v
	case *Scenario:
		return string(*v)
	case *Kind:
		return string(*v)
	}
	return ""
}
